# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Cloudflare, by its API.

The API has no condition on what was read, so a lost race shows only where two add the same record, or one removes what
the other removed. A batch is one transaction, but its removals come first and it spreads record by record; therefore
additions and removals go in batches of their own, in this order.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import (
    InvalidInput,
    InvalidRecord,
    PublisherConflict,
    PublisherError,
    PublisherRefused,
    PublisherUnavailable,
)
from .._names import names_upwards
from .._publication import Published
from .._records import TextRecord
from .._tlsa import TlsaRecord
from .base import Publisher
from .cloudflare_api import API_URL, RECORDS_PER_PAGE, CloudflareApi, Unsupported

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from .._publication import Change
    from .._records import Record

__all__ = ["CloudflarePublisher"]

BATCH: t.Final = 200
"""Operations in one batch: what the smallest plan allows."""
MAX_ALIASES: t.Final = 8
AUTOMATIC_TTL: t.Final = 300  # what the TTL 1 means to Cloudflare


@dataclass(frozen=True, slots=True)
class _Entry:
    """One record as Cloudflare keeps it; there each has a TTL of its own."""

    identifier: str
    record: Record
    ttl: int


class CloudflarePublisher(Publisher):
    """The zones of a Cloudflare account that a token can see."""

    def __init__(self, api: CloudflareApi, record: type[Record] = TlsaRecord) -> None:
        self.record = record
        self._api = api
        self._zones: dict[str, str] = {}
        self._entries: dict[str, list[_Entry]] = {}
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
        """See :meth:`Publisher.read`. A zone is read with two lists, whatever the number of names."""
        with _named(self.place):
            found: dict[str, Published] = {}
            content: dict[str, tuple[dict[str, list[_Entry]], dict[str, str]]] = {}
            owners = {name: name for name in names}
            for _unused in range(MAX_ALIASES + 1):
                following: dict[str, str] = {}
                for name, owner in owners.items():
                    zone = self._zone(owner)
                    if zone not in content:
                        content[zone] = self._content(zone)
                    records, aliases = content[zone]
                    if owner in aliases:
                        following[name] = aliases[owner]
                        continue
                    entries = self._entries[owner] = records.get(owner, [])
                    ttl = max((entry.ttl for entry in entries), default=None)
                    found[name] = Published(name, owner, zone, ttl, tuple(sorted(entry.record for entry in entries)))
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

    def _content(self, zone: str) -> tuple[dict[str, list[_Entry]], dict[str, str]]:
        """Records and aliases of `zone`, by owner name."""
        records: dict[str, list[_Entry]] = {}
        for one in self._list(zone, self.record.RDTYPE):
            records.setdefault(str(one["name"]).lower(), []).append(_entry(one))
        aliases = {
            str(one["name"]).lower(): str(one["content"]).lower().removesuffix(".") for one in self._list(zone, "CNAME")
        }
        return records, aliases

    def _list(self, zone: str, rdtype: str) -> Iterator[dict[str, t.Any]]:
        path = f"/zones/{self._zones[zone]}/dns_records"
        return self._api.pages(path, {"type": rdtype, "order": "name"}, RECORDS_PER_PAGE)

    # --- changing -----------------------------------------------------------------------------------------------------

    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        """See :meth:`Publisher.apply`. Two steps at least where records are removed: first all that is added."""
        with _named(self.place):
            posts, patches, deletes = [], [], []
            for change in changes:
                entries = self._entries[change.owner]
                there = {entry.record for entry in entries}
                posts += [_wanted(change, record) for record in change.after if record not in there]
                patches += [
                    {"id": entry.identifier, "ttl": change.ttl}
                    for entry in entries
                    if entry.record in change.after and entry.ttl != change.ttl
                ]
                deletes += [{"id": entry.identifier} for entry in entries if entry.record in change.removed]
            for kind, operations in (("posts", posts), ("patches", patches), ("deletes", deletes)):
                for start in range(0, len(operations), BATCH):
                    self._send(f"/zones/{self._zones[zone]}/dns_records", kind, operations[start : start + BATCH])

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


def _entry(one: Mapping[str, t.Any]) -> _Entry:
    """One record of a list. Its hexadecimal comes back in upper case and re-spaced, so octets are compared."""
    try:
        record: Record
        data = one.get("data") or {}
        if one["type"] == TextRecord.RDTYPE:
            record = TextRecord.from_text(str(one["content"]))
        elif data:
            record = TlsaRecord.from_mapping(
                {
                    "usage": data["usage"],
                    "selector": data["selector"],
                    "matching_type": data["matching_type"],
                    "data": str(data["certificate"]),
                }
            )
        else:
            record = TlsaRecord.from_text(str(one["content"]))
        ttl = int(one["ttl"])
        return _Entry(str(one["id"]), record, AUTOMATIC_TTL if ttl == 1 else ttl)
    except (InvalidRecord, KeyError, TypeError, ValueError) as error:
        # Whatever it is, it must not be taken for no record.
        raise PublisherUnavailable(
            f"a {one.get('type')} record at {one.get('name')} cannot be read: {error}"
        ) from error


def _wanted(change: Change, record: Record) -> dict[str, t.Any]:
    common = {"type": record.RDTYPE, "name": change.owner, "ttl": change.ttl}
    if not isinstance(record, TlsaRecord):
        return {**common, "content": record.to_text()}
    return {
        **common,
        "data": {
            "usage": record.usage,
            "selector": record.selector,
            "matching_type": record.matching_type,
            "certificate": record.data.hex(),
        },
    }


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
