# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it costs to find that Postfix's settings are right already, beside stock modules that find the same.

The peer is what people write: ``lineinfile`` for each parameter, or ``command: postconf`` for each. It looks at fewer
things (no service, no table, no resolver, no key). Times are without what an empty play takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from integration.postfix.world import MailHost, postfix_world
from lab.machine import podman_environment, podman_wrapper
from lab.topology import Suite

_COLLECTIONS: t.Final = Path(__file__).resolve().parents[2] / "build" / "collections"
_RUNS: t.Final = 3
_GOAL: t.Final = 5.0

_OPTIONS: t.Final[dict[str, t.Any]] = {
    "chain_files": ["/etc/dane/host/deployed/ecdsa.pem", "/etc/dane/host/deployed/rsa.pem"],
    "hostname": "mx.here.example",
    "destinations": ["here.example"],
    "policies": [{"destination": "peer.example", "level": "dane-only"}],
}


def run() -> list[dict[str, t.Any]]:
    """One row for each way of the peer."""
    with postfix_world() as hosts, tempfile.TemporaryDirectory() as temporary:
        host = hosts[Suite.TRIXIE]
        host.reset()
        first = host.module(**_OPTIONS)
        if first.failed:
            raise RuntimeError(first.message)
        plays = _plays(host.explicit(), sorted(first.result["parameters"]))
        folder = Path(temporary)
        (folder / "hosts.json").write_text(json.dumps(_inventory(host)))
        seconds = {name: _fastest(folder, name, tasks) for name, tasks in plays.items()}
    ours = max(seconds["ours"] - seconds["empty"], 0.001)
    return [
        _row(name, ours, seconds[peer] - seconds["empty"], f"{peer}, {len(first.result['parameters'])} parameters")
        for name, peer in (("postfix_nochange", "lineinfile"), ("postfix_nochange_postconf", "command: postconf"))
    ]


def _row(name: str, ours: float, peer: float, peer_name: str) -> dict[str, t.Any]:
    ratio = round(peer / ours, 2)
    return {
        "name": name,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": peer_name,
        "unit": "seconds",
        "ratio": ratio,
        "goal": _GOAL,
        "met": ratio >= _GOAL,
    }


def _plays(main_cf: dict[str, str], parameters: list[str]) -> dict[str, list[dict[str, t.Any]]]:
    """The tasks of each play. All find `parameters` as they are, and change nothing."""
    settings = [{"name": name, "value": main_cf[name]} for name in parameters]
    return {
        "empty": [],
        "ours": [{"mailsec.dane.postfix_dane": _OPTIONS}],
        "lineinfile": [
            {
                "ansible.builtin.lineinfile": {
                    "path": "/etc/postfix/main.cf",
                    "regexp": "^{{ item.name }} =",
                    "line": "{{ item.name }} = {{ item.value }}",
                },
                "loop": settings,
            }
        ],
        "command: postconf": [
            {
                "ansible.builtin.command": "postconf -h {{ item.name }}",
                "loop": settings,
                "register": "found",
                "changed_when": "found.stdout != item.value",
            }
        ],
    }


def _inventory(host: MailHost) -> dict[str, t.Any]:
    variables = {
        "ansible_connection": "containers.podman.podman",
        "ansible_host": host.name,
        "ansible_podman_executable": str(podman_wrapper()),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    return {"all": {"hosts": {"mx.here.example": variables}}}


def _fastest(folder: Path, name: str, tasks: list[dict[str, t.Any]]) -> float:
    """Seconds that the play takes in the fastest of some runs, none of which may change anything."""
    play = folder / "play.json"
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    environment = {**os.environ, **podman_environment(), "ANSIBLE_COLLECTIONS_PATH": str(_COLLECTIONS)}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(folder / "hosts.json"), str(play)]
    taken = []
    for _run in range(_RUNS):
        began = time.monotonic()
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        taken.append(time.monotonic() - began)
        if done.returncode != 0 or (tasks and " changed=0 " not in done.stdout):
            raise RuntimeError(f"{name} failed or changed something:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
    return min(taken)
