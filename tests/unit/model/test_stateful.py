# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways through the model of a rollover that Hypothesis draws, with policies and key histories that it draws too.

The search of `python -m model` sees every state of scenarios that were written down; this goes where nobody thought of
a scenario, and shrinks what it finds to the shortest way there.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Scheme
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from model.machine import Machine
from model.mutations import MUTATIONS, patched
from model.scenario import Scenario, issuer, key, make_policy

if t.TYPE_CHECKING:
    from model.machine import State

_QUIET = ("a tick", "server 1 is up to date", "server 2 begins a transfer", "server 2 ends its transfer", "decided")


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """A scheme, TTLs and waits in ticks, one or two algorithms, and up to four generations of keys with their CAs."""
    scheme = draw(st.sampled_from((Scheme.CURRENT, Scheme.CURRENT_NEXT, Scheme.CURRENT_ISSUER)))
    ttl = draw(st.integers(1, 3))
    policy = make_policy(
        scheme=scheme,
        ttl=ttl,
        sender_cache=draw(st.integers(0, 2)),
        margin=draw(st.integers(1, 2)),
        unknown_ttl=3,
        exclusive=draw(st.booleans()),
    )
    authorities = st.sampled_from("IJ" if scheme is Scheme.CURRENT_ISSUER else "-")
    letters = draw(st.permutations("abcd"))
    names = [letter + draw(authorities) for letter in letters]
    following = tuple(f"{letter}-" for letter in letters[1:3]) if scheme is Scheme.CURRENT_NEXT else ()
    published = {key(letters[0])}
    if following:
        published.add(key(letters[1]))
    if scheme is Scheme.CURRENT_ISSUER:
        published.add(issuer(names[0][1]))
    elif draw(st.booleans()):
        names = [f"{name}/{rsa}-" for name, rsa in zip(names, draw(st.permutations("rstu")), strict=True)]
        following = ()
        published = {key(letter) for letter in names[0] if letter.isalpha()}
        policy = replace(policy, scheme=Scheme.CURRENT)
    return Scenario(
        "drawn",
        policy,
        tuple(names),
        tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))),
        frozenset(published),
        next_keys=following,
        first_ttl=draw(st.integers(1, 3)),
        faults=draw(st.integers(0, 1)),
        jumps=draw(st.integers(0, 1)),
    )


class Rollovers(RuleBasedStateMachine):
    """The agent's core among servers, caches, processes, people and mishaps; what is drawn is what happens next."""

    world: Machine
    state: State

    @initialize(scenario=scenarios())
    def begin(self, scenario: Scenario) -> None:
        self.world = Machine(scenario)
        self.state = self.world.start()

    @rule(data=st.data())
    def anything_happens(self, data: st.DataObject) -> None:
        self._goes(data, dict(self.world.moves(self.state)))

    @rule(data=st.data())
    def something_usual_happens(self, data: st.DataObject) -> None:
        usual = {name: after for name, after in self.world.moves(self.state) if name.startswith(_QUIET)}
        self._goes(data, usual or dict(self.world.moves(self.state)))

    @rule(data=st.data())
    @precondition(lambda self: self.state.place)
    def the_agent_goes_on(self, data: st.DataObject) -> None:
        self._goes(data, dict(self.world.agent_moves(self.state)))

    def _goes(self, data: st.DataObject, moves: dict[str, State]) -> None:
        name = data.draw(st.sampled_from(sorted(moves)))
        note(name)
        self.state = moves[name]

    @invariant()
    def no_sender_can_refuse(self) -> None:
        assert self.world.violation(self.state) is None


_SETTINGS = settings(
    max_examples=1000, stateful_step_count=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def test_no_way_leads_to_a_chain_that_a_sender_may_refuse() -> None:
    run_state_machine_as_test(Rollovers, settings=_SETTINGS)


@pytest.mark.parametrize("name", ["no wait", "publish replaces instead of adding"])
def test_a_way_is_found_when_a_protection_is_away(name: str) -> None:
    (mutation,) = [one for one in MUTATIONS if one.name == name]
    with patched(mutation.patches), pytest.raises(AssertionError, match="may be served while"):
        run_state_machine_as_test(Rollovers, settings=settings(_SETTINGS, max_examples=3000, phases=[Phase.generate]))
