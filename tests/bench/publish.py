# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long TLSA RRsets take to be published, and to be found published; and how that grows with their number.

The server is a BIND on loopback. The peer is what people write: ``community.general.nsupdate`` in a loop. Both are
measured as whole plays, less an empty one. Growth is that of our own work, without Ansible around it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.mailsec.dane.plugins.module_utils._convergence import converge
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.rfc2136 import Rfc2136Publisher

from loopback_nameservers import Bind, Key, zone_text
from peak_memory import peak_memory

_COLLECTIONS: t.Final = Path(__file__).resolve().parents[2] / "build" / "collections"
_ZONE: t.Final = "bench.example"
_OURS: t.Final = 1_000
_PEER: t.Final = 40
_RUNS: t.Final = 3
_GOAL: t.Final = 200.0

_PER_ZONE: t.Final = 100
_SIZES: t.Final = (2_000, 5_000, 10_000)
_LINEAR: t.Final = 0.8
"""Least ratio of what a further RRset costs among few to what it costs among many; 1 is linear to the letter."""


def run() -> list[dict[str, t.Any]]:
    """One row for publishing, one for finding all published, and two for growth, in time and in memory."""
    return [*_speed(), *_growth()]


# --- speed ------------------------------------------------------------------------------------------------------------


def _speed() -> list[dict[str, t.Any]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        zones = {_ZONE: zone_text(_ZONE)}
        with Bind(folder / "bind", zones, Key("mx-tlsa"), query_log=True) as server:
            plays = _Plays(folder, server)
            empty = min(plays.seconds([]) for _run in range(_RUNS))
            ours, peer = [], []
            for number in range(_RUNS):  # by turns, so that both have the same neighbours on a busy machine
                ours.append(plays.first_and_second([_our_task(server, f"o{number}")]))
                peer.append(plays.first_and_second([_peer_task(server, f"p{number}")]))
            _require_one_read(server)
    rows = []
    for index, name in enumerate(("publish_rrsets", "publish_nochange")):
        our_seconds = max(min(times[index] for times in ours) - empty, 0.001) / _OURS
        peer_seconds = (min(times[index] for times in peer) - empty) / _PEER
        rows.append(
            _row(
                name,
                (our_seconds * 1e3, peer_seconds * 1e3),
                "community.general.nsupdate in a loop",
                "milliseconds per RRset",
                _GOAL,
            )
        )
    return rows


class _Plays:
    """Plays on this machine, from an own inventory."""

    def __init__(self, folder: Path, server: Bind) -> None:
        self._play, self._variables, self._log = folder / "play.json", folder / "variables.json", server
        variables = {"secret": server.key.secret, "ansible_python_interpreter": sys.executable}
        self._variables.write_text(json.dumps(variables))

    def first_and_second(self, tasks: list[dict[str, t.Any]]) -> tuple[float, float]:
        """Seconds of a run that changes everything, and of the best of some that change nothing."""
        first = self.seconds(tasks, changed=1)
        return first, min(self.seconds(tasks, changed=0) for _run in range(2))

    def seconds(self, tasks: list[dict[str, t.Any]], changed: int = 0) -> float:
        self._play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(_COLLECTIONS),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        }
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-e",
            f"@{self._variables}",
            str(self._play),
        ]
        began = time.monotonic()
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        taken = time.monotonic() - began
        if done.returncode != 0 or (tasks and f" changed={changed} " not in done.stdout):
            raise RuntimeError(f"the play did not do as it should:\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}")
        return taken


def _names(prefix: str, count: int) -> list[str]:
    return [f"_25._tcp.{prefix}-{number}.{_ZONE}" for number in range(count)]


def _data(name: str) -> str:
    return f"3 1 1 {name.encode().hex():0<64.64}"


def _our_task(server: Bind, prefix: str) -> dict[str, t.Any]:
    provider = {"type": "rfc2136", "server": "127.0.0.1", "port": server.port}
    key = {"key_name": server.key.name, "key_secret": "{{ secret }}"}
    rrsets = [{"name": name, "ttl": 3600, "records": [_data(name)]} for name in _names(prefix, _OURS)]
    return {"mailsec.dane.tlsa_record": {"provider": provider | key, "rrsets": rrsets, "require_signed": False}}


def _peer_task(server: Bind, prefix: str) -> dict[str, t.Any]:
    arguments = {
        "server": "127.0.0.1",
        "port": server.port,
        "key_name": server.key.name,
        "key_secret": "{{ secret }}",
        "key_algorithm": server.key.algorithm,
        "zone": _ZONE,
        "record": "{{ item.name }}",
        "type": "TLSA",
        "value": "{{ item.data }}",
    }
    loop = [{"name": name.removesuffix(f".{_ZONE}"), "data": _data(name)} for name in _names(prefix, _PEER)]
    return {"community.general.nsupdate": arguments, "loop": loop}


