# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What it costs to look at an endpoint: our verifier, posttls-finger and smtp-dane-verify from PyPI.

All look at the same servers through the same validating resolver, in the lab. What is compared is processor time of the
looking processes alone; resolver and servers are nobody's. An endpoint is a chain at an address: ours looks at both
chains of each server, the others at the one they are given.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from bench._sound_servers import sound_servers
from conformance.peers import danesmtp_command
from conformance.stage import namespace_command, publish, python_environment
from lab import lifecycle, podman, topology
from mail_server import certificate, new_key

_HOSTS: t.Final = 500
_PEER_HOSTS: t.Final = 20
_ADDRESSES: t.Final = 20


def run() -> list[dict[str, t.Any]]:
    """One row against posttls-finger, one against smtp-dane-verify."""
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    lifecycle.up(lab, topology.chosen_hosts(["sender"]))
    sender = lab.container(topology.host("sender"))
    rsa, ecdsa = new_key("rsa"), new_key("ecdsa")
    chains = (rsa, [certificate(rsa)]), (ecdsa, [certificate(ecdsa)])
    with tempfile.TemporaryDirectory() as directory, sound_servers(lab, _ADDRESSES, *chains) as addresses:
        publish(lab, _updates(addresses, [tlsa_record_for(chain[0]).to_text() for _key, chain in chains]))
        _wait_until_all_are_verified(sender)
        ours = min(_ours(sender) for _run in range(3))
        finger = _finger(sender)
        peer = _peer(sender, Path(directory))
    return [
        _row("verify_cpu", ours, finger, "posttls-finger -c -l dane under xargs -P 4", 5.0),
        _row("verify_peer", ours, peer, "smtp-dane-verify", 20.0),
    ]


def _wait_until_all_are_verified(sender: str) -> None:
    """Fill the resolver's cache for everybody; the secondary may be behind at first, and denials live for 5 seconds."""
    for _attempt in range(5):
        try:
            _ours(sender)
        except RuntimeError:
            time.sleep(6)
        else:
            return


def _row(name: str, ours: float, peer: float, peer_name: str, goal: float) -> dict[str, t.Any]:
    return {
        "name": name,
        "ours": round(ours * 1000, 2),
        "peer": round(peer * 1000, 2),
        "peer_name": peer_name,
        "unit": "milliseconds of processor time per endpoint",
        "ratio": round(peer / ours, 1),
        "goal": goal,
        "met": peer / ours >= goal,
    }


def _domains() -> list[str]:
    return [f"b{number}.two.example" for number in range(_HOSTS)]


def _updates(addresses: list[str], records: list[str]) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {"one.example": [], "two.example": []}
    for number, domain in enumerate(_domains()):
        host = f"mx.b{number}.one.example."
        owner = f"_25._tcp.{host}"
        lines["one.example"] += [f"update delete {host} A", f"update delete {owner} TLSA"]
        lines["one.example"] += [f"update add {host} 3600 A {addresses[number % len(addresses)]}"]
        lines["one.example"] += [f"update add {owner} 3600 TLSA {record}" for record in records]
        lines["two.example"] += [f"update delete {domain}. MX", f"update add {domain}. 3600 MX 10 {host}"]
    return lines


def _ours(sender: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(
        namespace_command(sender, [sys.executable, "-m", "conformance.look"]),
        input="\n".join(_domains()).encode(),
        env=python_environment(),
        check=True,
        capture_output=True,
    ).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    verdicts = [row["verdict"] for row in json.loads(output)["endpoints"]]
    if verdicts != ["verified"] * (2 * _HOSTS):
        raise RuntimeError(f"not every endpoint was verified: {len(verdicts)} rows, {sorted(set(verdicts))}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(verdicts)


def _timed(output: str) -> float:
    found = re.findall(r"^cpu ([\d.]+) ([\d.]+)$", output, re.MULTILINE)
    return sum(float(part) for part in found[-1])


def _finger(sender: str) -> float:
    script = (
        "TIMEFORMAT='cpu %U %S'; time xargs -P 4 -n 1 posttls-finger -c -l dane -L summary > /tmp/fingers 2>&1; "
        "grep -c 'Verified TLS connection established' /tmp/fingers"
    )
    result = podman.attempt(
        "exec", "--interactive", sender, "/bin/bash", "-c", script, stdin="\n".join(_domains()).encode(), timeout=300
    )
    verified = int(result.stdout.decode().strip() or 0)
    if verified != _HOSTS:
        raise RuntimeError(f"posttls-finger verified {verified} of {_HOSTS}")
    return _timed(result.stderr.decode()) / _HOSTS


def _peer(sender: str, directory: Path) -> float:
    script = f"TIMEFORMAT='cpu %U %S'; time xargs -P 4 -n 1 danesmtp > {directory}/peer 2>&1; cat {directory}/peer"
    hosts = "\n".join(f"mx.b{number}.one.example" for number in range(_PEER_HOSTS))
    result = subprocess.run(
        danesmtp_command(sender, directory, script),
        input=hosts.encode(),
        check=True,
        capture_output=True,
    )
    said = result.stdout.decode()
    if len(re.findall(r"ok|OK|matched", said)) < _PEER_HOSTS:
        raise RuntimeError(f"smtp-dane-verify did not verify {_PEER_HOSTS} hosts: {said[-500:]}")
    return _timed(result.stderr.decode()) / _PEER_HOSTS
