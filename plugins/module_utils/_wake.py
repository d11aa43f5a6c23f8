# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A timer for one run at a known time: systemd's own, which no restart of the agent forgets."""

from __future__ import annotations

import subprocess
import time
import typing as t

__all__ = ["start_second", "wake_at"]

UNIT: t.Final = "dane-rollover-wake"
_SERVICE: t.Final = "dane-rollover.service"
_TIMEOUT: t.Final = 20.0
_HEAD_START: t.Final = 1
"""Seconds; with what is cut off, up to two. The agent waits up to twenty itself (``Agent.step``)."""


def wake_at(moment: float | None) -> str | None:
    """Have the agent run once at ``moment`` (POSIX seconds), instead of any time set before; None: at none.

    Returns what went wrong: then the regular timer is all there is.
    """
    try:
        _run("systemctl", "stop", f"{UNIT}.timer")
        if moment is None:
            return None
        done = _run(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={UNIT}",
            f"--on-calendar=@{start_second(moment, time.time())}",
            "--timer-property=AccuracySec=500ms",
            "--description=Next step of a DANE rollover",
            "systemctl",
            "start",
            "--no-block",
            _SERVICE,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"The next run could not be timed: {exc}"
    return None if done.returncode == 0 else f"The next run could not be timed: {done.stderr.strip()}"


def start_second(moment: float, now: float) -> int:
    """The second (POSIX) at which systemd is to start the agent for something due at ``moment``.

    A little early: the agent starts, looks, and waits out the rest itself. Never in the past, where systemd would not
    start it at all.
    """
    return max(int(moment) - _HEAD_START, int(now) + 2)


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT,
        check=False,
        encoding="utf-8",
        errors="replace",
    )
