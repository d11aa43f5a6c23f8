# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole examination against name servers that validate, that do not, and that are broken in between."""

from __future__ import annotations

import re
import ssl
import typing as t

import dns.edns
import dns.flags
import dns.rdatatype
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput, InvalidName
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import Finding, Reply, Signature
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_examination import Examination
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_probe import Question, ask_all, parse_question

from certificates import authority, issue
from scripted_nameserver import Reply as Sent
from scripted_nameserver import ScriptedNameserver, reply

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dns.message import Message

NOW: t.Final = 1_700_000_000  # 20231114221320
RRSIG: t.Final = "{name} 300 IN RRSIG {rdtype} {algorithm} 1 300 20231201000000 20231101000000 1 . AAAA"
ALGORITHMS: t.Final = {".": 8, "good.example.": 13, "ed.example.": 15}
NAMES: t.Final = {
    "signed_names": [".", "good.example", "ed.example"],
    "bogus_names": ["bogus.example"],
    "unsigned_names": ["plain.example"],
}


def answered(query: Message, *, secure: bool, signed: bool) -> Message:
    """The zone's SOA, or its denial of another type, with signatures where it is signed."""
    name = query.question[0].name.to_text()
    flags = "QR RD RA AD" if secure else "QR RD RA"
    rdtype = "SOA" if query.question[0].rdtype == dns.rdatatype.SOA else "NSEC"
    data = "ns.example. h.example. 1 2 3 4 5" if rdtype == "SOA" else f"x.{name.lstrip('.')} SOA RRSIG NSEC"
    signature = RRSIG.format(name=name, rdtype=rdtype, algorithm=ALGORITHMS.get(name, 13))
    lines = (f"{name} 300 IN {rdtype} {data}", *((signature,) if signed else ()))
    denied = rdtype == "NSEC"
    made = reply(query, *(() if denied else lines), authority=lines if denied and signed else (), flags=flags)
    made.use_edns(0, 0, 1232)
    return made


def validating(query: Message, _transport: str) -> Sent:
    name = query.question[0].name.to_text()
    if name == "bogus.example.":
        unchecked = bool(query.flags & dns.flags.CD)
        return answered(query, secure=False, signed=True) if unchecked else reply(query, rcode="SERVFAIL")
    return answered(query, secure=name in ALGORITHMS and not query.flags & dns.flags.CD, signed=name in ALGORITHMS)


def blind(query: Message, _transport: str) -> Sent:
    return answered(query, secure=False, signed=True)


def stripping(query: Message, _transport: str) -> Sent:
    return answered(query, secure=False, signed=False)


def lying(query: Message, _transport: str) -> Sent:
    return answered(query, secure=True, signed=True)


def examine(
    respond: Callable[[Message, str], Sent], look: Callable[[Examination], list[Finding]], **options: object
) -> dict[str, str]:
    with ScriptedNameserver(respond) as server:
        wanted = {**NAMES, "resolver": "127.0.0.1", "resolver_port": server.port, "timeout": 1.0, **options}
        findings = look(Examination.from_options(wanted))
    return {finding.subject: finding.verdict.value for finding in findings}


def validation(respond: Callable[[Message, str], Sent], **options: object) -> dict[str, str]:
    return examine(respond, lambda examination: examination.validation(NOW), **options)


def test_a_resolver_that_validates_proves_everything() -> None:
    assert validation(validating) == {
        "signed name .": "ok",
        "signed name good.example": "ok",
        "signed name ed.example": "ok",
        "bogus name bogus.example": "ok",
        "unsigned name plain.example": "ok",
        "authenticated denial": "ok",
        "EDNS and TCP": "ok",
        "clock": "ok",
        "algorithms": "ok",
    }


@pytest.mark.parametrize(
    ("respond", "failed"),
    [
        (
            blind,
            {
                "signed name .",
                "signed name good.example",
                "signed name ed.example",
                "bogus name bogus.example",
                "authenticated denial",
            },
        ),
        (
            stripping,
            {
                "signed name .",
                "signed name good.example",
                "signed name ed.example",
                "bogus name bogus.example",
                "authenticated denial",
            },
        ),
        (lying, {"bogus name bogus.example", "unsigned name plain.example"}),
    ],
)
def test_a_resolver_that_does_not_is_found_out(respond: Callable[[Message, str], Sent], failed: set[str]) -> None:
    assert {subject for subject, verdict in validation(respond).items() if verdict == "failed"} == failed


