# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What is said before TLS: one dialogue for each protocol that has STARTTLS, over any :class:`Wire`.

A dialogue returns when the peer must now begin its handshake. It raises StarttlsRefused where the server speaks the
protocol and offers no TLS, and DialogueBroken where it does not speak it.
"""

from __future__ import annotations

import enum
import re
import typing as t
from html import escape

from ._errors import DaneError

__all__ = ["DialogueBroken", "Starttls", "StarttlsRefused", "Wire", "converse", "farewell", "starttls_of_port"]

MAX_REPLY_LINES: t.Final = 200


class StarttlsRefused(DaneError):  # noqa: N818  # see _errors.InvalidInput
    """The server speaks the protocol and offers no TLS, or refused it. The message quotes the server."""


class DialogueBroken(DaneError):  # noqa: N818  # see _errors.InvalidInput
    """The server refused to talk, or does not speak the protocol. The message quotes the server."""


class Starttls(enum.StrEnum):
    """How an endpoint comes to TLS; the value is what the user writes."""

    SMTP = "smtp"  # RFC 3207
    LMTP = "lmtp"  # RFC 3207 over RFC 2033
    IMAP = "imap"  # RFC 9051 section 6.2.1
    POP3 = "pop3"  # RFC 2595 section 4
    SIEVE = "sieve"  # RFC 5804 section 2.2
    XMPP_CLIENT = "xmpp-client"  # RFC 6120 section 5
    XMPP_SERVER = "xmpp-server"
    NONE = "none"  # TLS from the first octet: smtps, imaps, pop3s, https, DNS over TLS


_BY_PORT: t.Final = {
    24: Starttls.LMTP,
    25: Starttls.SMTP,
    110: Starttls.POP3,
    143: Starttls.IMAP,
    443: Starttls.NONE,
    465: Starttls.NONE,
    587: Starttls.SMTP,
    853: Starttls.NONE,
    993: Starttls.NONE,
    995: Starttls.NONE,
    4190: Starttls.SIEVE,
    5222: Starttls.XMPP_CLIENT,
    5269: Starttls.XMPP_SERVER,
}


def starttls_of_port(port: int) -> Starttls | None:
    """Return how a registered port comes to TLS (IANA service names); None where the user must say it."""
    return _BY_PORT.get(port)


class Wire(t.Protocol):
    """A connection in the clear, bounded in time and size by who made it."""

    async def send(self, data: bytes) -> None:
        """Send `data`; what the peer answers to it has a new time limit."""

    async def until(self, marker: bytes) -> bytes:
        """Return what comes up to and with `marker`, without a limit of its own beyond the connection's."""


class Identity(t.NamedTuple):
    """Who talks to whom: our name in EHLO, and the service that is wanted (the ``to`` of XMPP)."""

    client: str
    service: str


def shown(octets: bytes, limit: int = 160) -> str:
    """Text of a server's reply for a report: one line, printable ASCII, not long."""
    text = re.sub(r"[^ -~]+", " ", octets.decode("ascii", "replace")).strip()
    return repr(text if len(text) <= limit else f"{text[:limit]}...")


async def converse(kind: Starttls, wire: Wire, identity: Identity) -> None:
    """Bring `wire` to the point where TLS begins. Raises StarttlsRefused, DialogueBroken and what `wire` raises."""
    match kind:
        case Starttls.SMTP | Starttls.LMTP:
            await _smtp(wire, "EHLO" if kind is Starttls.SMTP else "LHLO", identity.client)
        case Starttls.IMAP:
            await _imap(wire)
        case Starttls.POP3:
            await _pop3(wire)
        case Starttls.SIEVE:
            await _sieve(wire)
        case Starttls.XMPP_CLIENT | Starttls.XMPP_SERVER:
            await _xmpp(wire, kind.value.replace("xmpp", "jabber").replace("-", ":"), identity.service)
        case Starttls.NONE:
            return


def farewell(kind: Starttls) -> bytes:
    """Return the octets that end a session politely inside TLS; empty where closing is polite enough."""
    return {
        Starttls.SMTP: b"QUIT\r\n",
        Starttls.LMTP: b"QUIT\r\n",
        Starttls.IMAP: b"dane2 LOGOUT\r\n",
        Starttls.POP3: b"QUIT\r\n",
        Starttls.SIEVE: b"LOGOUT\r\n",
    }.get(kind, b"")


async def _smtp_reply(wire: Wire) -> tuple[int, list[bytes]]:
    """Return the code and the texts of one reply, which may have many lines (RFC 5321 section 4.2.1)."""
    texts: list[bytes] = []
    for _unused in range(MAX_REPLY_LINES):
        line = (await wire.until(b"\n")).rstrip(b"\r\n")
        found = re.fullmatch(rb"([2-5][0-9]{2})(?:([ -])(.*))?", line, re.DOTALL)
        if found is None:
            msg = f"the server does not speak SMTP: {shown(line)}"
            raise DialogueBroken(msg)
        texts.append(found[3] or b"")
        if found[2] != b"-":
            return int(found[1]), texts
    msg = f"one reply has more than {MAX_REPLY_LINES} lines"
    raise DialogueBroken(msg)


