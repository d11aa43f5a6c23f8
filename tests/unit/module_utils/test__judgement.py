# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verdict and one sentence for each way in which an endpoint can stand."""

from __future__ import annotations

import datetime as dt
import string
import typing as t
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _judgement as judgement
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._judgement import (
    Place,
    judge_failure,
    judge_handshake,
    judge_unroutable,
)
from ansible_collections.mailsec.dane.plugins.module_utils._sigalgs import KeyAlgorithm
from ansible_collections.mailsec.dane.plugins.module_utils._starttls import Endpoint, Handshake, Outcome
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._verdicts import SEVERITY, Cause, Verdict, reason, worst
from ansible_collections.mailsec.dane.plugins.module_utils._walk import (
    Addresses,
    Failure,
    MailHost,
    MailRoute,
    TlsaSet,
)
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from mail_server import NOW, certificate, der, new_key

if t.TYPE_CHECKING:
    from ansible_collections.mailsec.dane.plugins.module_utils._endpoint_report import EndpointReport

HOST: t.Final = "mx.example"
OWNER: t.Final = "_25._tcp.mx.example"
KEY, CA_KEY = new_key("ecdsa"), new_key("ecdsa")
SELF_SIGNED: t.Final = certificate(KEY)
CA: t.Final = certificate(CA_KEY, "ca.example", ca=True)
LEAF: t.Final = certificate(KEY, issuer=(CA_KEY, "ca.example"))
OTHER_NAME: t.Final = certificate(KEY, "www.example", issuer=(CA_KEY, "ca.example"))
RIGHT: t.Final = tlsa_record_for(SELF_SIGNED)
WRONG: t.Final = TlsaRecord(3, 1, 1, b"\xaa" * 32)
CA_RECORD: t.Final = tlsa_record_for(CA, 2, 0, 1)
SECURE: t.Final = MailRoute("d.example", (MailHost(HOST, 10),), secure=True, names=("d.example",))
UNSIGNED: t.Final = MailRoute("d.example", (MailHost(HOST, 10),), secure=False)
ADDRESSES: t.Final = Addresses(HOST, ("192.0.2.1",), secure=True, bases=(HOST,))


def judged(
    records: tuple[TlsaRecord, ...] = (RIGHT,),
    chain: tuple[t.Any, ...] = (SELF_SIGNED,),
    *,
    route: MailRoute | None = SECURE,
    addresses: Addresses = ADDRESSES,
    tlsa: TlsaSet | None = None,
    outcome: Outcome = Outcome.SERVED,
    asked_for: KeyAlgorithm | None = None,
    detail: str = "",
    starttls: Starttls = Starttls.SMTP,
    version: str = "TLSv1.3",
    now: dt.datetime = NOW,
) -> EndpointReport:
    shake = Handshake(
        Endpoint("192.0.2.1", 25, starttls, HOST),
        asked_for,
        outcome,
        tuple(item if isinstance(item, bytes) else der(item) for item in chain) if outcome is Outcome.SERVED else (),
        version,
        detail,
    )
    return judge_handshake(
        Place(HOST, 25, starttls, route), addresses, tlsa or TlsaSet(OWNER, HOST, records, ttl=60), shake, now
    )


def short(record: TlsaRecord) -> str:
    return f"{record.to_text()[:18]}..."


def test_a_match_is_verified() -> None:
    row = judged()
    assert (row.verdict, row.reason) == (Verdict.VERIFIED, f"the served chain matches {short(RIGHT)}")
    assert (row.domain, row.host, row.address, row.port, row.starttls) == ("d.example", HOST, "192.0.2.1", 25, "smtp")
    assert (row.matched, row.covered_by, row.breaches, row.advice) == (RIGHT.to_text(), (RIGHT.to_text(),), (), ())
    assert (row.key_algorithm, row.tls_version, row.owner) == ("ECDSA", "TLSv1.3", OWNER)
    assert row.chain[0].names == (HOST,)
    assert row.chain[0].spki_sha256 == RIGHT.data.hex()


