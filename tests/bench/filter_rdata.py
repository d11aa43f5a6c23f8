# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a certificate takes to become TLSA data in a play: by our filter, and by ``openssl`` in a pipe lookup."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from certificates import Holder, authority, issue, key

_HERE = Path(__file__).resolve().parent
_TREE = _HERE.parents[1] / "build" / "collections"
_OURS = 10_000
_PEER = 40
_RUNS = 3
_GOAL = 500.0


def run() -> list[dict[str, Any]]:
    """One row each for a list given to the filter at once, and for a certificate at a time by ``map``."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        holders = _certificates(_OURS)
        (folder / "certificates.json").write_text(json.dumps([holder.pem for holder in holders]), "utf-8")
        paths = []
        for number, holder in enumerate(holders[:_PEER]):
            paths.append(folder / f"{number}.pem")
            paths[-1].write_text(holder.pem, "utf-8")
        facts = {
            "source": str(folder / "certificates.json"),
            "paths": [str(path) for path in paths],
            "expected": [f"3 1 1 {hashlib.sha256(holder.spki).hexdigest()}" for holder in (holders[0], holders[-1])],
            "digest": hashlib.sha256(holders[0].spki).hexdigest(),
        }
        (folder / "facts.json").write_text(json.dumps(facts), "utf-8")
        idle = _best("read", folder)
        empty = _best("nothing", folder)
        peer = (_best("pipe", folder) - empty) / _PEER
        return [
            _row("filter_rdata", (_best("filter", folder) - idle) / _OURS, peer),
            _row("filter_rdata_map", (_best("map", folder) - idle) / _OURS, peer, goal=None),
        ]


def _row(name: str, ours: float, peer: float, goal: float | None = _GOAL) -> dict[str, Any]:
    ratio = peer / ours
    return {
        "name": name,
        "ours": round(ours * 1e6, 1),
        "peer": round(peer * 1e6, 1),
        "peer_name": "lookup('pipe', 'openssl ...')",
        "unit": "microseconds of processor time per certificate",
        "ratio": round(ratio, 1),
        "goal": goal,
        "met": None if goal is None else ratio >= goal,
    }


def _certificates(count: int) -> list[Holder]:
    ca = authority()
    return [issue(ca, key=key("rsa", number % 8)) for number in range(count)]


def _best(what: str, folder: Path) -> float:
    """The shortest of some runs of the whole play, in seconds of processor time, its child processes included.

    Unlike the time on the clock it is the same on a busy machine; on an idle one both are equal, as neither way waits.
    """
    return min(_play(what, folder) for _run in range(_RUNS))


def _play(what: str, folder: Path) -> float:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(_TREE),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
    }
    begin = _spent()
    subprocess.run(
        ["ansible-playbook", str(_HERE / "playbooks" / "filter_rdata.yml"), "-e", f"@{folder}/facts.json", "-t", what],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    return _spent() - begin


def _spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
