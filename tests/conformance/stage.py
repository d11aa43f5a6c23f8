# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stage in the lab for servers of this process: addresses, a loop for them, DNS records, and the sender's network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import typing as t
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from lab import lifecycle, podman, topology
from lab.errors import LabError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["addresses_on_bridge", "namespace_command", "publish", "python_environment", "serving"]

ROOT: t.Final = Path(__file__).resolve().parents[2]


@contextmanager
def addresses_on_bridge(lab: topology.Lab, addresses: Sequence[str]) -> Iterator[None]:
    """Give the lab's bridge on this machine these addresses, and take them away again."""
    bridge = podman.call("network", "inspect", lab.network, "--format", "{{.NetworkInterface}}").strip()

    def batch(verb: str) -> None:
        lines = "".join(f"address {verb} {address}/32 dev {bridge}\n" for address in addresses)
        subprocess.run(["ip", "-force", "-batch", "-"], input=lines.encode(), check=False, capture_output=True)

    batch("add")
    try:
        yield
    finally:
        batch("del")


@contextmanager
def serving(servers: Callable[[], AbstractAsyncContextManager[None]]) -> Iterator[None]:
    """Keep asynchronous servers up in a thread. Raises the OSError that kept them from listening."""
    ready, failure = threading.Event(), list[OSError]()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        try:
            async with servers():
                ready.set()
                await stop.wait()
        except OSError as error:
            failure.append(error)
            ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    ready.wait(120)
    if failure:
        raise failure[0]
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


def publish(lab: topology.Lab, updates: Mapping[str, Sequence[str]], senders: Sequence[str] = ("sender",)) -> None:
    """Give the primary's zones these lines of nsupdate; empty the senders' caches once the secondary has followed."""
    primary = lab.container(topology.host("primary"))
    for zone, lines in updates.items():
        for start in range(0, len(lines), 100):
            text = "\n".join([f"zone {zone}", *lines[start : start + 100], "send", ""])
            podman.execute(primary, ["nsupdate", "-l"], stdin=text.encode())
    _await_secondary(lab, list(updates))
    for name in senders:
        lifecycle.refresh(lab, topology.host(name))


def _await_secondary(lab: topology.Lab, zones: Sequence[str]) -> None:
    servers = [lab.ipv4(topology.host(name)) for name in ("primary", "secondary")]
    container = lab.container(topology.host("primary"))

    def serial(server: str, zone: str) -> str:
        return podman.execute(container, ["dig", "+short", f"@{server}", zone, "SOA"]).split(" ")[2]

    for _unused in range(60):
        if all(serial(servers[0], zone) == serial(servers[1], zone) for zone in zones):
            return
        time.sleep(1)
    raise LabError("the secondary does not follow the primary")


def namespace_command(container: str, command: Sequence[str]) -> list[str]:
    """The command that runs `command`, a program of this machine, in a container's network."""
    pid = podman.call("inspect", container, "--format", "{{.State.Pid}}").strip()
    return ["nsenter", "--target", pid, "--net", *command]


def python_environment() -> dict[str, str]:
    """An environment in which this Python finds the collection and the tests."""
    paths = [str(ROOT / "build" / "collections"), str(ROOT / "tests")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
