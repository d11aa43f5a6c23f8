# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The systemd units that load keys and chains: which of them run, and having them load anew."""

from __future__ import annotations

import os
import subprocess
import typing as t

from ._errors import StoreError

if t.TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["reload_units", "running_units"]

_TIMEOUT: t.Final = 120.0


def running_units(units: Iterable[str]) -> tuple[str, ...]:
    """Those of ``units`` that run now; one that is not installed does not run. Raises StoreError without systemd."""
    return tuple(unit for unit in units if _systemctl("is-active", "--quiet", unit).returncode == 0)


def reload_units(units: Iterable[str]) -> None:
    """Have each running unit load its files again: reload it or, where it knows no reload, restart it.

    Raises StoreError with what systemd said, after all were tried.
    """
    failures = []
    for unit in running_units(units):
        done = _systemctl("try-reload-or-restart", unit)
        if done.returncode != 0:
            failures.append(f"{unit}: {(done.stderr or done.stdout).strip() or f'exit status {done.returncode}'}")
    if failures:
        msg = f"A service could not be reloaded. {'; '.join(failures)}"
        raise StoreError(msg)


def _systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ("systemctl", *arguments),
            env={"PATH": f"{os.environ.get('PATH', '')}:/usr/bin:/bin", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except FileNotFoundError as exc:
        msg = "There is no systemctl on this host; give no units to reload, and reload the services yourself"
        raise StoreError(msg) from exc
    except subprocess.TimeoutExpired as exc:
        msg = f"systemctl {' '.join(arguments)} did not end within {_TIMEOUT:.0f} s"
        raise StoreError(msg) from exc
