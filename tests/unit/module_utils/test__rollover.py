# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._rollover import decide
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import (
    Answer,
    Chain,
    Decision,
    Generation,
    Kind,
    Ledger,
    Scheme,
    Served,
    Version,
)

from rollover_cases import NOW, OWNER, answer, chain, generation, observed, policy, record, rrset, version

A, B = generation("a"), generation("b")
DEAD = answer(server="ns2", error="timed out")


def step(*answers: Answer, rules: dict[str, t.Any] | None = None, **changes: t.Any) -> Decision:  # noqa: ANN401  # fields of a dataclass by name
    return decide(observed(*answers, **changes), policy(**(rules or {})), NOW)


def ledger(*versions: Version, deployed_at: float = NOW - 1e6) -> Ledger:
    return Ledger(versions, NOW, deployed_at)


def served(*chains: Chain, error: str | None = None) -> tuple[Served, ...]:
    return (Served(OWNER, "192.0.2.1", A.chains), Served(OWNER, "192.0.2.2", chains, error))


def after(decision: Decision) -> frozenset[t.Any]:
    return frozenset(decision.owners[OWNER])


# --- the way of a rollover -------------------------------------------------------------------------------------------


def test_nothing_to_do() -> None:
    done = step(answer("a"), answer("a", server="ns2"))
    assert (done.kind, done.alarms) == (Kind.DONE, ())


def test_what_is_staged_is_published_beside_what_is_there() -> None:
    decision = step(answer("a"), staged=B)
    assert (decision.kind, after(decision)) == (Kind.PUBLISH, rrset("a", "b"))
    assert "3 1 1 62626262" in decision.why


def test_propagation_is_waited_for() -> None:
    decision = step(answer("a", "b"), answer("a", server="ns2"), staged=B)
    assert (decision.kind, decision.until) == (Kind.WAIT, None)
    assert (
        "3 1 1 61616161.. at _25._tcp.mx1.example.org, TTL 300, is still served by ns2 (address of ns2)" in decision.why
    )


def test_caches_are_waited_for() -> None:
    memory = ledger(version("a", until=NOW + 600), version("a", "b"))
    decision = step(answer("a", "b"), staged=B, ledger=memory)
    assert (decision.kind, decision.until) == (Kind.WAIT, NOW + 600)
    assert "may be held until 2027-01-15 08:10:00 UTC" in decision.why


@pytest.mark.parametrize("changes", [{}, {"staged": A}])
def test_deployed_when_all_that_may_be_held_fits(changes: dict[str, t.Any]) -> None:
    decision = step(answer("a", "b"), **({"staged": B} | changes))
    if changes:
        assert (decision.kind, after(decision)) == (Kind.RETIRE, rrset("a"))
    else:
        assert (decision.kind, decision.generation) == (Kind.DEPLOY, "b")


def test_the_former_record_goes_once_every_address_is_proved() -> None:
    decision = step(answer("a", "b"), deployed=B)
    assert (decision.kind, after(decision), decision.removed) == (
        Kind.RETIRE,
        rrset("b"),
        {OWNER: (record("3 1 1 a"),)},
    )


def test_a_reload_that_is_owed_comes_first() -> None:
    decision = step(answer("a"), staged=B, reload_owed=True)
    assert (decision.kind, decision.generation) == (Kind.DEPLOY, "a")


def test_what_may_be_deployed_settles_a_reload_that_is_owed() -> None:
    decision = step(answer("a", "b"), staged=B, reload_owed=True)
    assert (decision.kind, decision.generation) == (Kind.DEPLOY, "b")


def test_a_renewal_that_every_rrset_fits_is_deployed_at_once() -> None:
    renewed = Generation("a2", (chain("a", "I"),))
    assert step(answer("a"), staged=renewed).kind is Kind.DEPLOY


def test_back_to_the_former_key_at_once_while_its_record_is_out() -> None:
    decision = step(answer("a", "b"), deployed=B, staged=A, served=(Served(OWNER, "192.0.2.1", B.chains),))
    assert (decision.kind, decision.generation) == (Kind.DEPLOY, "a")


def test_the_rollback_window_keeps_former_records() -> None:
    memory = ledger(version("a", "b"), deployed_at=NOW - 100)
    changes: dict[str, t.Any] = {"deployed": B, "former": rrset("a"), "ledger": memory, "rules": {"retire_after": 300}}
    decision = step(answer("a", "b"), **changes)
    assert (decision.kind, decision.until) == (Kind.WAIT, NOW + 200)
    assert step(answer("a", "b"), **(changes | {"former": frozenset()})).kind is Kind.RETIRE
    assert step(answer("a", "b"), **(changes | {"ledger": replace(memory, deployed_at=None)})).kind is Kind.RETIRE


