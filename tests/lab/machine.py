# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine that carries the lab: the packages it needs, and how podman must be told about its limits."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import shutil
from pathlib import Path

from lab.errors import LabError
from lab.files import write_whole
from lab.progress import run_long, say
from lab.state import locked

PACKAGES = {
    "podman": "podman",
    "mmdebstrap": "mmdebstrap",
    "runc": "runc",
    "conmon": "conmon",
    "iptables": "iptables",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ssh": "openssh-client",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/share/keyrings/debian-archive-trixie-stable.gpg": "debian-archive-keyring",
}
"""Everything the lab needs from Debian: a program (or file) that shows its presence, and its package."""

_RESOLV_CONF = Path("/etc/resolv.conf")
_RESOLVED_UPSTREAM = Path("/run/systemd/resolve/resolv.conf")
_CAP_SYS_RESOURCE = 24
_NEEDS_RUNC = Path("/sys/fs/cgroup/cgroup.controllers")
_WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_WATCHERS = 1024  # each systemd holds some five; with the kernel's 128, path units fail from some 25 hosts on


@functools.cache
def build_directory() -> Path:
    """Return ``build/lab`` of the checkout that this package lies in."""
    return Path(__file__).resolve().parents[2] / "build" / "lab"


def containers_conf() -> Path:
    """Return the path of podman's settings; the file exists only on machines that need it."""
    return build_directory() / "containers.conf"


def podman_wrapper() -> Path:
    """Return the path of a small script that calls podman with those settings, for Ansible's connection plugin."""
    return build_directory() / "podman"


def podman_environment() -> dict[str, str]:
    """Return the environment for podman: ours, with CONTAINERS_CONF where it is needed."""
    environment = dict(os.environ)
    if containers_conf().exists():
        environment["CONTAINERS_CONF"] = str(containers_conf())
    return environment


def prepare() -> None:
    """Install missing packages and write podman's settings. Changes nothing the second time."""
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes Debian images and containers with systemd inside. Run it as root.")
    with locked(build_directory() / "machine.lock", "this machine"):
        _install_missing()
        _write_podman_settings()
        _allow_watchers()


def _install_missing() -> None:
    missing = sorted({package for sign, package in PACKAGES.items() if not (shutil.which(sign) or Path(sign).exists())})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"missing on this machine: {', '.join(missing)}; only on Debian can the lab install them itself")
    say(f"installing {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = build_directory() / "logs" / "prerequisites.log"
    run_long("apt-get update", ["apt-get", "update"], log, environment)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    run_long("apt-get install", command, log, environment)


def _write_podman_settings() -> None:
    settings = containers_settings(
        unified_cgroups=_NEEDS_RUNC.exists(),
        may_raise_limits=bool(_effective_capabilities() >> _CAP_SYS_RESOURCE & 1),
    )
    if settings:
        write_whole(containers_conf(), settings)
    else:
        containers_conf().unlink(missing_ok=True)
    export = f"export CONTAINERS_CONF='{containers_conf()}'\n" if settings else ""
    write_whole(podman_wrapper(), f'#!/bin/sh\n{export}exec podman "$@"\n', mode=0o755)


def _allow_watchers() -> None:
    """Raise the limit on inotify instances until the next boot, where this machine lets us; a few hosts do without."""
    if int(_WATCHERS.read_text("ascii")) < _ENOUGH_WATCHERS:
        with contextlib.suppress(OSError):
            _WATCHERS.write_text(f"{_ENOUGH_WATCHERS}\n", "ascii")


def containers_settings(*, unified_cgroups: bool, may_raise_limits: bool) -> str:
    """Return containers.conf for such a machine; empty when podman's own settings will do.

    crun cannot start systemd on a hybrid cgroup tree; without CAP_SYS_RESOURCE no limit above ours can be asked for.
    """
    lines = []
    if not unified_cgroups:
        lines += ["[engine]", 'runtime = "runc"']
    if not may_raise_limits:
        lines += ["[containers]", 'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]']
    return "".join(f"{line}\n" for line in lines)


def _effective_capabilities() -> int:
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    if match is None:
        raise LabError("/proc/self/status has no line CapEff; is /proc mounted?")
    return int(match[1], 16)


def outer_resolvers() -> list[str]:
    """Return the name servers of this machine that a container can reach; empty when all listen on loopback only.

    LAB_RESOLVER (an address) overrides what is found.
    """
    if override := os.environ.get("LAB_RESOLVER"):
        return [str(ipaddress.ip_address(override))]
    for path in (_RESOLV_CONF, _RESOLVED_UPSTREAM):
        if path.exists() and (found := reachable_name_servers(path.read_text("utf-8"))):
            return found
    return []


def reachable_name_servers(resolv_conf: str) -> list[str]:
    """Return the addresses on ``nameserver`` lines that are neither loopback nor bound to an interface."""
    found = re.findall(r"^nameserver[ \t]+(\S+)", resolv_conf, re.MULTILINE)
    return [address for address in found if "%" not in address and not ipaddress.ip_address(address).is_loopback]
