# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole verifications: a DNS of this process, and servers of this process."""

from __future__ import annotations

import asyncio
import re
import time
import typing as t

import dns.rdata
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _verification as verification
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._endpoint_report import EndpointReport
from ansible_collections.mailsec.dane.plugins.module_utils._errors import ProbeImpossible
from ansible_collections.mailsec.dane.plugins.module_utils._starttls import Endpoint, Handshake, Limits, Prober
from ansible_collections.mailsec.dane.plugins.module_utils._verdicts import Verdict
from ansible_collections.mailsec.dane.plugins.module_utils._verification import (
    DomainReport,
    HostTarget,
    Report,
    Settings,
    verify,
)
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from dictionary_dns import DictionaryDns
from mail_server import certificate, mail_handler, new_key, running, server_context

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
    from ansible_collections.mailsec.dane.plugins.module_utils._sigalgs import KeyAlgorithm

RSA, ECDSA = new_key("rsa"), new_key("ecdsa")
RSA_CERTIFICATE, ECDSA_CERTIFICATE = certificate(RSA), certificate(ECDSA)
RSA_RECORD, ECDSA_RECORD = (tlsa_record_for(one).to_text() for one in (RSA_CERTIFICATE, ECDSA_CERTIFICATE))
SPARE: t.Final = "3 1 1 " + "ee" * 32
QUICK: t.Final = Settings(limits=Limits(connect=2, step=1.0, leave=0.2, pause=0.05))


def look(
    dns: DictionaryDns,
    domains: Sequence[str] = (),
    targets: Sequence[HostTarget] = (),
    settings: Settings = QUICK,
) -> Report:
    return verify(domains, targets, t.cast("Resolver", dns), settings)


def verdicts(report: Report) -> list[tuple[str | None, str | None, str | None, str]]:
    return [(row.host, row.address, row.key_algorithm, row.verdict.value) for row in report.endpoints]


@pytest.fixture
def both_keys(tmp_path: Path) -> t.Iterator[int]:
    serving = server_context(tmp_path, (RSA, [RSA_CERTIFICATE]), (ECDSA, [ECDSA_CERTIFICATE]))
    with running(mail_handler(serving)) as port:
        yield port


def test_a_key_that_nobody_published_is_found_beside_one_that_matches(both_keys: int) -> None:
    dns = DictionaryDns({"mx.example A": ["127.0.0.1"], f"_{both_keys}._tcp.mx.example TLSA": [RSA_RECORD, SPARE]})
    report = look(dns, targets=[HostTarget("mx.example", both_keys, Starttls.SMTP)])
    assert verdicts(report) == [
        ("mx.example", "127.0.0.1", "ECDSA", "mismatch"),
        ("mx.example", "127.0.0.1", "RSA", "verified"),
    ]
    assert not report.verified
    assert [row.spare for row in report.endpoints] == [(SPARE,), (SPARE,)]


def test_all_is_well(both_keys: int) -> None:
    dns = DictionaryDns(
        {"mx.example A": ["127.0.0.1"], f"_{both_keys}._tcp.mx.example TLSA": [RSA_RECORD, ECDSA_RECORD]}
    )
    report = look(dns, targets=[HostTarget("mx.example", both_keys, Starttls.SMTP)] * 2)
    assert report.verified
    assert len(report.endpoints) == 2
    owner = f"_{both_keys}._tcp.mx.example"
    assert dns.asked == [". NS", "mx.example A", "mx.example AAAA", f"{owner} TLSA", "_tcp.mx.example A"]


def test_asyncio_makes_no_long_text_of_a_report(both_keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EndpointReport, "__repr__", lambda _row: pytest.fail("a row was made into a text"))
    dns = DictionaryDns({"mx.example A": ["127.0.0.1"]})
    assert look(dns, targets=[HostTarget("mx.example", both_keys, Starttls.SMTP)]).endpoints


def test_one_address_of_a_host_can_be_asked_for(both_keys: int) -> None:
    dns = DictionaryDns({"mx.example A": ["127.0.0.1", "127.0.0.2"]})
    report = look(dns, targets=[HostTarget("mx.example", both_keys, Starttls.SMTP, "127.0.0.1")])
    assert {row.address for row in report.endpoints} == {"127.0.0.1"}


