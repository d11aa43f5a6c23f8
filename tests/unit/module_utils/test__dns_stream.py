# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import dns.message
import dns.name
import dns.rcode
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._dns_stream import WINDOW, Stream
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._question import question

from scripted_nameserver import Reply, ScriptedNameserver, reply

A_RECORD: t.Final = "mx1.example.org. 60 IN A 192.0.2.1"


def ask(rdtype: str = "A") -> dns.message.Message:
    return question(dns.name.from_text("mx1.example.org."), rdtype, recursion=False)


def test_answers_on_one_connection_may_come_in_any_order() -> None:
    waiting: list[dns.message.Message] = []

    def respond(query: dns.message.Message, _transport: str) -> Reply:
        waiting.append(query)
        if len(waiting) < 3:
            return None
        return [reply(one, f"{one.question[0].name} 60 IN TXT {one.question[0].name}") for one in reversed(waiting)]

    names = [dns.name.from_text(f"h{number}.example.org.") for number in range(3)]
    with ScriptedNameserver(respond) as server, Stream("127.0.0.1", server.port) as stream:
        answers = stream.ask([question(name, "TXT", recursion=False) for name in names])
    assert [answer.answer[0].name for answer in answers] == names


def test_messages_with_one_id_are_told_apart() -> None:
    queries = [ask("A"), ask("AAAA"), ask("MX")]
    for query in queries:
        query.id = 7
    with (
        ScriptedNameserver(lambda query, _transport: reply(query)) as server,
        Stream("127.0.0.1", server.port) as stream,
    ):
        answers = stream.ask(queries)
    assert [answer.question[0].rdtype for answer in answers] == [query.question[0].rdtype for query in queries]


def test_no_more_questions_are_under_way_than_the_window() -> None:
    held: list[dns.message.Message] = []

    def respond(query: dns.message.Message, _transport: str) -> Reply:
        held.append(query)
        if len(held) < WINDOW:
            return None
        waiting, held[:] = list(held), []
        return [reply(one) for one in waiting]

    with ScriptedNameserver(respond) as server, Stream("127.0.0.1", server.port, 2) as stream:
        assert len(stream.ask([ask() for _unused in range(2 * WINDOW)])) == 2 * WINDOW


# --- transfers --------------------------------------------------------------------------------------------------------

SOA: t.Final = "example.org. 60 IN SOA ns.example.org. hostmaster.example.org. 7 1 1 1 1"


def transferred(*answers: t.Callable[[dns.message.Message], dns.message.Message]) -> list[dns.message.Message]:
    def respond(query: dns.message.Message, _transport: str) -> Reply:
        return [answer(query) for answer in answers]

    zone = dns.name.from_text("example.org.")
    with ScriptedNameserver(respond) as server, Stream("127.0.0.1", server.port, 0.5) as stream:
        return list(stream.transfer(question(zone, "AXFR", recursion=False)))


def test_a_transfer_ends_with_the_second_soa() -> None:
    messages = transferred(
        lambda query: reply(query, SOA, A_RECORD),
        lambda query: reply(query, "mx2.example.org. 60 IN A 192.0.2.2"),
        lambda query: reply(query, SOA),
        lambda query: reply(query, "late.example.org. 60 IN A 192.0.2.3"),
    )
    assert [len(message.answer) for message in messages] == [2, 1, 1]


def test_a_transfer_that_breaks_off_is_no_zone() -> None:
    with pytest.raises(LookupFailed, match="No answer in time"):
        transferred(lambda query: reply(query, SOA, A_RECORD))


def test_a_refused_transfer_is_one_message() -> None:
    (message,) = transferred(lambda query: reply(query, rcode="REFUSED"))
    assert message.rcode() == dns.rcode.REFUSED