def test_dane_ee_looks_at_neither_name_nor_date() -> None:
    stranger = certificate(KEY, "nobody.invalid")
    row = judged(chain=(stranger,), now=NOW + dt.timedelta(days=400))
    assert row.verdict is Verdict.VERIFIED
    assert row.advice == (
        "the certificate expired 370 days ago, which DANE-EE overlooks and every other client does not",
    )


def test_dane_ta_with_everything_right_is_verified() -> None:
    assert judged((CA_RECORD,), (LEAF, CA)).verdict is Verdict.VERIFIED


def test_the_next_hop_domain_is_a_name_for_dane_ta_only_if_the_mx_is_signed() -> None:
    leaf = certificate(KEY, "d.example", issuer=(CA_KEY, "ca.example"))
    assert judged((CA_RECORD,), (leaf, CA)).verdict is Verdict.VERIFIED
    assert judged((CA_RECORD,), (leaf, CA), route=UNSIGNED).verdict is Verdict.MISMATCH
    assert judged((CA_RECORD,), (leaf, CA), route=None).verdict is Verdict.MISMATCH


WANTED = RIGHT.to_text()
SITE = "ansible-playbook mailsec.dane.site"
FROM = (NOW - dt.timedelta(days=1)).strftime("%Y-%m-%d")

