# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which programs of a Debian host write /etc/resolv.conf, and what keeps each from it."""

from __future__ import annotations

import configparser
import re
import typing as t
from dataclasses import dataclass

from ._resolver_evidence import RESOLVED_UNIT, HostState, UnitState

if t.TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HOST_FILES", "HOST_PROGRAMS", "Manager", "managers"]

CLOUD_INIT: t.Final = "/usr/bin/cloud-init"
CLOUD_CONF: t.Final = "/etc/cloud/cloud.cfg"
CLOUD_HOLD: t.Final = "/etc/cloud/cloud.cfg.d/99-unbound-resolver.cfg"
DHCLIENT: t.Final = "/sbin/dhclient"
DHCLIENT_HOLD: t.Final = "/etc/dhcp/dhclient-enter-hooks.d/unbound-resolver"
DHCPCD: t.Final = "/usr/sbin/dhcpcd"
DHCPCD_CONF: t.Final = "/etc/dhcpcd.conf"
DHCPCD_HOLD: t.Final = "/etc/dhcpcd.enter-hook"
NETWORK_MANAGER: t.Final = "/usr/sbin/NetworkManager"
NETWORK_MANAGER_CONF: t.Final = "NetworkManager --print-config"
RESOLVCONF_DEBIAN: t.Final = "/lib/resolvconf/list-records"
OPENRESOLV: t.Final = "/lib/resolvconf/libc"
OPENRESOLV_CONF: t.Final = "/etc/resolvconf.conf"
RESOLVED: t.Final = "/lib/systemd/systemd-resolved"

HOST_PROGRAMS: t.Final = (CLOUD_INIT, DHCLIENT, DHCPCD, NETWORK_MANAGER, RESOLVCONF_DEBIAN, OPENRESOLV, RESOLVED)
"""Programs whose presence matters; each is known by one file of its Debian package."""

HOST_FILES: t.Final = (CLOUD_CONF, CLOUD_HOLD, DHCLIENT_HOLD, DHCPCD_CONF, DHCPCD_HOLD, OPENRESOLV_CONF)
"""Files that say whether such a program may write /etc/resolv.conf."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A program that writes /etc/resolv.conf; ``held`` where it is kept from doing so, and ``why`` tells by what."""

    name: str
    held: bool
    why: str


def managers(host: HostState) -> tuple[Manager, ...]:
    """The programs on a host that write /etc/resolv.conf, each with whether it is kept from it."""
    found: list[Manager] = []
    for name, program, verdict in _KNOWN:
        if program in host.programs:
            held, why = verdict(host)
            found.append(Manager(name, held, why))
    return tuple(found)


def _resolvconf(host: HostState) -> tuple[bool, str]:
    # Debian's resolvconf writes below /run only; it reaches programs by the link that its installation makes once.
    if host.link is not None and "resolvconf" in host.link:
        return False, f"/etc/resolv.conf links to {host.link}"
    return True, "/etc/resolv.conf is no link to the file that it writes"


def _openresolv(host: HostState) -> tuple[bool, str]:
    value = _shell_value(host.files.get(OPENRESOLV_CONF, ""), "resolvconf")
    if value is not None and value.lower() in {"no", "false", "off", "0"}:
        return True, f"{OPENRESOLV_CONF} says resolvconf={value}"
    return False, f"{OPENRESOLV_CONF} does not say resolvconf=NO"


def _resolved(host: HostState) -> tuple[bool, str]:
    unit = host.units.get(RESOLVED_UNIT, UnitState())
    if unit.active or unit.enabled:
        return False, f"{RESOLVED_UNIT} is {'running' if unit.active else 'enabled'}"
    return True, f"{RESOLVED_UNIT} is stopped and disabled"


def _network_manager(host: HostState) -> tuple[bool, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    try:
        parser.read_string(host.files.get(NETWORK_MANAGER_CONF, ""))
    except configparser.Error as error:
        return False, f"its configuration cannot be read: {error}"
    for option, values in (("dns", {"none"}), ("rc-manager", {"unmanaged"})):
        value = parser.get("main", option, fallback="")
        if value in values:
            return True, f"its configuration says {option}={value}"
    return False, "its configuration does not say dns=none"


def _dhclient(host: HostState) -> tuple[bool, str]:
    if "make_resolv_conf()" in host.files.get(DHCLIENT_HOLD, "").replace(" ", ""):
        return True, f"{DHCLIENT_HOLD} keeps it from writing the file"
    if RESOLVCONF_DEBIAN in host.programs:
        return True, "it hands its nameservers to resolvconf"
    return False, f"{DHCLIENT_HOLD} does not exist"


def _dhcpcd(host: HostState) -> tuple[bool, str]:
    if re.search(r"^\s*skip_hooks=.*\bresolv\.conf\b", host.files.get(DHCPCD_HOLD, ""), re.MULTILINE):
        return True, f"{DHCPCD_HOLD} skips its hook resolv.conf"
    # Options below an `interface`, `ssid` or `profile` line hold for that one alone (dhcpcd.conf(5)).
    everywhere = re.split(r"^\s*(?:interface|ssid|profile)\s", host.files.get(DHCPCD_CONF, ""), flags=re.MULTILINE)[0]
    if re.search(r"^\s*nohook\s[^#\n]*\bresolv\.conf\b", everywhere, re.MULTILINE):
        return True, f"{DHCPCD_CONF} says nohook resolv.conf"
    return False, f"neither {DHCPCD_HOLD} nor {DHCPCD_CONF} skips its hook resolv.conf"


def _cloud_init(host: HostState) -> tuple[bool, str]:
    # The last file counts, and ours sorts behind the vendors'.
    for path in (CLOUD_HOLD, CLOUD_CONF):
        value = re.search(r"^manage_resolv_conf:\s*(\w+)", host.files.get(path, ""), re.MULTILINE)
        if value is not None:
            return value.group(1).lower() == "false", f"{path} says manage_resolv_conf: {value.group(1)}"
    return False, f"{CLOUD_HOLD} does not exist"


_KNOWN: t.Final[tuple[tuple[str, str, Callable[[HostState], tuple[bool, str]]], ...]] = (
    ("resolvconf", RESOLVCONF_DEBIAN, _resolvconf),
    ("openresolv", OPENRESOLV, _openresolv),
    ("systemd-resolved", RESOLVED, _resolved),
    ("NetworkManager", NETWORK_MANAGER, _network_manager),
    ("dhclient", DHCLIENT, _dhclient),
    ("dhcpcd", DHCPCD, _dhcpcd),
    ("cloud-init", CLOUD_INIT, _cloud_init),
)


def _shell_value(text: str, name: str) -> str | None:
    """The last value that a file of shell assignments gives to `name`."""
    found = re.findall(rf"^\s*{name}=[\"']?([^\"'\s#]*)", text, re.MULTILINE)
    return found[-1] if found else None