def test_several_owner_names_wait_for_the_last() -> None:
    other = "_465._tcp.mx1.example.org"
    look = observed(answer("a", "b"), staged=B)
    look = replace(
        look,
        answers={**look.answers, other: (answer("a"),)},
        served=(*look.served, Served(other, "192.0.2.1", A.chains)),
        ledger=ledger(version("a", "b"), version("a", owner=other)),
    )
    decision = decide(look, policy(owners=(OWNER, other)), NOW)
    assert (decision.kind, list(decision.owners)) == (Kind.PUBLISH, [other])


# --- what is not known ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "changes", "why"),
    [
        ((answer("a", "b"), DEAD), {}, "ns2 (address of ns2) did not say what it serves"),
        ((answer("a", "b"),), {"served": served(error="no route")}, "192.0.2.2 could not be seen"),
        ((answer("a", "b"),), {"served": served()}, "it showed no chain"),
        ((answer("a", "b"),), {"served": ()}, "no address was looked at"),
    ],
)
def test_what_is_not_seen_neither_deploys_nor_retires(
    answers: tuple[Answer, ...], changes: dict[str, t.Any], why: str
) -> None:
    for staged in (B, None):
        decision = step(*answers, staged=staged, **changes)
        assert (decision.kind, decision.until) == (Kind.WAIT, None)
        assert why in decision.why


def test_leftovers_wait_for_a_server_that_differs() -> None:
    late = step(answer("a"), answer(server="ns2"))
    assert (late.kind, "ns2 (address of ns2) does not serve 3 1 1 61616161.." in late.why) == (Kind.WAIT, True)
    decision = step(answer("a", "z"), answer("a", server="ns2"))
    assert (decision.kind, decision.until) == (Kind.WAIT, None)
    assert "ns2 (address of ns2) does not serve 3 1 1 7a7a7a7a.. at" in decision.why


def test_without_a_name_server_nothing_is_done() -> None:
    assert step(staged=B).kind is Kind.WAIT
    assert "no name server was asked" in step().why


def test_a_silent_server_does_not_keep_records_from_being_added() -> None:
    assert step(answer("a"), DEAD, staged=B).kind is Kind.PUBLISH
    assert step(DEAD, staged=B).kind is Kind.WAIT


def test_what_the_ledger_does_not_know_fits_only_what_is_deployed() -> None:
    unknown = version(records=None, until=NOW + 50)
    memory = ledger(unknown, version("a", "b", published=NOW))
    decision = step(answer("a", "b"), staged=B, ledger=memory)
    assert (decision.kind, decision.until) == (Kind.WAIT, NOW + 50)
    assert "before this host began to watch" in decision.why


def test_a_new_ledger_has_wanted_records_published_again() -> None:
    memory = ledger(version(records=None), version("a"))
    assert step(answer("a"), ledger=memory).kind is Kind.PUBLISH
    memory = ledger(version(records=None), version("a", published=NOW))
    assert step(answer("a"), ledger=memory).kind is Kind.DONE


def test_a_removal_that_may_have_happened_is_taken_back() -> None:
    gone = version("a", intended=True, seen=False)
    decision = step(answer("a", "b"), staged=B, ledger=ledger(version("a", "b"), gone))
    assert (decision.kind, after(decision)) == (Kind.PUBLISH, rrset("a", "b"))
    again = version("a", "b", intended=True, published=NOW, seen=False)
    decision = step(answer("a", "b"), staged=B, ledger=ledger(version("a", "b"), gone, again))
    assert (decision.kind, decision.until) == (Kind.WAIT, None)
    assert "may yet be served by some server" in decision.why


# --- joining, ending --------------------------------------------------------------------------------------------------


def test_the_first_rrset_waits_for_every_address() -> None:
    assert after(step(answer())) == rrset("a")
    for strange in (served(*B.chains), served(error="refused")):
        decision = step(answer(), served=strange)
        assert decision.kind is Kind.WAIT
        assert "192.0.2.2" in decision.why
    assert step(answer(), DEAD).kind is Kind.WAIT


def test_without_an_rrset_nothing_is_waited_for() -> None:
    assert step(answer(), staged=B).kind is Kind.DEPLOY


def test_at_the_end_of_an_alias_former_records_stay_and_that_is_told() -> None:
    decision = step(answer("a", "b"), rules={"exclusive": False, "aliased": True}, former=rrset("b"))
    assert decision.kind is Kind.DONE
    assert "3 1 1 62626262.. at the end of the alias" in decision.alarms[0]
    assert step(answer("a", "b"), rules={"exclusive": False}, former=rrset("b")).kind is Kind.RETIRE


