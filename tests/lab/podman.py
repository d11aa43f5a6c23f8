# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place that calls podman."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.machine import podman_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUICK_SECONDS = 120.0


def call(*arguments: str, stdin: bytes | None = None, timeout: float = _QUICK_SECONDS) -> str:
    """Run podman and return its standard output. Raises LabError with podman's own words when it fails."""
    result = attempt(*arguments, stdin=stdin, timeout=timeout)
    if result.returncode != 0:
        words = result.stderr.decode("utf-8", "replace").strip() or result.stdout.decode("utf-8", "replace").strip()
        raise LabError(f"podman {' '.join(arguments)} failed with status {result.returncode}: {words}")
    return result.stdout.decode("utf-8", "replace")


def attempt(
    *arguments: str, stdin: bytes | None = None, timeout: float = _QUICK_SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Run podman and return what became of it, whatever the status. Raises LabError when it takes too long."""
    feed: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    try:
        return subprocess.run(
            ["podman", *arguments],
            capture_output=True,
            check=False,
            timeout=timeout,
            env=podman_environment(),
            **feed,
        )
    except subprocess.TimeoutExpired as late:
        raise LabError(f"podman {' '.join(arguments)} did not end within {timeout:.0f} s") from late


def listing(*arguments: str) -> list[dict[str, Any]]:
    """Run a podman command that prints a JSON list, and return the list."""
    found: list[dict[str, Any]] = json.loads(call(*arguments, "--format", "json") or "[]")
    return found


def execute(container: str, command: Sequence[str], *, stdin: bytes | None = None, timeout: float = 60.0) -> str:
    """Run ``command`` inside a container and return its standard output."""
    interactive = [] if stdin is None else ["--interactive"]
    return call("exec", *interactive, container, *command, stdin=stdin, timeout=timeout)


def remove_container(name: str) -> None:
    """Remove a container whatever state it is in, also one that podman only half knows after a crash."""
    attempt("rm", "--force", "--volumes", "--time", "0", name)
    if attempt("container", "exists", "--external", name).returncode == 0:
        attempt("rm", "--force", "--storage", name)
