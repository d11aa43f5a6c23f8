# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Name servers that the parent zone alone names, as while a zone moves from one DNS host to another.

Resolvers begin with what the parent says (RFC 1034 section 5.3.3), so part of the world asks such a server, while the
validating resolver tells of the zone's own NS records only (RFC 2181 section 5.4.1).
"""

from __future__ import annotations

import time
import typing as t

from ._deps import importing

with importing():
    import dns.flags
    import dns.message
    import dns.name
    import dns.rdatatype

from ._authoritative import Server, addresses_of_server, first_zone, names_of_servers, response
from ._errors import LookupFailed
from ._names import names_upwards
from ._resolver import Resolver, absolute_name, name_text

if t.TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["parent_servers_of"]


def parent_servers_of(
    resolver: Resolver, zone: str, known: Iterable[str], *, port: int = 53, timeout: float = 5.0
) -> tuple[Server, ...]:
    """Every address of every server that the parent of `zone` names and that is not among the names `known`.

    The servers of the parent are asked one after the other until one tells, for no longer than twice `timeout`, in
    seconds. When none does, what is returned is a server with that problem.
    """
    parent = None
    try:
        parent = _parent_of(resolver, zone)
        delegated = {} if parent is None else _delegation_of(resolver, zone, parent, port, timeout)
    except LookupFailed as error:
        above = "the zone above" if parent is None else f"the zone {parent}"
        problem = (
            f"which servers {above} names for {zone} cannot be told: {error}. Where that can never be asked from here, "
            "set the servers to ask (tlsa_publish_servers, tlsa_rollover_servers)"
        )
        return (Server(parent or "the parent zone", "", port, problem),)
    here = set(known)
    return tuple(
        server
        for name, glue in sorted(delegated.items())
        if name not in here
        for server in addresses_of_server(resolver, name, port, glue, parent_only=True)
    )


def _parent_of(resolver: Resolver, zone: str) -> str | None:
    """The zone that delegates `zone`; None where the resolver knows of none. Raises LookupFailed."""
    return first_zone(resolver, [*names_upwards(zone)[1:], "."])


def _delegation_of(resolver: Resolver, zone: str, parent: str, port: int, timeout: float) -> dict[str, tuple[str, ...]]:
    """The servers that `parent` names for `zone`, with their glue; none where it has no delegation of its own.

    Raises LookupFailed.
    """
    deadline = time.monotonic() + 2 * timeout
    trouble = LookupFailed(f"Zone {parent} has no server that can be asked")
    # One after the other, addresses too: a top level domain has a dozen servers, and the first that tells is enough.
    names = names_of_servers(resolver, parent)
    for server in (one for name in names for one in addresses_of_server(resolver, name, port)):
        if server.problem is not None:
            trouble = LookupFailed(f"{server.name}: {server.problem}")
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return _read(zone, response(server, absolute_name(zone), "NS", min(timeout / 2, left)))
        except LookupFailed as error:
            trouble = error
    raise trouble


def _read(zone: str, answer: dns.message.Message) -> dict[str, tuple[str, ...]]:
    """The servers in a referral. Raises LookupFailed when the answer is none and has no authority either."""
    if answer.flags & dns.flags.AA:
        return {}  # it serves the zone itself, and so says what the zone says; or there is no delegation
    owner = absolute_name(zone)
    named = [
        one.target
        for rrset in answer.authority
        if rrset.rdtype == dns.rdatatype.NS and rrset.name == owner
        for one in rrset
    ]
    if not named:
        raise LookupFailed(f"It refers to no server of {zone}")
    return {name_text(name): _glue(answer, name) for name in named}


def _glue(answer: dns.message.Message, name: dns.name.Name) -> tuple[str, ...]:
    addresses = (dns.rdatatype.A, dns.rdatatype.AAAA)
    rrsets = [rrset for rrset in answer.additional if rrset.rdtype in addresses and rrset.name == name]
    return tuple(one.address for rrset in rrsets for one in rrset)
