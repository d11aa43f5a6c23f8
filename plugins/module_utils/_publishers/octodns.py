# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Any provider of octoDNS that can hold the records in question.

octoDNS makes whole zones what a source says. Here the source is the zone itself, as the provider has it, with no more
than the wanted RRsets exchanged; a plan that would touch anything else is not carried out. That a provider sees the
whole zone matters: some write it anew, and what they are not given would be gone.
"""

from __future__ import annotations

import typing as t
from itertools import takewhile

from .._errors import InvalidRecord, PublisherConflict, PublisherRefused, PublisherUnavailable
from .._names import names_upwards
from .._publication import DEFAULT_TTL, Published
from .._records import TextRecord
from .._tlsa import TlsaRecord
from .base import Publisher
from .octodns_library import OctodnsProvider

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .._publication import Change
    from .._records import Record
    from .octodns_library import Plan, Zone

__all__ = ["OctodnsPublisher"]

MAX_ALIASES: t.Final = 8


class OctodnsPublisher(Publisher):
    """One octoDNS provider. octoDNS has no condition on what was read; a lost race is noticed up to the last read."""

    def __init__(self, provider: OctodnsProvider, record: type[Record] = TlsaRecord) -> None:
        self.record = record
        self._provider = provider
        self._zones: dict[str, Zone] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, t.Any], record: type[Record] = TlsaRecord) -> OctodnsPublisher:
        """From a module's ``provider``. Raises InvalidInput."""
        return cls(OctodnsProvider.from_options(options, record.RDTYPE), record)

    @property
    def place(self) -> str:
        return self._provider.place

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        """See :meth:`Publisher.read`. A zone is read once, whatever the number of names."""
        self._zones.clear()
        found: dict[str, Published] = {}
        owners = {name: name for name in names}
        for _unused in range(MAX_ALIASES + 1):
            following: dict[str, str] = {}
            for name, owner in owners.items():
                zone = self._provider.zone_of(owner)
                if zone not in self._zones:
                    self._zones[zone] = self._provider.populated(zone)
                alias = self._alias(zone, owner)
                if alias is None:
                    ttl, records = self._content(self._zones[zone], owner)
                    found[name] = Published(name, owner, zone, ttl, records)
                else:
                    following[name] = alias
            owners = following
            if not owners:
                return found
        names_left = ", ".join(sorted(owners))
        raise PublisherRefused(f"{self.place}: {names_left}: more than {MAX_ALIASES} aliases in a row, or a loop")

    def _alias(self, zone: str, owner: str) -> str | None:
        """Where a CNAME at `owner` or a DNAME above it leads. Raises PublisherRefused where `owner` is delegated."""
        here = _at(self._zones[zone], owner)
        if "CNAME" in here:
            return _plain(str(here["CNAME"].value))
        for ancestor in takewhile(lambda name: name != zone, names_upwards(owner)[1:]):
            above = _at(self._zones[zone], ancestor)
            if "DNAME" in above:
                return f"{owner.removesuffix(ancestor)}{_plain(str(above['DNAME'].value))}"
            if "NS" in above:
                raise PublisherRefused(f"{self.place}: {owner} is in {ancestor}, which {zone} delegates to others")
        return None

    def _content(self, zone: Zone, owner: str) -> tuple[int | None, tuple[Record, ...]]:
        there = _at(zone, owner).get(self.record.RDTYPE)
        if there is None:
            return None, ()
        try:
            records = {_record(value, self.record) for value in there.values}
        except (InvalidRecord, ValueError) as error:
            # Whatever it is, it must not be taken for no record.
            raise PublisherUnavailable(
                f"{self.place}: a {self.record.RDTYPE} record at {owner} cannot be read: {error}"
            ) from error
        return int(there.ttl), tuple(sorted(records))

    # --- changing -----------------------------------------------------------------------------------------------------

    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        """See :meth:`Publisher.apply`. Two plans at least where records are removed: the first only adds."""
        adding = {
            change.owner: (change.ttl, tuple(sorted({*change.before, *change.after})))
            for change in changes
            if not set(change.after) <= set(change.before) or (change.after and change.ttl != change.ttl_before)
        }
        before = {change.owner: change.before for change in changes}
        if adding:
            self._carry_out(zone, before, adding)
        removing = {change.owner: (change.ttl, change.after) for change in changes if change.removed}
        if removing:
            before |= {owner: records for owner, (_ttl, records) in adding.items()}
            self._carry_out(zone, before, removing)

    def _carry_out(
        self,
        zone: str,
        before: Mapping[str, tuple[Record, ...]],
        after: Mapping[str, tuple[int, tuple[Record, ...]]],
    ) -> None:
        """Make the RRsets `after` (TTL and records by owner name), provided that they are as `before` says."""
        desired = self._provider.populated(zone)
        for owner, (ttl, records) in after.items():
            if self._content(desired, owner)[1] != before[owner]:
                raise PublisherConflict(f"{self.place}: the RRset at {owner} changed between reading and writing")
            values = [_value(record) for record in records]
            self._provider.replace(desired, owner, self.record.RDTYPE, ttl or DEFAULT_TTL, values)
        plan, carry_out = self._provider.plan(desired)
        if plan is None:
            raise PublisherRefused(
                f"{self.place}: octoDNS plans no change of {', '.join(sorted(after))}; the provider leaves out what it "
                "cannot hold, such as a TTL below its least"
            )
        self._require_narrow(plan, zone, before, after)
        carry_out()

    def _require_narrow(
        self,
        plan: Plan,
        zone: str,
        before: Mapping[str, tuple[Record, ...]],
        after: Mapping[str, tuple[int, tuple[Record, ...]]],
    ) -> None:
        """The plan makes the RRsets `after` of what they were `before`, and concerns nothing else."""
        kind = self.record.RDTYPE
        touched = {(_plain(str(change.record.fqdn)), str(change.record._type)) for change in plan.changes}
        beyond = sorted(f"{owner} {rdtype}" for owner, rdtype in touched if rdtype != kind or owner not in after)
        if plan.meta:
            beyond.append("settings of the zone")
        if beyond:
            raise PublisherRefused(
                f"{self.place}: to change {kind} records of {zone}, octoDNS would also change {', '.join(beyond[:5])}"
                f"{f' and {len(beyond) - 5} more' if len(beyond) > 5 else ''}, so nothing was changed. Either somebody "
                "else is changing the zone now, or this provider cannot change single RRsets"
            )
        if plan.exists is False:
            raise PublisherRefused(f"{self.place}: it has no zone {zone}, and none is made for {kind} records")
        for owner, (_ttl, records) in after.items():
            if self._content(plan.existing, owner)[1] != before[owner]:
                raise PublisherConflict(f"{self.place}: the RRset at {owner} changed between reading and writing")
            if self._content(plan.desired, owner)[1] != records:  # a provider leaves out what it does not support
                raise PublisherRefused(
                    f"{self.place}: octoDNS would not make what is wanted of the RRset at {owner}, so nothing was "
                    "changed; the provider does not support all of these records"
                )


def _at(zone: Zone, owner: str) -> dict[str, t.Any]:
    """The records at `owner` by type."""
    name = owner.removesuffix(_plain(str(zone.name))).removesuffix(".")
    return {str(record._type): record for record in zone.get(name)}


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")


def _record(value: t.Any, kind: type[Record]) -> Record:  # noqa: ANN401  # what octoDNS has as a value of that type
    if kind is TextRecord:
        return TextRecord.of(str(value).replace("\\;", ";"))
    return TlsaRecord.from_mapping(
        {
            "usage": value["certificate_usage"],
            "selector": value["selector"],
            "matching_type": value["matching_type"],
            "data": "".join(str(value["certificate_association_data"]).split()),
        }
    )


def _value(record: Record) -> dict[str, t.Any] | str:
    if isinstance(record, TextRecord):
        return record.text.replace(";", "\\;")  # octoDNS keeps the backslash that zone files once had
    if not isinstance(record, TlsaRecord):
        raise TypeError(f"octoDNS values of type {record.RDTYPE} are not known here")
    return {
        "certificate_usage": int(record.usage),
        "selector": int(record.selector),
        "matching_type": int(record.matching_type),
        "certificate_association_data": record.data.hex(),
    }
