# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidCertificate,
    InvalidInput,
    InvalidRecord,
)
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._wanted_records import batches, host_rrsets, records_of
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

A: t.Final = "3 1 1 " + "aa" * 32
B: t.Final = "3 1 1 " + "bb" * 32
NAME: t.Final = "_25._tcp.mx1.example.org"


def test_public_keys_and_chains_are_read() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    expected = TlsaRecord(3, 1, 1, hashlib.sha256(der).digest())
    assert records_of({"next/ecdsa.pub": pem, "staged/ecdsa.pub": pem}) == (expected,)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidCertificate, match=re.escape("/etc/dane/mx1/deployed/rsa.crt: ")):
        records_of({"/etc/dane/mx1/deployed/rsa.crt": b""})


def test_one_rrset_for_each_port() -> None:
    records = [TlsaRecord.from_text(B), TlsaRecord.from_text(A), TlsaRecord.from_text(A)]
    assert host_rrsets("MX1.example.org.", [25, 465, 25], records, 300) == [
        {"name": NAME, "ttl": 300, "records": [A, B]},
        {"name": "_465._tcp.mx1.example.org", "ttl": 300, "records": [A, B]},
    ]
    assert host_rrsets("mx1.example.org", [25], records[:1]) == [{"name": NAME, "records": [B]}]


def test_records_that_must_not_be_published_are_refused() -> None:
    with pytest.raises(InvalidRecord, match="must not be published"):
        host_rrsets("mx1.example.org", [25], [TlsaRecord(3, 1, 1, b"short")])


HOST: t.Final = "mx1.example.org"


def report(machine: str, host: str, place: str, *records: str, ttl: int = 300, **more: object) -> dict[str, t.Any]:
    name = f"_25._tcp.{host}"
    return {
        "machine": machine,
        "host": host,
        "place": place,
        "rrsets": [{"name": name, "ttl": ttl, "records": [*records]}],
        **more,
    }


def rrset(records: list[str], state: str = "exact", name: str = NAME) -> dict[str, t.Any]:
    return {"name": name, "ttl": 300, "records": records, "state": state}


def published(
    *reports: dict[str, t.Any], machines: t.Mapping[str, str | None] | None = None, batch: list[str] | None = None
) -> dict[str, list[dict[str, t.Any]]]:
    return {machine: found["rrsets"] for machine, found in batches(reports, machines, batch=batch).items()}


def test_hosts_of_one_provider_are_published_by_the_first() -> None:
    domain = {"name": "example.org", "rua": []}
    reports = [
        report("a", HOST, "p1", A, reporting=[domain]),
        report("b", "mx.example.net", "p2", B),
        report("c", "mx2.example.org", "p1", B, reporting=[domain, {**domain, "name": "example.com"}]),
    ]
    assert batches(reports) == {
        "a": {
            "rrsets": [rrset([A]), rrset([B], name="_25._tcp.mx2.example.org")],
            "awaited": [
                {"name": NAME, "records": [A]},
                {"name": "_25._tcp.mx2.example.org", "records": [B]},
            ],
            "domains": [domain, {**domain, "name": "example.com"}],
            "unknown": [],
        },
        "b": {
            "rrsets": [rrset([B], name="_25._tcp.mx.example.net")],
            "awaited": [{"name": "_25._tcp.mx.example.net", "records": [B]}],
            "domains": [],
            "unknown": [],
        },
    }


def test_machines_behind_one_name_get_the_union() -> None:
    reports = [report("a", HOST, "p", B), report("b", "MX1.example.org", "p", A)]
    assert published(*reports) == {"a": [rrset([A, B])]}


def test_machines_behind_one_name_get_the_union_wherever_each_publishes() -> None:
    reports = [report("a", HOST, "key of a", A), report("b", "MX1.example.org", "key of b", B)]
    assert published(*reports) == {"a": [rrset([A, B])], "b": [rrset([A, B])]}


@pytest.mark.parametrize("way", [{"prune": False}, {"managed": True}])
def test_one_machine_that_lets_nothing_be_removed_speaks_for_its_name(way: dict[str, bool]) -> None:
    for places in ("p", "p"), ("p", "q"):
        reports = [
            report("a", HOST, places[0], A),
            report("b", HOST, places[1], B, **way),
            report("c", "mx2.example.org", places[0], A),
        ]
        assert published(*reports)["a"] == [rrset([A, B], "present"), rrset([A], name="_25._tcp.mx2.example.org")]


def test_machines_that_go_through_one_another_are_one_place() -> None:
    reports = [
        report("a", HOST, "p", A, via="a"),
        report("b", HOST, "p", B, via="a"),
        report("c", "mx2.example.org", "p", A, via="c"),
        report("d", "mx3.example.org", "p", A),
        report("e", "mx4.example.org", "q", A, via="a"),
    ]
    names = {machine: [entry["name"] for entry in rrsets] for machine, rrsets in published(*reports).items()}
    assert names == {
        "a": [NAME],
        "c": ["_25._tcp.mx2.example.org", "_25._tcp.mx3.example.org"],
        "e": ["_25._tcp.mx4.example.org"],
    }
    assert published(*reports)["a"] == [rrset([A, B])]


def test_in_a_batch_its_first_machine_publishes_with_the_records_of_those_before() -> None:
    first = report("a", HOST, "p", A)
    other = report("c", "mx2.example.org", "p", A)
    machines = {"a": HOST, "b": HOST, "c": "mx2.example.org"}
    assert published(other, first, machines=machines, batch=["a"]) == {"a": [rrset([A], "present")]}
    last = report("b", HOST, "p", B)
    assert published(other, first, last, machines=machines, batch=["b"]) == {"b": [rrset([A, B])]}
    assert published(other, first, last, machines=machines, batch=[]) == {}


@pytest.mark.parametrize(
    ("name", "state", "unknown"),
    [("MX1.example.org.", "present", []), ("mx2.example.org", "exact", []), (None, "present", ["b"])],
)
def test_a_silent_machine_keeps_the_records_of_its_name(name: str | None, state: str, unknown: list[str]) -> None:
    result = batches([report("a", HOST, "p", A)], {"a": HOST, "b": name})
    assert result["a"]["rrsets"] == [rrset([A], state)]
    assert result["a"]["unknown"] == unknown


def test_a_name_from_the_play_may_be_that_of_a_silent_machine() -> None:
    for machines in ({"a": None, "b": "b.example.org"}, {"a": "a.example.org", "b": "b.example.org"}):
        result = batches([report("a", HOST, "p", A)], machines)
        assert (result["a"]["rrsets"], result["a"]["unknown"]) == ([rrset([A], "present")], ["b"])
    named_by_the_inventory = report("mx1.example.org", HOST, "p", A)
    assert published(named_by_the_inventory, machines={HOST: None, "b": "b.example.org"}) == {HOST: [rrset([A])]}


def test_nothing_is_said_of_machines_that_make_no_difference() -> None:
    result = batches([report("a", HOST, "p", A, prune=False)], {"a": HOST, "b": None})
    assert (result["a"]["rrsets"], result["a"]["unknown"]) == ([rrset([A], "present")], [])


def test_no_reports_are_no_batches() -> None:
    assert batches([], {"a": HOST}) == {}


def test_machines_that_want_different_ttls_are_refused() -> None:
    reports = [report("a", HOST, "p", A), report("b", HOST, "q", B, ttl=60)]
    with pytest.raises(InvalidInput, match=re.escape(f"Machines behind {NAME} want different TTLs: 300 and 60")):
        batches(reports)
