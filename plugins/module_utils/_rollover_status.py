# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a person reads of a rollover: what is where, what is waited for, and what comes when. Pure."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from ._rollover_pace import published_at
from ._rollover_state import Kind
from ._rollover_timeline import shortened, timeline

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ._rollover_agent import Run
    from ._rollover_state import Answer, Generation, Observed

__all__ = ["plan_text", "status_text"]

_TITLES: t.Final = {
    Kind.PUBLISH: "next: publish",
    Kind.DEPLOY: "next: deploy",
    Kind.RETIRE: "next: retire",
    Kind.REFUSE: "refused",
    Kind.DONE: "nothing to do",
}


def plan_text(run: Run, now: float) -> str:
    """What was done and what comes now, a few lines."""
    lines = [f"{run.config.host}: {what}" for what in run.done]
    if run.decision is not None:
        lines.append(f"{run.config.host}: {_sentence(run, now)}")
        lines += _failed_before(run, now)
        lines += _changes(run)
        lines += [f"  alarm: {alarm}" for alarm in run.decision.alarms]
    lines += [f"  note: {warning}" for warning in run.warnings]
    return "\n".join(lines) + "\n"


def status_text(run: Run, now: float) -> str:
    """One screen: the sentence that matters, then tables, then the time line."""
    if run.sight is None or run.decision is None:
        return plan_text(run, now)
    observed = run.sight.observed
    lines = [f"{run.config.host}   scheme {run.config.scheme}, TTL {run.config.ttl} s", f"  {_sentence(run, now)}"]
    lines += _failed_before(run, now)
    lines += [f"  alarm: {alarm}" for alarm in run.decision.alarms]
    lines += [f"  note: {warning}" for warning in run.warnings]
    lines += _changes(run)
    lines += ["", *_keys(observed)]
    lines += ["", *_published(observed), "", *_served(observed)]
    if moments := timeline(run, now):
        lines += ["", "time line"]
        lines += [f"  {_clock(at, now)}  ({_distance(at - now)})  {what}" for at, what in moments]
    return "\n".join(lines) + "\n"


def _sentence(run: Run, now: float) -> str:
    decision = run.decision
    if decision is None:
        return run.error or ""
    if decision.kind is Kind.WAIT:
        if decision.until is None:
            return f"waiting: {decision.why}"
        return f"waiting until {_clock(decision.until, now)} ({_distance(decision.until - now)}): {decision.why}"
    if run.lines:
        return f"publish by hand, then run again: {decision.why}"
    return f"{_TITLES[decision.kind]}: {decision.why}"


def _failed_before(run: Run, now: float) -> list[str]:
    """Why what is planned has not been done yet, if it was tried."""
    notes = run.former
    if notes is None or notes.ran is None or notes.error is None:
        return []
    again = "" if notes.until is None or notes.until <= now else f"; the next is at {_clock(notes.until, now)}"
    return [f"  the step at {_clock(notes.ran, now)} failed: {notes.error}{again}"]


def _changes(run: Run) -> list[str]:
    if run.lines:
        return [f"    {line}" for line in run.lines]
    if run.decision is None or run.sight is None:
        return []
    found = []
    for owner, records in sorted(run.decision.owners.items()):
        there = published_at(run.sight, owner)
        found += [f"    + {owner}  {shortened(record)}" for record in sorted(set(records) - there)]
        found += [f"    - {owner}  {shortened(record)}" for record in sorted(there - set(records))]
    return found


def _keys(observed: Observed) -> list[str]:
    lines = []
    for name in ("deployed", "staged", "next"):
        generation: Generation | None = getattr(observed, name)
        if generation is None:
            lines.append(f"  {name:<9} -")
            continue
        for number, chain in enumerate(generation.chains):
            title = name if number == 0 else ""
            kind = "self-signed or without issuer" if not chain.issuers else f"{len(chain.issuers)} issuer(s)"
            lines.append(
                f"  {title:<9} {chain.algorithm:<6} {shortened(chain.key)}  expires "
                f"{datetime.fromtimestamp(chain.not_after, UTC):%Y-%m-%d}, {kind}"
                + (f"   {generation.identifier}" if number == 0 else "")
            )
    return lines


def _published(observed: Observed) -> list[str]:
    lines = []
    for owner, answers in sorted(observed.answers.items()):
        lines.append(f"  {owner}")
        for said, servers in _alike(answers).items():
            lines.append(f"    {said}")
            lines.append(f"      at {', '.join(servers)}")
    return ["published", *lines]


def _alike(answers: Sequence[Answer]) -> dict[str, list[str]]:
    """What was said, to the servers that said it."""
    found: dict[str, list[str]] = {}
    for answer in answers:
        if answer.error is not None:
            said = f"error: {answer.error}"
        elif answer.records:
            said = f"TTL {answer.ttl}: " + ", ".join(shortened(record) for record in sorted(answer.records))
        else:
            said = "no TLSA record"
        found.setdefault(said, []).append(f"{answer.server} ({answer.address})" if answer.server else "?")
    return found


def _served(observed: Observed) -> list[str]:
    lines = []
    for served in observed.served:
        said = (
            served.error
            or ", ".join(f"{chain.algorithm} {shortened(chain.key)}" for chain in served.chains)
            or "nothing"
        )
        lines.append(f"  {served.owner} at {served.address or '?'}: {said}")
    return ["served", *lines]


def _clock(moment: float, now: float) -> str:
    """Local time, as the administrator's watch has it; with the date where it is not today's."""
    there, here = datetime.fromtimestamp(moment).astimezone(), datetime.fromtimestamp(now).astimezone()
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M:%S}"


def _distance(seconds: float) -> str:
    if seconds < 120:
        return f"in {max(seconds, 0):.0f} s"
    if seconds < 2 * 3600:
        return f"in {seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"in {seconds / 3600:.0f} h"
    return f"in {seconds / 86400:.0f} d"
