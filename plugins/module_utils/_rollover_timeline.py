# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What comes when in a rollover, as far as it is known. Pure."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ._rollover_agent import Run
    from ._rollover_state import Generation
    from ._tlsa import TlsaRecord

__all__ = ["shortened", "timeline"]

_SHOWN: t.Final = 12
"""Hexadecimal digits of a digest that are enough to tell records apart."""


def timeline(run: Run, now: float) -> list[tuple[float, str]]:
    """Moments (POSIX seconds) and what comes then, in order of time."""
    if run.sight is None or run.decision is None:
        return []
    observed = run.sight.observed
    found = [
        (version.until, f"no resolver holds the RRset {version.owner} any more: {_rrset(version.records)}")
        for version in observed.ledger.versions
        if version.until is not None and version.until > now
    ]
    if run.decision.until is not None:
        found.append((run.decision.until, "the next step"))
    for name in ("deployed", "staged", "next"):
        generation: Generation | None = getattr(observed, name)
        chains = generation.chains if generation is not None else ()
        found += [(chain.not_after, f"the {name} {chain.algorithm} certificate expires") for chain in chains]
    return sorted(found)


def _rrset(records: frozenset[TlsaRecord] | None) -> str:
    if records is None:
        return "from before this host began to look"
    return ", ".join(shortened(record) for record in sorted(records)) or "empty"


def shortened(record: TlsaRecord) -> str:
    """A record for people."""
    digits = record.data.hex()
    dots = ".." if len(digits) > _SHOWN else ""
    return f"{record.usage} {record.selector} {record.matching_type} {digits[:_SHOWN]}{dots}"
