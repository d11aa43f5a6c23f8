# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""How a run of the agent goes on: what it need not do or ask for again, and when the next one is due. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ._rollover_state import Decision, Kind

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ._rollover_sight import Sight
    from ._tlsa import TlsaRecord

__all__ = ["ACTS", "PAST", "is_served", "next_run", "not_again", "published_at"]

ACTS: t.Final = (Kind.PUBLISH, Kind.DEPLOY, Kind.RETIRE)
PAST: t.Final[Mapping[Kind, str]] = {Kind.PUBLISH: "published", Kind.RETIRE: "retired"}
_FIRST_PAUSE: t.Final = 5.0
_LONGEST_PAUSE: t.Final = 300.0


def published_at(sight: Sight, owner: str) -> set[TlsaRecord]:
    """What any server serves at an owner name."""
    return {record for answer in sight.observed.answers[owner] for record in answer.records}


def is_served(sight: Sight, decision: Decision) -> bool:
    """Whether all that a decision has at its owner names is served there already."""
    return all(set(records) <= published_at(sight, owner) for owner, records in decision.owners.items())


def not_again(before: Decision | None, decision: Decision) -> Decision:
    """The decision, or a wait where it is to publish or retire the same once more: servers do not show it yet."""
    if before is None or decision.kind not in PAST:
        return decision
    if (before.owners, before.removed) != (decision.owners, decision.removed):
        return decision
    why = f"the name servers do not show yet what was done ({PAST[decision.kind]}: {decision.why})"
    return replace(decision, kind=Kind.WAIT, why=why)


def next_run(decision: Decision | None, error: str | None, idle: int, now: float) -> tuple[int, float | None]:
    """How often in a row nothing told when to look again, and when to look; None: the regular timer is enough.

    ``error`` and ``decision`` are those of a run that ended ``now``; ``idle`` is that number before it.
    """
    if decision is not None and error is None and (decision.until is not None or decision.kind in _RESTING):
        return 0, decision.until
    return idle + 1, now + min(_FIRST_PAUSE * 1.5 ** min(idle, 20), _LONGEST_PAUSE)


_RESTING: t.Final = (Kind.DONE, Kind.REFUSE)
