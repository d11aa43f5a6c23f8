# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import re
import typing as t

import dns.message
import dns.name
import dns.tsig
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _exchange
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._exchange import (
    Stream,
    TransactionRejected,
    addresses_of,
    exchange,
    question,
)

from loopback_nameservers import free_port
from scripted_nameserver import CLOSE, Reply, ScriptedNameserver, reply

NAME: t.Final = dns.name.from_text("_25._tcp.mx1.example.org.")
KEY: t.Final = dns.tsig.Key("mx-tlsa.", base64.b64encode(b"k" * 32).decode(), "hmac-sha256.")
A_RECORD: t.Final = "mx1.example.org. 60 IN A 192.0.2.1"


def ask(rdtype: str = "A") -> dns.message.Message:
    return question(dns.name.from_text("mx1.example.org."), rdtype, recursion=False)


def signed(query: dns.message.Message) -> dns.message.Message:
    query.use_tsig(KEY)
    return query


def test_questions_ask_for_signatures_and_for_recursion_only_where_wanted() -> None:
    alone = question(NAME, "TLSA", recursion=False)
    recursive = question(NAME, "TLSA", recursion=True, checking_disabled=True)
    assert dns.flags.to_text(alone.flags) == ""
    assert set(dns.flags.to_text(recursive.flags).split()) == {"RD", "AD", "CD"}
    assert alone.ednsflags & dns.flags.DO
    assert alone.payload == 1232


def test_udp_answers() -> None:
    with ScriptedNameserver(lambda query, _transport: reply(query, A_RECORD)) as server:
        assert exchange(ask(), "127.0.0.1", server.port).answer[0][0].address == "192.0.2.1"
    assert len(server.seen) == 1


def test_truncation_leads_to_tcp() -> None:
    def respond(query: dns.message.Message, transport: str) -> Reply:
        return reply(query, flags="QR AA TC") if transport == "udp" else reply(query, A_RECORD)

    with ScriptedNameserver(respond) as server:
        assert exchange(ask(), "127.0.0.1", server.port).answer


def test_a_lost_datagram_is_sent_again() -> None:
    with ScriptedNameserver(lambda query, _: reply(query, A_RECORD) if len(server.seen) > 1 else None) as server:
        assert exchange(ask(), "127.0.0.1", server.port, 1.5).answer
    assert len(server.seen) == 2


def test_a_forged_datagram_does_not_answer() -> None:
    def respond(query: dns.message.Message, transport: str) -> Reply:
        answer = reply(query, A_RECORD)
        if transport == "udp":
            answer.id = (query.id + 1) & 0xFFFF
        return answer

    with ScriptedNameserver(respond) as server:
        assert exchange(ask(), "127.0.0.1", server.port).answer
    assert [len(query.question) for query in server.seen] == [1, 1]


def test_silence_is_a_failure_within_the_time() -> None:
    with (
        ScriptedNameserver(lambda _query, _transport: None) as server,
        pytest.raises(LookupFailed, match=f"No answer in time from the name server 127.0.0.1 port {server.port}"),
    ):
        exchange(ask(), "127.0.0.1", server.port, 0.3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (CLOSE, "closed the connection before its answer was complete"),
        (b"\x00\x01", "sent a message without a whole header"),
        (b"\x00" * 40, "sent an answer that nobody asked for"),
    ],
)
def test_broken_tcp_answers(given: Reply, message: str) -> None:
    with ScriptedNameserver(lambda _query, _transport: given) as server, pytest.raises(LookupFailed, match=message):
        exchange(ask(), "127.0.0.1", server.port, tcp=True)


def test_an_answer_to_another_question_is_refused() -> None:
    def respond(query: dns.message.Message, _transport: str) -> Reply:
        answer = reply(ask("AAAA"))
        answer.id = query.id
        return answer

    with ScriptedNameserver(respond) as server, pytest.raises(LookupFailed, match="answered another question"):
        exchange(ask(), "127.0.0.1", server.port, tcp=True)


def test_nobody_listens() -> None:
    with pytest.raises(LookupFailed, match=r"Cannot talk to the name server 127.0.0.1 port [0-9]+: Connection refused"):
        exchange(ask(), "127.0.0.1", free_port(), tcp=True)


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
        if len(held) < _exchange.WINDOW:
            return None
        waiting, held[:] = list(held), []
        return [reply(one) for one in waiting]

    with ScriptedNameserver(respond) as server, Stream("127.0.0.1", server.port, 2) as stream:
        assert len(stream.ask([ask() for _unused in range(2 * _exchange.WINDOW)])) == 2 * _exchange.WINDOW


# --- signatures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tcp", [False, True])
def test_signed_questions_want_signed_answers(tcp: bool) -> None:
    def unsigned(query: dns.message.Message, _transport: str) -> Reply:
        answer = reply(query, A_RECORD)
        answer.tsig = None
        answer.keyring = None
        return answer

    with (
        ScriptedNameserver(unsigned, KEY) as server,
        pytest.raises(TransactionRejected, match="did not sign its answer"),
    ):
        exchange(signed(ask()), "127.0.0.1", server.port, tcp=tcp)
    with ScriptedNameserver(lambda query, _transport: reply(query, A_RECORD), KEY) as server:
        assert exchange(signed(ask()), "127.0.0.1", server.port, tcp=tcp).had_tsig


def test_a_refusal_need_not_be_signed() -> None:
    def refused(query: dns.message.Message, _transport: str) -> Reply:
        answer = reply(query, rcode="REFUSED")
        answer.tsig = None
        answer.keyring = None
        return answer

    with ScriptedNameserver(refused, KEY) as server:
        assert exchange(signed(ask()), "127.0.0.1", server.port).rcode() == dns.rcode.REFUSED


def test_an_answer_signed_with_another_secret_is_refused() -> None:
    other = dns.tsig.Key("mx-tlsa.", base64.b64encode(b"x" * 32).decode(), "hmac-sha256.")

    def respond(query: dns.message.Message, _transport: str) -> Reply:
        answer = reply(query, A_RECORD)
        answer.use_tsig(other)
        answer.request_mac = query.mac or b""
        return answer

    with (
        ScriptedNameserver(respond, KEY) as server,
        pytest.raises(TransactionRejected, match="does not verify with this key"),
    ):
        exchange(signed(ask()), "127.0.0.1", server.port, tcp=True)


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


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["192.0.2.53", "2001:db8::53"])
def test_addresses_stand_for_themselves(address: str) -> None:
    assert addresses_of(address) == (address,)


def test_a_name_without_address() -> None:
    with pytest.raises(LookupFailed, match=re.escape("The name server 'ns.invalid.' has no address")):
        addresses_of("ns.invalid.")
