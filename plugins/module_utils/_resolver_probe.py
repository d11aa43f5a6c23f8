# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Questions whose answers are evidence: every bit of the reply matters, and so does the lack of one.

``_resolver`` answers "is there such a record"; here the answer itself is looked at, also when it is SERVFAIL.
"""

from __future__ import annotations

import ctypes
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ._deps import importing

with importing():
    import dns.edns
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdatatype

from ._errors import InvalidName, LookupFailed
from ._exchange import exchange
from ._question import question
from ._resolver_evidence import Reply, Signature

if t.TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Question", "ask_all", "ask_libc", "parse_question"]

PARALLEL: t.Final = 16
_LONGEST_MESSAGE: t.Final = 65535
_CLASS_IN: t.Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to ask: a name, a type, with validation switched off (``unchecked``, the CD bit), by TCP."""

    name: str
    rdtype: str = "SOA"
    unchecked: bool = False
    tcp: bool = False


def parse_question(text: str) -> Question:
    """A question from ``name`` or ``name TYPE``; without a type SOA is asked for. Raises InvalidName."""
    words = text.split()
    if len(words) not in {1, 2}:
        raise InvalidName(f"{text!r} is neither a name nor a name and a record type, such as 'example.org MX'")
    rdtype = words[1] if len(words) == 2 else "SOA"
    try:
        dns.name.from_text(words[0])
        dns.rdatatype.from_text(rdtype)
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        raise InvalidName(f"{text!r} cannot be asked for: {type(error).__name__}: {error}") from error
    return Question(name=words[0], rdtype=rdtype.upper())


def ask_all(
    questions: Sequence[Question], address: str, port: int, timeout: float, tls_name: str = ""
) -> dict[Question, Reply]:
    """Ask one resolver many questions side by side; `timeout` is in seconds, for each. By TLS with a `tls_name`."""
    if not questions:
        return {}
    with ThreadPoolExecutor(max_workers=min(PARALLEL, len(questions))) as pool:
        replies = pool.map(lambda asked: _ask(asked, address, port, timeout, tls_name), questions)
        return dict(zip(questions, replies, strict=True))


def ask_libc(asked: Question) -> Reply:
    """Ask as any program of this host does: through the C library and /etc/resolv.conf (res_query(3))."""
    try:
        query = ctypes.CDLL("libc.so.6").res_query
    except (OSError, AttributeError) as error:
        return Reply(failure=f"this host's C library has no res_query: {error}")
    query.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    query.restype = ctypes.c_int
    buffer = ctypes.create_string_buffer(_LONGEST_MESSAGE)
    name = dns.name.from_text(asked.name).to_text().encode("ascii")
    length = query(name, _CLASS_IN, dns.rdatatype.from_text(asked.rdtype), buffer, _LONGEST_MESSAGE)
    if length < 0:
        # The buffer holds the last answer also where res_query finds it wanting, such as NODATA; zeros mean none came.
        wire = buffer.raw.rstrip(b"\0")
        if len(wire) < 12:
            return Reply(failure="the C library got no answer")
        length = _LONGEST_MESSAGE
    try:
        message = dns.message.from_wire(buffer.raw[:length], ignore_trailing=True)
    except (dns.exception.DNSException, ValueError) as error:
        return Reply(failure=f"the C library got a malformed answer: {error}")
    return _reply(message)


def _ask(asked: Question, address: str, port: int, timeout: float, tls_name: str) -> Reply:
    query = question(dns.name.from_text(asked.name), asked.rdtype, recursion=True, checking_disabled=asked.unchecked)
    try:
        return _reply(exchange(query, address, port, timeout, tcp=asked.tcp, tls_name=tls_name))
    except LookupFailed as error:
        return Reply(failure=str(error))


def _reply(message: dns.message.Message) -> Reply:
    signatures = tuple(
        Signature(algorithm=int(rdata.algorithm), inception=rdata.inception, expiration=rdata.expiration)
        for section in (message.answer, message.authority)
        for rrset in section
        if rrset.rdtype == dns.rdatatype.RRSIG
        for rdata in rrset
    )
    denial = frozenset(
        dns.rdatatype.to_text(rrset.rdtype)
        for rrset in message.authority
        if rrset.rdtype in {dns.rdatatype.NSEC, dns.rdatatype.NSEC3}
    )
    explanations = [
        f"EDE {int(option.code)}: {option.text}" if option.text else f"EDE {int(option.code)}"
        for option in message.options
        if isinstance(option, dns.edns.EDEOption)
    ]
    return Reply(
        rcode=dns.rcode.to_text(message.rcode()),
        authenticated=bool(message.flags & dns.flags.AD),
        records=sum(len(rrset) for rrset in message.answer if rrset.rdtype != dns.rdatatype.RRSIG),
        denial=denial,
        signatures=signatures,
        payload=message.payload if message.edns >= 0 else 0,
        size=len(message.to_wire()),
        explanation="; ".join(explanations),
    )
