# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers that boot systemd: made whole under a temporary name, renamed, started, waited for."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import podman
from lab.errors import LabError
from lab.files import tar_stream
from lab.machine import podman_wrapper
from lab.progress import say
from lab.topology import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.files import ContainerFile
    from lab.topology import Host, Lab

_HALF_MADE = "-new"
_BOOT_SECONDS = 90.0


class StartError(LabError):
    """Podman refuses to start a container that has just been made."""


@dataclass(frozen=True)
class Plan:
    """How a host's container has to be."""

    host: Host
    image: str
    files: tuple[ContainerFile, ...]

    def digest(self) -> str:
        """Return a digest of everything that makes a new container necessary when it changes."""
        files = [dataclasses.asdict(file) for file in self.files if not file.volatile]
        return hashlib.sha256(json.dumps([self.image, files]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Found:
    """A container as podman knows it."""

    name: str
    state: str
    digest: str


def existing(lab: Lab) -> dict[str, Found]:
    """Return the lab's containers by name, half-made ones too."""
    rows = podman.listing("ps", "--all", "--filter", f"label=dane-lab.number={lab.number}")
    found = [Found(row["Names"][0], row["State"], row["Labels"].get("dane-lab.digest", "")) for row in rows]
    return {container.name: container for container in found}


def sweep(found: dict[str, Found]) -> None:
    """Remove containers that a killed run left half-made."""
    for name in [name for name in found if name.endswith(_HALF_MADE)]:
        podman.remove_container(name)


def ensure(lab: Lab, plan: Plan, found: Found | None) -> bool:
    """Make the host's container be there, up to date and booted; return whether it was made anew or started.

    Raises StartError when not even a new container starts.
    """
    name = lab.container(plan.host)
    current = found is not None and found.digest == plan.digest()
    if found and current and found.state == "running" and _boots_well(plan.host, name):
        return False
    reusable = found and current and found.state in {"created", "configured", "exited", "stopped"}
    if not (reusable and _start(name) and _boots_well(plan.host, name)):
        if found:
            podman.remove_container(name)
        _create(lab, plan, name)
        if not _start(name):
            raise StartError(f"podman cannot start {name}; try it by hand: {podman_wrapper()} start {name}")
        _wait_for_boot(name)
    say(f"{plan.host.fqdn} is up ({name}, {lab.ipv4(plan.host)}, {lab.ipv6(plan.host)})")
    return True


def reboot(lab: Lab, host: Host) -> None:
    """Boot a host as its administrator would: services are stopped in order, disks stay, ``/run`` is empty after."""
    name = lab.container(host)
    podman.attempt("exec", name, "systemctl", "reboot")
    # In a container that ends it.
    podman.call("wait", name, timeout=_BOOT_SECONDS)
    if not (_start(name) and _boots_well(host, name)):
        raise LabError(f"{name} did not boot again within {_BOOT_SECONDS:.0f} s; systemd says {_boot(name)!r}")


def _create(lab: Lab, plan: Plan, name: str) -> None:
    host, temporary = plan.host, name + _HALF_MADE
    arguments = [
        "create", "--name", temporary, "--hostname", host.fqdn,
        "--label", f"dane-lab.number={lab.number}", "--label", f"dane-lab.digest={plan.digest()}",
        "--network", f"{lab.network}:ip={lab.ipv4(host)},ip={lab.ipv6(host)},mac={lab.mac(host)}",
        "--systemd", "always", "--stop-signal", "SIGRTMIN+3", "--stop-timeout", "5", "--cap-add", "NET_ADMIN",
        *(() if host.mounted else ("--dns", "none")), "--no-hosts",
        # As systemd has it outside of containers, in which dhcpcd cannot do so itself.
        *(("--sysctl", "net.ipv4.conf.default.promote_secondaries=1") if host.kind is Kind.CLIENT else ()),
        plan.image,
    ]  # fmt: skip
    if podman.attempt(*arguments).returncode != 0:
        # After a crash podman may still hold the name without listing the container.
        podman.remove_container(temporary)
        podman.call(*arguments)
    podman.call("cp", "-", f"{temporary}:/", stdin=tar_stream(plan.files, int(time.time())))
    if podman.attempt("rename", temporary, name).returncode != 0:
        podman.remove_container(name)
        podman.call("rename", temporary, name)


def _start(name: str) -> bool:
    return podman.attempt("start", name).returncode == 0


def _boots_well(host: Host, name: str) -> bool:
    """Return whether a container has booted well. Tests may break services of managed hosts, and only there."""
    return _boot(name) in ({"running", "degraded"} if host.managed else {"running"})


def _wait_for_boot(name: str) -> None:
    state = _boot(name)
    if state == "degraded":
        failed = podman.execute(name, ["systemctl", "--failed", "--no-legend", "--plain"])
        raise LabError(f"{name} has booted, but these units failed; look with `podman logs` or journalctl:\n{failed}")
    if state != "running":
        raise LabError(f"{name} did not boot within {_BOOT_SECONDS:.0f} s; systemd says {state!r}")


def _boot(name: str) -> str:
    """Wait, bounded, until systemd has booted, and return its state."""
    deadline = time.monotonic() + _BOOT_SECONDS
    state = ""
    while state not in {"running", "degraded"} and time.monotonic() < deadline:
        result = podman.attempt("exec", name, "systemctl", "is-system-running", "--wait", timeout=_BOOT_SECONDS)
        if not (state := result.stdout.decode("ascii", "replace").strip()):
            time.sleep(0.2)
    return state


def remove(lab: Lab, hosts: Sequence[Host] | None = None) -> int:
    """Remove the containers of ``hosts`` (default all) and return how many there were."""
    names = None if hosts is None else {lab.container(host) for host in hosts}
    doomed = [name for name in existing(lab) if names is None or name.removesuffix(_HALF_MADE) in names]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(podman.remove_container, doomed))
    return len(doomed)
