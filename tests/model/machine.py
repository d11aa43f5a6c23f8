# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The world as a state machine: servers, caches, endpoints, the store and the agent, whose core is the real one.

A state is a tuple of small numbers; what is large (RRsets, ledgers, actions) is kept once and known by its number.
Times are relative to now. Every transition is a name and the state after it.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.mailsec.dane.plugins.module_utils import _rollover, _rollover_ledger
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import (
    Answer,
    Decision,
    Kind,
    Ledger,
    Observed,
    Served,
    Version,
)

from .scenario import OWNER, generation

if t.TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

    from .scenario import Scenario

__all__ = ["Machine", "State"]


class State(t.NamedTuple):
    """Everything that the future depends on. 0 is "none" where a number names something."""

    provider: int  # RRset
    first: int  # RRset that each server serves
    second: int
    transfer: int  # RRset that the second server is fetching, and for how long already
    age: int
    cached: int  # RRsets that no server serves any more and that caches may hold, with the ticks left
    near: int  # generations that processes at each address may have loaded, as bits
    far: int
    lagging: int  # the far address missed the last reload
    deployed: int  # generations
    staged: int
    next: int
    owed: int  # the mark that services may not have loaded what is deployed
    ledger: int
    copy: int  # an older copy of the ledger that may be restored
    place: int  # where the agent is
    action: int  # what it has in its memory there
    ahead: int  # by how much its clock is ahead
    restages: int  # how often each of these may still happen
    faults: int
    jumps: int
    nexts: int  # how many next keys were prepared


IDLE, READ, DECIDED, INTENDED, ACTED, OWING, SWITCHED, RELOADED, BACK, SETTLED = range(10)


