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
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._exchange import addresses_of, exchange
from ansible_collections.mailsec.dane.plugins.module_utils._question import question
from ansible_collections.mailsec.dane.plugins.module_utils._transaction import TransactionRejected

from loopback_nameservers import free_port
from scripted_nameserver import CLOSE, Reply, ScriptedNameserver, reply

KEY: t.Final = dns.tsig.Key("mx-tlsa.", base64.b64encode(b"k" * 32).decode(), "hmac-sha256.")
A_RECORD: t.Final = "mx1.example.org. 60 IN A 192.0.2.1"


def ask(rdtype: str = "A") -> dns.message.Message:
    return question(dns.name.from_text("mx1.example.org."), rdtype, recursion=False)


def signed(query: dns.message.Message) -> dns.message.Message:
    query.use_tsig(KEY)
    return query


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


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["192.0.2.53", "2001:db8::53"])
def test_addresses_stand_for_themselves(address: str) -> None:
    assert addresses_of(address) == (address,)


def test_a_name_without_address() -> None:
    with pytest.raises(LookupFailed, match=re.escape("The name server 'ns.invalid.' has no address")):
        addresses_of("ns.invalid.")
