# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Reads, on the host itself, how name resolution is set up: files, systemd, unbound and Postfix. Changes nothing."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import shutil
import stat
import struct
import subprocess
import time
import typing as t
from pathlib import Path

from ._resolv_managers import HOST_FILES, HOST_PROGRAMS, NETWORK_MANAGER, NETWORK_MANAGER_CONF
from ._resolver_evidence import HOST_UNITS, UNBOUND_UNIT, HostState, PostfixState, ServerState, UnitState

__all__ = ["read_host", "read_postfix", "read_server"]

RESOLV_CONF: t.Final = "/etc/resolv.conf"
PACKAGED_ANCHOR: t.Final = "/usr/share/dns/root.ds"
ROOT_KEY: t.Final = "/var/lib/unbound/root.key"
UNBOUND_USER: t.Final = "unbound"
UNBOUND_CONFIGURATION: t.Final = "/etc/unbound"
SEARCH_PATH: t.Final = "/usr/sbin:/usr/bin:/sbin:/bin"  # sudo and su may leave the first out
SECONDS: t.Final = 20.0
DNS_PORT: t.Final = 53
_EVERY_ADDRESS: t.Final = ("0.0.0.0", "::")  # noqa: S104  # looked for, not bound to
_SERVER_OPTIONS: t.Final = (
    "module-config",
    "val-permissive-mode",
    "serve-expired",
    "domain-insecure",
    "auto-trust-anchor-file",
    "trust-anchor-file",
    "trust-anchor",
    "trusted-keys-file",
)


def read_host() -> HostState:
    """Find out what /etc/resolv.conf says and who may write it."""
    path = Path(RESOLV_CONF)
    units = _units()
    programs = frozenset(program for program in HOST_PROGRAMS if Path(program).exists())
    files = {name: text for name in HOST_FILES if (text := _text(name)) is not None}
    if NETWORK_MANAGER in programs:
        status, output = _run(NETWORK_MANAGER, "--print-config")
        if status == 0:
            files[NETWORK_MANAGER_CONF] = output
    return HostState(
        text=_text(RESOLV_CONF),
        link=_link(path) or None,
        mounted=_is_mount_point(RESOLV_CONF),
        programs=programs,
        files=files,
        units=units,
        listeners=_listeners(units.get(UNBOUND_UNIT, UnitState())),
        unbound_written=_newest(UNBOUND_CONFIGURATION),
        root_key_writable=_writable(ROOT_KEY, UNBOUND_USER),
    )


def read_postfix() -> list[PostfixState]:
    """Every Postfix instance of this host (postmulti(1)) with its chroot's resolv.conf; none without Postfix."""
    if not shutil.which("postconf", path=SEARCH_PATH):
        return []
    status, output = _run("postmulti", "-l")
    folders = [line.split()[-1] for line in output.splitlines() if line.split()] if status == 0 else ["/etc/postfix"]
    states: list[PostfixState] = []
    for folder in folders:
        status, output = _run("postconf", "-c", folder, "-hx", "queue_directory")
        if status == 0 and output.strip():
            queue = output.strip()
            states.append(PostfixState(queue_directory=queue, copy=_text(f"{queue}/etc/resolv.conf")))
    return states


def read_server() -> ServerState:
    """How unbound is configured, and what it does now."""
    if not shutil.which("unbound-checkconf", path=SEARCH_PATH):
        return ServerState(failure="unbound is not installed on this host")
    options: dict[str, tuple[str, ...]] = {}
    for option in _SERVER_OPTIONS:
        status, output = _run("unbound-checkconf", "-o", option)
        if status != 0:
            return ServerState(failure=f"unbound-checkconf -o {option} failed: {output.strip()}")
        options[option] = tuple(line.strip().strip('"') for line in output.splitlines() if line.strip())
    anchor = next(iter(options["auto-trust-anchor-file"]), "")
    return ServerState(
        options=options,
        forwarders=_forwarders(),
        anchor_file=anchor,
        anchor_text=_text(anchor) if anchor else None,
        anchor_writable=bool(anchor) and _writable(anchor, UNBOUND_USER),
        packaged_anchor=_text(PACKAGED_ANCHOR) or "",
    )


