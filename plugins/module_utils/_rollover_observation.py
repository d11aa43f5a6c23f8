# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the world serves now: every authoritative server at every owner name, every endpoint with every key algorithm.

A look never raises for what a server did: what could not be seen is there with its error, and the rule waits for it.
"""

from __future__ import annotations

import asyncio
import socket
import typing as t

from ._errors import InvalidCertificate, InvalidInput, LookupFailed
from ._rollover_chains import chain_of_octets
from ._rollover_state import Answer, Served
from ._sigalgs import KeyAlgorithm
from ._starttls import Endpoint, Limits, Outcome, Prober
from ._walk import addresses_of_host

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._dialogues import Starttls
    from ._resolver import Answer as LookedUp
    from ._resolver import Resolver
    from ._rollover_state import Chain
    from ._serving import Observer
    from ._serving import Served as Looked
    from ._starttls import Handshake

__all__ = ["answers_at", "host_addresses", "is_aliased", "own_addresses", "served_at"]

_ALGORITHMS: t.Final = (KeyAlgorithm.RSA, KeyAlgorithm.ECDSA)
_LIMITS: t.Final = Limits()


def answers_at(observer: Observer, owners: Iterable[str]) -> tuple[dict[str, tuple[Answer, ...]], bool]:
    """What every authoritative address serves at each owner name, and whether any of the names is an alias."""
    answers: dict[str, tuple[Answer, ...]] = {}
    aliased = False
    for owner in owners:
        try:
            look = observer.look(owner)
        except (LookupFailed, InvalidInput) as error:
            answers[owner] = (Answer("", "", frozenset(), 0, error=str(error)),)
            continue
        aliased = aliased or is_aliased(look)
        answers[owner] = _answers(look)
    return answers, aliased


def is_aliased(look: Sequence[Looked]) -> bool:
    return len(look) > 1


def _answers(look: Sequence[Looked]) -> tuple[Answer, ...]:
    """The answers at the end of the aliases; the TTL is the largest on the way (RFC 2181 section 5.2 is no help there).

    An error, or a server that knows of another alias, on the way makes the whole answer incomplete.
    """
    *way, end = look
    on_the_way = [answer for served in way for answer in served.answers]
    ttl = max((answer.ttl or 0 for answer in on_the_way), default=0)
    found = [
        Answer(
            answer.server.title,
            answer.server.address,
            frozenset(answer.records),
            max(ttl, answer.ttl if answer.ttl is not None else answer.negative_ttl or 0),
            error=answer.error or ("it has an alias there, and others have none" if answer.alias else None),
        )
        for answer in end.answers
    ]
    for served in way:
        found += [
            Answer(
                answer.server.title,
                answer.server.address,
                frozenset(),
                0,
                error=answer.error or f"no alias at {served.name}",
            )
            for answer in served.answers
            if answer.error is not None or answer.alias != served.alias
        ]
    return tuple(found)


def host_addresses(resolver: Resolver, host: str) -> tuple[str, ...]:
    """All addresses of a host, IPv4 and IPv6. Raises LookupFailed when either cannot be asked, or there is none."""

    async def lookup(name: str, rdtype: str) -> LookedUp:
        return resolver.lookup(name, rdtype)

    found = asyncio.run(addresses_of_host(host, lookup))
    if found.failures:
        raise LookupFailed(f"The addresses of {host} cannot be looked up: {found.failures[0].message}")
    if not found.addresses:
        raise LookupFailed(f"{host} has no address in the DNS")
    return found.addresses


def own_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """Those of `addresses` that this machine has itself, where others stand behind the same name."""
    return tuple(address for address in addresses if _is_own(address))


def _is_own(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True


def served_at(host: str, ports: Mapping[str, tuple[int, Starttls]], addresses: Sequence[str]) -> tuple[Served, ...]:
    """What each address serves on each port; ``ports`` is by owner name. Raises ProbeImpossible."""
    return asyncio.run(_look(host, ports, addresses))


async def _look(host: str, ports: Mapping[str, tuple[int, Starttls]], addresses: Sequence[str]) -> tuple[Served, ...]:
    prober = Prober(_LIMITS)
    places = [
        (owner, Endpoint(address, port, starttls, host))
        for owner, (port, starttls) in ports.items()
        for address in addresses
    ]
    looks = await asyncio.gather(*(prober.inspect(endpoint, _ALGORITHMS) for _owner, endpoint in places))
    return tuple(_served(owner, endpoint, shakes) for (owner, endpoint), shakes in zip(places, looks, strict=True))


def _served(owner: str, endpoint: Endpoint, shakes: Sequence[Handshake]) -> Served:
    place = f"{endpoint.address} port {endpoint.port}"
    chains: dict[str, Chain] = {}
    for shake in shakes:
        if shake.outcome is Outcome.SERVED:
            try:
                chain = chain_of_octets(shake.chain)
            except InvalidCertificate as error:
                return Served(owner, endpoint.address, (), error=f"{place} serves what cannot be read: {error}")
            chains.setdefault(chain.algorithm, chain)
        elif shake.asked_for is None or shake.outcome is not Outcome.TLS_FAILED:
            return Served(owner, endpoint.address, (), error=f"{place}: {shake.detail or shake.outcome.value}")
    return Served(owner, endpoint.address, tuple(chains.values()))
