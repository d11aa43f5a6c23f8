# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The agent of one host: look, decide, act, look again; each call goes on from wherever the last one ended.

The store's lock is held while a decision is made and carried out, never while the agent waits.
"""

from __future__ import annotations

import time
import typing as t
from contextlib import nullcontext
from dataclasses import dataclass, replace

from ._certificate_store import CertificateStore, Slot
from ._errors import DaneError, StoreError
from ._key_memory import KeyMemory
from ._next_keys import ensure_next, take_renewed
from ._rollover import decide
from ._rollover_action import by_hand, deploy, publish, unproved
from ._rollover_cover import covers
from ._rollover_files import Failure, RolloverFiles
from ._rollover_ledger import intend, published, switched
from ._rollover_observation import own_addresses
from ._rollover_pace import ACTS, PAST, is_served, next_run, not_again, published_at
from ._rollover_sight import look, stored
from ._rollover_state import Decision, Kind
from ._rollover_view import OwnerView

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ._certificate_store import Generation
    from ._rollover_config import RolloverConfig
    from ._rollover_files import Notes
    from ._rollover_sight import Sight
    from ._tlsa import TlsaRecord

__all__ = ["Agent", "Run"]

LOCK_PATIENCE: t.Final = 60.0
_POLL: t.Final = 1.0
_ACTIONS: t.Final = 8


@dataclass(frozen=True)
class Run:
    """The last decision of a run, what was done before it, and what failed."""

    config: RolloverConfig
    sight: Sight | None
    decision: Decision | None
    done: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    """What the user has to publish by hand, as lines of a zone file."""
    error: str | None = None
    next_run: float | None = None
    former: Notes | None = None
    """For a plan: what the last step noted, which may have failed at what is planned."""

    @property
    def changed(self) -> bool:
        return bool(self.done)


class Agent:
    """``clock`` gives POSIX seconds; ``log`` takes one line for each decision."""

    def __init__(
        self,
        config: RolloverConfig,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.config = config
        self.store = CertificateStore(config.store, group=config.gid)
        self.files = RolloverFiles(config.state)
        self._clock = clock
        self._sleep = sleep
        self._log = log

    def plan(self) -> Run:
        """What a step would do now. Nothing is written. Raises DaneError."""
        notes = self.files.notes()
        sight = look(self.config, notes, clock=self._clock)
        decision = self._decide(sight, notes, retry=False)
        lines = self._lines(decision)
        return Run(self.config, sight, decision, warnings=sight.warnings, lines=lines, former=notes)

    def step(self, *, patience: float = 20.0, retry: bool = False) -> Run:
        """Do what can be done now, and end with the reason to wait, or with nothing left to do.

        ``patience`` is how long, in seconds, to wait here for what is expected at any moment. ``retry`` tries a
        generation again that failed before. Never raises DaneError: what failed is in the result.
        """
        deadline = time.monotonic() + patience
        run = Run(self.config, None, None)
        try:
            for _action in range(_ACTIONS):
                run = self._cycle(run, retry=retry)
                while self._soon(run, deadline):
                    self._sleep(self._pause(run))
                    run = self._cycle(run, retry=retry)
                if run.decision is None or run.decision.kind not in ACTS or run.lines:
                    break
        except DaneError as error:
            run = replace(run, error=str(error))
            self._log(f"{self.config.host}: failed: {error}")
        return self._noted(run)

    def _soon(self, run: Run, deadline: float) -> bool:
        """Whether the wait ends so early, or so surely at any moment, that it is waited for here."""
        decision = run.decision
        if decision is None or decision.kind is not Kind.WAIT or run.lines:
            return False
        left = deadline - time.monotonic()
        if decision.until is None:
            # After a change servers follow within seconds; otherwise nothing tells when.
            return bool(run.done) and left > _POLL
        return decision.until - self._clock() < left

    def _pause(self, run: Run) -> float:
        until = run.decision.until if run.decision else None
        return _POLL if until is None else max(until - self._clock(), 0.0) + 0.05

    def _cycle(self, run: Run, *, retry: bool) -> Run:
        with self.store.locked(LOCK_PATIENCE):
            notes = self.files.notes()
            if not self.store.reload_owed:
                self._tidy()
            run = self._supplied(run)
            sight = look(self.config, notes, clock=self._clock)
            self.files.write_ledger(sight.observed.ledger)
            decision = not_again(run.decision, self._decide(sight, notes, retry=retry))
            run = replace(
                run,
                sight=sight,
                decision=decision,
                lines=self._lines(decision),
                warnings=tuple(dict.fromkeys((*run.warnings, *sight.warnings))),
            )
            if decision.kind in ACTS and not run.lines:
                return self._act(run, sight, decision, notes)
        self._log(f"{self.config.host}: {decision.kind.value}: {decision.why}")
        return run

    def _supplied(self, run: Run) -> Run:
        """See to renewals and to keys for later. Where these cannot be had, what is due goes on."""
        try:
            for supply in (take_renewed, ensure_next):
                if made := supply(self.config, self.store, self._clock()):
                    run = self._did(run, made)
        except DaneError as error:
            self._log(f"{self.config.host}: failed: {error}")
            return replace(run, error=str(error))
        return replace(run, error=None)

    def _decide(self, sight: Sight, notes: Notes, *, retry: bool) -> Decision:
        decision = decide(sight.observed, sight.policy, sight.now)
        if self.config.provider is None and decision.kind is Kind.PUBLISH and is_served(sight, decision):
            why = f"{decision.why}; every server serves it, so there is nothing to publish by hand"
            return replace(decision, kind=Kind.WAIT, why=why)
        failure = notes.failure
        if decision.kind is not Kind.DEPLOY or retry or failure is None or failure.generation != decision.generation:
            return decision
        if not failure.at <= sight.now < failure.again:
            return decision
        return replace(
            decision,
            kind=Kind.REFUSE,
            why=f"{failure.generation} was deployed and put back: {failure.why}. Mend it, and run "
            "dane-rollover step --retry",
            until=failure.again,
            generation=None,
        )

    def _lines(self, decision: Decision) -> tuple[str, ...]:
        if self.config.provider is None and decision.kind in (Kind.PUBLISH, Kind.RETIRE):
            return by_hand(self.config, decision.owners)
        return ()

    def _act(self, run: Run, sight: Sight, decision: Decision, notes: Notes) -> Run:
        self._log(f"{self.config.host}: {decision.kind.value}: {decision.why}")
        if decision.kind is Kind.DEPLOY:
            self._deploy(sight, decision, notes)
            return self._did(run, f"deployed {decision.generation}: {decision.why}")
        # Remembered before it is sent: if this process dies now, the next one knows what may have been published.
        intended = intend(sight.observed.ledger, decision.owners, sight.policy)
        self.files.write_ledger(intended)
        # The whole RRset: what servers serve need not stand at the provider, as it may come from a wildcard, which the
        # first record at the name puts out of force, or may have been removed there a moment ago.
        added = decision.owners if decision.kind is Kind.PUBLISH else {}

        def fits(owner: str, rest: frozenset[TlsaRecord]) -> bool:
            deployed = sight.observed.deployed
            if deployed is None or not (rest or not decision.owners[owner]):
                return False
            return covers(rest, OwnerView(sight.observed, sight.policy, owner, sight.now, deployed, None).needing)

        warnings = publish(self.config, added, decision.removed, fits)
        self.files.write_ledger(published(intended, decision.owners, self._clock()))
        if decision.kind is Kind.RETIRE:
            self._remember_retired(sight, decision)
        run = self._did(run, f"{PAST[decision.kind]}: {decision.why}")
        return replace(run, warnings=tuple(dict.fromkeys((*run.warnings, *warnings))))

    def _did(self, run: Run, what: str) -> Run:
        self._log(f"{self.config.host}: {what}")
        return replace(run, done=(*run.done, what))

    def _deploy(self, sight: Sight, decision: Decision, notes: Notes) -> None:
        generation = self._generation(decision.generation)
        observed = sight.observed
        expected = next(
            one
            for one in (observed.staged, observed.next, observed.deployed)
            if one is not None and one.identifier == generation.identifier
        )
        former = self.store.deployed()
        if observed.deployed is not None:
            records = [r for chain in observed.deployed.chains for r in (chain.key, *chain.issuers)]
            KeyMemory(self.store.root).add(former=records)
        if former is not None and former != generation:
            notes = replace(notes, previous=former.identifier)
            self.files.write_notes(notes)

        def prove() -> tuple[str, ...]:
            failures = unproved(self.config, expected, self._provable(sight), sleep=self._sleep)
            if not failures:
                self.files.write_ledger(switched(sight.observed.ledger, self._clock()))
            return failures

        try:
            deploy(self.store, generation, self.config.units, prove)
        except StoreError as error:
            if former != generation:
                again = notes.failure is not None and notes.failure.generation == generation.identifier
                tries = notes.failure.tries + 1 if notes.failure is not None and again else 1
                failure = Failure(generation.identifier, self._clock(), str(error), tries)
                self.files.write_notes(replace(notes, failure=failure))
            raise
        self.files.write_notes(replace(notes, failure=None))
        self._tidy()
        self.store.remove(self.store.superseded(self.config.keep))

    def _provable(self, sight: Sight) -> tuple[str, ...]:
        """The addresses that must serve what is deployed here. Other machines behind the name have their own keys."""
        if self.config.exclusive or self.config.addresses:
            return sight.addresses
        own = own_addresses(sight.addresses)
        if not own:
            msg = (
                f"None of {', '.join(sight.addresses) or 'no address'} is an address of this machine, so nothing that "
                "is deployed can be proved; set tlsa_rollover_addresses to where its own services are seen"
            )
            raise StoreError(msg)
        return own

    def _tidy(self) -> None:
        """What is deployed is no longer staged; nor is a key next that is, with whatever certificate."""
        link = self.store.deployed()
        if link is not None and self.store.slot(Slot.STAGED) == link:
            self.store.clear(Slot.STAGED)
        deployed, upcoming = stored(self.store, link), stored(self.store, self.store.slot(Slot.NEXT))
        if deployed is not None and upcoming is not None and deployed.keys & upcoming.keys:
            self.store.clear(Slot.NEXT)

    def _generation(self, identifier: str | None) -> Generation:
        for generation in self.store.generations():
            if generation.identifier == identifier:
                return generation
        msg = f"The generation {identifier} is gone from {self.store.root}"
        raise StoreError(msg)

    def _remember_retired(self, sight: Sight, decision: Decision) -> None:
        """Keys that were served once and whose records are published nowhere after this step are not staged again."""
        observed = sight.observed
        here = [one for one in (observed.deployed, observed.staged, observed.next) if one is not None]
        kept = {record for owner in observed.answers for record in published_at(sight, owner)}
        removed = {record for records in decision.removed.values() for record in records}
        kept -= removed
        kept |= {key for generation in here for key in generation.keys}
        memory = KeyMemory(self.store.root)
        former = set(memory.read().former)
        memory.add(retired={record for record in (removed & former) - kept if record.usage == 3})

    def _overtaken(self, run: Run) -> bool:
        """Whether somebody staged keys after the last look: who did so cannot start an agent that runs already."""
        if run.sight is None:
            return False
        seen = (run.sight.observed.staged, run.sight.observed.next)
        found = (self.store.slot(Slot.STAGED), self.store.slot(Slot.NEXT))
        return [one and one.identifier for one in seen] != [one and one.identifier for one in found]

    def _noted(self, run: Run) -> Run:
        """Remember how the run ended, and when the next one should be."""
        try:
            with self.store.locked(LOCK_PATIENCE) if self.config.store.is_dir() else nullcontext():
                notes = self.files.notes()
                now = self._clock()
                idle, again = next_run(run.decision, run.error, notes.idle, now)
                again = now if self._overtaken(run) else again
                decision = run.decision
                refused = decision is not None and decision.kind is Kind.REFUSE
                alarms = 0 if decision is None else len(decision.alarms)
                known = replace(notes, idle=idle, error=run.error, ran=now, until=again, refused=refused, alarms=alarms)
                self.files.write_notes(known)
                return replace(run, next_run=again)
        except DaneError as error:
            return replace(run, error=run.error or str(error))
