# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import dns.rdatatype
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._authoritative import (
    Server,
    ServerAnswer,
    ask_servers,
    servers_of,
    zone_of,
)
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput, LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, Wanted
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver, Status
from ansible_collections.mailsec.dane.plugins.module_utils._serving import (
    Observer,
    Served,
    newest_serial,
    problems,
    shortfalls,
)
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

from loopback_nameservers import free_port
from scripted_nameserver import Reply, ScriptedNameserver, reply
from table_resolver import Table

if t.TYPE_CHECKING:
    from dns.message import Message

NAME: t.Final = "_25._tcp.mx1.example.org"
A, B = (TlsaRecord(3, 1, 1, bytes([number]) * 32) for number in (1, 2))
LINE: t.Final = f"{NAME}. 300 IN TLSA {A.to_text()}"
SOA: t.Final = "example.org. 600 IN SOA ns.example.org. hostmaster.example.org. 7 2 3 4 120"


def authoritative(query: Message, *, tlsa: tuple[str, ...] = (LINE,), parent: str = "NOERROR") -> Reply:
    """A server of example.org with records at NAME and nothing else."""
    asked, rdtype = str(query.question[0].name).rstrip(".").lower(), dns.rdatatype.to_text(query.question[0].rdtype)
    if asked == NAME and rdtype == "TLSA" and tlsa:
        return reply(query, *tlsa)
    if asked == NAME.partition(".")[2]:
        return reply(query, rcode=parent, authority=(SOA,))
    return reply(query, rcode="NOERROR" if tlsa else "NXDOMAIN", authority=(SOA,))


def one_answer(respond: t.Callable[[Message], Reply]) -> ServerAnswer:
    with ScriptedNameserver(lambda query, _transport: respond(query)) as server:
        (answer,) = ask_servers([Server("ns", "127.0.0.1", server.port)], NAME, 1.0)
    return answer


# --- one server -------------------------------------------------------------------------------------------------------


def test_records_with_ttl_and_serial() -> None:
    answer = one_answer(authoritative)
    assert (answer.status, answer.records, answer.ttl, answer.serial) == (Status.FOUND, (A,), 300, 7)
    assert (answer.error, answer.parent_denied, answer.signed) == (None, False, False)


def test_a_denial_says_how_long_it_may_be_remembered() -> None:
    answer = one_answer(lambda query: authoritative(query, tlsa=()))
    assert (answer.status, answer.records, answer.negative_ttl, answer.error) == (Status.NXDOMAIN, (), 120, None)


def test_questions_are_asked_without_recursion() -> None:
    with ScriptedNameserver(lambda query, _transport: authoritative(query)) as server:
        ask_servers([Server("ns", "127.0.0.1", server.port)], NAME, 1.0)
    assert {query.flags for query in server.seen} == {0}


def test_an_empty_non_terminal_that_is_denied_is_noticed() -> None:
    answer = one_answer(lambda query: authoritative(query, parent="NXDOMAIN"))
    assert answer.parent_denied


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (lambda query: reply(query, rcode="SERVFAIL"), "It answered SERVFAIL to _25._tcp.mx1.example.org TLSA"),
        (lambda query: reply(query, rcode="REFUSED"), "It answered REFUSED to _25._tcp.mx1.example.org TLSA"),
        (lambda query: reply(query, flags="QR"), "It is lame: the zone names it as server"),
        (lambda query: reply(query, LINE, flags="QR RA"), "It is lame: the zone names it as server"),
        (lambda _query: None, "No answer in time from the name server 127.0.0.1"),
    ],
)
def test_trouble_is_no_denial(respond: t.Callable[[Message], Reply], message: str) -> None:
    answer = one_answer(respond)
    assert answer.error is not None
    assert answer.error.startswith(message)
    assert answer.status is None


def test_a_dead_server_does_not_hide_another() -> None:
    with ScriptedNameserver(lambda query, _transport: authoritative(query)) as server:
        servers = [Server("dead", "127.0.0.1", free_port()), Server("ns", "127.0.0.1", server.port)]
        dead, alive = ask_servers([*servers], NAME, 0.5)
    assert dead.error is not None
    assert alive.records == (A,)


def test_a_silent_server_is_asked_once_a_look() -> None:
    asked: list[str] = []

    def respond(query: Message, _transport: str) -> Reply:
        asked.append(str(query.question[0].name))
        return None

    other = "_465._tcp.mx1.example.org"
    with ScriptedNameserver(respond) as server:
        observer = Observer(Resolver(), 0.3, server.port, ("127.0.0.1",))
        looks = [observer.look(name)[0].answers[0] for name in (NAME, other)]
        assert set(asked) == {f"{NAME}."}
        observer.look_again()
        observer.look(other)
    assert set(asked) == {f"{NAME}.", f"{other}."}
    assert [answer.error for answer in looks] == [
        f"No answer in time from the name server 127.0.0.1 port {server.port}"
    ] * 2
    assert [answer.status for answer in looks] == [None, None]


