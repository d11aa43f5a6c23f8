# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The chains that an endpoint serves: connect, STARTTLS, handshake, once for each key algorithm.

With :mod:`_connection` the only file that opens sockets to servers that are looked at. Whatever such a server does, a
probe ends: each step has a time limit, the clear text and the handshake a size limit, and the number of connections is
bounded, over all and for each address. A probe never raises for what a peer did: its :class:`Handshake` says it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import functools
import ipaddress
import os
import socket
import ssl
import typing as t
import weakref
from dataclasses import dataclass, replace

from ._connection import Connection, Limits, PeerError
from ._der import read_certificate
from ._dialogues import DialogueBroken, Identity, Starttls, StarttlsRefused, converse, farewell
from ._errors import InvalidCertificate, ProbeImpossible
from ._sigalgs import KeyAlgorithm, client_context, served_chain
from ._signature import key_algorithm

if t.TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Endpoint", "Handshake", "Limits", "Outcome", "Prober"]


class Outcome(enum.StrEnum):
    """How a probe ended."""

    SERVED = "served"  # the handshake is complete; `chain` is what the server sent
    NO_STARTTLS = "no_starttls"
    TLS_FAILED = "tls_failed"  # for a probe that asks for one key algorithm: the server has no such key
    CANNOT_ASK = "cannot_ask"  # this Python asks for a key algorithm in TLS 1.2 only, and the server has TLS 1.3 only
    UNREACHABLE = "unreachable"
    NO_ROUTE = "no_route"  # it is this host that lacks something: no IPv6, for one


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and what to ask for. ``sni`` is the TLSA base domain (RFC 7672 section 8.1)."""

    address: str
    port: int
    starttls: Starttls
    sni: str


@dataclass(frozen=True, slots=True)
class Handshake:
    """What one probe saw. ``chain`` is DER, end entity first; ``detail`` is a part of a sentence for people."""

    endpoint: Endpoint
    asked_for: KeyAlgorithm | None
    outcome: Outcome
    chain: tuple[bytes, ...] = ()
    tls_version: str = ""
    detail: str = ""

    @property
    def key_name(self) -> str:
        """What kind of key was served: ``RSA``, ``ECDSA``, ``Ed25519``, ...; empty where none was."""
        return _key_name(self.chain[0]) if self.chain else ""

    @property
    def key_algorithm(self) -> KeyAlgorithm | None:
        """The kind of key that was served, as a handshake can ask for it."""
        return _ALGORITHM_OF_KEY.get(self.key_name)


_ALGORITHM_OF_KEY: t.Final = {
    "RSA": KeyAlgorithm.RSA,
    "RSA-PSS": KeyAlgorithm.RSA,
    "ECDSA": KeyAlgorithm.ECDSA,
    "Ed25519": KeyAlgorithm.EDDSA,
    "Ed448": KeyAlgorithm.EDDSA,
}
_NO_ROUTE: t.Final = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_OWN_LIMITS: t.Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@functools.lru_cache(maxsize=256)
def _key_name(certificate: bytes) -> str:
    try:
        return key_algorithm(read_certificate(certificate).spki)
    except InvalidCertificate:
        return "unknown"


class Prober:
    """Looks at endpoints, many at once. To be made and used inside one running event loop."""

    def __init__(self, limits: Limits | None = None, client_name: str = "") -> None:
        """`client_name` is what EHLO says; empty for the address that the connection comes from, as a literal."""
        self._limits = limits or Limits()
        self._client_name = client_name
        self._slots = asyncio.Semaphore(self._limits.affordable_connections())
        self._addresses: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def inspect(self, endpoint: Endpoint, algorithms: Sequence[KeyAlgorithm]) -> tuple[Handshake, ...]:
        """Return what `endpoint` serves: first as any client sees it, then for each of `algorithms` not yet seen.

        The first handshake leaves the choice to the server. If it fails, it is the only one. A handshake that asks
        for an algorithm which the server lacks ends as TLS_FAILED.
        """
        shakes = [await self.probe(endpoint)]
        if shakes[0].outcome is not Outcome.SERVED:
            return tuple(shakes)
        for algorithm in algorithms:
            if algorithm is not shakes[0].key_algorithm:
                shakes.append(await self._asking_for(endpoint, algorithm))
        return tuple(shakes)

    async def _asking_for(self, endpoint: Endpoint, algorithm: KeyAlgorithm) -> Handshake:
        """Probe for one algorithm, and once more where the server, which answered just before, now did not."""
        shake = await self.probe(endpoint, algorithm)
        if shake.outcome in (Outcome.SERVED, Outcome.TLS_FAILED):
            return shake
        await asyncio.sleep(self._limits.pause)
        return await self.probe(endpoint, algorithm)

    async def probe(self, endpoint: Endpoint, algorithm: KeyAlgorithm | None = None) -> Handshake:
        """Connect to `endpoint` and shake hands once. Never raises for what the network or the peer does."""
        address_slots = self._addresses.get(endpoint.address)
        if address_slots is None:
            address_slots = self._addresses[endpoint.address] = asyncio.Semaphore(self._limits.per_address)
        async with address_slots, self._slots:
            outcome, detail, session = await self._session(endpoint, algorithm)
        if session is None:
            return _held_to_tls_1_2(Handshake(endpoint, algorithm, outcome, detail=detail))
        return Handshake(endpoint, algorithm, outcome, served_chain(session), session.version() or "", detail)

    async def _session(
        self, endpoint: Endpoint, algorithm: KeyAlgorithm | None
    ) -> tuple[Outcome, str, ssl.SSLObject | None]:
        step = "the connection"
        try:
            with socket.socket(_family(endpoint.address), socket.SOCK_STREAM) as sock:
                sock.setblocking(False)
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(self._limits.connect) as clock:
                    await loop.sock_connect(sock, (endpoint.address, endpoint.port))
                    step = "the dialogue before TLS"
                    connection = Connection(sock, self._limits, clock)
                    await converse(endpoint.starttls, connection, self._identity(sock, endpoint))
                    step = "the TLS handshake"
                    session = await connection.handshake(client_context(algorithm), endpoint.sni)
                with contextlib.suppress(OSError, TimeoutError, PeerError):
                    async with asyncio.timeout(self._limits.leave):
                        await connection.leave(session, farewell(endpoint.starttls))
        except StarttlsRefused as refusal:
            return Outcome.NO_STARTTLS, str(refusal), None
        except DialogueBroken as broken:
            return Outcome.UNREACHABLE, str(broken), None
        except TimeoutError:
            return Outcome.UNREACHABLE, f"no answer in time, in {step}", None
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            return Outcome.TLS_FAILED, f"the TLS handshake failed: {reason}", None
        except (PeerError, OSError, ValueError) as error:
            return (*_classified(error, step), None)
        return Outcome.SERVED, "", session.tls

    def _identity(self, sock: socket.socket, endpoint: Endpoint) -> Identity:
        name = self._client_name
        if not name:
            own = str(sock.getsockname()[0]).partition("%")[0]
            name = f"[IPv6:{own}]" if ":" in own else f"[{own}]"  # RFC 5321 section 4.1.3
        return Identity(name, endpoint.sni)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET


def _classified(error: Exception, step: str) -> tuple[Outcome, str]:
    detail = str(error)
    if isinstance(error, OSError):
        if error.errno in _OWN_LIMITS:
            msg = (
                f"This host ran out of means to connect with: {os.strerror(error.errno)}; "
                "raise its limit of open files or look at fewer endpoints at once"
            )
            raise ProbeImpossible(msg) from error
        detail = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _NO_ROUTE and step == "the connection":
            return Outcome.NO_ROUTE, detail
    # Some servers (Schannel for one) reset or close instead of an alert when they have no key that suits.
    outcome = Outcome.TLS_FAILED if step == "the TLS handshake" else Outcome.UNREACHABLE
    return outcome, f"{detail}, in {step}"


def _held_to_tls_1_2(shake: Handshake) -> Handshake:
    """The same, but where only TLS 1.2 could be asked for one algorithm: a failure may be of the version alone."""
    if shake.asked_for is None or shake.outcome is not Outcome.TLS_FAILED:
        return shake
    held = client_context(shake.asked_for).maximum_version is ssl.TLSVersion.TLSv1_2
    if not held or "alert handshake failure" in shake.detail:
        return shake
    detail = f"this Python can ask for {shake.asked_for.value} in TLS 1.2 only, where {shake.detail}"
    return replace(shake, outcome=Outcome.CANNOT_ASK, detail=detail)
