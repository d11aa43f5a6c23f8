# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _programs
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PostfixMissing, StoreError

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def _run(*command: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    missing = PostfixMissing("there is none")
    return _programs.run_program(*command, path=path, missing=missing, overdue=StoreError)


def test_a_program_sees_the_path_and_the_c_locale_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_CONFIG", "/elsewhere")
    lines = _run("env").stdout.splitlines()
    assert sorted(lines) == ["LC_ALL=C", "PATH=/usr/bin:/bin"]


def test_a_program_has_no_input_to_wait_for() -> None:
    assert _run("cat").stdout == ""


def test_a_status_is_for_the_caller_to_judge() -> None:
    assert _run("sh", "-c", "exit 75").returncode == 75


def test_a_program_that_is_not_on_the_path_is_missing(tmp_path: Path) -> None:
    with pytest.raises(PostfixMissing, match="there is none"):
        _run("env", path=str(tmp_path))


def test_a_program_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "SECONDS", 0.2)
    with pytest.raises(StoreError, match=r"^sleep 60 did not end within 0 seconds$"):
        _run("sleep", "60")


def test_what_a_program_says_can_be_shown_whatever_its_octets() -> None:
    done = _run("sh", "-c", r"printf 'gr\374n\n' >&2")
    assert done.stderr == "gr\udcfcn\n"
    assert _programs.said(done) == "gr\ufffdn"
    assert _programs.said(_run("true")) == ""
