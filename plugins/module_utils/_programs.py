# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Running a program of the system: found on a given path, in the C locale, without input, and not for ever."""

from __future__ import annotations

import shutil
import subprocess
import typing as t

if t.TYPE_CHECKING:
    from ._errors import DaneError

__all__ = ["SECONDS", "run_program", "said"]

SECONDS: t.Final = 120.0
"""How long a program may take."""


def run_program(
    *command: str, path: str, missing: DaneError, overdue: type[DaneError]
) -> subprocess.CompletedProcess[str]:
    """Run ``command``, whose program is looked for on ``path``, and return what became of it, whatever its status.

    The program gets ``path`` and the C locale as its whole environment. Octets that are not UTF-8 come as surrogates.
    Raises ``missing`` when there is no such program, and an ``overdue`` when it does not end within SECONDS.
    """
    program = shutil.which(command[0], path=path)
    if program is None:
        raise missing
    try:
        return subprocess.run(
            (program, *command[1:]),
            env={"PATH": path, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except subprocess.TimeoutExpired:
        msg = f"{' '.join(command[:4])} did not end within {SECONDS:.0f} seconds"
        raise overdue(msg) from None


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a program wrote to standard error, fit to be shown; empty when it wrote nothing."""
    return done.stderr.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