def test_at_the_end_of_an_alias_a_compromised_record_goes() -> None:
    rules = {"exclusive": False, "aliased": True, "compromised": rrset("b")}
    decision = step(answer("a", "b", "c"), rules=rules, former=rrset("b", "c"))
    assert decision.kind is Kind.RETIRE
    assert after(decision) == rrset("a", "c")


def test_ending_removes_all_at_once_and_keeps_the_key_as_long_as_it_is_held() -> None:
    rules = {"scheme": Scheme.NONE}
    decision = step(answer("a", "z"), rules=rules)
    assert (decision.kind, after(decision)) == (Kind.RETIRE, frozenset())
    assert step(answer("a"), DEAD, rules=rules).kind is Kind.WAIT
    memory = ledger(version("a", until=NOW + 9), version())
    for staged in (None, B):
        decision = step(answer(), rules=rules, ledger=memory, staged=staged)
        assert (decision.kind, decision.until) == (Kind.WAIT, NOW + 9)
    assert "DANE has ended" in step(answer(), rules=rules).why


def test_ending_on_one_of_several_machines_is_refused_while_it_stands_behind_the_name() -> None:
    rules = {"scheme": Scheme.NONE, "exclusive": False}
    assert step(answer("a", "x"), rules=rules).kind is Kind.REFUSE
    assert step(answer("a"), rules=rules).kind is Kind.RETIRE


# --- schemes ----------------------------------------------------------------------------------------------------------


def test_current_and_next() -> None:
    rules = {"scheme": Scheme.CURRENT_NEXT}
    assert after(step(answer("a"), rules=rules, next=B)) == rrset("a", "b")
    assert step(answer("a"), rules=rules).kind is Kind.DONE
    assert step(answer("a", "b"), rules=rules, next=B).kind is Kind.DONE
    assert step(answer("a", "b"), rules=rules, next=B, staged=B).kind is Kind.DEPLOY


def test_current_and_issuer() -> None:
    rules = {"scheme": Scheme.CURRENT_ISSUER}
    first, other, alone = generation(chain("a", "I")), generation(chain("b", "J")), B
    assert after(step(answer("a"), rules=rules, deployed=first)) == rrset("a", "2 1 1 I")
    assert after(step(answer("a"), rules=rules, deployed=first, staged=alone)) == rrset("a", "b")
    full = answer("a", "2 1 1 I")
    assert after(step(full, rules=rules, deployed=first, staged=other)) == rrset("a", "2 1 1 I", "b", "2 1 1 J")
    blocked = step(answer("a", "b", "2 1 1 I"), rules=rules, deployed=first, staged=alone)
    assert (blocked.kind, after(blocked)) == (Kind.RETIRE, rrset("a", "b"))
    assert step(answer("a"), rules=rules).kind is Kind.DONE


def test_a_combination_is_not_begun_before_the_served_chain_matches_it() -> None:
    decision = step(answer("a"), rules={"extra": rrset("3 0 1 b", "9 9 9 x")})
    assert after(decision) == rrset("a", "9 9 9 x")
    decision = step(answer("a"), rules={"extra": rrset("3 0 1 b")})
    assert decision.kind is Kind.WAIT
    assert "cannot be published at _25._tcp.mx1.example.org yet: some chain" in decision.why


def test_rsa_and_ecdsa_side_by_side() -> None:
    both = generation("a", chain("r", algorithm="rsa"))
    new = generation("a", chain("s", algorithm="rsa"))
    assert after(step(answer("a", "r"), deployed=both, staged=new)) == rrset("a", "r", "s")
    memory = ledger(version("a", "r", until=NOW + 5), version("a", "r", "s"))
    assert step(answer("a", "r", "s"), deployed=both, staged=new, ledger=memory).kind is Kind.WAIT


def test_records_of_other_machines_stay() -> None:
    rules = {"exclusive": False}
    other = served(chain("x"))
    assert step(answer("a", "x"), rules=rules, served=other).kind is Kind.DONE
    assert after(step(answer("a", "b", "x"), rules=rules, served=other, former=rrset("b"))) == rrset("a", "x")
    assert step(answer("a", "x"), served=served(chain("x"))).kind is Kind.WAIT


# --- emergencies and limits -------------------------------------------------------------------------------------------