class FakeProber(Prober):
    """Sees on port 25 what a server of the test serves on another."""

    port = 0
    seen: t.ClassVar[list[Endpoint]] = []

    async def inspect(self, endpoint: Endpoint, algorithms: Sequence[KeyAlgorithm]) -> tuple[Handshake, ...]:
        self.seen.append(endpoint)
        elsewhere = Endpoint(endpoint.address, self.port, endpoint.starttls, endpoint.sni)
        return await super().inspect(elsewhere, algorithms)


@pytest.fixture
def on_port_25(both_keys: int, monkeypatch: pytest.MonkeyPatch) -> list[Endpoint]:
    monkeypatch.setattr(FakeProber, "port", both_keys)
    monkeypatch.setattr(FakeProber, "seen", [])
    monkeypatch.setattr(verification, "Prober", FakeProber)
    return FakeProber.seen


ZONE: t.Final[dict[str, t.Iterable[str]]] = {
    "d.example MX": ["20 mx2.example.", "10 mx1.example."],
    "e.example MX": ["10 mx1.example."],
    "n.example MX": ["0 ."],
    "mx1.example A": ["127.0.0.1"],
    "mx2.example A": ["127.0.0.1"],
    "_25._tcp.mx1.example TLSA": [RSA_RECORD, ECDSA_RECORD],
}


def test_domains_share_what_was_seen_of_their_hosts(on_port_25: list[Endpoint]) -> None:
    report = look(DictionaryDns(ZONE), ["d.example", "e.example", "n.example"])
    assert [(row.domain, *found) for row, found in zip(report.endpoints, verdicts(report), strict=True)] == [
        ("d.example", "mx1.example", "127.0.0.1", "ECDSA", "verified"),
        ("d.example", "mx1.example", "127.0.0.1", "RSA", "verified"),
        ("d.example", "mx2.example", "127.0.0.1", "ECDSA", "absent"),
        ("d.example", "mx2.example", "127.0.0.1", "RSA", "absent"),
        ("e.example", "mx1.example", "127.0.0.1", "ECDSA", "verified"),
        ("e.example", "mx1.example", "127.0.0.1", "RSA", "verified"),
    ]
    assert sorted(endpoint.sni for endpoint in on_port_25) == ["mx1.example", "mx2.example"]
    assert report.domains == (
        DomainReport("d.example", Verdict.ABSENT, True, ("mx1.example", "mx2.example"), ()),
        DomainReport("e.example", Verdict.VERIFIED, True, ("mx1.example",), ()),
        DomainReport("n.example", None, True, (), ()),
    )


def test_a_host_that_a_domain_leads_to_is_not_looked_at_again_by_itself(on_port_25: list[Endpoint]) -> None:
    report = look(DictionaryDns(ZONE), ["e.example"], [HostTarget("mx1.example", 25, Starttls.SMTP)])
    assert {row.domain for row in report.endpoints} == {"e.example"}
    assert len(on_port_25) == 1


def test_troubles_of_the_dns_are_rows_too(on_port_25: list[Endpoint]) -> None:
    dns = DictionaryDns(
        {
            **ZONE,
            "f.example MX": ["10 none.example."],
            "g.example MX": ["10 mx1.example."],
            "none.example TXT": ["x"],
        },
        broken={"h.example MX": True, "_25._tcp.mx1.example TLSA": True},
    )
    report = look(dns, ["f.example", "g.example", "h.example", "gone.example", "192.0.2.1", "[IPv6:2001:db8::1]"])
    assert [(row.domain, row.host, row.verdict.value) for row in report.endpoints] == [
        ("h.example", None, "bogus"),
        ("gone.example", None, "unreachable"),
        ("f.example", "none.example", "unreachable"),
        ("g.example", "mx1.example", "bogus"),
        ("192.0.2.1", None, "insecure"),
        ("[IPv6:2001:db8::1]", None, "insecure"),
    ]
    assert on_port_25 == []
    assert not report.verified


def test_the_addresses_that_are_known_are_looked_at_though_a_family_failed(on_port_25: list[Endpoint]) -> None:
    report = look(DictionaryDns(ZONE, broken={"mx1.example AAAA": False}), ["e.example"])
    assert sorted(row.verdict.value for row in report.endpoints) == ["unreachable", "verified", "verified"]
    assert on_port_25