def test_at_the_name_of_a_zone_the_name_above_it_is_not_asked_for() -> None:
    def respond(query: Message) -> Reply:
        asked, rdtype = str(query.question[0].name).rstrip("."), dns.rdatatype.to_text(query.question[0].rdtype)
        if asked != NAME:
            return reply(query, rcode="REFUSED")
        return reply(query, LINE if rdtype == "TLSA" else SOA.replace("example.org. 600", f"{NAME}. 600", 1))

    answer = one_answer(respond)
    assert (answer.error, answer.lame, answer.records, answer.serial) == (None, False, (A,), 7)


def test_no_server_is_no_answer() -> None:
    with pytest.raises(InvalidInput, match="There is no name server to ask"):
        ask_servers([], NAME, 1.0)


# --- which servers ----------------------------------------------------------------------------------------------------


def test_the_zone_of_a_signed_host_is_found_without_any_denial() -> None:
    resolver = Table(found={("mx1.example.org", "A"): ("192.0.2.1",)}, signer="example.org")
    assert zone_of(resolver, NAME) == "example.org"
    assert resolver.asked == [("mx1.example.org", "A")]


def test_without_signature_the_zone_is_that_of_the_closest_soa_and_the_owner_name_is_not_asked_for() -> None:
    resolver = Table(found={("example.org", "SOA"): ("soa",)})
    assert zone_of(resolver, NAME) == "example.org"
    assert resolver.asked == [("mx1.example.org", "A"), ("mx1.example.org", "SOA"), ("example.org", "SOA")]


def test_a_name_without_any_zone_is_a_failure() -> None:
    with pytest.raises(LookupFailed, match=re.escape(f"No zone was found that {NAME} is in")):
        zone_of(Table(), NAME)


def test_every_address_of_every_server_is_asked() -> None:
    resolver = Table(
        found={
            ("example.org", "NS"): ("NS2.example.net.", "ns1.example.org.", "ns3.example.org."),
            ("ns1.example.org", "A"): ("192.0.2.1",),
            ("ns1.example.org", "AAAA"): ("2001:db8::1",),
            ("ns2.example.net", "A"): LookupFailed("timeout"),
            ("ns2.example.net", "AAAA"): ("2001:db8::2",),
        }
    )
    assert servers_of(resolver, "example.org") == (
        Server("ns1.example.org", "192.0.2.1"),
        Server("ns1.example.org", "2001:db8::1"),
        Server("ns2.example.net", "2001:db8::2"),
        Server("ns2.example.net", "", 53, "timeout"),
        Server("ns3.example.org", "", 53, "it has no address"),
    )


def test_a_zone_without_servers_is_a_failure() -> None:
    with pytest.raises(LookupFailed, match=re.escape("Zone example.org has no NS records")):
        servers_of(Table(), "example.org")


def test_servers_that_could_not_be_found_are_sought_again() -> None:
    found: dict[tuple[str, str], tuple[str, ...] | LookupFailed] = {
        ("mx1.example.org", "A"): ("192.0.2.1",),
        ("example.org", "NS"): ("ns.example.org.",),
        ("ns.example.org", "A"): LookupFailed("SERVFAIL"),
    }
    with ScriptedNameserver(lambda query, _transport: authoritative(query)) as server:
        observer = Observer(Table(found=found, signer="example.org"), 1.0, server.port)
        assert "SERVFAIL" in str(observer.look(NAME)[0].answers[0].error)
        found["ns.example.org", "A"] = ("127.0.0.1",)
        assert "SERVFAIL" in str(observer.look(NAME)[0].answers[0].error)
        observer.look_again()
        errors = [answer.error for answer in observer.look(NAME)[0].answers if answer.server.name == "ns.example.org"]
    assert errors == [None]


@pytest.mark.parametrize(
    ("status", "remembered", "said"),
    [
        (Status.NODATA, 300, "no TLSA record (NODATA, may be remembered 300 s)"),
        (Status.NXDOMAIN, 300, "no TLSA record (NXDOMAIN, may be remembered 300 s)"),
        (Status.NXDOMAIN, None, "no TLSA record (NXDOMAIN)"),
    ],
)
def test_a_denial_is_called_what_it_is(status: Status, remembered: int | None, said: str) -> None:
    answer = ServerAnswer(NS1, NAME, status, negative_ttl=remembered)
    assert shortfalls(Wanted(NAME, (A,), State.EXACT), [Served(NAME, "example.org", (answer,))]) == (
        f"{NAME} at ns1.example.org (192.0.2.1): {said}",
    )


# --- all servers together ---------------------------------------------------------------------------------------------


