# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Whether an RRset fits a chain: strictly (RFC 7671 section 8), or, in an emergency only, by any usable record."""

from __future__ import annotations

import typing as t

from ._tlsa_fields import MatchingType, Selector, Usage

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._rollover_state import Chain
    from ._tlsa import TlsaRecord

__all__ = ["covers", "covers_by_any", "groups", "unmatched"]

Group = tuple[int, int, int]


def groups(records: Iterable[TlsaRecord]) -> frozenset[Group]:
    """Each (usage, selector, matching type) among `records` that a client can compute."""
    return frozenset(
        record.parameters
        for record in records
        if record.usage <= Usage.DANE_EE
        and record.selector <= Selector.SPKI
        and record.matching_type <= MatchingType.SHA2_512
    )


def unmatched(records: Iterable[TlsaRecord], chain: Chain) -> frozenset[Group]:
    """The groups of an RRset in which no record matches `chain`."""
    rrset = frozenset(records)
    return groups(rrset) - groups(rrset & chain.records)


def covers(records: Iterable[TlsaRecord], chains: Iterable[Chain]) -> bool:
    """Whether every chain has a matching record in each group of the RRset. An empty RRset covers everything."""
    rrset = frozenset(records)
    return not any(unmatched(rrset, chain) for chain in chains)


def covers_by_any(records: Iterable[TlsaRecord], chains: Iterable[Chain]) -> bool:
    """Whether every chain has some matching record of usage 2 or 3, or the RRset has none that mail clients use."""
    usable = frozenset(
        record for record in records if record.usage in {Usage.DANE_TA, Usage.DANE_EE} and groups((record,))
    )
    return not usable or all(usable & chain.records for chain in chains)
