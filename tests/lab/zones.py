# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The DNS tree of the lab: which zones there are and what stands in them. Pure: data in, zone files out.

``root`` serves ``.`` and ``example.``; ``primary`` (BIND) and ``secondary`` (Knot DNS) serve the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.topology import HOSTS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.topology import Host, Lab

NEGATIVE_TTL = 5  # seconds; also the SOA's MINIMUM
REFRESH = 30
RSASHA256, ECDSAP256SHA256, ED25519 = 8, 13, 15  # RFC 5702, 6605, 8080
LONG_NAME = "long.nsec3.example"
"""Its TXT RRset fits no UDP datagram that resolvers ask for."""


class Denial(StrEnum):
    """How a signed zone proves that something is not there."""

    NSEC = "nsec"
    NSEC3 = "nsec3"
    OPT_OUT = "opt-out"  # NSEC3 that passes over unsigned delegations (RFC 5155 section 6)


class Delegation(StrEnum):
    """How the parent vouches for a zone."""

    SECURE = "secure"  # signed, and the parent has its DS
    UNSIGNED = "unsigned"  # not signed, no DS
    ISLAND = "island"  # signed, but the parent has no DS
    BOGUS = "bogus"  # signed, but the parent's DS belongs to another key
    EXPIRED = "expired"  # signed, and the parent has its DS, but the signatures hold no longer


@dataclass(frozen=True)
class Zone:
    """A zone below ``example.``, named without the trailing dot. ``algorithm`` is its key's DNSSEC algorithm."""

    name: str
    delegation: Delegation = Delegation.SECURE
    algorithm: int = ECDSAP256SHA256
    denial: Denial = Denial.NSEC

    @property
    def signed(self) -> bool:
        """Whether the primary signs it."""
        return self.delegation is not Delegation.UNSIGNED

    @property
    def parent(self) -> str:
        """The zone that delegates it: the closest one above that the lab has."""
        above = [zone.name for zone in ZONES if self.name.endswith(f".{zone.name}")]
        return max(above, key=len, default="example")


ZONES = (
    Zone("one.example"),
    Zone("two.example"),
    Zone("sender.example"),
    Zone("sender12.example"),
    Zone("unsigned.example", Delegation.UNSIGNED),
    Zone("island.example", Delegation.ISLAND),
    Zone("bogus.example", Delegation.BOGUS),
    Zone("expired.example", Delegation.EXPIRED),
    Zone("nsec3.example", denial=Denial.NSEC3),
    Zone("unsigned.nsec3.example", Delegation.UNSIGNED),
    Zone("optout.example", denial=Denial.OPT_OUT),
    Zone("unsigned.optout.example", Delegation.UNSIGNED),
    Zone("rsa.example", algorithm=RSASHA256),
    Zone("ed25519.example", algorithm=ED25519),
)
KEY_ALGORITHMS = {
    ".": ECDSAP256SHA256,
    "example": ECDSAP256SHA256,
    **{zone.name: zone.algorithm for zone in ZONES if zone.signed},
}
"""Every zone that needs a key, and of which algorithm."""


def _addresses(lab: Lab, owner: str, host: Host) -> list[str]:
    return [f"{owner} A {lab.ipv4(host)}", f"{owner} AAAA {lab.ipv6(host)}"]


def _by_kind(kind: Kind) -> Host:
    return next(host for host in HOSTS if host.kind is kind)


def _head(lab: Lab, origin: str, name_servers: Iterable[str]) -> list[str]:
    servers = list(name_servers)
    contact = "hostmaster." + origin.lstrip(".")
    return [
        f"$ORIGIN {origin}",
        f"$TTL {lab.ttl}",
        f"@ SOA {servers[0]} {contact} 1 {REFRESH} 10 86400 {NEGATIVE_TTL}",
        *(f"@ NS {server}" for server in servers),
    ]


def root_zone(lab: Lab, example_ds: str, mirrors: Mapping[str, Iterable[str]]) -> str:
    """Return the root zone. ``mirrors`` (name to addresses) keeps the package mirror reachable from inside the lab."""
    root = _by_kind(Kind.ROOT)
    lines = [
        *_head(lab, ".", [f"{root.fqdn}."]),
        *_addresses(lab, f"{root.fqdn}.", root),
        "example. NS ns.example.",
        *_addresses(lab, "ns.example.", root),
        f"example. DS {example_ds}",
    ]
    for name, addresses in sorted(mirrors.items()):
        lines += [f"{name}. {'AAAA' if ':' in address else 'A'} {address}" for address in sorted(addresses)]
    return "\n".join(lines) + "\n"


def example_zone(lab: Lab, ds: Mapping[str, str]) -> str:
    """Return the zone ``example.``; ``ds`` maps a zone's name to its DS rdata."""
    root, primary, secondary = (_by_kind(kind) for kind in (Kind.ROOT, Kind.PRIMARY, Kind.SECONDARY))
    lines = [
        *_head(lab, "example.", ["ns.example."]),
        *_addresses(lab, "ns.example.", root),
        *_addresses(lab, f"{primary.fqdn}.", primary),
        *_addresses(lab, f"{secondary.fqdn}.", secondary),
    ]
    for host in HOSTS:
        if host.kind is Kind.ACME:
            lines += _addresses(lab, f"{host.fqdn}.", host)
    return "\n".join([*lines, *_delegations("example", ds)]) + "\n"


def _delegations(parent: str, ds: Mapping[str, str]) -> list[str]:
    lines: list[str] = []
    for zone in ZONES:
        if zone.parent != parent:
            continue
        lines += [f"{zone.name}. NS {_by_kind(kind).fqdn}." for kind in (Kind.PRIMARY, Kind.SECONDARY)]
        if zone.delegation in {Delegation.SECURE, Delegation.EXPIRED}:
            lines.append(f"{zone.name}. DS {ds[zone.name]}")
        elif zone.delegation is Delegation.BOGUS:
            tag, algorithm, digest_type, digest = ds[zone.name].split()
            lines.append(f"{zone.name}. DS {tag} {algorithm} {digest_type} {digest[::-1]}")
    return lines


def child_zone(lab: Lab, zone: Zone, sender_tlsa: Mapping[str, str]) -> str:
    """Return a zone of the primary; ``sender_tlsa`` maps a sender's host name to the TLSA rdata of its key."""
    primary, secondary = (_by_kind(kind) for kind in (Kind.PRIMARY, Kind.SECONDARY))
    lines = _head(lab, f"{zone.name}.", [f"{primary.fqdn}.", f"{secondary.fqdn}."])
    own = [host for host in HOSTS if host.mail_domain == zone.name]
    for host in own:
        lines += [f"@ MX 10 {host.fqdn}.", *_addresses(lab, f"{host.fqdn}.", host)]
        if host.fqdn in sender_tlsa:
            lines.append(f"_25._tcp.{host.fqdn}. TLSA {sender_tlsa[host.fqdn]}")
    if not own:
        first = next(host for host in HOSTS if host.kind is Kind.MANAGED)
        lines += ["@ MX 10 mx", *_addresses(lab, "mx", first)]
    if LONG_NAME.endswith(f".{zone.name}"):
        lines += [f"{LONG_NAME}. TXT {'x' * 250}{number}" for number in range(8)]
    lines += _delegations(zone.name, {})
    return "\n".join(lines) + "\n"
