# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A timer for one run at a known time: systemd's own, which no restart of the agent forgets."""

from __future__ import annotations

import subprocess
import time
import typing as t

__all__ = ["wake_at"]

UNIT: t.Final = "dane-rollover-wake"
_SERVICE: t.Final = "dane-rollover.service"
_TIMEOUT: t.Final = 20.0


def wake_at(moment: float | None) -> str | None:
    """Have the agent run once at ``moment`` (POSIX seconds), instead of any time set before; None: at none.

    Returns what went wrong: then the regular timer is all there is.
    """
    try:
        _run("systemctl", "stop", f"{UNIT}.timer")
        if moment is None:
            return None
        # Rounded up: a run that comes a moment too early would have to wait for the next one.
        second = max(int(moment) + 1, int(time.time()) + 2)
        done = _run(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={UNIT}",
            f"--on-calendar=@{second}",
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
