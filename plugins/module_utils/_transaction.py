# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What makes a DNS message the answer to another: its form, its TSIG (RFC 8945), and words for what it lacks.

Every failure is a ``LookupFailed`` whose message names server and cause.
"""

from __future__ import annotations

import typing as t

from ._deps import built_of_libraries, importing

with importing():
    import dns.exception
    import dns.message
    import dns.rcode
    import dns.tsig

from ._errors import LookupFailed

__all__ = ["TransactionRejected", "failure", "place", "read_answer", "silence", "verified"]

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


def read_answer(wire: bytes, message: dns.message.Message) -> dns.message.Message:
    """The answer in `wire`. One without a signature is let through here, whatever the release of dnspython thinks."""
    try:
        return dns.message.from_wire(wire, keyring=message.keyring, request_mac=message.mac or b"")
    except dns.exception.FormError:
        answer = dns.message.from_wire(wire)
        if message.keyring is None or answer.had_tsig:
            raise
        return answer


def verified(answer: dns.message.Message, message: dns.message.Message, address: str, port: int) -> dns.message.Message:
    """The answer, if it is signed where the question was. A server may refuse without a signature, never agree."""
    agrees = answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    if message.keyring is not None and agrees and not answer.had_tsig:
        raise TransactionRejected(
            f"{place(address, port)} did not sign its answer to a question with TSIG; is it a name server?"
        )
    return answer


def place(address: str, port: int) -> str:
    return f"the name server {address}" if port == 53 else f"the name server {address} port {port}"


def silence(address: str, port: int) -> LookupFailed:
    return LookupFailed(f"No answer in time from {place(address, port)}", silent=True)


def failure(error: Exception, address: str, port: int) -> LookupFailed:
    for kind, meaning in _TSIG_ERRORS:
        if isinstance(error, kind):
            return TransactionRejected(f"TSIG with {place(address, port)} failed, {meaning}")
    if isinstance(error, (TimeoutError, dns.exception.Timeout)):
        return silence(address, port)
    if isinstance(error, OSError):
        return LookupFailed(f"Cannot talk to {place(address, port)}: {error.strerror or error}")
    return LookupFailed(f"Malformed answer from {place(address, port)}: {type(error).__name__}: {error}")
