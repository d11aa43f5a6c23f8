# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import dns.edns
import dns.flags
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidName, LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import (
    Answer,
    Resolver,
    Status,
    absolute_name,
    name_text,
)

from scripted_nameserver import Reply, ScriptedNameserver, reply

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from dns.message import Message

NAME: t.Final = "_25._tcp.mx1.example.org"
DIGEST: t.Final = "0badc0de" * 8
TLSA: t.Final = f"{NAME}. 300 IN TLSA 3 1 1 {DIGEST}"
SOA: t.Final = "example.org. 600 IN SOA ns.example.org. hostmaster.example.org. 1 2 3 4 120"
SECURE: t.Final = "QR RD RA AD"
INSECURE: t.Final = "QR RD RA"


def lookup(respond: Callable[[Message], Reply], rdtype: str = "TLSA", name: str = NAME) -> Answer:
    with ScriptedNameserver(lambda query, _transport: respond(query)) as server:
        return Resolver("127.0.0.1", server.port, 1.0).lookup(name, rdtype)


def test_records_that_were_found() -> None:
    answer = lookup(lambda query: reply(query, TLSA, flags=SECURE), name=NAME.upper() + ".")
    assert answer == Answer(NAME, "TLSA", Status.FOUND, True, 300, (f"3 1 1 {DIGEST}",), NAME, ())


@pytest.mark.parametrize(("rcode", "status"), [("NOERROR", Status.NODATA), ("NXDOMAIN", Status.NXDOMAIN)])
@pytest.mark.parametrize(("flags", "secure"), [(SECURE, True), (INSECURE, False)])
def test_denials(rcode: str, status: Status, flags: str, secure: bool) -> None:
    answer = lookup(lambda query: reply(query, rcode=rcode, authority=(SOA,), flags=flags))
    assert answer == Answer(NAME, "TLSA", status, secure, 120, (), NAME, ())


def test_aliases_are_followed_and_the_least_ttl_counts() -> None:
    answer = lookup(
        lambda query: reply(
            query,
            f"{NAME}. 60 IN CNAME a.example.net.",
            "a.example.net. 300 IN CNAME B.example.net.",
            f"b.example.net. 300 IN TLSA 3 1 1 {DIGEST}",
            flags=SECURE,
        )
    )
    assert (answer.canonical_name, answer.cname_chain, answer.ttl) == (
        "b.example.net",
        ("a.example.net", "b.example.net"),
        60,
    )


def test_an_alias_to_nowhere_is_a_denial() -> None:
    answer = lookup(
        lambda query: reply(query, f"{NAME}. 60 IN CNAME gone.example.net.", rcode="NXDOMAIN", flags=SECURE)
    )
    assert (answer.status, answer.canonical_name, answer.records) == (Status.NXDOMAIN, "gone.example.net", ())


def test_the_signer_of_what_was_found() -> None:
    signature = f"{NAME}. 300 IN RRSIG TLSA 13 5 300 20330101000000 20230101000000 1 Example.org. AAAA"
    assert lookup(lambda query: reply(query, TLSA, signature, flags=SECURE)).signer == "example.org"
    assert lookup(lambda query: reply(query, TLSA, flags=INSECURE)).signer is None


def test_questions_want_validation_and_say_so() -> None:
    with ScriptedNameserver(lambda query, _transport: reply(query, TLSA, flags=SECURE)) as server:
        Resolver("127.0.0.1", server.port, 1.0).lookup(NAME, "TLSA")
    assert set(dns.flags.to_text(server.seen[0].flags).split()) == {"RD", "AD"}
    assert server.seen[0].ednsflags & dns.flags.DO


@pytest.mark.parametrize(
    ("rcode", "message"),
    [
        ("SERVFAIL", "gave no answer to _25._tcp.mx1.example.org TLSA: SERVFAIL"),
        ("REFUSED", "gave no answer to _25._tcp.mx1.example.org TLSA: REFUSED"),
        ("FORMERR", "gave no answer to _25._tcp.mx1.example.org TLSA: FORMERR"),
    ],
)
def test_other_answers_say_nothing_about_records(rcode: str, message: str) -> None:
    with pytest.raises(LookupFailed, match=re.escape(message)) as caught:
        lookup(lambda query: reply(query, rcode=rcode, flags=INSECURE))
    assert not caught.value.bogus


def test_bogus_is_what_is_there_only_without_validation() -> None:
    def respond(query: Message) -> Reply:
        return reply(query, TLSA, flags=INSECURE) if query.flags & dns.flags.CD else reply(query, rcode="SERVFAIL")

    with pytest.raises(LookupFailed, match=r"DNSSEC validation of _25._tcp.mx1.example.org TLSA failed") as caught:
        lookup(respond)
    assert (caught.value.bogus, caught.value.denial) == (True, False)


def test_a_denial_that_does_not_validate_is_told_from_records_that_do_not() -> None:
    def respond(query: Message) -> Reply:
        unchecked = query.flags & dns.flags.CD
        return reply(query, authority=(SOA,), flags=INSECURE) if unchecked else reply(query, rcode="SERVFAIL")

    with pytest.raises(LookupFailed, match=r"DNSSEC validation of the denial of .* TLSA failed") as caught:
        lookup(respond)
    assert (caught.value.bogus, caught.value.denial) == (True, True)


def test_a_resolver_that_was_only_slow_is_asked_again() -> None:
    asked: list[Message] = []

    def respond(query: Message) -> Reply:
        asked.append(query)
        return reply(query, rcode="SERVFAIL") if len(asked) == 1 else reply(query, TLSA, flags=SECURE)

    assert lookup(respond).secure
    assert len(asked) == 3


def test_what_the_resolver_adds_is_passed_on() -> None:
    def respond(query: Message) -> Reply:
        answer = reply(query, rcode="REFUSED")
        answer.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode.PROHIBITED, "not for you")])
        return answer

    with pytest.raises(LookupFailed, match=r"REFUSED .*not for you"):
        lookup(respond)


def test_a_referral_is_no_denial() -> None:
    with pytest.raises(LookupFailed, match="it does not offer recursion; it is no resolver"):
        lookup(lambda query: reply(query, authority=("example.org. 60 IN NS ns.example.org.",), flags="QR"))


def test_silence_names_the_question() -> None:
    with pytest.raises(LookupFailed, match=r"The resolver 127.0.0.1 gave no answer to .* TLSA: No answer in time"):
        lookup(lambda _query: None)


@pytest.mark.parametrize("bad", ["a..example.org", "a" * 64 + ".example.org"])
def test_names_that_are_none(bad: str) -> None:
    with pytest.raises(InvalidName, match="is not a domain name"):
        Resolver("127.0.0.1", 1, 0.1).lookup(bad, "TLSA")


def test_the_root_has_a_name() -> None:
    assert name_text(absolute_name(".")) == "."
    assert name_text(absolute_name("Example.ORG")) == "example.org"


@pytest.mark.parametrize(
    ("address", "believable"), [("127.0.0.1", True), ("127.0.0.53", True), ("::1", True), ("192.0.2.53", False)]
)
def test_only_a_resolver_on_loopback_is_believed(address: str, believable: bool) -> None:
    assert Resolver(address).believable is believable
