# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Protections taken away, one at a time: the model must see the harm that each of them prevents."""

from __future__ import annotations

import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

from ansible_collections.mailsec.dane.plugins.module_utils import (
    _rollover,
    _rollover_cover,
    _rollover_ledger,
    _rollover_view,
)
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Kind

from .machine import Machine
from .scenario import OWNER, SCENARIOS, cert, key, make_policy
from .search import wander

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import (
        Answer,
        Chain,
        Decision,
        Ledger,
        Observed,
        Policy,
        Version,
    )
    from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

    from .scenario import Scenario
    from .search import Found

__all__ = ["MUTATIONS", "Mutation", "caught", "patched"]

Patches = tuple[tuple[object, str, object], ...]
View = _rollover_view.OwnerView
_note, _decide, _covers = _rollover_ledger.note, _rollover.decide, _rollover_cover.covers


@dataclass(frozen=True)
class Mutation:
    """``patches``: what is replaced, as (where, name, by what)."""

    name: str
    scenario: str
    patches: Patches
    changes: tuple[tuple[str, t.Any], ...] = ()
    faults: int = 0
    jumps: int = 0
    walks: int = 4000


def caught(mutation: Mutation) -> Found:
    """What the model finds while the protection is away; ``violation`` None: it was not seen."""
    scenario = scenario_of(mutation)
    with patched(mutation.patches):
        return wander(Machine(scenario), walks=mutation.walks)


def scenario_of(mutation: Mutation) -> Scenario:
    usual = next(one for one in SCENARIOS if one.name == mutation.scenario)
    changes: dict[str, t.Any] = {
        "restages": 1,
        "staged": usual.staged[1:2] or usual.staged,
        "faults": mutation.faults,
        "jumps": mutation.jumps,
        **dict(mutation.changes),
    }
    return replace(usual, **changes)


@contextmanager
def patched(patches: Patches) -> Iterator[None]:
    if not patches:
        yield
        return
    (where, name, by), *rest = patches
    with patch.object(where, name, by), patched(tuple(rest)):
        yield


# --- what the mutants do ----------------------------------------------------------------------------------------------


def _first_only(answers: Mapping[str, Sequence[Answer]]) -> dict[str, tuple[Answer, ...]]:
    return {owner: tuple(found)[:1] for owner, found in answers.items()}


def _heard_only(answers: Mapping[str, Sequence[Answer]]) -> dict[str, tuple[Answer, ...]]:
    return {owner: tuple(one for one in found if one.error is None) for owner, found in answers.items()}


def _as_absence(answers: Mapping[str, Sequence[Answer]]) -> dict[str, tuple[Answer, ...]]:
    return {owner: tuple(replace(one, error=None) for one in found) for owner, found in answers.items()}