def _require_one_read(server: Bind) -> None:
    """Our runs have read the zone by transfer: two where they changed it, one where not; and no RRset by itself."""
    log = server.log()
    transfers = len(re.findall(rf"transfer of '{_ZONE}/IN': AXFR started", log))
    singly = len(re.findall(r"query: _25\._tcp\.o\d+-\d+\.", log))
    if transfers > _RUNS * (2 + 2):
        raise RuntimeError(
            f"the zone was read {transfers} times in {_RUNS} runs that change it and {2 * _RUNS} that do not"
        )
    if singly > 9 * _RUNS:  # the question in which zone the names are, once for each read
        raise RuntimeError(f"{singly} questions were asked about single names")


# --- growth -----------------------------------------------------------------------------------------------------------


def _growth() -> list[dict[str, t.Any]]:
    """What a further RRset costs, when there are many and when there are few.

    Time is processor time, which is the same on a busy machine; the time on the clock is printed beside it.
    """
    seconds, octets = {}, {}
    for size in _SIZES:
        runs = [_grown(size) for _run in range(_RUNS)]
        seconds[size], octets[size] = min(one.processor for one in runs), min(one.octets for one in runs)
        print(
            f"  {size} RRsets in {size // _PER_ZONE} zones: {seconds[size]:.2f} s of processor time, "
            f"{min(one.clock for one in runs):.2f} s on the clock, {octets[size] / 2**20:.1f} MiB"
        )
    few, some, many = _SIZES
    peer = f"between {few:,} and {some:,}"
    unit = f"for each RRset more between {some:,} and {many:,}, 100 in each zone"
    return [
        _row(
            f"publish_growth_{what}",
            ((cost[many] - cost[some]) / (many - some) * factor, (cost[some] - cost[few]) / (some - few) * factor),
            peer,
            f"{name} {unit}",
            _LINEAR,
        )
        for what, cost, factor, name in (
            ("time", seconds, 1e3, "milliseconds"),
            ("memory", {size: float(octets[size]) for size in _SIZES}, 1 / 1024, "KiB"),
        )
    ]


class _Cost(t.NamedTuple):
    """Seconds of processor time and on the clock to publish RRsets, and octets on top of what it takes to begin."""

    processor: float
    clock: float
    octets: int


def _grown(size: int) -> _Cost:
    names = [f"z{number}.{_ZONE}" for number in range(size // _PER_ZONE)]
    with (
        tempfile.TemporaryDirectory() as temporary,
        Bind(Path(temporary), {name: zone_text(name) for name in names}, Key("mx-tlsa")) as server,
    ):
        order = {"port": server.port, "secret": server.key.secret, "zones": names}
        done = subprocess.run(
            [sys.executable, "-m", "bench.publish"],
            input=json.dumps(order),
            capture_output=True,
            check=True,
            text=True,
        )
    return _Cost(*json.loads(done.stdout))


def _publish(order: dict[str, t.Any]) -> _Cost:
    """In a process of its own, for its memory to be told from what was there before."""
    options = {"server": "127.0.0.1", "port": order["port"], "key_name": "mx-tlsa", "key_secret": order["secret"]}
    entries = [
        {"name": f"_25._tcp.h{number}.{zone}", "ttl": 3600, "records": [_data(f"{number}.{zone}")]}
        for zone in order["zones"]
        for number in range(_PER_ZONE)
    ]
    before = peak_memory()
    began, spent = time.monotonic(), time.process_time()
    outcome = converge(Rfc2136Publisher.from_options(options), wanted_rrsets(entries, State.EXACT), resolver=None)
    clock, processor = time.monotonic() - began, time.process_time() - spent
    if outcome.errors or {len(there.records) for there in outcome.after.values()} != {1}:
        raise RuntimeError(f"not everything was published: {outcome.errors}")
    return _Cost(processor, clock, peak_memory() - before)


def _row(name: str, costs: tuple[float, float], peer_name: str, unit: str, goal: float) -> dict[str, t.Any]:
    ours, peer = costs
    ratio = peer / ours
    return {
        "name": name,
        "ours": round(ours, 3),
        "peer": round(peer, 3),
        "peer_name": peer_name,
        "unit": unit,
        "ratio": round(ratio, 2),
        "goal": goal,
        "met": ratio >= goal,
    }


if __name__ == "__main__":
    print(json.dumps(_publish(json.load(sys.stdin))))
