# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A name server on loopback whose every answer a test decides: for what a real server does not do at will."""

from __future__ import annotations

import socket
import struct
import threading
import typing as t
from contextlib import suppress
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import dns.tsig

if t.TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["CLOSE", "Reply", "ScriptedNameserver", "reply"]

CLOSE: t.Final = "close"
"""A reply that ends a TCP connection without an answer."""

Reply = dns.message.Message | list[dns.message.Message] | bytes | str | None
"""A message or several, octets as they are, CLOSE, or None for silence."""


def reply(
    query: dns.message.Message,
    *answer: str,
    rcode: str = "NOERROR",
    authority: tuple[str, ...] = (),
    additional: tuple[str, ...] = (),
    flags: str = "QR AA RA",
) -> dns.message.Message:
    """An answer to `query`; records as lines of a zone file. More than one line with the same name are one RRset."""
    message = dns.message.make_response(query)
    message.flags = dns.flags.from_text(flags) | dns.opcode.to_flags(query.opcode())
    message.set_rcode(dns.rcode.from_text(rcode))
    sections = ((message.answer, answer), (message.authority, authority), (message.additional, additional))
    for section, lines in sections:
        for line in lines:
            name, ttl, rdclass, rdtype, data = line.split(None, 4)
            one = dns.rrset.from_text(name, int(ttl), rdclass, rdtype, data)
            section.append(one)
    return message


@dataclass
class ScriptedNameserver:
    """Use as a context manager. ``respond`` gets each query and ``udp`` or ``tcp``, and runs in the server's thread.

    Without ``port`` one is chosen that is free. With ``tls``, TCP is taken by TLS only.
    """

    respond: Callable[[dns.message.Message, str], Reply]
    key: dns.tsig.Key | None = None
    seen: list[dns.message.Message] = field(default_factory=list)
    port: int = 0
    address: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> t.Self:
        wanted = self.port
        while True:
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind((self.address, wanted))
            self.port = self._udp.getsockname()[1]
            self._tcp = socket.socket()
            self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._tcp.bind((self.address, self.port))
            except OSError:
                self._udp.close()
                self._tcp.close()
                if wanted:
                    raise
                continue
            break
        self._tcp.listen(16)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._udp, self._tcp):
            # A blocked accept or recvfrom ends at shutdown, not at close.
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(2)

    def _serve_udp(self) -> None:
        while True:
            try:
                wire, source = self._udp.recvfrom(65535)
                if not wire:
                    return
                for answer in self._answers(wire, "udp"):
                    if answer != CLOSE.encode():
                        self._udp.sendto(answer, source)
            except OSError:
                return

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _source = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        if self.tls:
            try:
                connection = self.tls.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                return
        with connection:
            buffer = b""
            while True:
                try:
                    part = connection.recv(65535)
                except OSError:
                    return
                if not part:
                    return
                buffer += part
                while len(buffer) >= 2 and len(buffer) - 2 >= struct.unpack_from("!H", buffer)[0]:
                    (length,) = struct.unpack_from("!H", buffer)
                    wire, buffer = buffer[2 : 2 + length], buffer[2 + length :]
                    for answer in self._answers(wire, "tcp"):
                        if answer == CLOSE.encode():
                            return
                        connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answers(self, wire: bytes, transport: str) -> list[bytes]:
        query = dns.message.from_wire(wire, keyring=self.key)
        self.seen.append(query)
        given = self.respond(query, transport)
        if given is None:
            return []
        if isinstance(given, (str, bytes)):
            return [given.encode() if isinstance(given, str) else given]
        return [one.to_wire() for one in (given if isinstance(given, list) else [given])]