BROKEN: t.Final[dict[str, tuple[dict[str, t.Any], Verdict, str]]] = {
    "the key is in no record": (
        {"records": (WRONG,)},
        Verdict.MISMATCH,
        (
            f"the served ECDSA key is in no TLSA record; its certificate is from {FROM}. To mend: deploy the "
            f"certificate that {short(WRONG)} stands for, or publish {WANTED}: ansible-playbook mailsec.dane.site"
        ),
    ),
    "the CA is not served": (
        {"records": (CA_RECORD,), "chain": (LEAF,)},
        Verdict.MISMATCH,
        (
            f"the certificate of the CA that {short(CA_RECORD)} stands for is not in the served chain. To mend: append "
            "that CA certificate to the chain that the server sends, even if it is a root"
        ),
    ),
    "the certificate is for another name": (
        {"records": (CA_RECORD,), "chain": (OTHER_NAME, CA)},
        Verdict.MISMATCH,
        (
            f"the CA of {short(CA_RECORD)} is in the served chain, but: it is the trust anchor of the chain, but the "
            "certificate is for www.example, not for mx.example or d.example. To mend: mend that in the certificate or "
            f"the chain, or publish {WANTED}, which needs no name, date or CA"
        ),
    ),
    "a stronger digest is stale": (
        {"records": (RIGHT, TlsaRecord(3, 1, 2, b"\xbb" * 64))},
        Verdict.MISMATCH,
        (
            f"{short(RIGHT)} matches, but senders pass it over: passed over, as sha2-512 is there with its usage and "
            "selector (RFC 7671 section 9). To mend: bring the records with the stronger digest up to date, or remove "
            f"them: {SITE}"
        ),
    ),
    "the chain is not one": (
        {"chain": (b"0\x03\x02\x01\x00",)},
        Verdict.MISMATCH,
        "what the server sends as its chain cannot be read: ",
    ),
    "the MX is not signed": (
        {"route": UNSIGNED},
        Verdict.INSECURE,
        (
            f"mx.example matches {short(RIGHT)}, but the MX record of d.example is not signed, so anybody on the way "
            "can lead its mail to another host. To mend: sign the zone of d.example with DNSSEC and put its DS record "
            "into the parent zone"
        ),
    ),
    "the MX is not signed and the key is wrong": (
        {"route": UNSIGNED, "records": (WRONG,)},
        Verdict.MISMATCH,
        "the served ECDSA key is in no TLSA record; ",
    ),
    "the host is not signed": (
        {"addresses": Addresses(HOST, ("192.0.2.1",)), "tlsa": TlsaSet(OWNER, HOST)},
        Verdict.INSECURE,
        (
            "the addresses of mx.example are not signed, so senders do not look for TLSA records at all. To mend: sign "
            "the zone of mx.example with DNSSEC and put its DS record into the parent zone, or name an MX host whose "
            "zone is signed"
        ),
    ),
    "the host is an alias, not signed": (
        {"addresses": Addresses(HOST, ("192.0.2.1",), alias_of="real.example"), "tlsa": TlsaSet(OWNER, HOST)},
        Verdict.INSECURE,
        (
            "mx.example is an alias of real.example, and that way is not signed, so senders do not look for TLSA "
            "records. To mend: name the real host in the MX record, in a signed zone"
        ),
    ),
    "the records are not signed": (
        {"tlsa": TlsaSet(OWNER, HOST, unsigned=(RIGHT,))},
        Verdict.INSECURE,
        (
            "_25._tcp.mx.example is not signed, though the addresses of mx.example are, so its TLSA records count as "
            "none. To mend: put _25._tcp.mx.example, or what it is an alias of, into a zone that is signed up to the "
            "root"
        ),
    ),
    "no record": (
        {"tlsa": TlsaSet(OWNER, HOST, denied=True)},
        Verdict.ABSENT,
        (
            "_25._tcp.mx.example has no TLSA record, proven by DNSSEC, so mail is encrypted at best and never "
            f"authenticated. To mend: publish {WANTED} there: {SITE}"
        ),
    ),
    "no record and no TLS": (
        {
            "tlsa": TlsaSet(OWNER, HOST, denied=True),
            "outcome": Outcome.NO_STARTTLS,
            "detail": "the answer to EHLO offers no STARTTLS",
        },
        Verdict.ABSENT,
        (
            "_25._tcp.mx.example has no TLSA record, and TLS does not work at 192.0.2.1, so mail goes in the clear "
            "(the answer to EHLO offers no STARTTLS). To mend: give the server a certificate and TLS first, then "
            f"publish: {SITE}"
        ),
    ),
    "usage 1": (
        {"records": (TlsaRecord(1, 1, 1, RIGHT.data),)},
        Verdict.UNUSABLE,
        (
            "no TLSA record at _25._tcp.mx.example can be used, so senders encrypt and authenticate nobody: "
            f"1 1 1 {RIGHT.data.hex()[:12]}...: certificate usage pkix-ee (1) is not for mail (RFC 7672 section "
            f"3.1.3). To mend: publish {WANTED} in their place: {SITE}"
        ),
    ),
    "a digest of the wrong length": (
        {"records": (TlsaRecord(3, 1, 1, b"\xab\xcd"),)},
        Verdict.UNUSABLE,
        (
            "no TLSA record at _25._tcp.mx.example can be used, so senders encrypt and authenticate nobody: "
            "3 1 1 abcd: its digest has 2 octets instead of 32. To mend: "
        ),
    ),
    "a record that is cut off": (
        {"tlsa": TlsaSet(OWNER, HOST, unreadable=(r"\# 2 0301",))},
        Verdict.UNUSABLE,
        (
            "no TLSA record at _25._tcp.mx.example can be used, so senders encrypt and authenticate nobody: "
            r"\# 2 0301 is cut off. To mend: "
        ),
    ),
    "TLS promised and not offered": (
        {"outcome": Outcome.NO_STARTTLS, "detail": "the answer to EHLO offers no STARTTLS"},
        Verdict.NO_STARTTLS,
        (
            "TLSA records promise TLS, and the server offers none, so senders keep the mail: the answer to EHLO offers "
            "no STARTTLS. To mend: turn TLS on (role postfix_dane), or find the middlebox that takes STARTTLS out of "
            "the answer"
        ),
    ),
    "the handshake fails": (
        {"outcome": Outcome.TLS_FAILED, "detail": "the TLS handshake failed: internal error"},
        Verdict.UNREACHABLE,
        (
            "TLS is offered at 192.0.2.1 port 25 and does not work, so senders keep the mail: the TLS handshake "
            "failed: internal error. To mend: look at the server's log for the handshake; most often its key or "
            "certificate file cannot be read"
        ),
    ),
    "nobody answers": (
        {"outcome": Outcome.UNREACHABLE, "detail": "Connection refused, in the connection"},
        Verdict.UNREACHABLE,
        (
            "no mail session with 192.0.2.1 port 25: Connection refused, in the connection. To mend: start the service "
            "and open the firewall, or take 192.0.2.1 out of the addresses of mx.example"
        ),
    ),
    "nobody answers and nothing was promised": (
        {
            "tlsa": TlsaSet(OWNER, HOST, denied=True),
            "outcome": Outcome.UNREACHABLE,
            "detail": "Connection refused, in the connection",
        },
        Verdict.UNREACHABLE,
        "no mail session with 192.0.2.1 port 25: ",
    ),
    "implicit TLS fails and nothing was promised": (
        {
            "tlsa": TlsaSet(OWNER, HOST, denied=True),
            "outcome": Outcome.TLS_FAILED,
            "starttls": Starttls.NONE,
            "detail": "wrong version number",
        },
        Verdict.UNREACHABLE,
        "no mail session with 192.0.2.1 port 25: wrong version number. To mend: ",
    ),
    "this host has no IPv6": (
        {"outcome": Outcome.NO_ROUTE, "detail": "Network is unreachable"},
        Verdict.UNKNOWN,
        "this host has no way to 192.0.2.1: Network is unreachable. To mend: run the check from a host that has one",
    ),
    "a further key could not be asked for": (
        {"outcome": Outcome.UNREACHABLE, "asked_for": KeyAlgorithm.RSA, "detail": "421 busy"},
        Verdict.UNKNOWN,
        (
            "whether 192.0.2.1 port 25 also has an RSA chain could not be seen: 421 busy. To mend: run the check "
            "again, less often if the server limits connections"
        ),
    ),
}


