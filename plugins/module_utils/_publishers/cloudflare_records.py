# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Records as Cloudflare's API has them, from and to ours. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .._errors import InvalidRecord, PublisherUnavailable
from .._records import TextRecord
from .._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._publication import Change
    from .._records import Record

__all__ = ["Entry", "entry_of", "wanted_entry"]

AUTOMATIC_TTL: t.Final = 300  # what the TTL 1 means to Cloudflare


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as Cloudflare keeps it; there each has a TTL of its own.

    ``created`` orders records by when they were made: their time in RFC 3339, always of the same form, and identifier.
    """

    identifier: str
    record: Record
    ttl: int
    created: tuple[str, str]


def entry_of(one: Mapping[str, t.Any]) -> Entry:
    """One record of a list. Its hexadecimal comes back in upper case and re-spaced, so octets are compared.

    Raises PublisherUnavailable.
    """
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
        identifier = str(one["id"])
        created = (str(one.get("created_on") or ""), identifier)
        return Entry(identifier, record, AUTOMATIC_TTL if ttl == 1 else ttl, created)
    except (InvalidRecord, KeyError, TypeError, ValueError) as error:
        # Whatever it is, it must not be taken for no record.
        raise PublisherUnavailable(
            f"a {one.get('type')} record at {one.get('name')} cannot be read: {error}"
        ) from error


def wanted_entry(change: Change, record: Record) -> dict[str, t.Any]:
    """What the API takes to add a record of a change."""
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
