# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Raise, reset and remove a lab. Each command may be killed at any point; the next ``up`` mends what is half-made."""

from __future__ import annotations

import concurrent.futures
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab import containers, health, images, inventory, machine, network, podman, state
from lab.acme import acme_files
from lab.containers import Plan
from lab.files import write_whole
from lab.mailhosts import common_files, managed_files, sender_files
from lab.nameservers import primary_files, root_files, secondary_files
from lab.progress import say
from lab.topology import ALWAYS, HOSTS, Flavour, Kind, Lab, Suite, chosen_hosts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from lab.files import ContainerFile
    from lab.state import Secrets
    from lab.topology import Host


_VIRGIN = frozenset({Kind.MANAGED, Kind.PRIMARY, Kind.SECONDARY})
"""What a reset makes anew."""

_REFRESH = """\
postsuper -d ALL 2>/dev/null
unbound-control -q reload || systemctl restart unbound
systemctl reload-or-restart postfix
"""


@dataclass(frozen=True)
class Choices:
    """What the command line may turn; None keeps what the lab was raised with."""

    ttl: int | None = None
    bare: bool | None = None


def open_lab(number: int, choices: Choices | None = None) -> Lab:
    """Return the lab ``number`` with its remembered settings, changed by ``choices``."""
    directory = machine.build_directory() / str(number)
    settings: dict[str, Any] = {"ttl": 60, "bare": False, "hosts": []}
    path = _settings_path(directory)
    if path.exists():
        settings |= json.loads(path.read_text("utf-8"))
    if choices and choices.ttl is not None:
        settings["ttl"] = choices.ttl
    if choices and choices.bare is not None:
        settings["bare"] = choices.bare
    return Lab(
        number, directory, ttl=int(settings["ttl"]), bare=bool(settings["bare"]), raised=frozenset(settings["hosts"])
    )


def up(lab: Lab, hosts: Sequence[Host]) -> bool:
    """Raise the lab with ``hosts``; return whether anything had to be done. Other hosts of the lab stay as they are."""
    machine.prepare()
    images.ensure(_images(lab, hosts))
    with state.locked(lab.directory / "lock", f"lab {lab.number}"):
        return _up(lab, hosts)


def reset(lab: Lab, hosts: Sequence[Host] | None = None) -> None:
    """Make the managed hosts and the zones virgin again, and empty the judges' queues and caches.

    ``hosts`` are raised if need be; without them those that were raised before, or else the defaults.
    """
    machine.prepare()
    if hosts is None:
        hosts = [host for host in HOSTS if host.name in lab.raised] or chosen_hosts(None)
    images.ensure(_images(lab, hosts))
    with state.locked(lab.directory / "lock", f"lab {lab.number}"):
        containers.remove(lab, [host for host in HOSTS if host.kind in _VIRGIN])
        _up(lab, hosts)
        for host in hosts:
            if host.kind is Kind.SENDER:
                refresh(lab, host)
        say(f"lab {lab.number} is as new")


def refresh(lab: Lab, host: Host) -> None:
    """Empty the mail queue and the DNS and TLSA caches of a judge."""
    podman.execute(
        lab.container(host),
        ["/bin/sh", "-c", _REFRESH],
    )
    health.wait_for_sender(lab, host)


def down(lab: Lab) -> None:
    """Remove the lab's containers, network and state. The images stay."""
    with state.locked(lab.directory / "lock", f"lab {lab.number}"):
        removed = containers.remove(lab)
        network.remove(lab)
        state.forget(lab)
    say(f"lab {lab.number} is gone ({removed} containers removed)")


def dismiss(lab: Lab, hosts: Sequence[Host]) -> None:
    """Remove hosts from the lab, and forget that they were raised."""
    with state.locked(lab.directory / "lock", f"lab {lab.number}"):
        removed = containers.remove(lab, hosts)
        _remember(lab, lab.raised - {host.name for host in hosts})
        inventory.write(lab, state.load_secrets(lab), _running(lab))
    say(f"{removed} containers of lab {lab.number} removed")


def reboot(lab: Lab, hosts: Sequence[Host]) -> None:
    """Boot hosts anew, side by side."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda host: containers.reboot(lab, host), hosts))
    say(f"booted {', '.join(host.name for host in hosts)} anew")


def lag(lab: Lab, *, on: bool) -> None:
    """Make the secondary stop (or resume) following the primary; it goes on serving what it has."""
    secondary = next(host for host in HOSTS if host.kind is Kind.SECONDARY)
    name = lab.container(secondary)
    podman.execute(name, ["knotc", "--blocking", "zone-freeze" if on else "zone-thaw"])
    if not on:
        podman.execute(name, ["knotc", "zone-refresh"])


def status(lab: Lab) -> str:
    """Return a short table of the lab's containers."""
    found = containers.existing(lab)
    rows = [
        f"{host.name:<10} {host.fqdn:<22} {lab.ipv4(host):<13} {lab.ipv6(host):<13} {found_.state:<8} {found_.name}"
        for host in HOSTS
        if (found_ := found.get(lab.container(host)))
    ]
    if not rows:
        return f"lab {lab.number} is not up; raise it with `python -m lab up`"
    return "\n".join([*rows, f"inventory: {inventory.path(lab)}"])


