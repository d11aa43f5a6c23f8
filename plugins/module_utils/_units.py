# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The systemd units that load keys and chains: which of them run, and having them load anew."""

from __future__ import annotations

import os
import typing as t

from ._errors import StoreError
from ._programs import run_program, said

if t.TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

__all__ = ["reload_units", "running_units"]


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
            failures.append(f"{unit}: {said(done) or f'exit status {done.returncode}'}")
    if failures:
        msg = f"A service could not be reloaded. {'; '.join(failures)}"
        raise StoreError(msg)


def _systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    missing = StoreError(
        "There is no systemctl on this host; give no units to reload, and reload the services yourself"
    )
    path = f"{os.environ.get('PATH', '')}:/usr/bin:/bin"
    return run_program("systemctl", *arguments, path=path, missing=missing, overdue=StoreError)
