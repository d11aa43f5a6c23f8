# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_files
from ansible_collections.mailsec.dane.plugins.module_utils._errors import StoreError
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_files import (
    Clock,
    Failure,
    Notes,
    RolloverFiles,
)
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_ledger import to_json
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Ledger

if t.TYPE_CHECKING:
    from pathlib import Path

DAMAGED_CLOCK: t.Final = json.dumps(json.loads(to_json(Ledger())) | {"clock": {"booted": "x", "uptime": 1}})
HUGE: t.Final = json.dumps(json.loads(to_json(Ledger())) | {"updated": 10**400})
NOTES: t.Final = Notes(
    compromised=("3 1 1 " + "aa" * 32,), previous="000001-aabbccddeeff", failure=Failure("000002", 7.0, "why"), ran=9.0
)


def test_notes_are_read_as_they_were_written(tmp_path: Path) -> None:
    files = RolloverFiles(tmp_path / "mx1.example.org")
    assert files.notes() == Notes()
    files.write_notes(NOTES)
    assert files.notes() == NOTES
    assert {record.to_text() for record in files.notes().compromised_records} == set(NOTES.compromised)
    assert [path.stat().st_mode & 0o777 for path in files.directory.iterdir()] == [0o600]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    files = RolloverFiles(tmp_path)
    for name in (".notes.json.unfinished-x1y2z3", ".ledger.json.unfinished-x1y2z3", "other"):
        (tmp_path / name).write_text("half")
    files.write_notes(NOTES)
    files.write_ledger(Ledger())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.json", "notes.json", "other"]
    memory = KeyMemory(tmp_path)
    (tmp_path / ".keys.json.unfinished-x1y2z3").write_text("half")
    memory.add(former=NOTES.compromised_records)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keys.json", "ledger.json", "notes.json", "other"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"compromised": ["3 1 1 zz"]}', '{"compromised": null}'])
def test_damaged_notes_are_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "notes.json").write_text(content)
    with pytest.raises(StoreError, match="whether a key is compromised, and cannot be read"):
        RolloverFiles(tmp_path).notes()


def test_a_missing_ledger_begins(tmp_path: Path) -> None:
    assert RolloverFiles(tmp_path).ledger(60) == (Ledger(), None)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"versions": 3}', DAMAGED_CLOCK, HUGE])
def test_a_damaged_ledger_begins_anew_and_that_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "ledger.json").write_text(content)
    ledger, told = RolloverFiles(tmp_path).ledger(60)
    assert ledger == Ledger()
    assert told is not None
    assert "begins anew" in told


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = RolloverFiles(tmp_path)
    files.write_ledger(Ledger((), 12.5, None))
    assert files.ledger(60) == (Ledger((), 12.5, None), None)


@pytest.mark.parametrize(
    ("now", "set_by"),
    [
        (Clock(booted=1000.0, uptime=900.0), None),
        (Clock(booted=1059.0, uptime=900.0), None),
        (Clock(booted=1600.0, uptime=900.0), 600),
        (Clock(booted=400.0, uptime=900.0), -600),
        (Clock(booted=1600.0, uptime=30.0), None),  # the machine was started anew, so the two cannot be compared
    ],
)
def test_a_ledger_from_before_the_clock_was_set_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: Clock, set_by: int | None
) -> None:
    files = RolloverFiles(tmp_path)
    monkeypatch.setattr(_rollover_files, "_clock", lambda: Clock(booted=1000.0, uptime=300.0))
    files.write_ledger(Ledger((), 12.5, None))
    monkeypatch.setattr(_rollover_files, "_clock", lambda: now)
    ledger, told = files.ledger(60)
    assert ledger.updated == (12.5 if set_by is None else None)
    assert told == (
        None
        if set_by is None
        else f"As far as this machine can tell, its clock was set by {set_by:+d} s since the last look; the ledger "
        f"{tmp_path / 'ledger.json'} begins anew, so waits are longer"
    )


def test_a_ledger_that_does_not_know_the_clock_is_read(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text(to_json(Ledger((), 12.5, None)))
    assert RolloverFiles(tmp_path).ledger(0)[0].updated == 12.5
