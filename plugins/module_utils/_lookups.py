# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Many questions to one resolver at once, in the running event loop: one socket, no threads.

A thread for each question that waits costs more processor time than the question (the interpreter's lock goes from
hand to hand). What a datagram cannot carry is asked again by TCP, in a thread; that is rare.
"""

from __future__ import annotations

import asyncio
import typing as t
from contextlib import asynccontextmanager
from secrets import randbits

from ._deps import importing

with importing():
    import dns.exception
    import dns.message

from ._errors import LookupFailed
from ._exchange import UDP_ATTEMPTS, exchange, read_datagram
from ._question import repeats_question

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from ._question import Question
    from ._resolver import Answer, Resolver

    Lookup = Callable[[str, str], Awaitable[Answer]]

__all__ = ["AT_ONCE", "lookups_of"]

AT_ONCE: t.Final = 96
"""Questions under way: enough to hide the time of recursion, few enough for the buffer of any resolver's socket."""


@asynccontextmanager
async def lookups_of(resolver: Resolver) -> AsyncIterator[Lookup]:
    """Give the asynchronous form of ``resolver.lookup``, which raises the same; LookupFailed also for no way there.

    All questions leave from one port, connected to the resolver's, so that nothing else can answer. An id and the
    question must match besides; on the way to a resolver that is trusted nobody can guess at them.
    """
    try:
        transport, questions = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Questions(resolver), remote_addr=(resolver.address, resolver.port)
        )
    except OSError as error:
        msg = f"Cannot talk to the name server {resolver.address}: {error.strerror or error}"
        raise LookupFailed(msg) from error
    try:
        yield questions.lookup
    finally:
        transport.close()


class _Questions(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting: dict[int, asyncio.Future[bytes | None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = t.cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr  # the socket is connected
        waiting = self._waiting.get(int.from_bytes(data[:2], "big"))
        if waiting is not None and not waiting.done():
            waiting.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """A port where nobody listens: the resolver may be starting again, so the attempts go on."""

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """See :meth:`Resolver.lookup`."""
        steps = self._resolver.steps(name, rdtype)
        query = next(steps)
        while True:
            given: dns.message.Message | LookupFailed
            try:
                given = await self._ask(query)
            except LookupFailed as error:
                given = error
            try:
                query = steps.send(given)
            except StopIteration as done:
                return t.cast("Answer", done.value)

    async def _ask(self, query: Question) -> dns.message.Message:
        resolver = self._resolver
        async with self._slots:
            octets = query.octets()
            for _attempt in range(UDP_ATTEMPTS):
                datagram = await self._datagram(octets, resolver.timeout / UDP_ATTEMPTS)
                if datagram is not None:
                    return await self._read(datagram if repeats_question(datagram, octets) else b"", query)
        raise LookupFailed(f"No answer in time from the name server {resolver.address}")

    async def _datagram(self, octets: bytes, seconds: float) -> bytes | None:
        """Send once and wait; None if nothing came. Two questions under way must not share an id."""
        number = randbits(16)
        while number in self._waiting:
            number = (number + 1) & 0xFFFF
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes | None] = loop.create_future()
        self._waiting[number] = answer
        clock = loop.call_later(seconds, _give_up, answer)  # at half the cost of asyncio.timeout
        try:
            self._transport.sendto(number.to_bytes(2, "big") + octets)
            return await answer
        finally:
            clock.cancel()
            del self._waiting[number]

    async def _read(self, datagram: bytes, query: Question) -> dns.message.Message:
        resolver = self._resolver
        try:
            answer = read_datagram(datagram)
        except (dns.exception.DNSException, ValueError) as error:
            msg = f"Malformed answer from the name server {resolver.address}: {type(error).__name__}: {error}"
            raise LookupFailed(msg) from error
        if answer is not None:
            return answer
        message = query.message()
        return await asyncio.to_thread(exchange, message, resolver.address, resolver.port, resolver.timeout, tcp=True)


def _give_up(answer: asyncio.Future[bytes | None]) -> None:
    if not answer.done():
        answer.set_result(None)
