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


def report(machine: str, host: str, place: str, *records: str, ttl: int = 300) -> dict[str, t.Any]:
    name = f"_25._tcp.{host}"
    return {
        "machine": machine,
        "host": host,
        "place": place,
        "rrsets": [{"name": name, "ttl": ttl, "records": [*records]}],
    }


def test_hosts_of_one_provider_are_published_by_the_first() -> None:
    reports = [
        report("a", "mx1.example.org", "p1", A),
        report("b", "mx.example.net", "p2", B),
        report("c", "mx2.example.org", "p1", B),
    ]
    assert batches(reports, [], prune=True) == {
        "a": {
            "rrsets": [
                {"name": NAME, "ttl": 300, "records": [A], "state": "exact"},
                {"name": "_25._tcp.mx2.example.org", "ttl": 300, "records": [B], "state": "exact"},
            ],
            "awaited": [
                {"name": NAME, "records": [A]},
                {"name": "_25._tcp.mx2.example.org", "records": [B]},
            ],
        },
        "b": {
            "rrsets": [{"name": "_25._tcp.mx.example.net", "ttl": 300, "records": [B], "state": "exact"}],
            "awaited": [{"name": "_25._tcp.mx.example.net", "records": [B]}],
        },
    }


def test_machines_behind_one_name_get_the_union() -> None:
    reports = [report("a", "mx1.example.org", "p", B), report("b", "MX1.example.org", "p", A)]
    (batch,) = batches(reports, [], prune=True).values()
    assert batch["rrsets"] == [{"name": NAME, "ttl": 300, "records": [A, B], "state": "exact"}]


@pytest.mark.parametrize(("silent", "state"), [(["MX1.example.org."], "present"), (["mx2.example.org"], "exact")])
def test_a_silent_machine_keeps_the_records_of_its_name(silent: list[str], state: str) -> None:
    (batch,) = batches([report("a", "mx1.example.org", "p", A)], silent, prune=True).values()
    assert batch["rrsets"][0]["state"] == state


def test_without_prune_nothing_is_exact() -> None:
    (batch,) = batches([report("a", "mx1.example.org", "p", A)], [], prune=False).values()
    assert batch["rrsets"][0]["state"] == "present"


def test_no_reports_are_no_batches() -> None:
    assert batches([], ["mx1.example.org"], prune=True) == {}


def test_machines_that_want_different_ttls_are_refused() -> None:
    reports = [report("a", "mx1.example.org", "p", A), report("b", "mx1.example.org", "p", B, ttl=60)]
    with pytest.raises(InvalidInput, match=re.escape(f"Machines behind {NAME} want different TTLs: 300 and 60")):
        batches(reports, [], prune=True)
