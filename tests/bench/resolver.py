# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of the role unbound_resolver costs that changes nothing, beside DebOps' role unbound from PyPI.

DebOps' role installs unbound, writes its configuration and a fact; ours also holds resolv.conf, Postfix's copy and the
programs that write them, and ends with a proof. Both run on the same virgin host of the lab, one after the other. Of
the public roles for unbound, DebOps' is the one that a registry of packages has; the others are in Galaxy alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import typing as t
import zipfile
from pathlib import Path

from bench._role_run import role_run
from lab import inventory, lifecycle, topology

_REPOSITORY: t.Final = Path(__file__).resolve().parents[2]
_COLLECTIONS: t.Final = _REPOSITORY / "build" / "collections"
_PEER: t.Final = "debops==3.3.2"
_PEER_TREE: t.Final = "debops/_data/ansible/collections/"
_MOST_TASKS: t.Final = 12
_RUNS: t.Final = 3


def run() -> list[dict[str, t.Any]]:
    """One row for the time, one for the number of tasks on the host, against the most that we allow ourselves."""
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    hosts = topology.chosen_hosts(["mx1"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        peer_tree = _unpacked_peer(folder)
        measured = {}
        for role, tree in (("mailsec.dane.unbound_resolver", _COLLECTIONS), ("debops.debops.unbound", peer_tree)):
            lifecycle.reset(lab, hosts)
            play = folder / f"{role}.yml"
            play.write_text(json.dumps([{"hosts": "mail", "become": True, "gather_facts": True, "roles": [role]}]))
            role_run(play, inventory.path(lab), tree, "mx1*")
            runs = [role_run(play, inventory.path(lab), tree, "mx1*") for _run in range(_RUNS)]
            if any(one.changed["mx1.one.example"] for one in runs):
                raise RuntimeError(f"{role} changes something at each run: {runs[-1].changed}")
            measured[role] = min(runs, key=lambda one: one.seconds)
    ours, peer = (measured[role].seconds for role in measured)
    tasks = len(measured["mailsec.dane.unbound_resolver"].tasks["mx1.one.example"])
    return [
        {
            "name": "resolver_nochange",
            "ours": round(ours, 2),
            "peer": round(peer, 2),
            "peer_name": f"{_PEER}, role unbound, without resolv.conf and proof",
            "unit": "seconds",
            "ratio": round(peer / ours, 2),
            "goal": None,
            "met": None,
        },
        {
            "name": "resolver_tasks",
            "ours": tasks,
            "peer": _MOST_TASKS,
            "peer_name": "the most that we allow ourselves",
            "unit": "tasks on the host when nothing changes",
            "ratio": round(_MOST_TASKS / tasks, 2),
            "goal": 1.0,
            "met": tasks <= _MOST_TASKS,
        },
    ]


def _unpacked_peer(folder: Path) -> Path:
    """The collections in the peer's wheel; it is not installed, so its dependencies are not either."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), _PEER]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith(_PEER_TREE)])
    return folder / _PEER_TREE
