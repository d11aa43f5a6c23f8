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
    from collections.abc import Iterable, Mapping, Sequence

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
    reports: Sequence[Mapping[str, t.Any]], silent: Iterable[str], *, prune: bool
) -> dict[str, dict[str, list[dict[str, t.Any]]]]:
    """What each publishing machine has to publish, so that every provider is called once for all machines.

    A report is ``{machine, host, place, rrsets, managed}``: a machine, the host name it serves, what tells its provider
    from others, its RRsets, and (optional) whether an agent on it removes what is no longer needed. The first machine
    of each place publishes for all of that place; it is the key of the result, and its value ``{rrsets, awaited}`` is
    what tlsa_record and wait_for_tlsa take. RRsets with one name are added together. With `prune` they are exactly what
    is published, but not those of a host in `silent`: a machine with that host name has not reported, and its records
    are not known. Nor those of a managed machine: caches may hold RRsets whose records only its agent knows of.
    """
    publishers: dict[str, str] = {}
    merged: dict[str, dict[str, dict[str, t.Any]]] = {}
    quiet = {name.lower().removesuffix(".") for name in silent}
    for report in reports:
        publisher = publishers.setdefault(report["place"], report["machine"])
        prunable = prune and not report.get("managed")
        state = "exact" if prunable and report["host"].lower().removesuffix(".") not in quiet else "present"
        for rrset in report["rrsets"]:
            _add(merged.setdefault(publisher, {}), rrset, state)
    return {
        machine: {
            "rrsets": list(rrsets.values()),
            "awaited": [{"name": name, "records": rrset["records"]} for name, rrset in rrsets.items()],
        }
        for machine, rrsets in merged.items()
    }


def _add(rrsets: dict[str, dict[str, t.Any]], rrset: Mapping[str, t.Any], state: str) -> None:
    name = owner_name(rrset["name"])
    known = rrsets.setdefault(name, {**rrset, "name": name, "records": [], "state": state})
    if known.get("ttl") != rrset.get("ttl"):
        raise InvalidInput(f"Machines behind {name} want different TTLs: {known.get('ttl')} and {rrset.get('ttl')}")
    known["records"] = sorted({*known["records"], *rrset["records"]})
    if state != "exact":
        known["state"] = state