def test_a_compromised_key_gives_way_to_the_next_at_once_and_its_record_goes_first() -> None:
    rules = {"scheme": Scheme.CURRENT_NEXT, "compromised": rrset("a")}
    decision = step(answer("a", "b"), rules=rules, next=B)
    assert (decision.kind, decision.generation) == (Kind.DEPLOY, "b")
    decision = step(answer("a", "b"), rules=rules, deployed=B, next=generation("c"))
    assert (decision.kind, after(decision)) == (Kind.RETIRE, rrset("b"))
    decision = step(answer("b"), rules=rules, deployed=B, next=generation("c"))
    assert (decision.kind, after(decision)) == (Kind.PUBLISH, rrset("b", "c"))
    assert step(answer("a", "b"), DEAD, rules=rules, deployed=B).kind is Kind.WAIT


def test_in_an_emergency_any_usable_record_is_enough_and_no_less() -> None:
    rules = {"compromised": rrset("a")}
    first, new = generation(chain("a", "I")), generation(chain("b", "J"))
    memory = ledger(version("a", "b", "2 1 1 I"))
    look: dict[str, t.Any] = {"deployed": first, "staged": new, "ledger": memory}
    decision = step(answer("a", "b", "2 1 1 I"), rules=rules, **look)
    assert (decision.kind, "the rule is relaxed" in decision.why) == (Kind.DEPLOY, True)
    assert step(answer("a", "b", "2 1 1 I"), rules={"extra": rrset("2 1 1 I")}, **look).kind is Kind.WAIT
    assert step(answer("a"), rules=rules, staged=B).kind is Kind.PUBLISH


def test_a_compromised_key_is_never_staged_again() -> None:
    decision = step(answer("b"), rules={"compromised": rrset("a")}, deployed=B, staged=A)
    assert (decision.kind, decision.alarms) == (Kind.REFUSE, (decision.why,))
    alone = step(answer("a"), rules={"compromised": rrset("a")})
    assert (alone.kind, "stage a new one" in alone.why) == (Kind.REFUSE, True)
    assert "no chain" in step(answer("a"), staged=Generation("empty", ())).why


def test_a_certificate_that_expires_first_is_an_alarm_and_the_policy_decides() -> None:
    soon = generation(chain("a", "I", until=NOW + 100))
    new = generation(chain("b", "J"))
    memory = ledger(version("a", "b", "2 1 1 I", until=NOW + 600), version("a", "b"))
    look: dict[str, t.Any] = {"deployed": soon, "staged": new, "ledger": memory}
    waits = step(answer("a", "b"), **look)
    assert (waits.kind, waits.until) == (Kind.WAIT, NOW + 600)
    assert "before b may be served" in waits.alarms[0]
    relaxed = step(answer("a", "b"), rules={"relax_on_expiry": True}, **look)
    assert relaxed.kind is Kind.DEPLOY
    assert "relaxes" in relaxed.alarms[0]
    assert "any new key" in step(answer("a"), deployed=soon).alarms[0]
    assert "expired at" in step(answer("a"), deployed=generation(chain("a", until=NOW - 1))).alarms[0]


def test_a_chain_that_is_served_and_matches_nothing_is_an_alarm_and_keeps_records() -> None:
    decision = step(answer("a"), served=served(*B.chains))
    assert "does not match the RRset" in decision.alarms[0]
    assert "load its service anew" in decision.why


def test_the_last_matching_record_is_never_removed() -> None:
    decision = step(answer("a", "x"), rules={"exclusive": False}, former=rrset("x"), served=served(chain("x")))
    assert (decision.kind, "would match no record" in decision.why) == (Kind.WAIT, True)


def test_twelve_records_are_the_limit() -> None:
    full = [chr(ord("A") + number) for number in range(11)]
    rules = {"exclusive": False}
    assert step(answer("a", *full), rules=rules, staged=B).kind is Kind.REFUSE
    freed = step(answer("a", *full), staged=B)
    assert (freed.kind, after(freed)) == (Kind.RETIRE, rrset("a"))
    emptied = step(answer("a", *full, "b", "c"), rules=rules, former=rrset("c"), staged=B)
    assert emptied.kind is Kind.DEPLOY


def test_without_a_chain_or_a_name_there_is_nothing_to_decide() -> None:
    for deployed in (None, Generation("empty", ())):
        assert step(answer("a"), deployed=deployed).kind is Kind.REFUSE
    assert decide(observed(answer("a")), policy(owners=()), NOW).kind is Kind.REFUSE


def test_a_time_that_no_calendar_has_is_told_all_the_same() -> None:
    memory = ledger(version("a", until=1e30), version("a", "b"))
    unknown = ledger(version(records=None), version("a", "b", published=NOW))
    assert "nobody can tell when" in step(answer("a", "b"), staged=B, ledger=unknown).why
    assert "the end of time" in step(answer("a", "b"), staged=B, ledger=memory).why