def _up(lab: Lab, hosts: Sequence[Host]) -> bool:
    secrets = state.load_secrets(lab)
    _remember(lab, lab.raised | {host.name for host in hosts})
    plans = _plans(lab, hosts, secrets)
    try:
        changed, new = _raise_containers(lab, plans)
    except containers.StartError as error:
        say(f"{error}; an earlier crash may have left podman's address table wrong: making network and hosts anew")
        containers.remove(lab)
        network.remove(lab)
        changed, new = _raise_containers(lab, plans)
    running = _running(lab)
    if inventory.write(lab, secrets, running):
        say(f"wrote the inventory {inventory.path(lab)}")
    health.wait_for_name_servers(lab, hosts)
    for host in hosts:
        if host.kind is Kind.SENDER:
            if host not in new and any(other.kind in ALWAYS for other in new):
                refresh(lab, host)
            health.wait_for_sender(lab, host)
        if host.kind is Kind.ACME:
            health.wait_for_acme(lab, host)
    _check_outer_world(lab, sorted((host for host in new if host.kind is Kind.MANAGED), key=lambda host: host.index))
    say(f"lab {lab.number} is up" if changed else f"lab {lab.number} was up; nothing changed")
    return changed


def _remember(lab: Lab, raised: AbstractSet[str]) -> None:
    settings = {"ttl": lab.ttl, "bare": lab.bare, "hosts": sorted(raised)}
    write_whole(_settings_path(lab.directory), json.dumps(settings) + "\n")


def _raise_containers(lab: Lab, plans: Sequence[Plan]) -> tuple[bool, set[Host]]:
    """Make network and containers be there; return whether anything changed, and which hosts are new or started."""
    changed = network.ensure(lab)
    if changed:
        say(f"made the network {lab.network} ({lab.ipv4_subnet}, {lab.ipv6_subnet})")
    found = containers.existing(lab)
    containers.sweep(found)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda plan: containers.ensure(lab, plan, found.get(lab.container(plan.host))), plans))
    new = {plan.host for plan, fresh in zip(plans, made, strict=True) if fresh}
    return changed or bool(new), new


def _running(lab: Lab) -> list[Host]:
    found = containers.existing(lab)
    return [host for host in HOSTS if lab.container(host) in found]


def _images(lab: Lab, hosts: Sequence[Host]) -> set[images.Image]:
    return {(Flavour.BARE, host.suite) for host in hosts} | {(_flavour(lab, host), host.suite) for host in hosts}


def _flavour(lab: Lab, host: Host) -> Flavour:
    return Flavour.BARE if lab.bare and host.flavour is Flavour.MANAGED else host.flavour


def _plans(lab: Lab, hosts: Sequence[Host], secrets: Secrets) -> list[Plan]:
    mirrors = _mirrors(lab, {host.suite for host in hosts})
    plans = []
    for host in hosts:
        files: list[ContainerFile] = common_files()
        match host.kind:
            case Kind.ROOT:
                files += root_files(lab, secrets, mirrors)
            case Kind.PRIMARY:
                files += primary_files(lab, secrets)
            case Kind.SECONDARY:
                files += secondary_files(lab, secrets)
            case Kind.SENDER:
                files += sender_files(lab, host, secrets)
            case Kind.ACME:
                files += acme_files(lab, secrets)
            case Kind.MANAGED | Kind.CLIENT:
                files += managed_files(secrets, machine.outer_resolvers(), bare=lab.bare)
        plans.append(Plan(host, images.reference(_flavour(lab, host), host.suite), tuple(files)))
    return plans


def _mirrors(lab: Lab, suites: set[Suite]) -> Mapping[str, list[str]]:
    """Return the addresses of the package mirrors: the lab's own root answers for them, so that apt works inside.

    What was found at first is kept as long as any of it holds, so that a second ``up`` changes nothing.
    """
    path = lab.directory / "mirrors.json"
    known: dict[str, list[str]] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for name in sorted({name for suite in suites for name in images.mirror_names(suite)}):
        addresses = _resolve(name)
        if addresses and not addresses & set(known.get(name, ())):
            known[name] = sorted(addresses)
    write_whole(path, json.dumps(known, sort_keys=True) + "\n")
    return known


def _resolve(name: str) -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def _check_outer_world(lab: Lab, fresh: Sequence[Host]) -> None:
    names = sorted({name for host in fresh for name in images.mirror_names(host.suite)})
    for host in fresh[:1]:
        if not machine.outer_resolvers():
            problem = "this machine's own resolver listens on loopback only, where containers cannot reach it"
        else:
            problem = health.outer_world(lab, host, names)
        if problem:
            say(f"note: {problem}; apt inside has only what the image brings (LAB_RESOLVER=ADDRESS names another)")


def _settings_path(directory: Path) -> Path:
    return directory / "settings.json"
