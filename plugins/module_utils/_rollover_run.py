# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the module tlsa_rollover does with its options, and what it tells of it."""

from __future__ import annotations

import time
import typing as t

from ._errors import StoreError
from ._module import text_diff
from ._next_keys import begin, go_back
from ._publication import zone_file_lines
from ._rollover_agent import Agent
from ._rollover_config import config_of
from ._rollover_json import as_json
from ._rollover_metrics import write_metrics
from ._rollover_pace import ACTS, published_at
from ._rollover_state import Kind
from ._rollover_wake import wake_next

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ._rollover_agent import Run

__all__ = ["run"]


def run(options: Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The result of the module for its ``options``. Raises DaneError."""
    config = config_of(options["host"])
    agent = Agent(config)
    if check_mode or options["state"] == "planned":
        done = agent.plan()
        return _result(done, changed=check_mode and done.decision is not None and done.decision.kind in ACTS)
    if options["state"] in ("begun", "emergency", "rolled_back"):
        with agent.store.locked():
            if options["state"] == "rolled_back":
                go_back(agent.store, agent.files)
            else:
                begin(config, agent.store, agent.files, time.time(), emergency=options["state"] == "emergency")
    done = agent.step(patience=options["patience"])
    trouble = wake_next([done.next_run], time.time()) if options["wake"] else None
    write_metrics(config, time.time())
    result = _result(done, changed=done.changed)
    return result if trouble is None else {**result, "warnings": [*result["warnings"], trouble]}


def _result(done: Run, *, changed: bool) -> dict[str, t.Any]:
    told = as_json(done, time.time())
    result = {**told, "changed": changed, "warnings": list(done.warnings), "diff": _diff(done)}
    if done.error is not None:
        result["failed_msg"] = done.error
    elif done.sight is None or done.decision is None:
        raise StoreError("Nothing was looked at")
    return result


def _diff(done: Run) -> dict[str, str]:
    """The RRsets that the next step changes, and the generation that it deploys."""
    if done.sight is None or done.decision is None:
        return text_diff(done.config.host, "", "")
    observed, decision = done.sight.observed, done.decision
    before, after = "", ""
    for owner, records in sorted(decision.owners.items()):
        ttl = done.config.ttl
        there = published_at(done.sight, owner)
        before += zone_file_lines(owner, max((answer.ttl for answer in observed.answers[owner]), default=ttl), there)
        after += zone_file_lines(owner, ttl, records)
    if decision.kind is Kind.DEPLOY and observed.deployed is not None:
        before += f"deployed: {observed.deployed.identifier}\n"
        after += f"deployed: {decision.generation}\n"
    return text_diff(done.config.host, before, after)
