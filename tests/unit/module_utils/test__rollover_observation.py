# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_observation as observation
from ansible_collections.mailsec.dane.plugins.module_utils._authoritative import Server, ServerAnswer
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer as Resolved
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver, Status
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Answer
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Served as Endpoints
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer, Served
from ansible_collections.mailsec.dane.plugins.module_utils._sigalgs import KeyAlgorithm
from ansible_collections.mailsec.dane.plugins.module_utils._starttls import Endpoint, Handshake, Outcome, Prober
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from cryptography.hazmat.primitives.serialization import Encoding

from issued import Issued, issue, key_of

if t.TYPE_CHECKING:
    from collections.abc import Sequence

OWNER: t.Final = "_25._tcp.mx1.example.org"
TARGET: t.Final = "_dane.example.org"
RECORD: t.Final = TlsaRecord(3, 1, 1, b"\1" * 32)
NS1, NS2 = (Server(f"ns{number}", f"192.0.2.{number}") for number in (1, 2))
ECDSA, RSA = (issue("mx1.example.org", key_of(kind)) for kind in ("ecdsa", "rsa"))


def looked(monkeypatch: pytest.MonkeyPatch, *served: Served) -> tuple[tuple[Answer, ...], bool]:
    monkeypatch.setattr(Observer, "look", lambda _self, _name: served)
    answers, aliased = observation.answers_at(Observer(Resolver()), [OWNER])
    return answers[OWNER], aliased


def found(server: Server, name: str = OWNER, ttl: int = 60) -> ServerAnswer:
    return ServerAnswer(server, name, Status.FOUND, (RECORD,), ttl)


def test_every_address_of_every_server_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    none = ServerAnswer(NS2, OWNER, Status.NODATA, negative_ttl=5)
    answers, aliased = looked(monkeypatch, Served(OWNER, "example.org", (found(NS1), none)))
    assert answers == (
        Answer("ns1", "192.0.2.1", frozenset({RECORD}), 60),
        Answer("ns2", "192.0.2.2", frozenset(), 5),
    )
    assert not aliased


def test_a_server_that_did_not_answer_is_no_server_without_records(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = ServerAnswer(NS2, OWNER, error="no answer within 5 s")
    answers, _aliased = looked(monkeypatch, Served(OWNER, "example.org", (found(NS1), silent)))
    assert answers[1].error == "no answer within 5 s"


def test_the_largest_ttl_on_the_way_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    alias = ServerAnswer(NS1, OWNER, alias=TARGET, ttl=900)
    answers, aliased = looked(
        monkeypatch,
        Served(OWNER, "example.org", (alias,)),
        Served(TARGET, "example.org", (found(NS1, TARGET, 60),)),
    )
    assert answers == (Answer("ns1", "192.0.2.1", frozenset({RECORD}), 900),)
    assert aliased


def test_servers_that_disagree_on_an_alias_make_the_look_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    alias = ServerAnswer(NS1, OWNER, alias=TARGET, ttl=900)
    answers, _aliased = looked(
        monkeypatch,
        Served(OWNER, "example.org", (alias, found(NS2))),
        Served(TARGET, "example.org", (found(NS1, TARGET),)),
    )
    assert [answer.error for answer in answers] == [None, f"no alias at {OWNER}"]


def test_a_look_that_fails_is_an_answer_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(_self: Observer, _name: str) -> tuple[Served, ...]:
        raise LookupFailed("the resolver is down")

    monkeypatch.setattr(Observer, "look", look)
    answers, _aliased = observation.answers_at(Observer(Resolver()), [OWNER])
    assert [answer.error for answer in answers[OWNER]] == ["the resolver is down"]


def shaken(monkeypatch: pytest.MonkeyPatch, *shakes: tuple[KeyAlgorithm | None, Outcome, bytes | None]) -> Endpoints:
    async def inspect(_self: Prober, endpoint: Endpoint, _algorithms: Sequence[KeyAlgorithm]) -> tuple[Handshake, ...]:
        return tuple(
            Handshake(endpoint, asked, outcome, () if chain is None else (chain,), detail="what went wrong")
            for asked, outcome, chain in shakes
        )

    monkeypatch.setattr(Prober, "inspect", inspect)
    (served,) = observation.served_at("mx1.example.org", {OWNER: (25, Starttls.SMTP)}, ["192.0.2.7"])
    return served


def der(issued: Issued) -> bytes:
    return issued.certificate.public_bytes(Encoding.DER)


def test_an_endpoint_serves_a_chain_for_each_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    served = shaken(
        monkeypatch,
        (None, Outcome.SERVED, der(ECDSA)),
        (KeyAlgorithm.RSA, Outcome.SERVED, der(RSA)),
    )
    assert served.error is None
    assert [chain.algorithm for chain in served.chains] == ["ecdsa", "rsa"]


def test_an_algorithm_that_the_server_lacks_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    served = shaken(monkeypatch, (None, Outcome.SERVED, der(ECDSA)), (KeyAlgorithm.RSA, Outcome.TLS_FAILED, None))
    assert (served.error, len(served.chains)) == (None, 1)


@pytest.mark.parametrize(
    ("asked", "outcome", "chain"),
    [
        (None, Outcome.UNREACHABLE, None),
        (None, Outcome.NO_ROUTE, None),
        (None, Outcome.NO_STARTTLS, None),
        (None, Outcome.TLS_FAILED, None),
        (KeyAlgorithm.RSA, Outcome.UNREACHABLE, None),
        (KeyAlgorithm.RSA, Outcome.CANNOT_ASK, None),
        (None, Outcome.SERVED, b"no certificate"),
    ],
)
def test_what_could_not_be_seen_is_an_error(
    monkeypatch: pytest.MonkeyPatch, asked: KeyAlgorithm | None, outcome: Outcome, chain: bytes | None
) -> None:
    served = shaken(monkeypatch, (None, Outcome.SERVED, der(ECDSA)), (asked, outcome, chain))
    assert served.error is not None
    assert served.error.startswith("192.0.2.7 port 25")
    assert served.chains == ()


@pytest.mark.parametrize("failing", ["A", "AAAA"])
def test_an_address_family_that_cannot_be_asked_is_not_left_out(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def lookup(_self: Resolver, name: str, rdtype: str) -> Resolved:
        if rdtype == failing:
            raise LookupFailed(f"no answer to {rdtype}")
        return Resolved(name, rdtype, Status.FOUND, True, 60, ("192.0.2.7",), name, ())

    monkeypatch.setattr(Resolver, "lookup", lookup)
    with pytest.raises(LookupFailed, match=f"no answer to {failing}"):
        observation.host_addresses(Resolver(), "mx1.example.org")
