# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""One DNS message out and its answer in: by UDP, and by TCP where that is needed.

This file, :mod:`_dns_stream` and :mod:`_lookups` are all that the collection knows of DNS transport. Every failure is a
``LookupFailed`` whose message names server and cause; a message with a rcode other than NOERROR is an answer, to be
judged by the caller. Messages that carry a TSIG are verified: an answer that is not signed, or wrongly, is none.
"""

from __future__ import annotations

import socket
import time
import typing as t

from ._deps import importing

with importing():
    import dns.exception
    import dns.flags
    import dns.message

from ._dns_stream import Stream
from ._errors import LookupFailed
from ._transaction import failure, silence, verified

__all__ = ["UDP_ATTEMPTS", "addresses_of", "exchange", "read_datagram"]

UDP_ATTEMPTS: t.Final = 3


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
    message: dns.message.Message,
    address: str,
    port: int = 53,
    timeout: float = 5.0,
    *,
    tcp: bool = False,
    tls_name: str = "",
) -> dns.message.Message:
    """Send `message` and return the answer: by UDP, and by TCP where the answer is truncated or `tcp` is set.

    With a `tls_name` it goes by TLS alone, to a server that proves this name.

    `timeout` is in seconds and bounds the whole. A lost datagram is sent again, so `message` must be harmless when it
    arrives twice. Raises LookupFailed, TransactionRejected.
    """
    deadline = time.monotonic() + timeout
    if not tcp and not tls_name:
        answer = _by_udp(message, address, port, deadline)
        if answer is not None:
            return answer
    with Stream(address, port, max(deadline - time.monotonic(), 0.1), tls_name) as stream:
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
                    answer = read_datagram(datagram, keyring=message.keyring, request_mac=message.mac or b"")
                    if answer is None or not message.is_response(answer):
                        return None
                    return verified(answer, message, address, port)
    except (dns.exception.DNSException, OSError, ValueError) as error:
        raise failure(error, address, port) from error
    raise silence(address, port)


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


def read_datagram(datagram: bytes, **tsig: t.Any) -> dns.message.Message | None:  # noqa: ANN401  # dnspython's own
    """The message in it; None for one that is cut off or breaks off, or is forged or unsigned: TCP is there for those.

    `tsig` is what ``dns.message.from_wire`` needs to verify one. Raises DNSException and ValueError for one that is
    malformed otherwise.
    """
    if len(datagram) < 12 or datagram[2] & (dns.flags.TC >> 8):
        return None
    try:
        return dns.message.from_wire(datagram, **tsig)
    except dns.exception.FormError:
        return None
