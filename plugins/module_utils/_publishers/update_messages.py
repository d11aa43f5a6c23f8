# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Changes as DNS UPDATE messages (RFC 2136): as many as fit into each. Nothing is sent here."""

from __future__ import annotations

import typing as t

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update

from .._resolver import absolute_name

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dns.tsig import Key

    from .._publication import Change
    from .._tlsa import TlsaRecord

__all__ = ["update_messages"]

MAX_MESSAGE: t.Final = 65535 - 512  # TCP's limit less room for the TSIG record


def update_messages(zone: str, changes: Sequence[Change], key: Key | None) -> Iterator[dns.update.UpdateMessage]:
    """The messages that make `changes` in `zone`, each one transaction (RFC 2136 section 3.7).

    One message where it holds them all. Where it does not, all additions come before the first removal, in as few
    messages as hold them: whatever breaks off in between, nothing is missing.
    """
    whole = _message(zone, changes, key, adding=True, removing=True)
    if _fits(whole):
        yield whole
        return
    yield from _packed(zone, [change for change in changes if _additions(change)], key, adding=True)
    yield from _packed(zone, [change for change in changes if change.removed], key, adding=False)


def _packed(
    zone: str, changes: Sequence[Change], key: Key | None, *, adding: bool
) -> Iterator[dns.update.UpdateMessage]:
    start = 0
    while start < len(changes):
        fitting, size = 1, len(changes) - start
        best = _message(zone, changes[start : start + 1], key, adding=adding, removing=not adding)
        while fitting < size:  # how many fit is found by halving
            middle = (fitting + size + 1) // 2
            message = _message(zone, changes[start : start + middle], key, adding=adding, removing=not adding)
            if _fits(message):
                fitting, best = middle, message
            else:
                size = middle - 1
        yield best
        start += fitting


def _message(
    zone: str, changes: Sequence[Change], key: Key | None, *, adding: bool, removing: bool
) -> dns.update.UpdateMessage:
    """What each RRset must be now, then what is added to it, then what is taken away."""
    message = dns.update.UpdateMessage(absolute_name(zone))
    if key is not None:
        message.use_tsig(key)
    for change in changes:
        now = change.before if adding else tuple(sorted({*change.before, *change.after}))
        if now:
            message.present(absolute_name(change.owner), *_rdata(now))  # RFC 2136 section 2.4.2
        else:
            message.absent(absolute_name(change.owner), dns.rdatatype.TLSA)  # RFC 2136 section 2.4.3
    if adding:
        for change in changes:
            if additions := _additions(change):
                message.add(absolute_name(change.owner), change.ttl, *_rdata(additions))
    if removing:
        for change in changes:
            if change.removed:
                message.delete(absolute_name(change.owner), *_rdata(change.removed))
    return message


def _additions(change: Change) -> tuple[TlsaRecord, ...]:
    """The whole new RRset, so that all its records get one TTL (RFC 2181 section 5.2); none if it only loses some."""
    only_removal = set(change.after) <= set(change.before) and change.ttl == change.ttl_before
    return () if only_removal else change.after


def _rdata(records: Sequence[TlsaRecord]) -> list[dns.rdata.Rdata]:
    wires = [record.to_wire() for record in records]
    return [dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TLSA, wire, 0, len(wire)) for wire in wires]


def _fits(message: dns.update.UpdateMessage) -> bool:
    try:
        message.to_wire(max_size=MAX_MESSAGE)
    except dns.exception.TooBig:
        return False
    return True
