# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.modules import rollover_agent

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(name="program")
def fixture_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.fchown", lambda *_arguments: None)
    return tmp_path / "dane-rollover"


def install(path: Path, state: str = "present", *, check_mode: bool = False) -> dict[str, t.Any]:
    return rollover_agent.install(path, state, check_mode=check_mode)


def test_it_is_installed_once_and_removed_once(program: Path) -> None:
    assert install(program, check_mode=True)["changed"]
    assert not program.exists()
    installed = install(program)
    assert installed["changed"]
    assert installed["diff"]["before"] == ""
    assert installed["digest"] in installed["diff"]["after"]
    assert program.stat().st_mode & 0o7777 == 0o755
    assert not install(program)["changed"]
    assert install(program, "absent", check_mode=True)["changed"]
    assert install(program, "absent")["changed"]
    assert not program.exists()
    assert not install(program, "absent")["changed"]


@pytest.mark.parametrize("damage", [lambda p: p.write_bytes(b"old"), lambda p: p.chmod(0o644)])
def test_another_program_or_mode_is_replaced(program: Path, damage: t.Callable[[Path], object]) -> None:
    install(program)
    damage(program)
    assert install(program)["changed"]
    assert not install(program)["changed"]