def _forwarders() -> tuple[str, ...] | None:
    status, output = _run("unbound-control", "list_forwards")
    if status != 0:
        return None
    # A line is `. IN forward 192.0.2.53 2001:db8::53`, with +i or first: after `forward` where so configured.
    for line in output.splitlines():
        words = line.split()
        if words[:3] == [".", "IN", "forward"]:
            return tuple(word for word in words[3:] if re.match(r"[0-9a-fA-F]*[.:]", word))
    return ()


def _units() -> dict[str, UnitState]:
    properties = "--property=Id,ActiveState,UnitFileState,ActiveEnterTimestamp"
    status, output = _run("systemctl", "show", "--timestamp=unix", properties, *HOST_UNITS)
    units: dict[str, UnitState] = {}
    if status != 0:
        return units
    for block in output.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        units[values.get("Id", "")] = UnitState(
            active=values.get("ActiveState") in {"active", "activating", "reloading"},
            enabled=values.get("UnitFileState") in {"enabled", "enabled-runtime"},
            since=int(values.get("ActiveEnterTimestamp", "").lstrip("@") or 0),
        )
    return units


def _kernel_form(address: str) -> str:
    """An address as /proc/net has it: hexadecimal, in words of the machine's own byte order."""
    octets = ipaddress.ip_address(address).packed
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(octets) // 4}I", octets))


def _listeners(unbound: UnitState) -> tuple[str, ...]:
    """The programs that hold port 53 of an address by which 127.0.0.1 or ::1 is reached (proc(5), net/udp)."""
    loopback = {_kernel_form(address) for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1", *_EVERY_ADDRESS)}
    sockets: set[str] = set()
    for table in ("udp", "udp6", "tcp", "tcp6"):
        for line in (_text(f"/proc/self/net/{table}") or "").splitlines()[1:]:
            words = line.split()
            address, _colon, port = words[1].rpartition(":")
            # UDP has no state; of TCP the sockets that listen count.
            if int(port, 16) == DNS_PORT and address in loopback and (table.startswith("udp") or words[3] == "0A"):
                sockets.add(f"socket:[{words[9]}]")
    if not sockets:
        return ()
    holders = {target: link for link in Path("/proc").glob("[0-9]*/fd/*") if (target := _link(link)) in sockets}
    # Root may not look into other users' processes in a container without CAP_SYS_PTRACE.
    unseen = {"unbound" if unbound.active else "another program"} if sockets - holders.keys() else set()
    return tuple(sorted({_process_name(link) for link in holders.values()} | unseen))


def _process_name(link: Path) -> str:
    return (_text(str(link.parents[1] / "comm")) or "another program").strip()


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _newest(folder: str) -> int:
    """When any file below a folder was last written, in seconds since 1970; 0 where there is none.

    The folders' own times do not count: they change when a backup is removed, after the restart. Nor do keys, which
    unbound may write itself while it runs (RFC 5011), and files of the future, which no restart would be younger than.
    """
    times = [0]
    now = time.time()
    for path in Path(folder).rglob("*"):
        if path.suffix == ".key":
            continue
        try:
            status = path.stat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_mtime <= now:
            times.append(int(status.st_mtime))
    return max(times)


def _is_mount_point(path: str) -> bool:
    # The fifth field of each line is where the file system is mounted (proc(5)).
    return any(line.split()[4] == path for line in (_text("/proc/self/mountinfo") or "").splitlines())


def _writable(path: str, user: str) -> bool:
    """Whether `user` owns, or may write by its group, the file and its folder; unbound replaces the file by rename."""
    try:
        entry = pwd.getpwnam(user)
        found = [Path(path).stat(), Path(path).parent.stat()]
    except (KeyError, OSError):
        return False
    return all(
        (state.st_uid == entry.pw_uid and state.st_mode & stat.S_IWUSR)
        or (state.st_gid == entry.pw_gid and state.st_mode & stat.S_IWGRP)
        for state in found
    )


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _run(*command: str) -> tuple[int, str]:
    """Exit status and output of a program; what cannot be run counts as status 127."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C", "PATH": SEARCH_PATH},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode("utf-8", errors="replace")