def test_a_resolver_without_tcp_is_found_out() -> None:
    def respond(query: Message, transport: str) -> Sent:
        return validating(query, transport) if transport == "udp" else "close"

    assert validation(respond)["EDNS and TCP"] == "failed"


def test_silence_is_never_taken_for_success() -> None:
    found = validation(lambda _query, _transport: None, timeout=0.2, bogus_names=["bogus.example"])
    assert "ok" not in found.values()


def test_a_wrong_clock_is_seen_in_the_signatures_of_unchecked_answers() -> None:
    def respond(query: Message, transport: str) -> Sent:
        checked = not query.flags & dns.flags.CD
        return reply(query, rcode="SERVFAIL") if checked else validating(query, transport)

    found = examine(respond, lambda examination: examination.validation(NOW + 30 * 86400))
    assert found["clock"] == "warning"


def test_names_may_come_with_a_type() -> None:
    seen: list[str] = []

    def respond(query: Message, transport: str) -> Sent:
        seen.append(f"{query.question[0].name} {dns.rdatatype.to_text(query.question[0].rdtype)}")
        return validating(query, transport)

    found = validation(respond, signed_names=["good.example mx"], bogus_names=[], unsigned_names=[])
    assert "signed name good.example MX" in found
    assert set(seen) == {"good.example. MX", "good.example. TYPE65399"}


@pytest.mark.parametrize(
    ("respond", "verdict"),
    [(validating, "ok"), (blind, "ok"), (stripping, "failed"), (lambda _query, _transport: None, "failed")],
)
def test_forwarders_are_tried_for_signatures_only(respond: Callable[[Message, str], Sent], verdict: str) -> None:
    with ScriptedNameserver(respond) as server:
        options = {**NAMES, "resolver": "127.0.0.1", "resolver_port": 1, "timeout": 0.3}
        (finding,) = Examination.from_options(options).forwarders([f"127.0.0.1@{server.port}"])
    assert (finding.subject, finding.verdict.value) == (f"forwarder 127.0.0.1@{server.port}", verdict)


@pytest.mark.parametrize(
    ("respond", "name", "verdict", "evidence"),
    [
        (validating, "dns.example", "ok", "passes signatures on"),
        (stripping, "dns.example", "failed", "no RRSIG in the answer"),
        (validating, "other.example", "failed", "other.example"),
    ],
)
def test_forwarders_by_tls_are_tried_by_tls(
    respond: Callable[[Message, str], Sent],
    name: str,
    verdict: str,
    evidence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = authority()
    host = issue(root, subject="dns.example", names=["dns.example"])
    (tmp_path / "server.pem").write_text(host.key_pem + host.pem)
    (tmp_path / "root.pem").write_text(root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")

    def only_by_tls(query: Message, transport: str) -> Sent:
        return respond(query, "udp") if transport == "tcp" else None

    with ScriptedNameserver(only_by_tls, tls=context) as server:
        options = {**NAMES, "resolver": "127.0.0.1", "resolver_port": 1, "timeout": 2.0}
        (finding,) = Examination.from_options(options).forwarders([f"127.0.0.1@{server.port}#{name}"])
    assert (finding.verdict.value, finding.subject) == (verdict, f"forwarder 127.0.0.1@{server.port}#{name}")
    assert evidence in finding.evidence


def test_without_a_signed_name_nothing_is_asked() -> None:
    options = {**NAMES, "signed_names": [], "resolver": "127.0.0.1", "resolver_port": 1, "timeout": 0.3}
    with pytest.raises(InvalidInput, match=re.escape("signed_names is empty")):
        Examination.from_options(options)


@pytest.mark.parametrize("text", ["", "a b c", "a..b", "example.org NOSUCHTYPE", "x" * 64])
def test_what_cannot_be_asked_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidName, match=re.escape(repr(text))):
        parse_question(text)


def test_every_bit_of_a_reply_is_kept() -> None:
    def respond(query: Message, transport: str) -> Sent:
        message = t.cast("Message", validating(query, transport))
        message.use_edns(0, 0, 1400, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "why")])
        return message

    asked = Question(name="good.example")
    with ScriptedNameserver(respond) as server:
        replies = ask_all([asked], "127.0.0.1", server.port, 1.0)
    assert replies == {
        asked: Reply(
            authenticated=True,
            records=1,
            signatures=(Signature(algorithm=13, inception=1698796800, expiration=1701388800),),
            payload=1400,
            size=125,
            explanation="EDE 6: why",
        )
    }


def test_no_question_is_no_work() -> None:
    assert ask_all([], "127.0.0.1", 1, 1.0) == {}
