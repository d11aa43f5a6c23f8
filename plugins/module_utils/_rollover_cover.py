# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Whether a TLSA RRset covers a chain: what the rule of a rollover is made of (RFC 7671 section 8)."""

from __future__ import annotations

import typing as t

from ._usability import passed_over, unusable_reason

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._rollover_state import Chain
    from ._tlsa import TlsaRecord

__all__ = ["covers", "covers_somehow", "groups", "is_computable"]

Parameters = tuple[int, int, int]


def is_computable(record: TlsaRecord) -> bool:
    """Whether anybody can say what the record matches; private and unknown numbers are left out of the rule."""
    return record.usage <= 3 and record.selector <= 1 and record.matching_type <= 2


def groups(records: Iterable[TlsaRecord]) -> dict[Parameters, set[TlsaRecord]]:
    """Computable records by (usage, selector, matching type)."""
    found: dict[Parameters, set[TlsaRecord]] = {}
    for record in records:
        if is_computable(record):
            found.setdefault(record.parameters, set()).add(record)
    return found


def covers(records: Iterable[TlsaRecord], chain: Chain) -> bool:
    """Strictly: each (usage, selector, matching type) among `records` has one that matches the chain.

    No records cover every chain: without them a sender does not authenticate.
    """
    return all(group & chain.records for group in groups(records).values())


def covers_somehow(records: Iterable[TlsaRecord], chain: Chain) -> bool:
    """Relaxed, for emergencies: some record that mail senders use matches, or there is none that they can use.

    A record that digest agility passes over does not count (RFC 7671 section 9).
    """
    usable = [record for record in records if unusable_reason(record) is None]
    ignored = passed_over(usable)
    return not usable or any(record in chain.records for record in usable if record not in ignored)