@pytest.mark.parametrize("way", list(BROKEN))
def test_each_way_to_break_things_has_its_verdict_cause_and_cure(way: str) -> None:
    arguments, verdict, text = BROKEN[way]
    row = judged(**arguments)
    assert row.verdict is verdict
    assert row.reason == text if not text.endswith((": ", "; ")) else row.reason.startswith(text)
    assert verdict is Verdict.VERIFIED or ". To mend: " in row.reason


def test_an_expired_certificate_under_dane_ta_is_a_mismatch() -> None:
    row = judged((CA_RECORD,), (LEAF, CA), now=NOW + dt.timedelta(days=400))
    assert row.verdict is Verdict.MISMATCH
    assert "expired on" in row.reason


def test_failed_look_ups_are_bogus_or_unreachable_and_never_absent() -> None:
    place = Place(HOST, 25, Starttls.SMTP, SECURE)
    keep = "so senders keep the mail: why. To mend: "
    for bogus, denial, verdict, cause in (
        (True, False, Verdict.BOGUS, f"{OWNER} TLSA does not validate, {keep}"),
        (True, True, Verdict.BOGUS, f"the proof that there is no {OWNER} TLSA does not validate, {keep}"),
        (
            False,
            False,
            Verdict.UNREACHABLE,
            f"the DNS does not answer {OWNER} TLSA, though it answers for the host, {keep}",
        ),
    ):
        failure = Failure(f"{OWNER} TLSA", "why", bogus, denial)
        (row,) = judge_failure(place, ADDRESSES, TlsaSet(OWNER, HOST, failure=failure))
        assert row.verdict is verdict
        assert row.reason.startswith(cause)
        (row,) = judge_failure(place, Addresses(HOST, failures=(failure,)), TlsaSet(OWNER, HOST))
        assert row.verdict is verdict
    (row,) = judge_failure(place, Addresses(HOST, failures=(Failure(f"{HOST} A", "why", bogus=False),)), None)
    assert (row.verdict, row.cause) == (Verdict.UNREACHABLE, "lookup_failed")
    denied = Failure(f"{HOST} AAAA", "why", bogus=True, denial=True)
    (other,) = judge_failure(place, Addresses(HOST, failures=(denied,)), None)
    assert other.cause == "validation_failed"
    assert row.reason.startswith("the DNS does not answer mx.example A, so senders keep the mail: why. To mend: ")


def test_a_host_without_address_is_unreachable() -> None:
    (row,) = judge_failure(Place(HOST, 25, Starttls.SMTP, SECURE), Addresses(HOST), TlsaSet(OWNER, HOST))
    assert row.verdict is Verdict.UNREACHABLE
    assert row.reason == (
        "mx.example has neither an IPv4 nor an IPv6 address. To mend: give it one, or correct the MX record of "
        "d.example"
    )


