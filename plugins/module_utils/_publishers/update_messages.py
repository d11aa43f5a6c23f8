# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Changes as DNS UPDATE messages (RFC 2136): as many as fit into each. Nothing is sent here."""

from __future__ import annotations

import typing as t

from .._deps import importing

with importing():
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype
    import dns.update

from .._errors import PublisherRefused
from .._resolver import absolute_name

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dns.tsig import Key

    from .._publication import Change
    from .._records import Record

__all__ = ["update_messages"]

MAX_MESSAGE: t.Final = 65535 - 512  # TCP's limit less room for the TSIG record
_FIXED: t.Final = 10  # octets of a record beside its owner name and data
_POINTER: t.Final = 2
_REACH: t.Final = 0x4000  # a compression pointer has 14 bits (RFC 1035 section 4.1.4)


def update_messages(zone: str, changes: Sequence[Change], key: Key | None) -> Iterator[dns.update.UpdateMessage]:
    """The messages that make `changes` in `zone`, each one transaction (RFC 2136 section 3.7).

    One message where it holds them all. Where it does not, all additions come before the first removal, in as few
    messages as hold them: whatever breaks off in between, nothing is missing. Raises PublisherRefused for an RRset that
    no message can hold.
    """
    if _fitting(zone, changes, adding=True, removing=True) == len(changes):
        yield _message(zone, changes, key, adding=True, removing=True)
        return
    for adding in (True, False):
        left = [change for change in changes if (_additions(change) if adding else change.removed)]
        while left:
            count = _fitting(zone, left, adding=adding, removing=not adding)
            if not count:
                raise PublisherRefused(f"the records of {left[0].owner} are too large for one DNS message")
            yield _message(zone, left[:count], key, adding=adding, removing=not adding)
            left = left[count:]


def _fitting(zone: str, changes: Sequence[Change], *, adding: bool, removing: bool) -> int:
    """How many of `changes`, from the first on, fit into one message."""
    prerequisites = 12 + len(zone) + 2 + 4  # header, zone name, type and class
    updates = 0
    for count, change in enumerate(changes):
        again = _POINTER if prerequisites < _REACH else len(change.owner) + 2
        checked = _expected(change, adding=adding)
        changed = (_additions(change, keeping=not removing) if adding else ()) + (change.removed if removing else ())
        sizes = [_FIXED + again + len(record.to_wire()) for record in checked] or [_FIXED + again]
        prerequisites += sum(sizes) + len(change.owner) + 2 - again
        updates += _FIXED + again + sum(_FIXED + again + len(record.to_wire()) for record in changed)
        if prerequisites + updates > MAX_MESSAGE:
            return count
    return len(changes)


def _expected(change: Change, *, adding: bool) -> tuple[Record, ...]:
    """The RRset as it is when the message arrives; removals that are sent apart follow the additions."""
    return change.before if adding else tuple(sorted({*change.before, *change.after}))


def _message(
    zone: str, changes: Sequence[Change], key: Key | None, *, adding: bool, removing: bool
) -> dns.update.UpdateMessage:
    """What each RRset must be now, then what is added to it, then what is taken away."""
    message = dns.update.UpdateMessage(absolute_name(zone))
    if key is not None:
        message.use_tsig(key)
    for change in changes:
        _require(message, change, _expected(change, adding=adding))
    if adding:
        for change in changes:
            if _resets(change):
                message.delete(absolute_name(change.owner), _rdtype(change))
            if additions := _additions(change, keeping=not removing):
                message.add(absolute_name(change.owner), change.ttl, *_rdata(additions))
    if removing:
        for change in changes:
            if change.removed:
                message.delete(absolute_name(change.owner), *_rdata(change.removed))
    return message


def _require(message: dns.update.UpdateMessage, change: Change, records: Sequence[Record]) -> None:
    """The RRset must consist of `records`, or not exist, for the message to have any effect."""
    if records:
        message.present(absolute_name(change.owner), *_rdata(records))  # RFC 2136 section 2.4.2
    else:
        message.absent(absolute_name(change.owner), _rdtype(change))  # RFC 2136 section 2.4.3


def _resets(change: Change) -> bool:
    """Whether the RRset gets another TTL: it is taken away and put back in the same transaction.

    Adding a record that is there with another TTL is not enough: Knot DNS then keeps the old one.
    """
    return bool(change.before) and bool(change.after) and change.ttl != change.ttl_before


def _additions(change: Change, *, keeping: bool = False) -> tuple[Record, ...]:
    """The whole new RRset, so that all its records get one TTL (RFC 2181 section 5.2); none if it only loses some.

    With `keeping`, a reset puts back what is to be removed later, too.
    """
    if _resets(change):
        return tuple(sorted({*change.before, *change.after})) if keeping else change.after
    return () if set(change.after) <= set(change.before) else change.after


def _rdata(records: Sequence[Record]) -> list[dns.rdata.Rdata]:
    return [
        dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.from_text(record.RDTYPE), record.to_wire())
        for record in records  # in the form of RFC 3597, which is quick to make
    ]


def _rdtype(change: Change) -> dns.rdatatype.RdataType:
    """The type of the RRset; a change has records before it, after it, or both."""
    return dns.rdatatype.from_text((change.before or change.after)[0].RDTYPE)
