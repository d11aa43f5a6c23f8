# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""DNS messages out and in: one datagram, one TCP connection with many questions, one zone transfer.

This file and :mod:`_resolver` are all that the collection knows of DNS transport. Every failure is a ``LookupFailed``
whose message names server and cause; a message with a rcode other than NOERROR is an answer, to be judged by the
caller. Messages that carry a TSIG are verified here (RFC 8945): an answer that is not signed, or wrongly, is none.
"""

from __future__ import annotations

import socket
import struct
import time
import typing as t

from ._deps import built_of_libraries, importing

with importing():
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdatatype
    import dns.tsig

from ._errors import LookupFailed

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["UDP_ATTEMPTS", "Stream", "TransactionRejected", "addresses_of", "exchange", "question", "read_datagram"]

UDP_ATTEMPTS: t.Final = 3
WINDOW: t.Final = 64
"""Questions under way at once on one TCP connection: enough to hide a long round trip, few enough for any server."""
EDNS_PAYLOAD: t.Final = 1232  # never fragmented (DNS flag day 2020); what is longer comes by TCP

with built_of_libraries():
    _TSIG_ERRORS: t.Final[tuple[tuple[type[Exception], str], ...]] = (
        (
            dns.tsig.PeerBadKey,
            (
                "BADKEY: the server does not know this key name, or knows it with another algorithm, or (Knot DNS) its "
                "ACL does not allow this key what was asked"
            ),
        ),
        (dns.tsig.PeerBadTime, "BADTIME: the clocks of this host and the server differ by more than five minutes"),
        (dns.tsig.PeerBadSignature, "BADSIG: the server has another secret for this key"),
        (dns.tsig.PeerBadTruncation, "BADTRUNC: the server wants a longer signature from this key"),
        (dns.tsig.BadTime, "the answer's TSIG time is more than five minutes away from this host's clock"),
        (dns.tsig.BadSignature, "the answer's TSIG does not verify with this key"),
    )


class TransactionRejected(LookupFailed):
    """The TSIG of a message was refused by the server, or that of its answer by us. Trying again does not help."""


def question(
    name: dns.name.Name, rdtype: str, *, recursion: bool, checking_disabled: bool = False, signatures: bool = True
) -> dns.message.Message:
    """A question with EDNS; with AD where recursion is wanted, so that AD comes back (RFC 6840 section 5.7).

    `signatures` sets DO, so that the answer brings its RRSIG and NSEC records.
    """
    flags = dns.flags.RD | dns.flags.AD if recursion else 0
    if checking_disabled:
        flags |= dns.flags.CD
    return dns.message.make_query(name, rdtype, use_edns=0, want_dnssec=signatures, payload=EDNS_PAYLOAD, flags=flags)


def addresses_of(server: str) -> tuple[str, ...]:
    """The IP addresses of a server given by name or address, in the system's order of preference.

    Raises LookupFailed.
    """
    try:
        found = socket.getaddrinfo(server, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise LookupFailed(f"The name server {server!r} has no address that this host can find: {error}") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def exchange(
    message: dns.message.Message, address: str, port: int = 53, timeout: float = 5.0, *, tcp: bool = False
) -> dns.message.Message:
    """Send `message` and return the answer: by UDP, and by TCP where the answer is truncated or `tcp` is set.

    `timeout` is in seconds and bounds the whole. A lost datagram is sent again, so `message` must be harmless when it
    arrives twice. Raises LookupFailed, TransactionRejected.
    """
    deadline = time.monotonic() + timeout
    if not tcp:
        answer = _by_udp(message, address, port, deadline)
        if answer is not None:
            return answer
    with Stream(address, port, max(deadline - time.monotonic(), 0.1)) as stream:
        return stream.ask([message])[0]


def _by_udp(message: dns.message.Message, address: str, port: int, deadline: float) -> dns.message.Message | None:
    """The answer, or None where only TCP will do.

    dnspython's own `dns.query.udp` costs twice the processor time, which counts where tens of thousands are asked.
    """
    try:
        family, _type, _protocol, _name, destination = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        wire = message.to_wire()
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            for attempt in range(UDP_ATTEMPTS):
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                sock.sendto(wire, destination)
                datagram = _datagram_from(sock, destination, time.monotonic() + left / (UDP_ATTEMPTS - attempt))
                if datagram is not None:
                    answer = read_datagram(datagram, message)
                    return None if answer is None else _verified(answer, message, address, port)
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise _failure(error, address, port) from error
    raise _silence(address, port)


def _datagram_from(sock: socket.socket, peer: tuple[t.Any, ...], until: float) -> bytes | None:
    """The next datagram that comes from `peer`; None if none has come at `until`."""
    while (left := until - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            datagram, source = sock.recvfrom(65535)
        except TimeoutError:
            return None
        if source[:2] == peer[:2]:
            return datagram
    return None


def read_datagram(datagram: bytes, message: dns.message.Message) -> dns.message.Message | None:
    """The answer in it; None for one that is cut off, and for a stray, forged or unsigned one, while TCP is there.

    Raises DNSException and ValueError for one that is malformed.
    """
    if len(datagram) < 12 or datagram[2] & (dns.flags.TC >> 8):
        return None
    try:
        answer = dns.message.from_wire(datagram, keyring=message.keyring, request_mac=message.mac or b"")
    except dns.exception.FormError:
        return None
    return answer if message.is_response(answer) else None


class Stream:
    """One TCP connection to one server (RFC 7766): questions are sent without waiting, answers taken in any order.

    Use it as a context manager. `timeout` is the seconds within which each next message must have come.
    """

    def __init__(self, address: str, port: int = 53, timeout: float = 5.0) -> None:
        self._address, self._port, self._timeout = address, port, timeout
        self._socket: socket.socket | None = None

    def __enter__(self) -> t.Self:
        try:
            self._socket = socket.create_connection((self._address, self._port), self._timeout)
        except OSError as error:
            raise _failure(error, self._address, self._port) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
                raise LookupFailed(f"{_place(self._address, self._port)} sent an answer that nobody asked for")
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
                raise _failure(error, self._address, self._port) from error
            context = answer.tsig_ctx
            yield answer
            if answer.rcode() != dns.rcode.NOERROR or not answer.answer:
                return
            soa_seen += sum(len(rrset) for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA)
        if query.keyring is not None and not answer.had_tsig:
            raise TransactionRejected(f"{_place(self._address, self._port)} did not sign the end of the zone transfer")

    def _send(self, message: dns.message.Message) -> None:
        try:
            wire = message.to_wire()
            self._connected().sendall(struct.pack("!H", len(wire)) + wire)
        except OSError as error:
            raise _failure(error, self._address, self._port) from error

    def _receive(self) -> bytes:
        wire = self._exactly(struct.unpack("!H", self._exactly(2))[0])
        if len(wire) < 12:
            raise LookupFailed(f"{_place(self._address, self._port)} sent a message without a whole header")
        return wire

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._connected().recv(count - len(parts))
            except OSError as error:
                raise _failure(error, self._address, self._port) from error
            if not part:
                raise LookupFailed(
                    f"{_place(self._address, self._port)} closed the connection before its answer was complete"
                )
            parts += part
        return bytes(parts)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise LookupFailed(f"The connection to {_place(self._address, self._port)} is closed")
        return self._socket

    def _parse(self, wire: bytes, message: dns.message.Message) -> dns.message.Message:
        try:
            answer = _read(wire, message)
        except (dns.exception.DNSException, ValueError) as error:
            raise _failure(error, self._address, self._port) from error
        if not message.is_response(answer):
            raise LookupFailed(
                f"{_place(self._address, self._port)} answered another question than the one it was asked"
            )
        return _verified(answer, message, self._address, self._port)


def _read(wire: bytes, message: dns.message.Message) -> dns.message.Message:
    """The answer in `wire`. One without a signature is let through here, whatever the release of dnspython thinks."""
    try:
        return dns.message.from_wire(wire, keyring=message.keyring, request_mac=message.mac or b"")
    except dns.exception.FormError:
        answer = dns.message.from_wire(wire)
        if message.keyring is None or answer.had_tsig:
            raise
        return answer


def _verified(
    answer: dns.message.Message, message: dns.message.Message, address: str, port: int
) -> dns.message.Message:
    """The answer, if it is signed where the question was. A server may refuse without a signature, never agree."""
    agrees = answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    if message.keyring is not None and agrees and not answer.had_tsig:
        raise TransactionRejected(
            f"{_place(address, port)} did not sign its answer to a question with TSIG; is it a name server?"
        )
    return answer


def _place(address: str, port: int) -> str:
    return f"the name server {address}" if port == 53 else f"the name server {address} port {port}"


def _silence(address: str, port: int) -> LookupFailed:
    return LookupFailed(f"No answer in time from {_place(address, port)}")


def _failure(error: Exception, address: str, port: int) -> LookupFailed:
    for kind, meaning in _TSIG_ERRORS:
        if isinstance(error, kind):
            return TransactionRejected(f"TSIG with {_place(address, port)} failed, {meaning}")
    if isinstance(error, (TimeoutError, dns.exception.Timeout)):
        return _silence(address, port)
    if isinstance(error, OSError):
        return LookupFailed(f"Cannot talk to {_place(address, port)}: {error.strerror or error}")
    return LookupFailed(f"Malformed answer from {_place(address, port)}: {type(error).__name__}: {error}")
