# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of many cases: bounded in time, resumable, each case's rows kept as soon as they are known."""

from __future__ import annotations

import fnmatch
import time
import typing as t

import results
from lab.errors import LabError
from results import Row

if t.TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from rollover.stage import MailHost
    from rollover.tally import Tally

_STARTED: t.Final = time.monotonic()


class Case(t.NamedTuple):
    """A case: its name without the release, the hosts it runs on, and what runs it."""

    name: str
    hosts: Sequence[MailHost]
    work: Callable[[], list[Row]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every such run has."""
    parser.add_argument("--only", default="*", metavar="PATTERN", help="run cases of this name alone, such as 'plain*'")
    parser.add_argument("--resume", action="store_true", help="leave out cases that the result file has as good")
    parser.add_argument("--minutes", type=float, default=240.0, help="begin no case after so many minutes (240)")


def run(cases: Iterable[Case], path: Path, options: argparse.Namespace) -> bool:
    """Run the chosen cases, store each row in ``path`` at once; return whether every case went as it must.

    A case that the lab could not carry out counts as failed, as do those for which no time was left,
    and a choice of no case.
    """
    known = {one.case: one for one in results.load(path)}
    good, chosen = True, 0
    for case in cases:
        if not fnmatch.fnmatchcase(case.name, options.only):
            continue
        chosen += 1
        names = [row_name(case.name, host) for host in case.hosts]
        if options.resume and all(name in known and known[name].good for name in names):
            rows = [known[name] for name in names]
        else:
            rows = _carry_out(case, names, options)
            for one in rows:
                results.store(path, one)
        for one in rows:
            print(f"[{time.monotonic() - _STARTED:5.0f} s] {'    ' if one.good else 'BAD '}{one.line()}", flush=True)
            good = good and one.good
    return good and chosen > 0


def row_name(case: str, host: MailHost) -> str:
    """Return the name of a case's row for one host."""
    return f"{case} ({host.release})"


def row(case: str, host: MailHost, counted: Tally, outcome: str) -> Row:
    """Return a case's row for one host, with what was counted there."""
    return Row(
        case=row_name(case, host),
        tried=counted.tried,
        sent=counted.sent,
        verified=counted.verified,
        deferred=counted.deferred,
        bounced=counted.bounced,
        leaked=counted.leaked,
        outcome=outcome,
    )


def _carry_out(case: Case, names: Sequence[str], options: argparse.Namespace) -> list[Row]:
    if time.monotonic() - _STARTED > options.minutes * 60:
        trouble = f"not run: {options.minutes:.0f} minutes were over; go on with --resume"
    else:
        try:
            return case.work()
        except LabError as error:
            trouble = f"failed: {error}"
    return [Row(name, 0, 0, 0, 0, 0, 0, trouble) for name in names]