async def _smtp(wire: Wire, hello: str, client: str) -> None:
    code, texts = await _smtp_reply(wire)
    if code != 220:
        msg = f"the server greets with {code} {shown(texts[0])}"
        raise DialogueBroken(msg)
    await wire.send(f"{hello} {client}\r\n".encode("ascii", "replace"))
    code, texts = await _smtp_reply(wire)
    if code != 250:
        msg = f"the server answers {hello} with {code} {shown(texts[0])}"
        raise (DialogueBroken if code in (421, 521, 554) else StarttlsRefused)(msg)
    if not any(text.strip().upper() == b"STARTTLS" for text in texts[1:]):
        msg = f"the answer to {hello} offers no STARTTLS"
        raise StarttlsRefused(msg)
    await wire.send(b"STARTTLS\r\n")
    code, texts = await _smtp_reply(wire)
    if code != 220:
        msg = f"the server answers STARTTLS with {code} {shown(texts[0])}"
        raise StarttlsRefused(msg)


async def _lines_until(wire: Wire, final: str) -> bytes:
    """Return the first line that `final` matches; lines before it are passed over."""
    for _unused in range(MAX_REPLY_LINES):
        line = (await wire.until(b"\n")).rstrip(b"\r\n")
        if re.match(final.encode("ascii"), line, re.IGNORECASE):
            return line
    msg = f"{MAX_REPLY_LINES} lines came, none of which answers"
    raise DialogueBroken(msg)


async def _imap(wire: Wire) -> None:
    line = (await wire.until(b"\n")).rstrip(b"\r\n")
    if not re.match(rb"\* (OK|PREAUTH)\b", line, re.IGNORECASE):
        msg = f"the server does not greet as IMAP does: {shown(line)}"
        raise DialogueBroken(msg)
    await wire.send(b"dane1 STARTTLS\r\n")
    line = await _lines_until(wire, r"dane1 ")
    if not re.match(rb"dane1 OK\b", line, re.IGNORECASE):
        msg = f"the server answers STARTTLS with {shown(line)}"
        raise StarttlsRefused(msg)


async def _pop3(wire: Wire) -> None:
    line = (await wire.until(b"\n")).rstrip(b"\r\n")
    if not line.startswith(b"+OK"):
        msg = f"the server does not greet as POP3 does: {shown(line)}"
        raise DialogueBroken(msg)
    await wire.send(b"STLS\r\n")
    line = (await wire.until(b"\n")).rstrip(b"\r\n")
    if not line.startswith(b"+OK"):
        msg = f"the server answers STLS with {shown(line)}"
        raise StarttlsRefused(msg)


async def _sieve(wire: Wire) -> None:
    offered = False
    for _unused in range(MAX_REPLY_LINES):
        line = (await wire.until(b"\n")).rstrip(b"\r\n")
        if re.match(rb"(NO|BYE)\b", line, re.IGNORECASE) or not re.match(rb'"|OK\b', line, re.IGNORECASE):
            msg = f"the server does not greet as ManageSieve does: {shown(line)}"
            raise DialogueBroken(msg)
        offered = offered or line.strip().upper() == b'"STARTTLS"'
        if line[:2].upper() == b"OK":
            break
    if not offered:
        raise StarttlsRefused("the greeting offers no STARTTLS")
    await wire.send(b"STARTTLS\r\n")
    line = await _lines_until(wire, r"(OK|NO|BYE)\b")
    if line[:2].upper() != b"OK":
        msg = f"the server answers STARTTLS with {shown(line)}"
        raise StarttlsRefused(msg)


async def _xmpp(wire: Wire, namespace: str, service: str) -> None:
    await wire.send(
        "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0' "
        f"xmlns='{namespace}' to=\"{escape(service)}\">".encode("ascii", "xmlcharrefreplace")
    )
    features = bytearray()
    # Only the end is looked at in each turn: a peer that sends nothing but ">" must not cost quadratic time.
    while not re.search(rb"(</(\w+:)?features>|<(\w+:)?features/>)$", features[-40:]):
        features += await wire.until(b">")
        if re.search(rb"</stream:(stream|error)>$", features[-40:]):
            msg = f"the server ends the stream: {shown(bytes(features[-200:]))}"
            raise DialogueBroken(msg)
    if b"urn:ietf:params:xml:ns:xmpp-tls" not in features:
        raise StarttlsRefused("the stream features offer no STARTTLS")
    await wire.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = await wire.until(b">")
    if not re.search(rb"<(\w+:)?proceed\b", answer):
        msg = f"the server answers STARTTLS with {shown(answer)}"
        raise StarttlsRefused(msg)
