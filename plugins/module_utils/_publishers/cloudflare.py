# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Cloudflare, by its API.

The API has no condition on what was read, so two runs can change one RRset at once. Which of them came last is told by
the times at which its records were made, see :meth:`CloudflarePublisher.yields`.
A batch is one transaction, but its removals come first and it spreads record by record; therefore additions and
removals go in batches of their own, in this order.
"""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput, PublisherConflict, PublisherError, PublisherRefused
from .._names import names_upwards
from .._publication import Published
from .._tlsa import TlsaRecord
from .base import Publisher
from .cloudflare_api import API_URL, RECORDS_PER_PAGE, CloudflareApi, Unsupported
from .cloudflare_records import AUTOMATIC_TTL, Entry, entry_of, wanted_entry

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from .._publication import Change
    from .._records import Record

__all__ = ["CloudflarePublisher"]

BATCH: t.Final = 200
"""Operations in one batch: what the smallest plan allows."""
MAX_ALIASES: t.Final = 8


class CloudflarePublisher(Publisher):
    """The zones of a Cloudflare account that a token can see."""

    def __init__(self, api: CloudflareApi, record: type[Record] = TlsaRecord) -> None:
        self.record = record
        self._api = api
        self._zones: dict[str, str] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._batches = True

    @classmethod
    def from_options(cls, options: Mapping[str, t.Any], record: type[Record] = TlsaRecord) -> CloudflarePublisher:
        """From a module's ``provider``. Raises InvalidInput."""
        if not options.get("api_token"):
            raise InvalidInput(
                "Provider cloudflare needs api_token, or the environment variable CLOUDFLARE_API_TOKEN: a token with "
                "the permissions Zone Read and DNS Write for the zones of the mail hosts, and no others"
            )
        url = str(options.get("api_url") or API_URL)
        timeout = float(options.get("timeout") or 10.0)
        return cls(CloudflareApi(str(options["api_token"]), url=url, timeout=timeout), record)

    @property
    def place(self) -> str:
        return "Cloudflare" if self._api.url == API_URL else f"the Cloudflare API at {self._api.url}"

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        """See :meth:`Publisher.read`. A zone is read with three lists, whatever the number of names."""
        with _named(self.place):
            found: dict[str, Published] = {}
            content: dict[str, _Content] = {}
            owners = {name: name for name in names}
            for _unused in range(MAX_ALIASES + 1):
                following: dict[str, str] = {}
                for name, owner in owners.items():
                    zone = self._zone(owner)
                    if zone not in content:
                        content[zone] = self._content(zone)
                    there = content[zone]
                    there.refuse_delegated(owner, zone)
                    if owner in there.aliases:
                        following[name] = there.aliases[owner]
                        continue
                    entries = self._entries[owner] = [entry_of(one) for one in there.records.get(owner, ())]
                    ttls = {entry.ttl for entry in entries}
                    records = tuple(sorted(entry.record for entry in entries))
                    found[name] = Published(
                        name, owner, zone, max(ttls, default=None), records, mixed_ttls=len(ttls) > 1
                    )
                owners = following
                if not owners:
                    return found
            names_left = ", ".join(sorted(owners))
            raise PublisherRefused(f"{names_left}: more than {MAX_ALIASES} aliases in a row, or a loop of them")

    def _zone(self, owner: str) -> str:
        """The closest zone above `owner`; the list of zones is asked for once."""
        if not self._zones:
            self._zones = {str(zone["name"]).lower(): str(zone["id"]) for zone in self._api.pages("/zones", {})}
        for candidate in names_upwards(owner):
            if candidate in self._zones:
                return candidate
        raise PublisherRefused(f"{owner} is in no zone that this token can see")

    def _content(self, zone: str) -> _Content:
        # One record that cannot be read is in the way of its own name only, so they are parsed when they are asked for.
        records: dict[str, list[dict[str, t.Any]]] = {}
        for one in self._list(zone, self.record.RDTYPE):
            records.setdefault(str(one["name"]).lower(), []).append(one)
        aliases = {
            str(one["name"]).lower(): str(one["content"]).lower().removesuffix(".") for one in self._list(zone, "CNAME")
        }
        return _Content(records, aliases, frozenset(str(one["name"]).lower() for one in self._list(zone, "NS")))

    def _list(self, zone: str, rdtype: str) -> Iterator[dict[str, t.Any]]:
        path = f"/zones/{self._zones[zone]}/dns_records"
        return self._api.pages(path, {"type": rdtype, "order": "name"}, RECORDS_PER_PAGE)

    # --- changing -----------------------------------------------------------------------------------------------------

    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        """See :meth:`Publisher.apply`. Two steps at least where records are removed: first all that is added."""
        with _named(self.place):
            posts, patches, deletes = [], [], []
            for change in changes:
                if change.ttl == 1 and change.after:
                    raise PublisherRefused(
                        f"to Cloudflare the TTL 1 of {change.owner} means {AUTOMATIC_TTL}; give ttl: {AUTOMATIC_TTL}"
                    )
                entries = self._entries[change.owner]
                there = {entry.record for entry in entries}
                posts += [wanted_entry(change, record) for record in change.after if record not in there]
                patches += [
                    {"id": entry.identifier, "ttl": change.ttl}
                    for entry in entries
                    if entry.record in change.after and entry.ttl != change.ttl
                ]
                deletes += [{"id": entry.identifier} for entry in entries if entry.record in change.removed]
            for kind, operations in (("posts", posts), ("patches", patches), ("deletes", deletes)):
                for start in range(0, len(operations), BATCH):
                    self._send(f"/zones/{self._zones[zone]}/dns_records", kind, operations[start : start + BATCH])

    def yields(self, change: Change) -> bool:
        """See :meth:`Publisher.yields`: whoever made the newest record came last, and all runs see the same times."""
        entries = self._entries[change.owner]
        kept = max((entry.created for entry in entries if entry.record in change.after), default=None)
        if set(change.after) - set(change.before):
            return False  # what is wanted was removed; to add it again harms nobody
        removed = max((entry.created for entry in entries if entry.record in change.removed), default=None)
        return removed is None or kept is None or not kept[0] or removed >= kept

    def _send(self, path: str, kind: str, operations: Sequence[Mapping[str, t.Any]]) -> None:
        if self._batches:
            try:
                self._api.call("POST", f"{path}/batch", {kind: operations})
            except Unsupported:
                self._batches = False
            else:
                return
        for operation in operations:
            try:
                self._send_one(path, kind, operation)
            except PublisherConflict:
                if kind == "patches":
                    raise  # the record is gone; what is added instead has the right TTL
                continue  # what is to be added is there, or what is to be removed is gone

    def _send_one(self, path: str, kind: str, operation: Mapping[str, t.Any]) -> None:
        if kind == "posts":
            self._api.call("POST", path, operation)
        elif kind == "patches":
            self._api.call("PATCH", f"{path}/{operation['id']}", {"ttl": operation["ttl"]})
        else:
            self._api.call("DELETE", f"{path}/{operation['id']}")


class _Content(t.NamedTuple):
    """What matters of a zone, by owner name: records as the API lists them, targets of aliases, and delegations."""

    records: Mapping[str, Sequence[dict[str, t.Any]]]
    aliases: Mapping[str, str]
    delegated: frozenset[str]

    def refuse_delegated(self, owner: str, zone: str) -> None:
        """Raise PublisherRefused where other servers have the owner name: a record here would not be seen."""
        for name in names_upwards(owner):
            if name == zone:
                return
            if name in self.delegated:
                raise PublisherRefused(
                    f"{owner} is delegated: zone {zone} has NS records at {name}, so other servers have it"
                )


class _named:  # noqa: N801  # reads as the statement it is
    """Put the provider's name before the publisher's own errors."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, PublisherError):
            kind = PublisherRefused if isinstance(error, Unsupported) else type(error)
            raise kind(f"{self._place}: {error}") from error
