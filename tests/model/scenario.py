# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a search begins with: keys and chains, what is published, what the policy is, and what may happen on the way."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Chain, Generation, Policy, Scheme
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

__all__ = ["OWNER", "SCENARIOS", "Scenario", "cert", "issuer", "key", "make_policy"]

OWNER: t.Final = "_25._tcp.mx1.example.org"


def key(letter: str) -> TlsaRecord:
    """The 3 1 1 of a key."""
    return TlsaRecord(3, 1, 1, letter.encode() * 32)


def issuer(letter: str) -> TlsaRecord:
    """The 2 1 1 of a CA."""
    return TlsaRecord(2, 1, 1, letter.encode() * 32)


def cert(letter: str) -> TlsaRecord:
    """The 3 0 1 of a certificate."""
    return TlsaRecord(3, 0, 1, letter.encode() * 32)


def generation(name: str) -> Generation:
    """``aI/bJ``: an ECDSA key ``a`` certified by ``I`` beside an RSA key ``b`` certified by ``J``; ``-``: self-signed.

    A digit after it tells certificates of the same key and CA apart.
    """
    chains = []
    for algorithm, part in zip(("ecdsa", "rsa"), name.split("/"), strict=False):
        letter, authority = part[0], part[1]
        issuers = () if authority == "-" else (issuer(authority),)
        records = frozenset((key(letter), cert(chr(128 + sum(map(ord, part)) % 100)), *issuers))
        chains.append(Chain(algorithm, records, key(letter), issuers, 1e12))
    return Generation(name, tuple(chains))


def make_policy(**changes: t.Any) -> Policy:  # noqa: ANN401  # fields of a dataclass by name
    """Spans in ticks: a resolver and a sender really hold for the TTL and 1; the clock may be wrong by 1."""
    usual: dict[str, t.Any] = {
        "owners": (OWNER,),
        "scheme": Scheme.CURRENT,
        "ttl": 1,
        "multiplier": 1.0,
        "sender_cache": 1,
        "margin": 1,
        "unknown_ttl": 2,
        "max_gap": 1,
    }
    return Policy(**(usual | changes))


@dataclass(frozen=True)
class Scenario:
    """``generations``: the first is deployed; ``staged`` of them may be staged at any moment, ``restages`` times.

    ``next_keys`` are prepared one after the other. ``published`` has the TTL ``first_ttl``. ``stranger`` is what
    another machine behind the name serves at the second address. ``relaxed``: the rule is checked in its relaxed form,
    which the policy asks for by name. ``far``: what the second address serves at first, as it missed a reload.
    """

    name: str
    policy: Policy
    generations: tuple[str, ...]
    staged: tuple[str, ...]
    published: frozenset[TlsaRecord]
    next_keys: tuple[str, ...] = ()
    first_ttl: int = 2
    restages: int = 2
    stranger: str | None = None
    relaxed: bool = False
    far: str | None = None
    faults: int = 1
    jumps: int = 1


SCENARIOS: t.Final = (
    Scenario("current", make_policy(), ("a-", "b-", "c-"), ("a-", "b-", "c-"), frozenset({key("a")})),
    Scenario(
        "current+next",
        make_policy(scheme=Scheme.CURRENT_NEXT),
        ("a-", "b-", "c-", "d-"),
        ("a-", "b-", "c-"),
        frozenset({key("a"), key("b")}),
        next_keys=("b-", "d-"),
    ),
    Scenario(
        "current+issuer",
        make_policy(scheme=Scheme.CURRENT_ISSUER),
        ("aI", "aJ", "bI", "cJ", "d-"),
        ("aI", "aJ", "bI", "cJ", "d-"),
        frozenset({key("a"), issuer("I")}),
    ),
    Scenario(
        "RSA and ECDSA",
        make_policy(),
        ("a-/r-", "b-/r-", "a-/s-", "b-/s-"),
        ("b-/r-", "a-/s-", "b-/s-"),
        frozenset({key("a"), key("r")}),
    ),
    Scenario("ending", make_policy(scheme=Scheme.NONE), ("a-", "b-"), ("b-",), frozenset({key("a")})),
    Scenario("joining", make_policy(), ("a-", "b-"), ("a-", "b-"), frozenset(), far="b-"),
    Scenario(
        "emergency",
        make_policy(scheme=Scheme.CURRENT_NEXT, compromised=frozenset({key("a")})),
        ("a-", "b-", "c-", "d-"),
        ("a-", "b-", "c-"),
        frozenset({key("a"), key("b")}),
        next_keys=("b-", "d-"),
    ),
    Scenario(
        "shared name",
        make_policy(exclusive=False),
        ("a-", "b-", "c-", "x-"),
        ("b-", "c-"),
        frozenset({key("a"), key("x")}),
        stranger="x-",
    ),
    Scenario(
        "one address lags",
        make_policy(),
        ("b-", "a-", "c-"),
        ("a-", "c-"),
        frozenset({key("a"), key("b"), key("z")}),
        far="a-",
    ),
)
