# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many questions at once, against a name server whose every answer the test decides."""

from __future__ import annotations

import asyncio
import errno
import re
import time
import typing as t

import dns.flags
import dns.message
import dns.name
import dns.opcode
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _lookups
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver

from scripted_nameserver import ScriptedNameserver, reply

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer
    from dns.message import Message

    from scripted_nameserver import Reply

SECURE: t.Final = "QR RD RA AD"


def ask(
    respond: Callable[[Message, str], Reply], names: Sequence[str] = ("a.example",), timeout: float = 1.5
) -> tuple[list[Answer | BaseException], ScriptedNameserver]:
    async def all_of(resolver: Resolver) -> list[Answer | BaseException]:
        async with resolver.lookups(signatures=False) as lookup:
            return await asyncio.gather(*(lookup(name, "A") for name in names), return_exceptions=True)

    with ScriptedNameserver(respond) as server:
        return asyncio.run(all_of(Resolver("127.0.0.1", server.port, timeout))), server


def found(query: Message, _transport: str = "udp") -> Reply:
    name = query.question[0].name.to_text()
    return reply(query, f"{name} 60 IN A 192.0.2.{len(name)}", flags=SECURE)


def test_each_question_gets_its_own_answer() -> None:
    names = ["a" * number + ".example" for number in range(1, 60)]
    answers, server = ask(found, names)
    assert [t.cast("Answer", answer).records for answer in answers] == [(f"192.0.2.{len(name) + 1}",) for name in names]
    assert all(not query.ednsflags & dns.flags.DO and query.flags & dns.flags.AD for query in server.seen)


def test_questions_wait_together() -> None:
    lost: set[str] = set()

    def respond(query: Message, transport: str) -> Reply:
        name = query.question[0].name.to_text()
        if name not in lost:
            lost.add(name)
            return None
        return found(query, transport)

    began = time.monotonic()
    answers, _server = ask(respond, [f"h{number}.example" for number in range(30)])
    assert all(t.cast("Answer", answer).secure for answer in answers)
    assert time.monotonic() - began < 3  # one after the other they would wait 15 s


def test_a_lost_datagram_is_sent_again() -> None:
    lost: list[Message] = []

    def respond(query: Message, transport: str) -> Reply:
        if not lost:
            lost.append(query)
            return None
        return found(query, transport)

    (answer,), _server = ask(respond)
    assert t.cast("Answer", answer).secure


def test_questions_with_one_id_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lookups, "randbits", lambda _bits: 0xFFFF)
    answers, server = ask(found, ["a.example", "bb.example", "ccc.example"])
    assert [t.cast("Answer", answer).records for answer in answers] == [
        ("192.0.2.10",),
        ("192.0.2.11",),
        ("192.0.2.12",),
    ]
    assert sorted(query.id for query in server.seen) == [0, 1, 0xFFFF]


def test_what_is_cut_off_or_answers_another_question_is_asked_by_tcp() -> None:
    def truncated(query: Message, transport: str) -> Reply:
        return found(query) if transport == "tcp" else reply(query, flags="QR RD RA TC")

    def of_another_name(query: Message, transport: str) -> Reply:
        other = dns.message.make_query("evil.example", "A")
        other.id = query.id
        return found(query if transport == "tcp" else other)

    def of_another_type(query: Message, transport: str) -> Reply:
        other = dns.message.make_query("a.example", "AAAA")
        other.id = query.id
        return found(query if transport == "tcp" else other)

    def no_answer(query: Message, transport: str) -> Reply:
        return found(query) if transport == "tcp" else query

    def of_another_kind(query: Message, transport: str) -> Reply:
        answer = found(query)
        if transport == "udp":
            t.cast("Message", answer).set_opcode(dns.opcode.NOTIFY)
        return answer

    for respond in (truncated, of_another_name, of_another_type, no_answer, of_another_kind):
        (answer,), server = ask(respond)
        assert t.cast("Answer", answer).name == "a.example"
        assert len(server.seen) == 2


def test_bogus_is_known_here_too() -> None:
    def respond(query: Message, transport: str) -> Reply:
        return found(query, transport) if query.flags & dns.flags.CD else reply(query, rcode="SERVFAIL")

    (answer,), _server = ask(respond)
    assert isinstance(answer, LookupFailed)
    assert answer.bogus


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (lambda _query, _transport: None, "The resolver 127.0.0.1 gave no answer to a.example A: No answer in time"),
        (lambda query, _transport: query.id.to_bytes(2, "big") + b"\x81\x80" + b"\xff" * 8, "a.example A: "),
    ],
)
def test_failures_name_the_question(respond: Callable[[Message, str], Reply], message: str) -> None:
    (answer,), _server = ask(respond, timeout=0.3)
    assert isinstance(answer, LookupFailed)
    assert re.search(re.escape(message), str(answer))


def test_nobody_listens() -> None:
    async def lookup_nowhere() -> None:
        async with Resolver("127.0.0.1", 1, 0.2).lookups(signatures=False) as lookup:
            await lookup("a.example", "A")

    with pytest.raises(LookupFailed, match="No answer in time"):
        asyncio.run(lookup_nowhere())


def test_no_way_to_the_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_datagram_endpoint", unreachable)
    with pytest.raises(LookupFailed, match=r"Cannot talk to the name server 127\.0\.0\.1: Network is unreachable"):
        ask(found)
