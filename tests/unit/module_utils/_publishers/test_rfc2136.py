# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults that a real server does not make at will; what real ones do is tested in tests/integration/publish."""

from __future__ import annotations

import re
import typing as t

import dns.message
import dns.opcode
import dns.rdatatype
import dns.update
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidInput,
    PublisherRefused,
    PublisherUnavailable,
)
from ansible_collections.mailsec.dane.plugins.module_utils._publication import Change, State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers import rfc2136
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.rfc2136 import Rfc2136Publisher
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

from scripted_nameserver import CLOSE, Reply, ScriptedNameserver, reply

NAME: t.Final = "_25._tcp.mx1.example.org"
OLD: t.Final = "3 1 1 " + "ab" * 32
NEW: t.Final = "3 1 1 " + "cd" * 32
SOA: t.Final = "example.org. 600 IN SOA ns.example.org. hostmaster.example.org. 7 2 3 4 120"


def is_update(query: dns.message.Message) -> bool:
    return query.opcode() == dns.opcode.UPDATE


def content(query: dns.message.Message) -> Reply:
    """What a server with OLD at NAME says when it is read."""
    if query.question[0].rdtype == dns.rdatatype.TLSA:
        return reply(query, f"{NAME}. 300 IN TLSA {OLD}")
    return reply(query, authority=(SOA,))


@pytest.mark.parametrize("rcode", ["SERVFAIL", "FORMERR"])
def test_a_read_that_fails_is_no_empty_rrset(rcode: str) -> None:
    def respond(query: dns.message.Message, _transport: str) -> Reply:
        return reply(query, rcode=rcode)

    with ScriptedNameserver(respond) as server:
        publisher = Rfc2136Publisher("127.0.0.1", port=server.port)
        with pytest.raises(
            PublisherUnavailable,
            match=re.escape(f"the name server 127.0.0.1 port {server.port}: it answered {rcode} when asked for {NAME}"),
        ):
            converge(publisher, wanted_rrsets([{"name": NAME, "records": [NEW]}], State.EXACT), resolver=None)
    assert not any(is_update(query) for query in server.seen)


def test_a_truncated_answer_is_read_whole_by_tcp() -> None:
    def respond(query: dns.message.Message, transport: str) -> Reply:
        return reply(query, flags="QR AA TC") if transport == "udp" else content(query)

    with ScriptedNameserver(respond) as server:
        publisher = Rfc2136Publisher("127.0.0.1", port=server.port)
        assert [record.to_text() for record in publisher.read([NAME])[NAME].records] == [OLD]


def test_a_lame_server_is_no_empty_zone() -> None:
    with ScriptedNameserver(lambda query, _transport: reply(query, authority=(SOA,), flags="QR RA")) as server:
        publisher = Rfc2136Publisher("127.0.0.1", port=server.port)
        with pytest.raises(PublisherRefused, match="is in no zone that it is authoritative for"):
            publisher.read([NAME])


@pytest.mark.parametrize(
    ("rcode", "message"),
    [
        ("NOTAUTH", "the update was refused (NOTAUTH): it is not the primary of this zone"),
        ("NOTIMP", "the update was refused (NOTIMP): it does not take dynamic updates"),
        ("NOTZONE", "the update was refused (NOTZONE): a name is outside the zone"),
        ("SERVFAIL", "the update failed with SERVFAIL; the server's log says why"),
    ],
)
def test_updates_that_fail_name_server_zone_and_cause(rcode: str, message: str) -> None:
    def respond(query: dns.message.Message, _transport: str) -> Reply:
        return reply(query, rcode=rcode) if is_update(query) else content(query)

    with ScriptedNameserver(respond) as server:
        publisher = Rfc2136Publisher("127.0.0.1", port=server.port)
        outcome = converge(publisher, wanted_rrsets([{"name": NAME, "records": [NEW]}], State.EXACT), resolver=None)
    place = f"the name server 127.0.0.1 port {server.port}"
    assert outcome.errors["example.org"].startswith(f"Zone example.org: {place}: {message}")
    assert outcome.after == outcome.before


def test_a_connection_that_drops_between_two_messages_has_removed_nothing() -> None:
    taken: list[dns.message.Message] = []

    def respond(query: dns.message.Message, _transport: str) -> Reply:
        if taken:
            return CLOSE
        taken.append(query)
        return reply(query)

    old, new = TlsaRecord.from_text(OLD), TlsaRecord.from_text(NEW)
    changes = [
        Change(f"_25._tcp.h{number}.example.org", "example.org", (old,), (new,), 300, 300) for number in range(1000)
    ]
    with ScriptedNameserver(respond) as server:
        publisher = Rfc2136Publisher("127.0.0.1", port=server.port)
        with pytest.raises(PublisherUnavailable, match="closed the connection before its answer was complete"):
            publisher.apply("example.org", changes)
    (message,) = taken
    assert isinstance(message, dns.update.UpdateMessage)
    assert [rrset for rrset in message.update if rrset.deleting] == []


@pytest.mark.parametrize("aliases", [2, rfc2136.MAX_ALIASES, rfc2136.MAX_ALIASES + 1])
def test_aliases_have_an_end(aliases: int) -> None:
    def respond(query: dns.message.Message, _transport: str) -> Reply:
        name = query.question[0].name.to_text()
        step = 0 if name == f"{NAME}." else int(name[1:].partition(".")[0])
        if step < aliases:
            return reply(query, f"{name} 60 IN CNAME a{step + 1}.example.org.")
        return reply(query, authority=(SOA,))

    with ScriptedNameserver(respond) as server:
        publisher = Rfc2136Publisher("127.0.0.1", port=server.port)
        if aliases <= rfc2136.MAX_ALIASES:
            assert publisher.read([NAME])[NAME].owner == f"a{aliases}.example.org"
        else:
            with pytest.raises(PublisherRefused, match=re.escape(f"{NAME}: more than 8 aliases in a row, or a loop")):
                publisher.read([NAME])


def test_a_server_is_needed() -> None:
    with pytest.raises(InvalidInput, match="Provider rfc2136 needs server"):
        Rfc2136Publisher.from_options({"type": "rfc2136", "server": ""})
