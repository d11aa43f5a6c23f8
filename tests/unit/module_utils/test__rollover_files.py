# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import StoreError
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_files import Failure, Notes, RolloverFiles
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Ledger

if t.TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize("content", ["", "{", "[]", '{"compromised": ["3 1 1 zz"]}', '{"compromised": null}'])
def test_damaged_notes_are_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "notes.json").write_text(content)
    with pytest.raises(StoreError, match="whether a key is compromised, and cannot be read"):
        RolloverFiles(tmp_path).notes()


def test_a_missing_ledger_begins(tmp_path: Path) -> None:
    assert RolloverFiles(tmp_path).ledger() == (Ledger(), None)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"versions": 3}'])
def test_a_damaged_ledger_begins_anew_and_that_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "ledger.json").write_text(content)
    ledger, told = RolloverFiles(tmp_path).ledger()
    assert ledger == Ledger()
    assert told is not None
    assert "begins anew" in told


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = RolloverFiles(tmp_path)
    files.write_ledger(Ledger((), 12.5, None))
    assert files.ledger() == (Ledger((), 12.5, None), None)
