# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a case looks like in the DNS: records for the lab's primary, as commands of nsupdate. Pure."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from conformance.certificates import certificate_of, served_chain

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.cases import Case

__all__ = ["tlsa_records", "zone_updates"]

TTL = 30


def tlsa_records(case: Case) -> list[TlsaRecord]:
    """The records that the case publishes, right or wrong as it wants them."""
    return [record for text in case.records for record in _records(case, text)]


def _records(case: Case, text: str) -> list[TlsaRecord]:
    usage, selector, matching_type, of = text.split()
    numbers = int(usage), int(selector), int(matching_type)
    what, _unused, mutation = of.partition("!")
    what, _unused, count = what.partition("*")
    if what == "many":
        digests = (hashlib.sha256(f"{case.name} {number}".encode()).digest() for number in range(int(count)))
        return [TlsaRecord(*numbers, digest) for digest in digests]
    chain = served_chain(case)
    of_leaf = what in ("leaf", "rsa")
    subject = (chain[0] if chain else certificate_of("self", case)) if of_leaf else certificate_of(what, case)
    known_selector = min(numbers[1], 1)
    known_type = numbers[2] if numbers[2] <= 2 else 1
    if mutation == "selector":
        known_selector = 1 - known_selector
    data = tlsa_record_for(subject, numbers[0], known_selector, known_type).data
    mutated = {"short": data[:-3], "long": data + b"\0", "flip": data[::-1]}.get(mutation, data)
    return [TlsaRecord(*numbers, mutated)]


def zone_updates(cases: Iterable[Case], address: t.Callable[[Case], str]) -> dict[str, list[str]]:
    """For each zone, the lines of nsupdate that make the cases; whatever stood at those names goes first."""
    lines: dict[str, list[str]] = {}
    for case in cases:
        for owner, rdata in _case_records(case, address(case)):
            zone = ".".join(owner.split(".")[-2:])
            lines.setdefault(zone, []).append(f"update add {owner}. {TTL} {rdata}")
    return {zone: [*(_removal(line) for line in added), *added] for zone, added in lines.items()}


def _removal(line: str) -> str:
    owner, rdtype = line.split()[2], line.split()[4]
    return f"update delete {owner} {rdtype}"


def _case_records(case: Case, address: str) -> list[tuple[str, str]]:
    words = set(case.dns)
    if "nothing" in words:
        return []
    if "null-mx" in words:
        return [(case.domain, "MX 0 .")]
    if "no-address" in words:
        return [(case.domain, f"MX 10 {case.host}."), (case.host, 'TXT "no address"')]
    found: list[tuple[str, str]] = []
    if "domain-alias" in words:
        found += [(case.domain, f"CNAME target.{case.domain}."), (f"target.{case.domain}", f"MX 10 {case.host}.")]
    elif "no-mx" not in words:
        found.append((case.domain, f"MX 10 {case.host}."))
    if case.target != case.host:
        found.append((case.host, f"CNAME {case.target}."))
    found.append((case.target, f"A {address}"))
    return found + _tlsa(case, words)


def _tlsa(case: Case, words: set[str]) -> list[tuple[str, str]]:
    owner = f"_25._tcp.{case.base}"
    if "tlsa-at-domain" in words:
        owner = f"_25._tcp.{case.domain}"
    elif "tlsa-at-465" in words:
        owner = f"_465._tcp.{case.base}"
    elsewhere = {
        "tlsa-alias": f"shared.{case.name}.one.example",
        "tlsa-alias-unsigned": f"shared.{case.name}.unsigned.example",
        "tlsa-alias-bogus": f"shared.{case.name}.bogus.example",
    }
    aliases = [(owner, f"CNAME {name}.") for word, name in elsewhere.items() if word in words]
    for word, name in elsewhere.items():
        if word in words:
            owner = name
    return aliases + [(owner, f"TYPE52 {record.to_generic()}") for record in tlsa_records(case)]
