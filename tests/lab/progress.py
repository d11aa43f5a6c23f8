# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress lines for a person: every step with the time since the start, and a heartbeat during long ones."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_STARTED = time.monotonic()
_HEARTBEAT_SECONDS = 10.0
_PRINTING = threading.Lock()


def say(message: str) -> None:
    """Print one progress line to standard error, with the seconds since the start of the program."""
    with _PRINTING:
        print(f"lab [{time.monotonic() - _STARTED:6.1f} s] {message}", file=sys.stderr, flush=True)


def run_long(what: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    """Run ``command`` with its output in ``log``, telling every ten seconds how far it is.

    Raises LabError with the last lines of the log when the command fails.
    """
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(environment)
        )
        while True:
            try:
                status = process.wait(_HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"{what}: {time.monotonic() - started:.0f} s, {_last_line(log)}")
            except BaseException:
                process.terminate()
                raise
    if status != 0:
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-15:])
        raise LabError(f"{what} failed with status {status}. The end of {log}:\n{tail}")


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    return lines[-1].strip()[:100] if lines else "no output yet"
