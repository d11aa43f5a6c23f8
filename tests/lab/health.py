# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the lab works: asked from outside, by other programs than those that run inside."""

from __future__ import annotations

import functools
import socket
import time
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

from lab import acme, podman
from lab.errors import LabError
from lab.nameservers import served_zones
from lab.topology import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.topology import Host, Lab

_PATIENCE_SECONDS = 45.0
_PAUSE_SECONDS = 0.2


def wait_for_name_servers(lab: Lab, hosts: Sequence[Host]) -> None:
    """Wait until every name server serves all its zones, signed, and the secondary has what the primary has."""
    primary = next(host for host in hosts if host.kind is Kind.PRIMARY)
    secondary = next(host for host in hosts if host.kind is Kind.SECONDARY)
    root = next(host for host in hosts if host.kind is Kind.ROOT)
    for host in (root, primary):
        for zone, signed in served_zones(host).items():
            _wait(f"{host.fqdn} serves {zone}", functools.partial(_serves, lab.ipv4(host), zone, signed=signed))

    def level() -> bool:
        orders: dict[str, list[str]] = {}
        for zone, signed in served_zones(primary).items():
            wanted, got = (_serial(lab.ipv4(server), zone, signed=signed) for server in (primary, secondary))
            if wanted != got:
                # A primary made anew counts from 1 again: what the secondary knows of its past must go.
                orders.setdefault("zone-retransfer" if got > wanted else "zone-refresh", []).append(zone)
        for order, zones in orders.items():
            podman.attempt("exec", lab.container(secondary), "knotc", order, *zones)
        return not orders

    _wait(f"{secondary.fqdn} follows {primary.fqdn}", level)


def wait_for_sender(lab: Lab, host: Host) -> None:
    """Wait until the judge's resolver validates and its Postfix answers on port 25."""
    command = ["dig", "@127.0.0.1", "+noall", "+comments", "+adflag", "+tries=1", "+time=3", "one.example", "SOA"]

    def validates() -> bool:
        answer = podman.attempt("exec", lab.container(host), *command)
        return b"status: NOERROR" in answer.stdout and b" ad;" in answer.stdout

    _wait(f"{host.fqdn} validates one.example", validates)
    _wait(f"{host.fqdn} answers on port 25", lambda: _greets(lab.ipv4(host)))


def wait_for_acme(lab: Lab, host: Host) -> None:
    """Wait until the certificate authority listens."""
    _wait(f"{host.fqdn} answers on port {acme.PORT}", lambda: _listens(lab.ipv4(host), acme.PORT))


def outer_world(lab: Lab, host: Host, names: Sequence[str]) -> str:
    """Return why ``host`` cannot find the package mirrors ``names``; empty when it can."""
    for name in names:
        if podman.attempt("exec", lab.container(host), "getent", "ahosts", name).returncode != 0:
            return f"{host.fqdn} cannot look up {name}"
    return ""


def _wait(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(
                f"waited {_PATIENCE_SECONDS:.0f} s in vain for this: {what}. Look with `python -m lab status`"
            )
        time.sleep(_PAUSE_SECONDS)


def _serial(address: str, zone: str, *, signed: bool) -> int:
    """Return the SOA serial that ``address`` serves for ``zone``; 0 when there is no (or no signed) answer."""
    query = dns.message.make_query(zone, "SOA", want_dnssec=True)
    try:
        answer = dns.query.udp(query, address, timeout=2)
    except (dns.exception.DNSException, OSError):
        return 0
    types = {rrset.rdtype for rrset in answer.answer}
    if not answer.flags & dns.flags.AA or (signed and dns.rdatatype.RRSIG not in types):
        return 0
    return next((int(rrset[0].serial) for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA), 0)


def _serves(address: str, zone: str, *, signed: bool) -> bool:
    return _serial(address, zone, signed=signed) > 0


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 25), timeout=2) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False
