# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run playbooks against the lab and read Ansible's own recap of what they did."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from dataclasses import dataclass
from pathlib import Path

ROOT: t.Final = Path(__file__).resolve().parents[2]

_RECAP_LINE: t.Final = re.compile(r"(?P<host>\S+)\s+: (?P<counts>ok=\d+.*)")
_COUNT: t.Final = re.compile(r"(\w+)=(\d+)")
_COLOUR: t.Final = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Recap:
    """What a playbook run did: exit status, and per host Ansible's counts (ok, changed, failed, unreachable ...)."""

    status: int
    hosts: dict[str, dict[str, int]]

    @property
    def changed(self) -> int:
        """How many tasks changed something, over all hosts."""
        return sum(counts.get("changed", 0) for counts in self.hosts.values())

    @property
    def succeeded(self) -> bool:
        """Whether every host was reached and no task failed. A run without any host is no success."""
        troubles = [counts.get("failed", 0) + counts.get("unreachable", 0) for counts in self.hosts.values()]
        return self.status == 0 and bool(troubles) and not any(troubles)


def read_recap(output: str, status: int) -> Recap:
    """Read the counts behind ``PLAY RECAP`` in a playbook's output."""
    hosts: dict[str, dict[str, int]] = {}
    _unused, _unused, recap = _COLOUR.sub("", output).rpartition("PLAY RECAP")
    for line in recap.splitlines():
        found = _RECAP_LINE.fullmatch(line.strip())
        if found:
            hosts[found["host"]] = {name: int(number) for name, number in _COUNT.findall(found["counts"])}
    return Recap(status, hosts)


def run_playbook(
    playbook: Path, inventory: Path, extra_variables: dict[str, str], log: Path, *, tags: str = ""
) -> Recap:
    """Run ``playbook`` (or its tasks with ``tags``), showing its output as it comes and keeping it in ``log``."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "--inventory", str(inventory), str(playbook)]
    for name, value in extra_variables.items():
        command += ["--extra-vars", f"{name}={value}"]
    if tags:
        command += ["--tags", tags]
    environment = os.environ | {"ANSIBLE_FORCE_COLOR": "1" if sys.stdout.isatty() else "0", "ANSIBLE_NOCOWS": "1"}
    log.parent.mkdir(parents=True, exist_ok=True)
    output: list[str] = []
    with (
        log.open("w", encoding="utf-8") as kept,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            kept.write(line)
            output.append(line)
        status = process.wait()
    return read_recap("".join(output), status)
