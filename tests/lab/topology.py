# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who lives in the lab: hosts, their releases, addresses and mail domains. Plain data, no I/O.

A further host is one more line in ``HOSTS``; a host that is not ``default`` is started on demand (``up --hosts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Suite(StrEnum):
    """Debian release names."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"


class Flavour(StrEnum):
    """What an image holds beside the base system."""

    BARE = "bare"
    MANAGED = "managed"  # apt lists and downloaded packages, none of them installed
    SERVICE = "service"  # the lab's own services, installed and disabled
    ACME = "acme"  # a certificate authority and its resolver


class Kind(StrEnum):
    """What a host is for; decides which files it gets."""

    ROOT = "root"
    PRIMARY = "primary"
    SECONDARY = "secondary"
    SENDER = "sender"
    MANAGED = "managed"
    CLIENT = "client"  # managed too, for its name resolution only: no mail, no zone
    ACME = "acme"


@dataclass(frozen=True)
class Host:
    """One container. ``index`` is the last part of its addresses."""

    name: str
    fqdn: str
    index: int
    kind: Kind
    suite: Suite = Suite.TRIXIE
    mail_domain: str = ""
    default: bool = True
    mounted: bool = False
    """Whether the container engine mounts /etc/resolv.conf into the container, as it does unless told otherwise."""

    @property
    def managed(self) -> bool:
        """Whether roles are run on it."""
        return self.kind in {Kind.MANAGED, Kind.CLIENT}

    @property
    def flavour(self) -> Flavour:
        """The image the host is made from."""
        if self.kind is Kind.ACME:
            return Flavour.ACME
        return Flavour.MANAGED if self.managed else Flavour.SERVICE


_CLIENTS = ("resolvconf", "openresolv", "networkd", "resolved", "leases", "mounted", "ifupdown")
"""By what shall own /etc/resolv.conf on them; molecule/resolver_managers makes it so."""


def _client(name: str, index: int, release: int, suite: Suite) -> Host:
    return Host(
        f"{name}{release}",
        f"{name}{release}.clients.example",
        index,
        Kind.CLIENT,
        suite,
        default=False,
        mounted=name == "mounted",
    )


HOSTS = (
    Host("root", "a.root-servers", 10, Kind.ROOT),
    Host("primary", "ns1.example", 11, Kind.PRIMARY),
    Host("secondary", "ns2.example", 12, Kind.SECONDARY),
    Host("sender", "mta.sender.example", 20, Kind.SENDER, mail_domain="sender.example"),
    Host(
        "sender12",
        "mta.sender12.example",
        21,
        Kind.SENDER,
        Suite.BOOKWORM,
        mail_domain="sender12.example",
        default=False,
    ),
    Host("mx1", "mx1.one.example", 31, Kind.MANAGED, Suite.TRIXIE, mail_domain="one.example"),
    Host("mx2", "mx2.two.example", 32, Kind.MANAGED, Suite.BOOKWORM, mail_domain="two.example"),
    Host("acme", "acme.example", 60, Kind.ACME, default=False),
    *(_client(name, 40 + number, 13, Suite.TRIXIE) for number, name in enumerate(_CLIENTS)),
    *(_client(name, 50 + number, 12, Suite.BOOKWORM) for number, name in enumerate(_CLIENTS)),
)
ALWAYS = frozenset({Kind.ROOT, Kind.PRIMARY, Kind.SECONDARY})


def host(name: str) -> Host:
    """Return the host called ``name`` (short or full). Raises LabError, listing the known names."""
    for candidate in HOSTS:
        if name in {candidate.name, candidate.fqdn}:
            return candidate
    raise LabError(f"there is no host {name!r} in the lab; there are: {', '.join(h.name for h in HOSTS)}")


def chosen_hosts(names: Iterable[str] | None) -> tuple[Host, ...]:
    """Return the hosts to raise: the name servers always, ``names``, and the sender; without names the defaults."""
    if names is None:
        return tuple(h for h in HOSTS if h.default)
    wanted = {host(name).name for name in names} | {"sender"}
    return tuple(h for h in HOSTS if h.kind in ALWAYS or h.name in wanted)


@dataclass(frozen=True)
class Lab:
    """One lab: its number (0 to 255), where its state lies, the settings that tests turn, the hosts raised so far."""

    number: int
    directory: Path
    ttl: int = 60
    bare: bool = False
    raised: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a number that has no network."""
        if not 0 <= self.number <= 255:
            raise LabError(f"the lab's number is {self.number}, but must be between 0 and 255 (option --id, LAB_ID)")

    @property
    def network(self) -> str:
        """The podman network's name; it is also the prefix of the containers' names."""
        return f"dane-lab{self.number}"

    @property
    def ipv4_subnet(self) -> str:
        """The IPv4 network of all hosts."""
        return f"10.53.{self.number}.0/24"

    @property
    def ipv6_subnet(self) -> str:
        """The IPv6 network of all hosts."""
        return f"{self._ipv6_prefix}::/64"

    @property
    def _ipv6_prefix(self) -> str:
        return f"fd53:{self.number:x}" if self.number else "fd53"

    def container(self, host: Host) -> str:
        """Return the container's name."""
        return f"{self.network}-{host.name}"

    def ipv4(self, host: Host) -> str:
        """Return the host's IPv4 address."""
        return f"10.53.{self.number}.{host.index}"

    def ipv6(self, host: Host) -> str:
        """Return the host's IPv6 address, in the compressed form that programs print."""
        return f"{self._ipv6_prefix}::{host.index}"

    def mac(self, host: Host) -> str:
        """Return a fixed hardware address: a re-created container must not be hidden by a neighbour's ARP cache."""
        return f"02:53:00:00:{self.number:02x}:{host.index:02x}"
