# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A socket to a server that is looked at, under limits of time and size: the clear text, then the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
import typing as t
from dataclasses import dataclass

from ._dialogues import Wire

if t.TYPE_CHECKING:
    import socket

__all__ = ["Connection", "Limits", "PeerError", "Session"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the probes; times in seconds, sizes in octets."""

    connect: float = 10.0
    step: float = 15.0  # postscreen's greet wait of 6 s fits in
    leave: float = 1.0
    pause: float = 1.0
    connections: int = 512
    per_address: int = 4
    line: int = 8192  # RFC 5321 section 4.5.3.1.5 allows 512
    clear_text: int = 65536
    handshake: int = 262144  # libssl itself takes no chain above 100 kB

    def affordable_connections(self) -> int:
        """``connections``, or fewer where this process may not open as many files."""
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return self.connections if soft == resource.RLIM_INFINITY else max(1, min(self.connections, soft // 2))


class Session(t.NamedTuple):
    """A finished handshake, and what is still to be sent of it."""

    tls: ssl.SSLObject
    outgoing: ssl.MemoryBIO


class PeerError(Exception):
    """The peer sent more than is taken, or ended where it must not; the message says which."""


class Connection(Wire):
    """A non-blocking socket under the limits.

    Time: ``clock`` ends the whole with TimeoutError; each `send` sets it anew for what is read next. One clock for a
    connection, because one for each read would be a tenth of what a look costs.
    """

    def __init__(self, sock: socket.socket, limits: Limits, clock: asyncio.Timeout) -> None:
        self._sock, self._limits, self._clock = sock, limits, clock
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._taken = 0
        self._restart_clock(limits.step)

    def _restart_clock(self, seconds: float) -> None:
        self._clock.reschedule(self._loop.time() + seconds)

    async def send(self, data: bytes) -> None:
        self._restart_clock(self._limits.step)
        await self._loop.sock_sendall(self._sock, data)

    async def until(self, marker: bytes) -> bytes:
        searched = 0
        while (found := self._buffer.find(marker, searched)) < 0:
            searched = max(0, len(self._buffer) - len(marker) + 1)
            if len(self._buffer) > self._limits.line:
                raise PeerError(f"it sent a line of more than {self._limits.line} octets")
            self._buffer += await self._more(self._limits.clear_text)
        end = found + len(marker)
        taken = bytes(self._buffer[:end])
        del self._buffer[:end]
        return taken

    async def _more(self, allowed: int) -> bytes:
        data = await self._loop.sock_recv(self._sock, 16384)
        if not data:
            raise PeerError("it closed the connection")
        self._taken += len(data)
        if self._taken > allowed:
            raise PeerError(f"it sent more than {allowed} octets")
        return data

    async def handshake(self, context: ssl.SSLContext, sni: str) -> Session:
        """Do the TLS handshake and return the session, which is still to be left.

        Raises ssl.SSLError, PeerError, OSError; ValueError where `sni` is no name that TLS can carry.
        """
        if self._buffer:
            # Whatever came in the clear behind the answer to STARTTLS could have been put there by anybody.
            raise PeerError("it sent data in the clear behind its answer to STARTTLS")
        self._taken = 0
        self._restart_clock(self._limits.step)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_hostname=sni)
        while True:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush(outgoing)
                incoming.write(await self._more(self._limits.handshake))
            except ssl.SSLError:
                await self._flush(outgoing)  # the alert that tells the server why
                raise
            else:
                return Session(session, outgoing)

    async def _flush(self, outgoing: ssl.MemoryBIO) -> None:
        if outgoing.pending:
            await self._loop.sock_sendall(self._sock, outgoing.read())

    async def leave(self, session: Session, goodbye: bytes) -> None:
        """Send the goodbye inside TLS and wait for the server to close, which ends this with PeerError.

        Closing at once would reset the connection, and the server would log a lost connection for every look.
        """
        if goodbye:
            session.tls.write(goodbye)
        with contextlib.suppress(ssl.SSLError):
            session.tls.unwrap()
        await self._flush(session.outgoing)
        while True:
            await self._more(self._limits.handshake)
