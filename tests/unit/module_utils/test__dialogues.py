# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dialogues before TLS, over a wire that replays a server's side."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import (
    MAX_REPLY_LINES,
    DialogueBroken,
    Identity,
    Starttls,
    StarttlsRefused,
    converse,
    farewell,
    starttls_of_port,
)

XMPP_FEATURES = b"<stream:stream><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"


class Replay:
    """A server that has said everything it will ever say."""

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.sent: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def until(self, marker: bytes) -> bytes:
        end = self.said.find(marker)
        if end < 0:
            raise EOFError(self.said)
        taken, self.said = self.said[: end + len(marker)], self.said[end + len(marker) :]
        return taken


def talk(kind: Starttls, said: bytes, service: str = "mx.example") -> list[bytes]:
    wire = Replay(said)
    asyncio.run(converse(kind, wire, Identity("[192.0.2.9]", service)))
    assert wire.said == b""
    return wire.sent


@pytest.mark.parametrize(
    ("kind", "said", "sent"),
    [
        (
            Starttls.SMTP,
            b"220-mx\r\n220 hi\r\n250-mx\r\n250-SIZE\r\n250 StartTLS\r\n220 go\r\n",
            [b"EHLO [192.0.2.9]\r\n", b"STARTTLS\r\n"],
        ),
        (Starttls.SMTP, b"220\r\n250-mx\n250 STARTTLS\n220 go\n", [b"EHLO [192.0.2.9]\r\n", b"STARTTLS\r\n"]),
        (
            Starttls.LMTP,
            b"220 hi\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n",
            [b"LHLO [192.0.2.9]\r\n", b"STARTTLS\r\n"],
        ),
        (Starttls.IMAP, b"* OK hi\r\n* NOTE\r\ndane1 OK go\r\n", [b"dane1 STARTTLS\r\n"]),
        (Starttls.POP3, b"+OK hi\r\n+OK go\r\n", [b"STLS\r\n"]),
        (Starttls.SIEVE, b'"SIEVE" "fileinto"\r\n"STARTTLS"\r\nOK\r\nOK go\r\n', [b"STARTTLS\r\n"]),
        (Starttls.NONE, b"", []),
    ],
)
def test_a_server_that_offers_tls_is_brought_to_it(kind: Starttls, said: bytes, sent: list[bytes]) -> None:
    assert talk(kind, said) == sent


