# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""10,000 endpoints in one look, 5 % of them at addresses that swallow everything: time and memory.

Every alive host has a name of its own, by wildcards; 19 addresses serve them. A dead host has an address of its own,
behind a router that is not there, so that nothing ever comes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from bench._sound_servers import sound_servers
from conformance.stage import namespace_command, publish, python_environment
from lab import lifecycle, topology
from mail_server import certificate, new_key

_ENDPOINTS: t.Final = 10_000
_DEAD: t.Final = 500
_SAMPLE: t.Final = 2_500
_ADDRESSES: t.Final = 19
_TIME_OUT: t.Final = 10.0  # Limits.connect
_KIB_OF_A_ROW: t.Final = 12.0


def run() -> list[dict[str, t.Any]]:
    """One row on time, one on memory."""
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    lifecycle.up(lab, topology.chosen_hosts(["sender"]))
    sender = lab.container(topology.host("sender"))
    key = new_key("ecdsa")
    chain = [certificate(key)]
    router = f"10.53.{lab.number}.254"
    with sound_servers(lab, _ADDRESSES, (key, chain)) as addresses, _black_hole(sender, router):
        publish(lab, {"one.example": _updates(addresses, tlsa_record_for(chain[0]).to_text())})
        alive, dead = _alive(), _dead()
        few, _seconds = _look(sender, alive[:_SAMPLE], {"verified"})
        many, alone = _look(sender, alive, {"verified"})
        every = len(alive) // len(dead)
        mixed = [name for n, one in enumerate(dead) for name in (one, *alive[n * every : (n + 1) * every])]
        _size, together = _look(sender, mixed, {"verified", "unreachable"})
    kib = (many - few) / (len(alive) - _SAMPLE)
    return [
        {
            "name": "fleet_dead",
            "ours": round(together, 1),
            "peer": round(alone + _TIME_OUT, 1),
            "peer_name": "the alive ones alone, and one time-out",
            "unit": "seconds",
            "ratio": round((alone + _TIME_OUT) / together, 2),
            "goal": 1.0,
            "met": together <= alone + _TIME_OUT,
        },
        {
            "name": "fleet_memory",
            "ours": round(kib, 1),
            "peer": _KIB_OF_A_ROW,
            "peer_name": "a row of the report, generously",
            "unit": "KiB for each further endpoint",
            "ratio": round(_KIB_OF_A_ROW / kib, 2),
            "goal": 1.0,
            "met": kib <= _KIB_OF_A_ROW,
        },
    ]


def _alive() -> list[str]:
    return [f"h{number}.a{number % _ADDRESSES}.one.example" for number in range(_ENDPOINTS - _DEAD)]


def _dead() -> list[str]:
    return [f"h{number}.dead.one.example" for number in range(_DEAD)]


def _updates(addresses: list[str], record: str) -> list[str]:
    hosts = {f"*.a{number}.one.example": address for number, address in enumerate(addresses)}
    lines = []
    for name, address in hosts.items():
        lines += [f"update delete {name}. A", f"update add {name}. 3600 A {address}"]
        lines += [f"update delete {name}. TLSA", f"update add {name}. 3600 TLSA {record}"]
    for number, name in enumerate(_dead()):
        lines += [f"update delete {name}. A", f"update add {name}. 3600 A 198.18.{number // 250}.{number % 250 + 1}"]
    return lines


@contextlib.contextmanager
def _black_hole(sender: str, router: str) -> t.Iterator[None]:
    """In the sender's network, lead 198.18.0.0/16 to a router that has an Ethernet address and nothing behind it."""

    def ip(*words: str, check: bool = True) -> None:
        subprocess.run(namespace_command(sender, ["ip", *words]), check=check, capture_output=True)

    ip("neighbor", "replace", router, "lladdr", "02:00:00:00:00:fe", "nud", "permanent", "dev", "eth0")
    ip("route", "replace", "198.18.0.0/16", "via", router, "dev", "eth0")
    try:
        yield
    finally:
        ip("route", "del", "198.18.0.0/16", check=False)
        ip("neighbor", "del", router, "dev", "eth0", check=False)


def _look(sender: str, hosts: list[str], wanted: set[str]) -> tuple[int, float]:
    """Look at port 25 of the hosts; return the greatest size in KiB and the seconds that it took."""
    began = time.monotonic()
    output = subprocess.run(
        namespace_command(sender, [sys.executable, "-m", "conformance.look", "--hosts"]),
        input="\n".join(hosts).encode(),
        env=python_environment(),
        check=True,
        capture_output=True,
    ).stdout
    seconds = time.monotonic() - began
    report = json.loads(output)
    verdicts = {row["verdict"] for row in report["endpoints"]}
    if verdicts != wanted or len(report["endpoints"]) != len(hosts):
        raise RuntimeError(f"{len(report['endpoints'])} rows for {len(hosts)} hosts, with {sorted(verdicts)}")
    return int(report["size"]), seconds
