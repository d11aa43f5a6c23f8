# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of many cases: what failed, or was not run, is never taken for done."""

from __future__ import annotations

import argparse
import typing as t

import pytest

import results
from lab.errors import LabError
from lab.topology import Lab, host
from results import Row
from rollover.cases import Case, add_options, run
from rollover.stage import MailHost

if t.TYPE_CHECKING:
    from pathlib import Path

NAME = "plain: current (Debian 13)"


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments)


class Work:
    """Counts how often it was done."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.times = 0

    def __call__(self) -> list[Row]:
        self.times += 1
        return [Row(NAME, 9, 9, 9, 0, 0, 0, self.outcome)]


def case(tmp_path: Path, work: t.Callable[[], list[Row]]) -> Case:
    return Case("plain: current", [MailHost(Lab(0, tmp_path), host("mx1"))], work)


@pytest.mark.parametrize(
    ("outcome", "good"), [("ok: all", True), ("noticed: 3 deferred", True), ("failed: 1 bounced", False), ("", False)]
)
def test_the_outcome_decides(tmp_path: Path, outcome: str, *, good: bool) -> None:
    path = tmp_path / "rows.json"
    assert run([case(tmp_path, Work(outcome))], path, options()) is good
    assert [row.outcome for row in results.load(path)] == [outcome]


def test_a_lab_that_fails_is_a_failed_case(tmp_path: Path) -> None:
    def broken() -> list[Row]:
        raise LabError("no podman")

    path = tmp_path / "rows.json"
    assert not run([case(tmp_path, broken)], path, options())
    assert [(row.case, row.outcome) for row in results.load(path)] == [(NAME, "failed: no podman")]


def test_without_time_nothing_is_run_and_nothing_is_good(tmp_path: Path) -> None:
    work = Work("ok")
    assert not run([case(tmp_path, work)], tmp_path / "rows.json", options("--minutes", "0"))
    assert work.times == 0


def test_resumed_runs_leave_out_what_went_well_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    bad, good = Work("failed"), Work("ok")
    run([case(tmp_path, bad)], path, options())
    assert run([case(tmp_path, good)], path, options("--resume"))
    assert run([case(tmp_path, good)], path, options("--resume"))
    assert good.times == 1
    assert run([case(tmp_path, good)], path, options())
    assert good.times == 2


def test_only_what_was_chosen(tmp_path: Path) -> None:
    work = Work("ok")
    assert not run([case(tmp_path, work)], tmp_path / "rows.json", options("--only", "naive*"))
    assert work.times == 0