def test_domains_that_lead_nowhere() -> None:
    gone = judge_unroutable(MailRoute("d.example", missing=True), 25, Starttls.SMTP)
    assert gone is not None
    assert gone.reason == (
        "the domain d.example does not exist in the DNS. To mend: correct the name, or register the domain"
    )
    failed = judge_unroutable(
        MailRoute("d.example", failure=Failure("d.example MX", "why", bogus=True)), 25, Starttls.SMTP
    )
    assert failed is not None
    assert failed.verdict is Verdict.BOGUS
    assert judge_unroutable(MailRoute("d.example", null_mx=True), 25, Starttls.SMTP) is None


def test_section_8_is_judged_beside_the_verdict() -> None:
    row = judged((RIGHT, TlsaRecord(3, 0, 1, b"\xcc" * 32)))
    assert row.verdict is Verdict.VERIFIED
    assert row.breaches == ("no record with 3 0 1 matches this chain, and RFC 7671 section 8 wants one",)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ({"now": NOW + dt.timedelta(days=21, hours=1)}, "the certificate expires in 8 days"),
        ({"version": "TLSv1.1"}, "only TLSv1.1 was agreed on, which RFC 8996 forbids"),
        (
            {"records": (RIGHT, *(TlsaRecord(3, 1, 1, bytes([n]) * 32) for n in range(12)))},
            (
                "_25._tcp.mx.example has 13 TLSA records, and large senders fail above 12; remove those that stand for "
                "no key in use or to come"
            ),
        ),
        (
            {"records": (RIGHT, TlsaRecord(1, 1, 1, RIGHT.data))},
            (
                f"records that no sender can use stand beside usable ones: 1 1 1 {RIGHT.data.hex()} (certificate usage "
                "pkix-ee (1) is not for mail (RFC 7672 section 3.1.3))"
            ),
        ),
        (
            {"tlsa": TlsaSet(OWNER, HOST, (RIGHT,), unreadable=(r"\# 2 0301",))},
            (
                "_25._tcp.mx.example holds a record of fewer than three octets, at which the Postfix of Debian 12 "
                r"crashes: remove \# 2 0301"
            ),
        ),
        (
            {"tlsa": TlsaSet(OWNER, HOST, (RIGHT,), hidden_below="_tcp.mx.example")},
            (
                "_tcp.mx.example is said not to exist, or not answered, though _25._tcp.mx.example is below it, so "
                "that resolvers which minimise names (RFC 9156) find no record; the zone's name servers must be mended"
            ),
        ),
        (
            {"tlsa": TlsaSet(OWNER, HOST, unsigned=(RIGHT,))},
            "1 TLSA records at _25._tcp.mx.example count as none, because they are not signed",
        ),
        (
            {"addresses": Addresses(HOST, ("192.0.2.1",), secure=True, alias_of="real.example", bases=(HOST,))},
            "mx.example is an alias of real.example, which RFC 5321 section 5.1 forbids for MX hosts",
        ),
    ],
)
def test_advice(arguments: dict[str, t.Any], advice: str) -> None:
    assert advice in judged(**arguments).advice


def test_every_cause_can_be_put_into_words() -> None:
    for cause in Cause:
        names = {field[1] or "" for text in cause.value[1:] for field in string.Formatter().parse(text)}
        sentence = reason(cause, **dict.fromkeys(names, "X"))
        assert "{" not in sentence
        assert ("To mend: " in sentence) == (cause.verdict is not Verdict.VERIFIED)


def test_the_worst_verdict_is_one_at_which_mail_waits() -> None:
    assert worst([]) is None
    assert worst([Verdict.VERIFIED, Verdict.ABSENT]) is Verdict.ABSENT
    assert worst(SEVERITY) is Verdict.MISMATCH
    assert worst([Verdict.UNKNOWN, Verdict.NO_STARTTLS]) is Verdict.NO_STARTTLS
    assert judgement.__all__


def test_the_guide_lists_every_cause_with_its_verdict() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guides" / "verify.md").read_text("utf-8")
    for cause in Cause:
        assert f"| `{cause.word}` | `{cause.verdict.value}` |" in guide
