# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A program of the user's, run with limits: time, and the size of what it says. No shell has a part in it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Ended", "ProgramFailed", "run_program"]

_BLOCK: t.Final = 65536
_LOOK: t.Final = 0.01  # seconds between looks at whether it has ended
_GRACE: t.Final = 1.0  # seconds for what is left in its pipes


class ProgramFailed(Exception):  # noqa: N818  # reads as what it is, and becomes a DaneError where it is caught
    """The program could not be started, or did not end by itself within its limits; the message says which."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit status, negative for a signal, all of its output, and the end of its errors."""

    status: int
    output: bytes
    errors: bytes


def run_program(
    command: Sequence[str],
    given: bytes,
    *,
    environment: Mapping[str, str],
    seconds: float,
    most_output: int,
    most_errors: int = 4096,
) -> Ended:
    """Run `command` with `given` on standard input and nothing in its environment but `environment`.

    It and its process group are killed when time is up, or when it has written more than `most_output` octets; what it
    leaves behind in the group is killed when it ends. Of its standard error the last `most_errors` octets are kept.
    Raises ProgramFailed.
    """
    try:
        process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment},
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ProgramFailed(f"cannot be started: {getattr(error, 'strerror', None) or error}") from error
    output, errors = _Kept(most_output), _Kept(most_errors)
    threads = [
        threading.Thread(target=_read, args=(process.stdout, output), daemon=True),
        threading.Thread(target=_read_end, args=(process.stderr, errors), daemon=True),
        threading.Thread(target=_write, args=(process.stdin, given), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        ended = _await(process, output, seconds)
    finally:
        # Before the process is reaped, so that the number of its group cannot have become another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    for thread in threads:
        thread.join(_GRACE)
    if output.overrun:
        raise ProgramFailed(f"wrote more than {most_output} octets")
    if not ended:
        raise ProgramFailed(f"did not end within {seconds:g} s")
    if threads[0].is_alive():
        raise ProgramFailed("left a process behind that holds its output open")
    return Ended(status, bytes(output.octets), bytes(errors.octets))


class _Kept:
    """What was read of a stream, and the most that may be kept of it."""

    def __init__(self, most: int) -> None:
        self.octets, self.most, self.overrun = bytearray(), most, False


def _await(process: subprocess.Popen[bytes], output: _Kept, seconds: float) -> bool:
    """Whether the process ended in time and within its limit; it is not reaped."""
    deadline = time.monotonic() + seconds
    while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
        if output.overrun or time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
    return True


def _read(stream: t.IO[bytes], kept: _Kept) -> None:
    with stream:
        while not kept.overrun and (block := os.read(stream.fileno(), _BLOCK)):
            kept.octets += block
            kept.overrun = len(kept.octets) > kept.most


def _read_end(stream: t.IO[bytes], kept: _Kept) -> None:
    with stream:
        while block := os.read(stream.fileno(), _BLOCK):
            kept.octets += block
            del kept.octets[: -kept.most]


def _write(stream: t.IO[bytes], given: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), stream:  # it need not read what it is given
        stream.write(given)
