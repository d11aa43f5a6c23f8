# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace

import dns.rdatatype
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._authoritative import Server
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._parent_servers import parent_servers_of
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, Wanted
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_observation import answers_at
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer, Served, shortfalls
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

from scripted_nameserver import Reply, ScriptedNameserver, reply
from table_resolver import Table

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from dns.message import Message

ZONE: t.Final = "example.org"
NAME: t.Final = "_25._tcp.mx1.example.org"
NEW, OLD = (TlsaRecord(3, 1, 1, bytes([number]) * 32) for number in (1, 2))
SOA: t.Final = "example.org. 600 IN SOA ns.example.org. hostmaster.example.org. 7 2 3 4 120"
OWN: t.Final = "example.org. 600 IN NS ns1.example.org."
FORMER: t.Final = "example.org. 600 IN NS Ns9.Former.example."
FOUND: t.Final = {
    ("mx1.example.org", "A"): ("192.0.2.1",),
    (ZONE, "NS"): ("ns1.example.org.",),
    ("ns1.example.org", "A"): ("127.0.0.1",),
    ("org", "SOA"): ("soa",),
    ("org", "NS"): ("a.tld.org.",),
    ("a.tld.org", "A"): ("127.0.0.1",),
    ("ns9.former.example", "A"): ("127.0.0.2",),
}


def refer(query: Message) -> Reply:
    return reply(query, authority=(OWN, FORMER), flags="QR")


def records(query: Message, record: TlsaRecord) -> Reply:
    if dns.rdatatype.to_text(query.question[0].rdtype) == "TLSA" and query.question[0].name.labels[0] == b"_25":
        return reply(query, f"{NAME}. 300 IN TLSA {record.to_text()}")
    return reply(query, authority=(SOA,))


def both(query: Message, _transport: str) -> Reply:
    """The parent's server and, at the same address, the zone's own."""
    return refer(query) if query.question[0].rdtype == dns.rdatatype.NS else records(query, NEW)


def named(respond: Callable[[Message], Reply], **found: tuple[str, ...] | LookupFailed) -> tuple[Server, ...]:
    """What a parent with one server that answers so names beside ns1.example.org; all ports are 53 in the result."""
    table = Table(found={**FOUND, **{(key.replace("_", "."), "A"): value for key, value in found.items()}})
    with ScriptedNameserver(lambda query, _transport: respond(query)) as server:
        servers = parent_servers_of(table, ZONE, ["ns1.example.org"], port=server.port, timeout=2)
    return tuple(replace(one, port=53) for one in servers)


def test_servers_that_the_zone_names_too_are_not_told_again() -> None:
    assert named(lambda query: reply(query, authority=(OWN,), flags="QR")) == ()


def test_a_server_that_only_the_parent_names_has_the_addresses_of_glue_and_of_its_own_zone() -> None:
    glue = ("ns9.former.example. 600 IN A 192.0.2.9", "ns9.former.example. 600 IN AAAA 2001:db8::9")
    servers = named(lambda query: reply(query, authority=(OWN, FORMER), additional=glue, flags="QR"))
    assert servers == tuple(
        Server("ns9.former.example", address, parent_only=True) for address in ("192.0.2.9", "2001:db8::9", "127.0.0.2")
    )


def test_one_whose_addresses_cannot_be_told_is_there_with_the_reason() -> None:
    servers = named(refer, ns9_former_example=LookupFailed("timeout"))
    assert servers == (Server("ns9.former.example", "", 53, "timeout", parent_only=True),)