@pytest.mark.parametrize(
    ("kind", "namespace"), [(Starttls.XMPP_CLIENT, b"jabber:client"), (Starttls.XMPP_SERVER, b"jabber:server")]
)
def test_xmpp_names_the_service_and_the_namespace(kind: Starttls, namespace: bytes) -> None:
    opening, starttls = talk(kind, XMPP_FEATURES + b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    assert b"xmlns='" + namespace + b'\' to="mx.example">' in opening
    assert starttls == b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


def test_xmpp_escapes_a_name_that_would_be_markup() -> None:
    opening, _unused = talk(Starttls.XMPP_CLIENT, XMPP_FEATURES + b"<proceed/>", service="a'><b x=\"\u00e4")
    assert opening.endswith(b' to="a&#x27;&gt;&lt;b x=&quot;&#228;">')


@pytest.mark.parametrize(
    ("kind", "said", "message"),
    [
        (Starttls.SMTP, b"220 hi\r\n250 mx\r\n", "the answer to EHLO offers no STARTTLS"),
        (Starttls.SMTP, b"220 hi\r\n250-STARTTLS\r\n250 SIZE\r\n", "the answer to EHLO offers no STARTTLS"),
        (Starttls.SMTP, b"220 hi\r\n502 what\r\n", "the server answers EHLO with 502 'what'"),
        (
            Starttls.SMTP,
            b"220 hi\r\n250-mx\r\n250 STARTTLS\r\n454 later\r\n",
            "the server answers STARTTLS with 454 'later'",
        ),
        (Starttls.IMAP, b"* OK hi\r\ndane1 BAD no\r\n", "the server answers STARTTLS with 'dane1 BAD no'"),
        (Starttls.POP3, b"+OK hi\r\n-ERR no\r\n", "the server answers STLS with '-ERR no'"),
        (Starttls.SIEVE, b'"SIEVE" ""\r\nOK\r\n', "the greeting offers no STARTTLS"),
        (Starttls.SIEVE, b'"STARTTLS"\r\nOK\r\nNO never\r\n', "the server answers STARTTLS with 'NO never'"),
        (Starttls.XMPP_CLIENT, b"<stream:features/>", "the stream features offer no STARTTLS"),
        (Starttls.XMPP_CLIENT, XMPP_FEATURES + b"<failure/>", "the server answers STARTTLS with '<failure/>'"),
    ],
)
def test_a_server_without_tls_is_told_from_one_that_is_broken(kind: Starttls, said: bytes, message: str) -> None:
    with pytest.raises(StarttlsRefused, match=f"^{re.escape(message)}$"):
        talk(kind, said)


@pytest.mark.parametrize(
    ("kind", "said", "message"),
    [
        (Starttls.SMTP, b"554 go away\r\n", "the server greets with 554 'go away'"),
        (Starttls.SMTP, b"421 busy\r\n", "the server greets with 421 'busy'"),
        (Starttls.SMTP, b"220 hi\r\n421 too many\r\n", "the server answers EHLO with 421 'too many'"),
        (Starttls.SMTP, b"SSH-2.0-OpenSSH\r\n", "the server does not speak SMTP: 'SSH-2.0-OpenSSH'"),
        (Starttls.SMTP, b"\x16\x03\x01<script>\x1b[2J\n", "the server does not speak SMTP: '<script> [2J'"),
        (Starttls.SMTP, b"220-" + b"x" * 5 + b"\r\n" + b"220-x\r\n" * 500, "one reply has more than 200 lines"),
        (Starttls.IMAP, b"* BYE no\r\n", "the server does not greet as IMAP does: '* BYE no'"),
        (Starttls.IMAP, b"* OK hi\r\n" + b"* x\r\n" * 500, "200 lines came, none of which answers"),
        (Starttls.POP3, b"-ERR no\r\n", "the server does not greet as POP3 does: '-ERR no'"),
        (Starttls.SIEVE, b"hello\r\n", "the server does not greet as ManageSieve does: 'hello'"),
        (
            Starttls.XMPP_CLIENT,
            b"<stream:stream><stream:error>no</stream:error>",
            "the server ends the stream: '<stream:stream><stream:error>no</stream:error>'",
        ),
    ],
)
def test_a_server_that_does_not_speak_the_protocol_is_broken(kind: Starttls, said: bytes, message: str) -> None:
    with pytest.raises(DialogueBroken, match=f"^{re.escape(message)}$"):
        talk(kind, said)
    assert MAX_REPLY_LINES == 200


def test_a_long_reply_is_quoted_in_part() -> None:
    with pytest.raises(DialogueBroken) as caught:
        talk(Starttls.SMTP, b"554 " + b"x" * 5000 + b"\r\n")
    assert len(str(caught.value)) < 220


def test_a_stream_of_nothing_but_brackets_costs_no_quadratic_time() -> None:
    began = time.process_time()
    with pytest.raises(EOFError):
        talk(Starttls.XMPP_CLIENT, b">" * 20_000)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("port", "kind"),
    [(25, Starttls.SMTP), (587, Starttls.SMTP), (465, Starttls.NONE), (993, Starttls.NONE), (2525, None)],
)
def test_the_kind_follows_from_registered_ports_only(port: int, kind: Starttls | None) -> None:
    assert starttls_of_port(port) is kind


def test_a_session_is_ended_in_its_own_protocol() -> None:
    assert {kind.value: farewell(kind) for kind in Starttls} == {
        "smtp": b"QUIT\r\n",
        "lmtp": b"QUIT\r\n",
        "imap": b"dane2 LOGOUT\r\n",
        "pop3": b"QUIT\r\n",
        "sieve": b"LOGOUT\r\n",
        "xmpp-client": b"",
        "xmpp-server": b"",
        "none": b"",
    }
