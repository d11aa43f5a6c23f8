# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What must change so that published TLSA RRsets are what is wanted. Pure: no look-up, no clock.

Records are compared as numbers and octets. One RRset has one TTL (RFC 2181 section 5.2), so a change of the TTL
concerns all of its records.
"""

from __future__ import annotations

import enum
import re
import typing as t
from dataclasses import dataclass, replace

from ._errors import InvalidInput, InvalidName, InvalidRecord
from ._names import TRANSPORTS, to_ascii
from ._tlsa import TlsaRecord, Usage

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._records import Record

__all__ = [
    "DEFAULT_TTL",
    "MAIL_PORTS",
    "MAX_RECORDS",
    "Change",
    "Published",
    "State",
    "Wanted",
    "owner_name",
    "plan",
    "wanted_rrsets",
    "zone_file_lines",
]

DEFAULT_TTL: t.Final = 3600
"""Seconds; short enough for an emergency (RFC 7671 section 13), long enough for caches to be of use."""
MAX_TTL: t.Final = 604800  # a week; a rollover waits for twice the TTL
MAX_RECORDS: t.Final = 12
"""A large provider's senders could not handle more TLSA records at one name (July 2024)."""
MAIL_PORTS: t.Final = frozenset({25, 110, 143, 465, 587, 993, 995, 4190})
_PKIX: t.Final = frozenset({Usage.PKIX_TA, Usage.PKIX_EE})


class State(enum.StrEnum):
    """What the records of a :class:`Wanted` are to the RRset."""

    EXACT = "exact"  # the RRset is these records
    PRESENT = "present"  # these records are among those of the RRset
    ABSENT = "absent"  # these records, or all where none are given, are gone