def test_aliases_are_followed() -> None:
    def respond(query: Message, _transport: str) -> Reply:
        if str(query.question[0].name) == f"{NAME}.":
            return reply(query, f"{NAME}. 60 IN CNAME tlsa.example.org.")
        return reply(query, f"tlsa.example.org. 300 IN TLSA {A.to_text()}", authority=(SOA,))

    with ScriptedNameserver(respond) as server:
        look = Observer(Resolver(), 1.0, server.port, ("127.0.0.1",)).look(NAME)
    assert [served.name for served in look] == [NAME, "tlsa.example.org"]
    assert shortfalls(Wanted(NAME, (A,), State.EXACT), look) == ()


def test_aliases_that_do_not_end_are_a_failure() -> None:
    def respond(query: Message, _transport: str) -> Reply:
        return reply(query, f"{query.question[0].name} 60 IN CNAME {query.question[0].name}")

    with (
        ScriptedNameserver(respond) as server,
        pytest.raises(LookupFailed, match=re.escape(f"The aliases from {NAME} on do not end")),
    ):
        Observer(Resolver(), 1.0, server.port, ("127.0.0.1",)).look(NAME)


NS1, NS2 = Server("ns1.example.org", "192.0.2.1"), Server("ns2.example.org", "192.0.2.2")


def found(server: Server, *records: TlsaRecord, serial: int = 7, parent_denied: bool = False) -> ServerAnswer:
    return ServerAnswer(server, NAME, Status.FOUND, records, 300, serial=serial, parent_denied=parent_denied)


@pytest.mark.parametrize(
    ("state", "asked", "served", "everywhere"),
    [
        (State.EXACT, (A,), (A,), True),
        (State.EXACT, (A,), (A, B), False),
        (State.PRESENT, (A,), (A, B), True),
        (State.PRESENT, (A, B), (A,), False),
        (State.ABSENT, (A,), (B,), True),
        (State.ABSENT, (A,), (A, B), False),
        (State.ABSENT, (), (B,), False),
    ],
)
def test_what_is_short(
    state: State, asked: tuple[TlsaRecord, ...], served: tuple[TlsaRecord, ...], everywhere: bool
) -> None:
    look = (Served(NAME, "example.org", (found(NS1, *served),)),)
    assert (shortfalls(Wanted(NAME, asked, state), look) == ()) is everywhere


def test_a_server_that_lags_is_named_with_its_zone_and_lag() -> None:
    look = (Served(NAME, "example.org", (found(NS1, A, serial=17), found(NS2, B))),)
    message = (
        f"{NAME} at ns2.example.org (192.0.2.2): serves 3 1 1 020202020202...; "
        "its serial of zone example.org is 7, 10 behind 17"
    )
    assert shortfalls(Wanted(NAME, (A,), State.PRESENT), look) == (message,)
    assert problems(look)[-1] == message
    assert not look[0].in_step
    assert [look[0].is_in_step(answer) for answer in look[0].answers] == [True, False]


def test_who_is_right_is_not_known_where_the_newest_differ() -> None:
    served = Served(NAME, "example.org", (found(NS1, A), found(NS2, B)))
    assert [served.is_in_step(answer) for answer in served.answers] == [False, False]


def test_a_server_that_fails_is_not_in_step_and_hides_no_other() -> None:
    served = Served(NAME, "example.org", (found(NS1, A), ServerAnswer(NS2, NAME, error="timeout")))
    assert [served.is_in_step(answer) for answer in served.answers] == [True, False]


def test_a_failing_server_is_a_shortfall_whatever_is_wanted() -> None:
    look = (Served(NAME, "example.org", (found(NS1, A), ServerAnswer(NS2, NAME, error="timeout"))),)
    for wanted in (Wanted(NAME, (A,), State.PRESENT), Wanted(NAME, (B,), State.ABSENT)):
        assert shortfalls(wanted, look) == (f"{NAME} at ns2.example.org (192.0.2.2): timeout",)
    assert problems(look) == (f"{NAME} at ns2.example.org (192.0.2.2): timeout",)


def test_a_denied_parent_is_a_shortfall() -> None:
    look = (Served(NAME, "example.org", (found(NS1, A, parent_denied=True),)),)
    assert "the name above it is denied (NXDOMAIN)" in shortfalls(Wanted(NAME, (A,), State.EXACT), look)[0]


def test_servers_in_step_have_no_problems() -> None:
    look = (Served(NAME, "example.org", (found(NS1, A), found(NS2, A))),)
    assert (problems(look), look[0].in_step) == ((), True)


@pytest.mark.parametrize(
    ("serials", "newest"),
    [([], None), ([None], None), ([1, None, 3, 2], 3), ([4294967295, 5], 5), ([5, 4294967295], 5)],
)
def test_serials_are_compared_in_a_circle(serials: list[int | None], newest: int | None) -> None:
    assert newest_serial(ServerAnswer(NS1, NAME, serial=serial) for serial in serials) == newest
