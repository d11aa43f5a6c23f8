# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import signal
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._program import Ended, ProgramFailed, run_program


def run(code: str, given: bytes = b"", seconds: float = 10, most_output: int = 1000, **environment: str) -> Ended:
    return run_program(
        [sys.executable, "-IS", "-c", code], given, environment=environment, seconds=seconds, most_output=most_output
    )


def test_what_goes_in_and_comes_out() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read()[::-1]); sys.stderr.write('hm'); sys.exit(3)"
    assert run(code, b"abc") == Ended(3, b"cba", b"hm")


def test_much_goes_in_and_comes_out_at_once() -> None:
    code = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stderr.write(line)"
    given = b"x" * 99 + b"\n"
    ended = run(code, given * 20_000, most_output=2_000_000)
    assert (ended.status, ended.output, len(ended.errors)) == (0, given * 20_000, 4096)


def test_it_need_not_read_what_it_is_given() -> None:
    assert run("print(1)", b"x" * 1_000_000) == Ended(0, b"1\n", b"")


def test_the_environment_is_no_more_than_what_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING", "of ours")
    shown = run("import os; print(sorted(os.environ))", PATH="/bin").output.decode()
    assert "SOMETHING" not in shown
    assert "'PATH'" in shown


def test_no_shell_reads_the_arguments() -> None:
    ended = run_program(["/bin/echo", "$HOME; id"], b"", environment={}, seconds=5, most_output=100)
    assert ended.output == b"$HOME; id\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time; time.sleep(60)", "did not end within 0.5 s"),
        ("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)", "did not end within"),
        ("import sys\nwhile True: sys.stdout.write('x' * 1000)", "wrote more than 1000 octets"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "did not end within 0.5 s"),
    ],
)
def test_limits(code: str, message: str) -> None:
    began = time.monotonic()
    with pytest.raises(ProgramFailed, match=re.escape(message)):
        run(code, seconds=0.5)
    assert time.monotonic() - began < 5


def test_as_much_as_is_allowed_is_no_failure() -> None:
    assert len(run("import sys; sys.stdout.write('x' * 1000)").output) == 1000


def test_what_it_leaves_behind_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import subprocess; open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    began = time.monotonic()
    assert run(code).status == 0
    assert time.monotonic() - began < 5
    with pytest.raises(ProcessLookupError):
        _until_gone(int(pid.read_text()))


def _until_gone(pid: int) -> t.NoReturn:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError  # dead; whoever is to reap it in a container may not do so
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("it still runs")


def test_what_flees_and_holds_the_output_is_a_failure(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        f"import subprocess; child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))"
    )
    try:
        with pytest.raises(ProgramFailed, match="left a process behind that holds its output open"):
            run(code)
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_signal_is_told_from_an_exit_status() -> None:
    assert run("import os; os.kill(os.getpid(), 9)").status == -9


@pytest.mark.parametrize("command", [["/nowhere/to/be/found"], ["/"], ["/bin/echo", "nul \0"]])
def test_what_cannot_be_started(command: list[str]) -> None:
    with pytest.raises(ProgramFailed, match="cannot be started: "):
        run_program(command, b"", environment={}, seconds=1, most_output=1)