@dataclass(frozen=True, slots=True)
class Wanted:
    """One RRset as the user wants it. ``ttl`` None: as it is, or DEFAULT_TTL where there is none."""

    name: str
    records: tuple[Record, ...]
    state: State
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """One RRset as the provider has it.

    ``owner`` is where the records are, after aliases; ``name`` is what was asked for. ``ttl`` is None without records,
    and the longest where ``mixed_ttls``: some providers keep one for each record (RFC 2181 section 5.2 forbids it).
    """

    name: str
    owner: str
    zone: str
    ttl: int | None
    records: tuple[Record, ...]
    mixed_ttls: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One RRset before and after. ``ttl`` is that of the RRset after the change."""

    owner: str
    zone: str
    before: tuple[Record, ...]
    after: tuple[Record, ...]
    ttl_before: int | None
    ttl: int

    @property
    def removed(self) -> tuple[Record, ...]:
        return tuple(record for record in self.before if record not in self.after)


def owner_name(name: str) -> str:
    """An owner name in lower case, A-labels, without the trailing dot.

    A name that begins with a port must be of the form ``_25._tcp.host`` (RFC 6698 section 3). Others may be targets of
    aliases (RFC 7671 section 7) and are let through. Raises InvalidName.
    """
    labels = name.strip().removesuffix(".").lower().split(".")
    if "*" in labels:
        raise InvalidName(
            f"Owner name {name!r} has a wildcard: it would demand TLS of services that have none "
            "(RFC 7672 section 2.2). Give one owner name for each port"
        )
    prefix = 0
    while prefix < len(labels) and labels[prefix].startswith("_"):
        prefix += 1
    if re.fullmatch(r"_[0-9]+", labels[0]) and not (
        prefix == 2
        and re.fullmatch(r"_[1-9][0-9]{0,4}", labels[0])
        and int(labels[0][1:]) <= 65535
        and labels[1][1:] in TRANSPORTS
    ):
        raise InvalidName(f"Owner name {name!r} is not of the form _25._tcp.mx1.example.org")
    if not all(re.fullmatch(r"_[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?", label) for label in labels[:prefix]):
        raise InvalidName(f"Owner name {name!r} has a malformed label before the host name")
    result = ".".join([*labels[:prefix], to_ascii(".".join(labels[prefix:]))])
    if len(result) > 253:
        raise InvalidName(f"Owner name {name!r} is longer than 253 characters")
    return result


def wanted_rrsets(
    entries: Iterable[Mapping[str, t.Any]], state: State, *, allow_pkix: bool = False
) -> tuple[Wanted, ...]:
    """Read the user's RRsets: ``{name, records, ttl, state}``, all but the name optional, ``state`` their default.

    Entries with one name are added together: several machines stand behind it. Raises InvalidInput for whatever must
    not be published, with the name.
    """
    merged: dict[str, Wanted] = {}
    for entry in entries:
        one = _wanted(entry, state, allow_pkix=allow_pkix)
        merged[one.name] = _together(one.name, merged[one.name], one) if one.name in merged else one
    return tuple(merged.values())


def _wanted(entry: Mapping[str, t.Any], state: State, *, allow_pkix: bool) -> Wanted:
    name = owner_name(entry["name"])
    own_state = State(entry.get("state") or state)
    ttl = entry.get("ttl")
    if ttl is not None and not 1 <= ttl <= MAX_TTL:
        raise InvalidInput(f"TTL {ttl} of {name} is not from 1 to {MAX_TTL} seconds")
    try:
        records = {TlsaRecord.parse(record) for record in entry.get("records") or ()}
        if own_state is not State.ABSENT:
            for record in records:
                record.require_publishable()
                if record.usage in _PKIX and _is_mail(name) and not allow_pkix:
                    raise InvalidRecord(  # noqa: TRY301  # gets the owner name below, as all the others do
                        f"usage {record.usage} is unusable to mail clients (RFC 7672 section 3.1.3), who then do not "
                        f"authenticate at all; publish usage 3 or 2, or set allow_pkix_usages: {record.to_text()}"
                    )
    except InvalidRecord as error:
        raise InvalidRecord(f"{name}: {error}") from error
    if own_state is State.EXACT and not records:
        raise InvalidInput(f"{name}: state exact without records would remove the RRset; to do so, say state absent")
    return Wanted(name, tuple(sorted(records)), own_state, ttl)


def _is_mail(name: str) -> bool:
    port = re.match(r"_([0-9]+)\._tcp\.", name)
    return port is not None and int(port[1]) in MAIL_PORTS


def _together(owner: str, first: Wanted, second: Wanted) -> Wanted:
    """Both at once, at one owner name. Where one of them does not know all records, none is removed."""
    states = {first.state, second.state}
    removes_all = any(one.state is State.ABSENT and not one.records for one in (first, second))
    if State.ABSENT in states and (len(states) > 1 or removes_all):
        raise InvalidInput(f"{owner} is wanted {first.state} and {second.state} in one call, with different records")
    ttls = {one.ttl for one in (first, second) if one.ttl is not None}
    if len(ttls) > 1:
        raise InvalidInput(f"{owner} is wanted with different TTLs: {', '.join(str(ttl) for ttl in sorted(ttls))}")
    return Wanted(
        first.name,
        tuple(sorted({*first.records, *second.records})),
        first.state if len(states) == 1 else State.PRESENT,
        ttls.pop() if ttls else None,
    )


def plan(
    wanted: Iterable[Wanted], published: Mapping[str, Published], *, prune_aliases: bool = True
) -> tuple[Change, ...]:
    """The changes that make `published` (by name) what is `wanted`; RRsets that are so already have none.

    Unless `prune_aliases`, an exact RRset that is reached through an alias gains records and loses none.
    Raises InvalidInput for what must not be published and shows only now: a doubled zone name, too many records,
    aliases that contradict each other.
    """
    owners: dict[str, tuple[Wanted, Published]] = {}
    for one in wanted:
        there = published[one.name]
        _check_alias(one, there)
        if there.owner != one.name and one.state is State.EXACT and not prune_aliases:
            one = replace(one, state=State.PRESENT)  # noqa: PLW2901  # what holds for this owner
        if there.owner in owners:
            one = _together(there.owner, owners[there.owner][0], one)  # noqa: PLW2901  # see above
        owners[there.owner] = (one, there)
    changes = (_change(one, there) for one, there in owners.values())
    return tuple(change for change in changes if change is not None)


def _check_alias(one: Wanted, there: Published) -> None:
    if one.state is State.ABSENT:
        if there.owner != one.name and not one.records:
            raise InvalidInput(
                f"{one.name} is an alias of {there.owner}, whose records others may share; "
                f"to remove all of them, name {there.owner} itself"
            )
        return  # a mistake must remain removable
    if there.owner.removesuffix(f".{there.zone}").endswith(f".{there.zone}"):
        raise InvalidName(f"Owner name {there.owner!r} has the name of its zone, {there.zone}, twice")


def _change(one: Wanted, there: Published) -> Change | None:
    before = set(there.records)
    if one.state is State.EXACT:
        after = set(one.records)
    elif one.state is State.PRESENT:
        after = before | set(one.records)
    else:
        after = before - set(one.records) if one.records else set()
    ttl = one.ttl if one.ttl is not None and one.state is not State.ABSENT else there.ttl
    if before == after and (not after or (ttl in (there.ttl, None) and (one.ttl is None or not there.mixed_ttls))):
        return None
    if len(after) > MAX_RECORDS and one.state is not State.ABSENT:
        raise InvalidInput(
            f"{there.owner} would have {len(after)} TLSA records; some senders handle no more than {MAX_RECORDS}. "
            "Remove records that match no served chain (state exact does)"
        )
    return Change(
        there.owner,
        there.zone,
        tuple(sorted(before)),
        tuple(sorted(after)),
        there.ttl,
        DEFAULT_TTL if ttl is None else ttl,
    )


def zone_file_lines(owner: str, ttl: int | None, records: Iterable[Record]) -> str:
    """The RRset as lines of a zone file (RFC 1035 section 5.1), each with its end of line."""
    return "".join(
        f"{owner}. {DEFAULT_TTL if ttl is None else ttl} IN {record.RDTYPE} {record.to_text()}\n"
        for record in sorted(records)
    )
