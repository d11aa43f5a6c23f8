# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a play takes on one host, and how many of its tasks are run there.

``python -m bench._role_run PLAYBOOK INVENTORY --most 12`` fails where any host has more tasks than that, or a change.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

# These are done on the controller, without a word to the host.
_ON_CONTROLLER: t.Final = frozenset(
    {"assert", "debug", "fail", "import_role", "include_role", "include_tasks", "meta", "set_fact"}
)
_SPECIFICATION: t.Final = "validate_argument_spec"


@dataclass(frozen=True)
class RoleRun:
    """Seconds that a play took; for each host the names of the tasks that were run there, and of those that changed."""

    seconds: float
    tasks: dict[str, list[str]]
    changed: dict[str, list[str]]


def role_run(play: Path, hosts: Path, tree: Path, limit: str = "all") -> RoleRun:
    """Run ``play`` on the inventory ``hosts`` with the collections in ``tree``. Raises RuntimeError when it fails."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tree),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_JSON_INDENT": "0",
    }
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "--inventory", str(hosts), "--limit", limit, str(play)]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"{play.name} failed:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
    return read_report(done.stdout, seconds)


def read_report(output: str, seconds: float) -> RoleRun:
    """Read what the callback ``ansible.posix.json`` printed."""
    tasks: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    for play in json.loads(output[output.index("{") :])["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                tasks.setdefault(host, [])
                changed.setdefault(host, [])
                action = str(result.get("action", "")).rpartition(".")[2]
                if result.get("skipped") or action in _ON_CONTROLLER or action == _SPECIFICATION:
                    continue
                tasks[host].append(task["task"]["name"])
                if result.get("changed"):
                    changed[host].append(task["task"]["name"])
    return RoleRun(seconds, tasks, changed)


def main(arguments: list[str]) -> int:
    """Run a play that has nothing to change, and hold its tasks against the most that are allowed."""
    parser = argparse.ArgumentParser(prog="python -m bench._role_run", description="Count the tasks of a play.")
    parser.add_argument("playbook", type=Path)
    parser.add_argument("inventory", type=Path)
    parser.add_argument("--most", type=int, required=True, help="tasks on a host")
    options = parser.parse_args(arguments)
    tree = Path(__file__).resolve().parents[2] / "build" / "collections"
    run = role_run(options.playbook, options.inventory, tree)
    for host, tasks in run.tasks.items():
        print(f"{host}: {len(tasks)} tasks, {len(run.changed[host])} changed", *tasks, sep="\n  ")
    good = all(len(tasks) <= options.most for tasks in run.tasks.values()) and not any(run.changed.values())
    return 0 if run.tasks and good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