class Numbers:
    """Things and their numbers, from 1."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.things: list[t.Any] = [None]

    def of(self, thing: Hashable) -> int:
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self.things)
            self.things.append(thing)
        return number


class Machine:
    """One scenario's world. ``held_for`` ticks after a server served it last, an RRset may still be held."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.policy = scenario.policy
        self.generations = [None, *(generation(name) for name in scenario.generations)]
        ours = [one for name in scenario.generations if name != scenario.stranger for one in generation(name).chains]
        self._former = frozenset(record for chain in ours for record in (chain.key, *chain.issuers))
        self.number = {name: place for place, name in enumerate(scenario.generations, 1)}
        self.rrsets = Numbers()
        self.ledgers = Numbers()
        self.caches = Numbers()
        self.actions = Numbers()
        self.decisions: dict[tuple[int, ...], tuple[int, str]] = {}
        self._noted: dict[tuple[int, int, int], int] = {}
        self._shifts: dict[tuple[int, int], int] = {}
        self._fits: dict[int, int] = {}

    def held_for(self, rrset: int) -> int:
        ttl: int = self.rrsets.things[rrset][1]
        return ttl + self.policy.sender_cache

    # --- the beginning ------------------------------------------------------------------------------------------------

    def start(self) -> State:
        scenario = self.scenario
        rrset = self.rrsets.of((scenario.published, scenario.first_ttl))
        begun = Ledger((Version(OWNER, scenario.published, scenario.first_ttl),), 0.0, 0.0)
        stranger = self.number[scenario.stranger] if scenario.stranger else 0
        return State(
            provider=rrset,
            first=rrset,
            second=rrset,
            transfer=0,
            age=0,
            cached=self.caches.of(()),
            near=1 << 1,
            far=1 << (stranger or (self.number[scenario.far] if scenario.far else 1)),
            lagging=int(scenario.far is not None),
            deployed=1,
            staged=0,
            next=self.number[scenario.next_keys[0]] if scenario.next_keys else 0,
            owed=0,
            ledger=self._ledger(begun),
            copy=0,
            place=IDLE,
            action=0,
            ahead=0,
            restages=scenario.restages,
            faults=scenario.faults,
            jumps=scenario.jumps,
            nexts=1,
        )

    # --- the rule, in its own words -----------------------------------------------------------------------------------

    def violation(self, state: State) -> str | None:
        """What is wrong in a state: a chain that may be served beside an RRset that may be held and does not fit it."""
        loaded = state.near | state.far
        rrsets = [state.first, state.second, *(number for number, _left in self.caches.things[state.cached])]
        for number in rrsets:
            if wrong := loaded & ~self._fitting(number):
                names = [one for one, place in self.number.items() if wrong >> place & 1]
                return f"{', '.join(names)} may be served while {self._told(number)} may be held"
        if not self.rrsets.things[state.provider][0] and self.scenario.published and self.policy.scheme.value != "none":
            return "the last record was removed"
        return None

    def _fitting(self, number: int) -> int:
        """The generations that fit an RRset, as bits. Written here anew: the code under test does not judge itself."""
        if number not in self._fits:
            records: frozenset[TlsaRecord] = self.rrsets.things[number][0]
            kinds = {(record.usage, record.selector, record.matching_type) for record in records}
            bits = 0
            for place, one in enumerate(self.generations):
                if one is None:
                    continue
                fits = True
                for chain in one.chains:
                    matched = {(r.usage, r.selector, r.matching_type) for r in records if r in chain.records}
                    fits &= (bool(matched) or not kinds) if self.scenario.relaxed else matched == kinds
                bits |= int(fits) << place
            self._fits[number] = bits
        return self._fits[number]

    def _told(self, number: int) -> str:
        records, ttl = self.rrsets.things[number]
        return (
            "{"
            + ", ".join(f"{r.usage} {r.selector} {r.matching_type} {chr(r.data[0])}" for r in sorted(records))
            + f"}} TTL {ttl}"
        )

    # --- what may happen ----------------------------------------------------------------------------------------------

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        yield from self._servers(state)
        yield from self._endpoints(state)
        yield from self._people(state)
        yield from self._mishaps(state)
        yield from self.agent_moves(state)
        if state.place != IDLE:
            yield "the agent is killed", state._replace(place=IDLE, action=0)
        if state.age < self.policy.max_gap or not state.transfer:
            if state.place == IDLE:
                yield "a tick", self.tick(state)
            elif state.jumps:
                yield "a tick, while the agent is held up", self.tick(state._replace(jumps=state.jumps - 1))

    def tick(self, state: State) -> State:
        left = tuple((number, ticks - 1) for number, ticks in self.caches.things[state.cached] if ticks > 1)
        return state._replace(
            cached=self.caches.of(left),
            age=state.age + 1 if state.transfer else 0,
            ledger=self._shifted(state.ledger, -1),
            copy=self._shifted(state.copy, -1),
        )

    def _servers(self, state: State) -> Iterator[tuple[str, State]]:
        if state.first != state.provider:
            yield "server 1 is up to date", self.serve(state, first=state.provider)
        if not state.transfer and state.second != state.provider:
            yield "server 2 begins a transfer", state._replace(transfer=state.provider)
        if state.transfer:
            yield "server 2 ends its transfer", self.serve(state, second=state.transfer)

    def serve(self, state: State, *, first: int = 0, second: int = 0) -> State:
        after = (first or state.first, second or state.second)
        left = dict(self.caches.things[state.cached])
        left |= {number: self.held_for(number) for number in (state.first, state.second)}
        kept = tuple(sorted((number, ticks) for number, ticks in left.items() if number not in after))
        done = {"transfer": 0, "age": 0} if second else {}
        return state._replace(first=after[0], second=after[1], cached=self.caches.of(kept), **done)

    def _endpoints(self, state: State) -> Iterator[tuple[str, State]]:
        """Processes end and begin: the new ones load what is deployed then, without any reload."""
        bit = 1 << state.deployed
        if not state.near & bit:
            yield "a process is recycled", state._replace(near=state.near | bit)
        if self.scenario.stranger:
            return
        if state.lagging:
            yield "the far address loads what is deployed", state._replace(far=bit, lagging=0)
        elif not state.far & bit:
            yield "a far process is recycled", state._replace(far=state.far | bit)

    def _people(self, state: State) -> Iterator[tuple[str, State]]:
        """Staging takes the lock that the agent holds."""
        if state.place == IDLE:
            if state.restages:
                for name in self.scenario.staged:
                    if self.number[name] not in (state.deployed, state.staged):
                        after = state._replace(staged=self.number[name], restages=state.restages - 1)
                        yield f"{name} is staged", after
                if state.staged:
                    yield "what is staged is withdrawn", state._replace(staged=0, restages=state.restages - 1)
            keys = self.scenario.next_keys
            if keys and not state.next and state.nexts < len(keys):
                yield "a next key is made", state._replace(next=self.number[keys[state.nexts]], nexts=state.nexts + 1)

    def _mishaps(self, state: State) -> Iterator[tuple[str, State]]:
        """Ledgers are lost or restored from a copy, and clocks are set."""
        if state.faults and state.place == IDLE:
            lost = self._ledger(Ledger())
            if not state.copy:
                yield "the ledger is copied", state._replace(copy=state.ledger)
            else:
                age = -(self.ledgers.things[state.copy].updated or 0.0)
                if age > self.policy.max_gap:
                    yield (
                        "the copy of the ledger is restored",
                        state._replace(ledger=state.copy, copy=0, faults=state.faults - 1),
                    )
            if state.ledger != lost:
                yield "the ledger is lost", state._replace(ledger=lost, faults=state.faults - 1)
        if state.jumps or state.ahead:
            step = -1 if state.ahead else 1
            yield (
                "the clock jumps",
                state._replace(
                    ahead=state.ahead + step,
                    jumps=state.jumps - (step == 1),
                    ledger=self._shifted(state.ledger, -step),
                    copy=self._shifted(state.copy, -step),
                ),
            )

    # --- the agent ----------------------------------------------------------------------------------------------------

    def agent_moves(self, state: State) -> Iterator[tuple[str, State]]:
        if state.place == IDLE:
            yield from self._decides(state._replace(place=READ, action=state.first))
            name, after = self.decide(state._replace(place=READ, action=0), state.second, *self._shown(state)[0])
            yield f"server 1 is silent: {name}", after
            if state.jumps:
                yield "server 1 is asked", state._replace(place=READ, action=state.first)
        elif state.place == READ:
            yield from self._decides(state)
        elif state.place == DECIDED:
            for _step in range(3):
                name, state = self._publishes(state)
                yield name + (", and the agent is killed" if state.place else ""), state._replace(place=IDLE, action=0)
        else:
            yield from self._deploys(state)

    def _decides(self, state: State) -> Iterator[tuple[str, State]]:
        seen = self._shown(state)
        for second, (here, there) in [
            *((state.second, pair) for pair in seen),
            (0, seen[0]),
            *((state.second, pair) for pair in {pair: None for one, other in seen for pair in ((one, 0), (0, other))}),
        ]:
            name, after = self.decide(state, second, here, there)
            silent = "" if second else "server 2 is silent: "
            silent += "" if here and there else "an address is silent: "
            yield silent + name, after

    def _shown(self, state: State) -> list[tuple[int, int]]:
        """What may be seen at the two addresses: a look meets one process of each."""
        places = range(1, len(self.generations))
        return [(one, other) for one in places for other in places if state.near >> one & 1 and state.far >> other & 1]

    def decide(self, state: State, second: int, near: int, far: int) -> tuple[str, State]:
        """The agent has heard of everything (0: no answer), notes it, decides, and remembers what to do."""
        looked = (state.ledger, state.action, second)
        if looked not in self._noted:
            answers = self._answers(state.action, second)
            noted = _rollover_ledger.note(self.ledgers.things[state.ledger], answers, self.policy, 0.0)
            self._noted[looked] = self._ledger(noted)
        ledger = self._noted[looked]
        known = (ledger, state.action, second, near, far, state.deployed, state.staged, state.next, state.owed)
        if known not in self.decisions:
            self.decisions[known] = self._decided(known)
        action, told = self.decisions[known]
        after = state._replace(ledger=ledger, place=IDLE, action=0)
        if action:
            decision: Decision = self.actions.things[action]
            after = after._replace(place=OWING if decision.kind is Kind.DEPLOY else DECIDED, action=action)
            if decision.kind is Kind.DEPLOY:
                former = (decision, state.deployed)
                after = after._replace(owed=1, action=self.actions.of(former))
        return told, after

    def _decided(self, known: tuple[int, ...]) -> tuple[int, str]:
        ledger, first, second, near, far, deployed, staged, following, owed = known
        observed = Observed(
            self._answers(first, second),
            (self._served("192.0.2.1", near), self._served("192.0.2.2", far)),
            self.generations[deployed],
            self.generations[staged] if staged else None,
            self.generations[following] if following else None,
            self._former,
            bool(owed),
            self.ledgers.things[ledger],
        )
        decision = _rollover.decide(observed, self.policy, 0.0)
        acts = decision.kind in (Kind.PUBLISH, Kind.RETIRE, Kind.DEPLOY)
        kept = Decision(
            decision.kind,
            "",
            owners=_Frozen(decision.owners),
            removed=_Frozen(decision.removed),
            generation=decision.generation,
        )
        told = f"decided: {decision.kind.value}: {decision.why}"
        return self.actions.of(kept) if acts else 0, told

    def _answers(self, first: int, second: int) -> dict[str, tuple[Answer, ...]]:
        return {OWNER: (self._answer("ns1", first), self._answer("ns2", second))}

    def _answer(self, server: str, number: int) -> Answer:
        if not number:
            return Answer(server, server, frozenset(), 0, "no answer")
        records, ttl = self.rrsets.things[number]
        return Answer(server, server, records, ttl)

    def _served(self, address: str, number: int) -> Served:
        one = self.generations[number] if number else None
        return Served(OWNER, address, one.chains) if one else Served(OWNER, address, (), "it cannot be reached")

    def _publishes(self, state: State) -> tuple[str, State]:
        decision: Decision = self.actions.things[state.action]
        ledger: Ledger = self.ledgers.things[state.ledger]
        if state.place == DECIDED:
            intended = _rollover_ledger.intend(ledger, decision.owners, self.policy)
            return "the intention is noted", state._replace(place=INTENDED, ledger=self._ledger(intended))
        if state.place == INTENDED:
            return "the provider is told", state._replace(place=ACTED, provider=self.told(state.provider, decision))
        done = _rollover_ledger.published(ledger, decision.owners, 0.0)
        return "the publication is noted", state._replace(place=IDLE, action=0, ledger=self._ledger(done))

    def told(self, provider: int, decision: Decision) -> int:
        """The RRset at the provider after it was told: publish adds, retire removes."""
        records, ttl = self.rrsets.things[provider]
        if decision.kind is Kind.PUBLISH:
            return self.rrsets.of((records | set(decision.owners[OWNER]), self.policy.ttl))
        return self.rrsets.of((records - set(decision.removed[OWNER]), ttl))

    def _deploys(self, state: State) -> Iterator[tuple[str, State]]:
        decision, former = self.actions.things[state.action]
        wanted = self.number[decision.generation]
        if state.place == OWING:
            yield f"{decision.generation} is switched to", state._replace(place=SWITCHED, deployed=wanted)
        elif state.place == SWITCHED:
            yield from self._reloads(state, RELOADED, BACK)
        elif state.place == RELOADED:
            if state.far == 1 << wanted or self.scenario.stranger:
                settled = state._replace(place=SETTLED, owed=0)
                yield "every address is proved, and the agent is killed", settled._replace(place=IDLE, action=0)
                yield "every address is proved", self._deployed(settled)
            else:
                yield "the far address shows another chain", state._replace(place=BACK, deployed=former)
        elif state.place == BACK:
            if state.deployed != former:
                yield "the former chain is put back", state._replace(deployed=former)
            else:
                yield from self._reloads(state, SETTLED, IDLE)
        else:
            yield "the deployment is noted", self._deployed(state)

    def _deployed(self, state: State) -> State:
        ledger = _rollover_ledger.switched(self.ledgers.things[state.ledger], 0.0)
        return state._replace(
            place=IDLE,
            action=0,
            owed=0,
            ledger=self._ledger(ledger),
            staged=0 if state.staged == state.deployed else state.staged,
            next=0 if state.next == state.deployed else state.next,
        )

    def _reloads(self, state: State, done: int, failed: int) -> Iterator[tuple[str, State]]:
        bit = 1 << state.deployed
        far = state.far if self.scenario.stranger else bit
        left = {"action": 0} if failed == IDLE else {}
        yield "services reload", state._replace(place=done, near=bit, far=far, lagging=0)
        yield "the reload fails", state._replace(place=failed, **left)
        if not self.scenario.stranger and state.far in (bit, state.far & -state.far) and state.far != bit:
            yield "only the near address reloads", state._replace(place=done, near=bit, lagging=1)

    # --- ledgers ------------------------------------------------------------------------------------------------------

    def _ledger(self, ledger: Ledger) -> int:
        """The number of a ledger, in which times that are too old to matter are all the same."""
        longest = self.policy.max_gap + 2.0
        if ledger.updated is not None and ledger.updated <= -longest:
            ledger = Ledger()  # too old for any clock, and so as good as lost
        versions = tuple(
            replace(one, published=None if one.published is None else max(one.published, -longest))
            for one in ledger.versions
            if one.until is None or one.until > -1
        )
        deployed_at = None if ledger.deployed_at is None else max(ledger.deployed_at, -self.policy.retire_after - 2.0)
        return self.ledgers.of(Ledger(versions, ledger.updated, deployed_at))

    def _shifted(self, number: int, ticks: int) -> int:
        if not number:
            return 0
        if (number, ticks) not in self._shifts:
            ledger: Ledger = self.ledgers.things[number]
            moved = Ledger(
                tuple(
                    replace(
                        one,
                        until=None if one.until is None else one.until + ticks,
                        published=None if one.published is None else one.published + ticks,
                    )
                    for one in ledger.versions
                ),
                None if ledger.updated is None else ledger.updated + ticks,
                None if ledger.deployed_at is None else ledger.deployed_at + ticks,
            )
            self._shifts[number, ticks] = self._ledger(moved)
        return self._shifts[number, ticks]


class _Frozen(dict[str, t.Any]):
    """A mapping that can be a part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))
