# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""From the chains that hosts serve to the RRsets that must be published for them. Pure: files come as octets."""

from __future__ import annotations

import typing as t

from ._associations import tlsa_records_for
from ._errors import InvalidCertificate, InvalidInput
from ._publication import owner_name
from ._tlsa import TlsaRecord, tlsa_owner_name

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["batches", "host_rrsets", "records_of"]


def records_of(files: Mapping[str, bytes]) -> tuple[TlsaRecord, ...]:
    """The ``3 1 1`` record of every chain and public key in `files`, path to content, sorted and none twice.

    Raises InvalidCertificate, with the path: a file that cannot be read must not look like a key that is not served.
    """
    found: set[TlsaRecord] = set()
    for path, content in files.items():
        try:
            found.update(tlsa_records_for(content))
        except InvalidCertificate as error:
            raise InvalidCertificate(f"{path}: {error}") from error
    return tuple(sorted(found))


def host_rrsets(
    host: str, ports: Iterable[int], records: Iterable[TlsaRecord], ttl: int | None = None
) -> list[dict[str, t.Any]]:
    """One RRset for each port, as the option ``rrsets`` of tlsa_record takes it. Raises InvalidName, InvalidRecord."""
    texts = [record.require_publishable().to_text() for record in sorted(set(records))]
    return [
        {"name": tlsa_owner_name(host, port), **({} if ttl is None else {"ttl": ttl}), "records": texts}
        for port in dict.fromkeys(ports)
    ]


def batches(
    reports: Sequence[Mapping[str, t.Any]],
    machines: Mapping[str, str | None] | None = None,
    *,
    batch: Collection[str] | None = None,
) -> dict[str, dict[str, t.Any]]:
    """What each publishing machine has to publish, so that every provider is called once for all machines.

    A report is ``{machine, host, place, rrsets}``: a machine, the host name it serves, what tells its provider from
    others, and its RRsets. Optional are ``via``, the machine that talks to the provider (the machine itself without
    it), ``prune`` and ``managed``, whether records not in use may go and whether an agent on the machine sees to that,
    and ``reporting``, mail domains with their addresses for TLS reports.

    Every RRset is the union over all reports with its owner name, whichever place they are of: where each host has a
    key, or each site a primary server, of its own, none may take its own records for all there are. In each place the
    first reporter in `batch`, those that are being worked on (None: all), publishes for the place. It is the key of the
    result, and its value ``{rrsets, awaited, domains, unknown}`` what tlsa_record, wait_for_tlsa and tlsrpt_record take
    and the machines whose unknown names alone keep records from being removed.

    An RRset is exactly what is published only where nobody else can have a record in it. `machines` are all machines of
    the inventory, with the host name that it gives them, or None. One that has not reported keeps the records of its
    name; while its name is unknown, those of all names. A name that a play gives is not seen from outside of it: where
    a report shows such a name, that of every silent machine is unknown.

    Raises InvalidInput where reports want different TTLs.
    """
    union: dict[str, dict[str, t.Any]] = {}
    silent, unknown = _silent(reports, machines or {})
    for report in reports:
        prunable = report.get("prune", True) and not report.get("managed")
        for rrset in report["rrsets"]:
            _add(union, rrset, exact=prunable and _host_name(report["host"]) not in silent)
    withheld = unknown if any(rrset["state"] == "exact" for rrset in union.values()) else []
    for rrset in union.values() if unknown else ():
        rrset["state"] = "present"
    found = {}
    for members in _places(reports):
        now = [report for report in members if batch is None or report["machine"] in batch]
        if now:
            names = dict.fromkeys(owner_name(rrset["name"]) for report in now for rrset in report["rrsets"])
            domains = [domain for report in members for domain in report.get("reporting", ())]
            found[now[0]["machine"]] = {
                "rrsets": [union[name] for name in names],
                "awaited": [{"name": name, "records": union[name]["records"]} for name in names],
                "domains": [domain for index, domain in enumerate(domains) if domain not in domains[:index]],
                "unknown": withheld,
            }
    return found


def _host_name(name: str) -> str:
    return name.lower().removesuffix(".")


def _silent(reports: Sequence[Mapping[str, t.Any]], machines: Mapping[str, str | None]) -> tuple[set[str], list[str]]:
    """Host names of machines that have not reported, and those machines whose host name is not known."""
    heard = {report["machine"]: _host_name(report["host"]) for report in reports}
    named_elsewhere = any(_host_name(machines.get(machine) or machine) != host for machine, host in heard.items())
    silent = {machine: host for machine, host in machines.items() if machine not in heard}
    unknown = [machine for machine, host in silent.items() if named_elsewhere or not host]
    return {_host_name(host) for host in silent.values() if host}, unknown


def _places(reports: Sequence[Mapping[str, t.Any]]) -> list[list[Mapping[str, t.Any]]]:
    """Reports whose provider is reached in one way. A machine that others go through is one of them."""
    ways = [(report["place"], report.get("via") or report["machine"]) for report in reports]
    shared = {way for way, report in zip(ways, reports, strict=True) if way[1] != report["machine"]}
    places: dict[tuple[str, str], list[Mapping[str, t.Any]]] = {}
    for way, report in zip(ways, reports, strict=True):
        places.setdefault(way if way in shared else (way[0], ""), []).append(report)
    return list(places.values())


def _add(rrsets: dict[str, dict[str, t.Any]], rrset: Mapping[str, t.Any], *, exact: bool) -> None:
    name = owner_name(rrset["name"])
    known = rrsets.setdefault(name, {**rrset, "name": name, "records": [], "state": "exact"})
    if known.get("ttl") != rrset.get("ttl"):
        raise InvalidInput(f"Machines behind {name} want different TTLs: {known.get('ttl')} and {rrset.get('ttl')}")
    known["records"] = sorted({*known["records"], *rrset["records"]})
    if not exact:
        known["state"] = "present"