def test_nothing_is_believed_from_a_resolver_elsewhere() -> None:
    dns = DictionaryDns(ZONE, address="192.0.2.53")
    report = look(dns, ["d.example"], [HostTarget("mx1.example", 465, Starttls.NONE)])
    assert {row.verdict for row in report.endpoints} == {Verdict.UNKNOWN}
    assert report.endpoints[0].reason == (
        "the resolver 192.0.2.53 is not on this host, so its word that an answer is signed proves nothing. To mend: "
        "run the check where a validating resolver listens on 127.0.0.1 (role unbound_resolver), or let it validate by "
        "itself (validation: libunbound)"
    )
    assert [row.port for row in report.endpoints] == [25, 465]
    assert report.domains[0].verdict is Verdict.UNKNOWN
    assert dns.asked == []


def test_a_resolver_elsewhere_can_be_trusted_by_decision(on_port_25: list[Endpoint]) -> None:
    dns = DictionaryDns(ZONE, address="192.0.2.53")
    settings = Settings(limits=QUICK.limits, trust_resolver=True)
    assert look(dns, ["e.example"], settings=settings).verified
    assert on_port_25


def test_nothing_is_believed_from_a_resolver_that_does_not_validate() -> None:
    report = look(DictionaryDns(ZONE, validates=False), ["d.example"])
    assert report.endpoints[0].reason.startswith("the resolver 127.0.0.1 does not validate: ")


def test_a_resolver_that_says_ad_only_to_those_who_ask_for_signatures_is_one_that_validates(
    on_port_25: list[Endpoint],
) -> None:
    dns = DictionaryDns(ZONE, validates_without_signatures=False)
    assert look(dns, ["e.example"]).verified
    assert (dns.signatures, len(on_port_25)) == ([False, True], 1)


def test_a_lack_of_this_host_ends_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lacking(*_: object) -> tuple[Handshake, ...]:
        raise ProbeImpossible("no more files")

    monkeypatch.setattr(Prober, "inspect", lacking)
    with pytest.raises(ProbeImpossible, match=re.escape("no more files")):
        look(DictionaryDns(ZONE), ["d.example"])


def test_dead_addresses_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", never)
    zone: dict[str, t.Iterable[str]] = {f"mx{n}.example A": [f"192.0.2.{n}"] for n in range(1, 201)}
    targets = [HostTarget(f"mx{n}.example", 25, Starttls.SMTP) for n in range(1, 201)]
    began = time.monotonic()
    report = look(DictionaryDns(zone), targets=targets, settings=Settings(limits=Limits(connect=0.5)))
    assert {row.verdict for row in report.endpoints} == {Verdict.UNREACHABLE}
    assert len(report.endpoints) == 200
    assert time.monotonic() - began < 2.5


def test_one_address_with_many_names_does_not_hold_up_the_others(on_port_25: list[Endpoint]) -> None:
    addresses = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2", "127.0.0.3"]
    zone: dict[str, t.Iterable[str]] = {f"mx{n}.example A": [address] for n, address in enumerate(addresses)}
    targets = [HostTarget(f"mx{n}.example", 25, Starttls.SMTP) for n in range(len(addresses))]
    report = look(DictionaryDns(zone), targets=targets, settings=Settings(limits=Limits(connections=1)))
    assert [endpoint.sni for endpoint in on_port_25] == [f"mx{n}.example" for n in (0, 3, 5, 1, 4, 2)]
    assert list(dict.fromkeys(row.host for row in report.endpoints)) == [target.host for target in targets]


def test_a_digest_of_the_wrong_length_does_not_hide_the_answer_that_holds_it(both_keys: int) -> None:
    look(DictionaryDns({"mx.example A": ["127.0.0.1"]}), targets=[HostTarget("mx.example", both_keys, Starttls.SMTP)])
    wire = bytes((3, 1, 1)) + b"short"
    rdata = dns.rdata.from_wire("IN", "TLSA", wire, 0, len(wire))
    assert rdata.to_text() == "3 1 1 73686f7274"
