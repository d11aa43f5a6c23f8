# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a program reads of a rollover: ``--json``, and the result of the module. Pure."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from ._rollover_timeline import timeline

if t.TYPE_CHECKING:
    from ._rollover_agent import Run
    from ._rollover_state import Generation

__all__ = ["as_json"]


def as_json(run: Run, now: float) -> dict[str, t.Any]:
    """For ``--json`` and the module; times in UTC, as in 2036-11-20T14:32:10Z."""
    told: dict[str, t.Any] = {
        "host": run.config.host,
        "done": list(run.done),
        "lines": list(run.lines),
        "error": run.error,
        "warnings": list(run.warnings),
        "alarms": list(run.decision.alarms) if run.decision else [],
        "last_step": _last_step(run),
    }
    if run.sight is None or run.decision is None:
        return told
    observed = run.sight.observed
    return {
        **told,
        "decision": run.decision.kind.value,
        "why": run.decision.why,
        "until": _iso(run.decision.until),
        "generation": run.decision.generation,
        "published": {
            owner: [
                {
                    "server": answer.server,
                    "address": answer.address,
                    "records": [record.to_text() for record in sorted(answer.records)],
                    "ttl": answer.ttl,
                    "error": answer.error,
                }
                for answer in answers
            ]
            for owner, answers in observed.answers.items()
        },
        "served": [
            {
                "owner": served.owner,
                "address": served.address,
                "keys": [chain.key.to_text() for chain in served.chains],
                "error": served.error,
            }
            for served in observed.served
        ],
        "generations": {
            "deployed": _generation(observed.deployed),
            "staged": _generation(observed.staged),
            "next": _generation(observed.next),
        },
        "timeline": [{"at": _iso(at), "what": what} for at, what in timeline(run, now)],
    }


def _last_step(run: Run) -> dict[str, t.Any] | None:
    notes = run.former
    if notes is None or notes.ran is None:
        return None
    return {"at": _iso(notes.ran), "error": notes.error, "next": _iso(notes.until)}


def _generation(generation: Generation | None) -> dict[str, t.Any] | None:
    if generation is None:
        return None
    return {
        "identifier": generation.identifier,
        "chains": [
            {
                "algorithm": chain.algorithm,
                "key": chain.key.to_text(),
                "issuers": [record.to_text() for record in chain.issuers],
                "not_after": _iso(chain.not_after),
            }
            for chain in generation.chains
        ],
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}"
