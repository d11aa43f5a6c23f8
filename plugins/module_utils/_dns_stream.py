# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Many DNS messages over one TCP connection: questions without waiting, and zone transfers.

Every failure is a ``LookupFailed`` whose message names server and cause.
"""

from __future__ import annotations

import socket
import ssl
import struct
import typing as t

from ._deps import importing

with importing():
    import dns.exception
    import dns.message
    import dns.rcode
    import dns.rdatatype

from ._errors import LookupFailed
from ._transaction import TransactionRejected, failure, place, read_answer, verified

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["WINDOW", "Stream"]

WINDOW: t.Final = 64
"""Questions under way at once on one TCP connection: enough to hide a long round trip, few enough for any server."""


class Stream:
    """One TCP connection to one server (RFC 7766): questions are sent without waiting, answers taken in any order.

    Use it as a context manager. `timeout` is the seconds within which each next message must have come. With a
    `tls_name` it is one by TLS (RFC 7858), and the server must have a certificate for that name from an authority that
    this host trusts.
    """

    def __init__(self, address: str, port: int = 53, timeout: float = 5.0, tls_name: str = "") -> None:
        self._address, self._port, self._timeout, self._tls_name = address, port, timeout, tls_name
        self._socket: socket.socket | None = None

    def __enter__(self) -> t.Self:
        try:
            self._socket = socket.create_connection((self._address, self._port), self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls_name:
                context = ssl.create_default_context()
                self._socket = context.wrap_socket(self._socket, server_hostname=self._tls_name)
        except (OSError, ValueError) as error:  # ValueError: a name that no certificate can have
            self.close()
            raise failure(error, self._address, self._port) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, messages: Sequence[dns.message.Message]) -> list[dns.message.Message]:
        """The answers to `messages`, in their order. Raises LookupFailed, TransactionRejected."""
        answers: dict[int, dns.message.Message] = {}
        waiting: dict[int, int] = {}
        sent = 0
        while len(answers) < len(messages):
            while sent < len(messages) and len(waiting) < WINDOW:
                message = messages[sent]
                while message.id in waiting:
                    message.id = (message.id + 1) & 0xFFFF
                self._send(message)
                waiting[message.id] = sent
                sent += 1
            wire = self._receive()
            index = waiting.pop(struct.unpack_from("!H", wire)[0], None)
            if index is None:
                raise LookupFailed(f"{place(self._address, self._port)} sent an answer that nobody asked for")
            answers[index] = self._parse(wire, messages[index])
        return [answers[index] for index in range(len(messages))]

    def transfer(self, query: dns.message.Message) -> Iterator[dns.message.Message]:
        """The messages of a zone transfer, up to and with the one that ends it (RFC 5936 section 2.2).

        `query` asks for AXFR. A first message with another rcode than NOERROR is yielded alone. Raises LookupFailed,
        also when the transfer breaks off: what was yielded before then is no whole zone.
        """
        self._send(query)
        context: t.Any = None
        soa_seen = 0
        while soa_seen < 2:
            try:
                answer = dns.message.from_wire(
                    self._receive(),
                    keyring=query.keyring,
                    request_mac=query.mac,
                    xfr=True,
                    tsig_ctx=context,
                    multi=True,
                )
            except (dns.exception.DNSException, ValueError) as error:
                raise failure(error, self._address, self._port) from error
            context = answer.tsig_ctx
            yield answer
            if answer.rcode() != dns.rcode.NOERROR or not answer.answer:
                return
            soa_seen += sum(len(rrset) for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA)
        if query.keyring is not None and not answer.had_tsig:
            raise TransactionRejected(f"{place(self._address, self._port)} did not sign the end of the zone transfer")

    def _send(self, message: dns.message.Message) -> None:
        try:
            wire = message.to_wire()
            self._connected().sendall(struct.pack("!H", len(wire)) + wire)
        except OSError as error:
            raise failure(error, self._address, self._port) from error

    def _receive(self) -> bytes:
        wire = self._exactly(struct.unpack("!H", self._exactly(2))[0])
        if len(wire) < 12:
            raise LookupFailed(f"{place(self._address, self._port)} sent a message without a whole header")
        return wire

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._connected().recv(count - len(parts))
            except OSError as error:
                raise failure(error, self._address, self._port) from error
            if not part:
                raise LookupFailed(
                    f"{place(self._address, self._port)} closed the connection before its answer was complete"
                )
            parts += part
        return bytes(parts)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise LookupFailed(f"The connection to {place(self._address, self._port)} is closed")
        return self._socket

    def _parse(self, wire: bytes, message: dns.message.Message) -> dns.message.Message:
        try:
            answer = read_answer(wire, message)
        except (dns.exception.DNSException, ValueError) as error:
            raise failure(error, self._address, self._port) from error
        if not message.is_response(answer):
            raise LookupFailed(
                f"{place(self._address, self._port)} answered another question than the one it was asked"
            )
        return verified(answer, message, self._address, self._port)