def _answers_through(change: Callable[[Mapping[str, Sequence[Answer]]], dict[str, tuple[Answer, ...]]]) -> Patches:
    """Both the ledger and the decision see the answers through `change`."""

    def note(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
        return _note(ledger, change(answers), policy, now)

    def decide(observed: Observed, policy: Policy, now: float) -> Decision:
        return _decide(replace(observed, answers=change(observed.answers)), policy, now)

    return ((_rollover_ledger, "note", note), (_rollover, "decide", decide))


def _observed_through(change: Callable[[Observed], Observed]) -> Patches:
    def decide(observed: Observed, policy: Policy, now: float) -> Decision:
        return _decide(change(observed), policy, now)

    return ((_rollover, "decide", decide),)


def _hold(rule: Callable[[int, Policy], float]) -> Patches:
    return ((_rollover_ledger, "hold", rule),)


def _note_unaged(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
    return _note(ledger, answers, replace(policy, max_gap=10**6), now)


def _note_forgetful(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
    noted = _note(ledger, answers, policy, now)
    return replace(noted, versions=tuple(one for one in noted.versions if one.records is not None))


def _note_negative(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
    noted = _note(ledger, answers, policy, now)
    if any(one.error is None and not one.records for one in answers[OWNER]):
        return replace(noted, versions=tuple(one for one in noted.versions if one.until is None))
    return noted


def _ecdsa(chains: Sequence[Chain]) -> tuple[Chain, ...]:
    return tuple(chain for chain in chains if chain.algorithm == "ecdsa")


def _covers_ecdsa(records: frozenset[TlsaRecord], chains: Sequence[Chain]) -> bool:
    return _covers(records, _ecdsa(chains))


def _told_exactly(self: Machine, _provider: int, decision: Decision) -> int:
    """Publish replaces what is there by what is new."""
    records = frozenset(decision.owners[OWNER])
    if decision.kind is Kind.PUBLISH:
        records = records - self.rrsets.things[_provider][0] or records
    return self.rrsets.of((records, self.policy.ttl))


def _covers_unknown(_self: View, version: Version, chains: tuple[Chain, ...], relaxed: bool) -> bool:
    return version.records is None or (
        _rollover_cover.covers_by_any(version.records, chains) if relaxed else _covers(version.records, chains)
    )


def _wanted_target(self: View) -> frozenset[TlsaRecord]:
    return (self.target or self.deployed).keys


def _no_silence(_self: View) -> None:
    return None


_ISSUERS: t.Final = (("staged", ("cJ", "bI", "d-")),)
_SHORT: t.Final = (("policy", make_policy(margin=0)), ("first_ttl", 1))
_READDED: t.Final = (
    ("policy", make_policy()),
    ("staged", ("b-",)),
    ("restages", 5),
    ("published", frozenset({key("a"), key("b")})),
)

MUTATIONS: t.Final = (
    Mutation("no wait", "current", _hold(lambda _ttl, _policy: 0)),
    Mutation("a wait below the bound: the TTL alone", "current", _hold(lambda ttl, _policy: ttl)),
    Mutation(
        "the sender's own cache is forgotten",
        "current",
        _hold(lambda ttl, policy: ttl + policy.margin),
        changes=(("policy", make_policy(sender_cache=2)),),
    ),
    Mutation("no margin for the clock", "current", _hold(lambda ttl, policy: ttl + policy.sender_cache), jumps=1),
    Mutation(
        "the configured TTL instead of the served one",
        "current",
        _hold(lambda _ttl, policy: policy.ttl + policy.sender_cache + policy.margin),
        changes=(("first_ttl", 4),),
    ),
    Mutation("one server instead of all", "current", _answers_through(_first_only)),
    Mutation("a server that does not answer does not count", "current", _answers_through(_heard_only), changes=_SHORT),
    Mutation("a failed read is taken for absence", "current", _answers_through(_as_absence), changes=_SHORT),
    Mutation(
        "one address instead of all",
        "one address lags",
        _observed_through(lambda observed: replace(observed, served=observed.served[:1])),
    ),
    Mutation(
        "an address that cannot be reached does not count",
        "one address lags",
        _observed_through(
            lambda observed: replace(observed, served=tuple(one for one in observed.served if one.error is None))
        ),
    ),
    Mutation(
        "records are removed before the live proof",
        "one address lags",
        ((View, "unseen", _no_silence), (View, "stray", _no_silence), (View, "seen_chains", ())),
    ),
    Mutation(
        "a reload that is owed is forgotten",
        "current",
        _observed_through(lambda observed: replace(observed, reload_owed=False)),
    ),
    Mutation(
        "a ledger older than the RRset is trusted",
        "current",
        ((_rollover_ledger, "note", _note_unaged),),
        changes=_READDED,
        faults=1,
    ),
    Mutation(
        "a lost ledger is taken for one with nothing in it",
        "current",
        ((_rollover_ledger, "note", _note_forgetful),),
        faults=1,
    ),
    Mutation("what is not known is taken to fit", "current", ((View, "_covers", _covers_unknown),), faults=1),
    Mutation("RSA is not looked at", "RSA and ECDSA", ((_rollover_view, "covers", _covers_ecdsa),)),
    Mutation(
        "the last matching record is removed",
        "current",
        ((View, "wanted", property(_wanted_target)), (View, "keeps_cover", lambda _self, _gone: True)),
    ),
    Mutation(
        "the strict cover is replaced by the relaxed one",
        "current+issuer",
        ((_rollover_view, "covers", _rollover_cover.covers_by_any),),
        changes=_ISSUERS,
    ),
    Mutation(
        "a combination is begun before the served chain matches it",
        "current+issuer",
        ((View, "startable", lambda _self, records: records),),
        changes=(("policy", make_policy(extra=frozenset({cert("z")}))),),
    ),
    Mutation(
        "after a negative answer nothing is taken to be held", "ending", ((_rollover_ledger, "note", _note_negative),)
    ),
    Mutation("publish replaces instead of adding", "current", ((Machine, "told", _told_exactly),)),
    Mutation(
        "what is intended is not noted",
        "current",
        ((_rollover_ledger, "intend", lambda ledger, _owners, _policy: ledger),),
        changes=_READDED,
    ),
)