@pytest.mark.parametrize(
    "respond",
    [
        lambda query: reply(query, OWN),  # the parent's server has the zone itself
        lambda query: reply(query, rcode="NXDOMAIN", authority=(SOA,)),  # a zone for inside only
    ],
)
def test_a_parent_without_a_delegation_of_its_own_names_nobody(respond: Callable[[Message], Reply]) -> None:
    assert named(respond) == ()


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (lambda query: reply(query, rcode="REFUSED", flags="QR"), "It answered REFUSED to example.org NS"),
        (lambda query: reply(query, flags="QR"), "It refers to no server of example.org"),
        (lambda _query: None, "No answer in time from the name server 127.0.0.1"),
    ],
)
def test_a_parent_that_does_not_tell_is_no_parent_that_names_nobody(
    respond: Callable[[Message], Reply], message: str
) -> None:
    (server,) = named(respond)
    assert server.problem is not None
    assert server.problem.startswith(f"which servers the zone org names for example.org cannot be told: {message}")


def test_a_resolver_that_does_not_know_the_parent_is_a_problem_too() -> None:
    table = Table(found={**FOUND, ("org", "SOA"): LookupFailed("SERVFAIL")})
    (server,) = parent_servers_of(table, ZONE, ["ns1.example.org"])
    assert server.problem == (
        "which servers the zone above names for example.org cannot be told: SERVFAIL. Where that can never be asked "
        "from here, set the servers to ask (tlsa_publish_servers, tlsa_rollover_servers)"
    )


def test_the_parent_of_a_zone_far_below_is_found_and_asked_where_it_answers() -> None:
    table = Table(
        found={
            ("org", "SOA"): ("soa",),
            ("org", "NS"): ("a.tld.org.", "b.tld.org."),
            ("a.tld.org", "A"): ("127.0.0.3",),  # nobody listens there
            ("b.tld.org", "A"): ("127.0.0.1",),
        }
    )
    authority = ("deep.down.example.org. 600 IN NS ns9.example.net.",)
    with ScriptedNameserver(lambda query, _transport: reply(query, authority=authority, flags="QR")) as server:
        (found,) = parent_servers_of(table, "deep.down.example.org", [], port=server.port, timeout=2)
    assert (found.name, found.problem) == ("ns9.example.net", "it has no address")


def look(former: Callable[[Message], Reply]) -> tuple[Served, ...]:
    """What is served where the zone is at 127.0.0.1 and the former DNS host, at 127.0.0.2, is still delegated to."""
    with (
        ScriptedNameserver(both) as server,
        ScriptedNameserver(lambda query, _transport: former(query), port=server.port, address="127.0.0.2"),
    ):
        return Observer(Table(found=FOUND, signer=ZONE), 2, server.port).look(NAME)


def test_a_former_dns_host_that_serves_old_records_is_waited_for() -> None:
    said = shortfalls(Wanted(NAME, (NEW,), State.EXACT), look(lambda query: records(query, OLD)))
    assert said == (
        f"{NAME} at ns9.former.example, which only the parent zone names (127.0.0.2): serves 3 1 1 020202020202...",
    )


def test_one_that_is_silent_is_waited_for() -> None:
    (said,) = shortfalls(Wanted(NAME, (NEW,), State.EXACT), look(lambda _query: None))
    assert "ns9.former.example, which only the parent zone names (127.0.0.2): No answer in time" in said


@pytest.mark.parametrize("rcode", ["REFUSED", "NOTAUTH", "NOERROR"])
def test_one_that_serves_the_zone_no_more_is_none(rcode: str) -> None:
    (served,) = look(lambda query: reply(query, rcode=rcode, flags="QR"))
    assert [answer.server.name for answer in served.answers] == ["ns1.example.org"]


def test_the_agent_hears_of_it() -> None:
    with (
        ScriptedNameserver(both) as server,
        ScriptedNameserver(lambda query, _transport: records(query, OLD), port=server.port, address="127.0.0.2"),
    ):
        answers, _aliased = answers_at(Observer(Table(found=FOUND, signer=ZONE), 2, server.port), [NAME])
    assert {(one.server, one.records) for one in answers[NAME]} == {
        ("ns1.example.org", frozenset({NEW})),
        ("ns9.former.example, which only the parent zone names", frozenset({OLD})),
    }
