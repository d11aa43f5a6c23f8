# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import typing as t
import zipfile

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_package
from ansible_collections.mailsec.dane.plugins.module_utils._errors import DaneError
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_package import agent_archive

if t.TYPE_CHECKING:
    from pathlib import Path


def test_the_program_runs_without_the_collection(tmp_path: Path) -> None:
    program = tmp_path / "dane-rollover"
    program.write_bytes(agent_archive())
    program.chmod(0o755)
    done = subprocess.run(
        ("python3", "-I", str(program), "--help"),
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for command in ("status", "plan", "step", "stage", "now", "metrics"):
        assert f"\n    {command} " in done.stdout


def test_the_same_sources_give_the_same_octets() -> None:
    assert agent_archive() == agent_archive()


def test_it_holds_the_core_and_nothing_of_ansible(tmp_path: Path) -> None:
    program = tmp_path / "dane-rollover"
    program.write_bytes(agent_archive())
    assert program.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
    with zipfile.ZipFile(program) as archive:
        names = archive.namelist()
        sources = {name: archive.read(name).decode() for name in names}
    assert "mailsec_dane/_rollover.py" in names
    assert "mailsec_dane/_publishers/rfc2136.py" in names
    assert not {"mailsec_dane/_module.py", "mailsec_dane/_argspec.py"} & set(names)
    assert [name for name, source in sources.items() if "ansible_collections" in source] == []


def test_a_source_that_was_not_sent_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_rollover_package, "__file__", str(tmp_path / "_rollover_package.py"))
    with pytest.raises(DaneError, match=r"_rollover_cli\.py is missing in what Ansible sent"):
        agent_archive()
