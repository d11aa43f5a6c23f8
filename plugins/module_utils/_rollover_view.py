# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What an observation says of one owner name: published, held, served, and what is not known. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from ._rollover_cover import covers, covers_somehow, groups
from ._rollover_ledger import held
from ._rollover_state import Scheme

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._rollover_state import Answer, Chain, Generation, Observed, Policy, Served, Version
    from ._tlsa import TlsaRecord

__all__ = ["Block", "OwnerView", "candidate", "moment", "shown", "wanted"]


def candidate(observed: Observed) -> Generation | None:
    """What is staged and not deployed yet."""
    staged, deployed = observed.staged, observed.deployed
    return None if staged is None or (deployed and staged.identifier == deployed.identifier) else staged


def wanted(observed: Observed, policy: Policy) -> frozenset[TlsaRecord]:
    """The records that the scheme wants at every owner: of what is deployed, what is staged, and what comes next."""
    if policy.scheme is Scheme.NONE:
        return frozenset()
    generations = [one for one in (observed.deployed, candidate(observed)) if one is not None]
    records = {key for generation in generations for key in generation.keys} | policy.extra
    if policy.scheme is Scheme.CURRENT_NEXT and observed.next is not None:
        records |= observed.next.keys
    chains = [chain for generation in generations for chain in generation.chains]
    if policy.scheme is Scheme.CURRENT_ISSUER and all(chain.issuers for chain in chains):
        # The topmost CA that is served: those below it change at the CA's whim.
        records |= {chain.issuers[-1] for chain in chains}
    return frozenset(records)


@dataclass(frozen=True, slots=True)
class Block:
    """Why a chain may not be served yet. ``until`` is None as long as nobody can tell when that ends."""

    why: str
    until: float | None


@dataclass(frozen=True)
class OwnerView:
    """One owner name in an observation."""

    observed: Observed
    policy: Policy
    owner: str
    now: float

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        return tuple(self.observed.answers.get(self.owner, ()))

    @cached_property
    def heard(self) -> tuple[Answer, ...]:
        """The answers that are ones."""
        return tuple(answer for answer in self.answers if answer.error is None)

    @cached_property
    def published(self) -> frozenset[TlsaRecord]:
        """Every record that some server serves."""
        return frozenset(record for answer in self.heard for record in answer.records)

    @cached_property
    def served(self) -> tuple[Served, ...]:
        return tuple(served for served in self.observed.served if served.owner == self.owner)

    @cached_property
    def seen_chains(self) -> tuple[Chain, ...]:
        """What was seen at any address."""
        return tuple(dict.fromkeys(chain for served in self.served for chain in served.chains))

    @cached_property
    def held(self) -> tuple[Version, ...]:
        """Every RRset that somebody may hold now."""
        return held(self.observed.ledger, self.owner, self.now)

    def silence(self) -> str | None:
        """Which server did not answer, so that nobody knows what it serves."""
        for answer in self.answers:
            if answer.error is not None:
                place = _place(answer.server, answer.address)
                return f"{place} did not say what it serves at {self.owner}: {answer.error}"
        return None if self.answers else f"no name server was asked for {self.owner}"

    def disagreement(self) -> str | None:
        """Which server serves other records than the others: a change that is on its way, or one that it missed."""
        for answer in self.heard:
            if missing := self.published - answer.records:
                place = _place(answer.server, answer.address)
                return f"{place} does not serve {', '.join(sorted(map(shown, missing)))} at {self.owner}, others do"
        return None

    def unproved(self) -> str | None:
        """Why it is not known what every address serves, or which address serves what it should not."""
        for served in self.served:
            if served.error is not None or not served.chains:
                why = served.error or "it showed no chain"
                return f"{served.address or 'the address'} for {self.owner} could not be seen: {why}"
        if not self.served:
            return f"no address was looked at for {self.owner}"
        deployed = self.observed.deployed
        if deployed is None or not self.policy.exclusive:
            return None
        for served in self.served:
            if other := [chain for chain in served.chains if chain.key not in deployed.keys]:
                return (
                    f"{served.address} serves {shown(other[0].key)} for {self.owner}, which is not what is deployed; "
                    "has its service loaded anew?"
                )
            seen = {chain.key for chain in served.chains}
            if missing := [chain for chain in deployed.chains if chain.key not in seen]:
                return f"{served.address} does not serve the deployed {missing[0].algorithm} key for {self.owner}"
        return None

    def blocks(self, generation: Generation, *, relaxed: bool = False) -> list[Block]:
        """What keeps a generation from being served: every RRset that may be held and does not cover it."""
        deployed = self.observed.deployed
        same_keys = deployed is not None and generation.keys <= deployed.keys
        found = []
        if not same_keys and (silence := self.silence()):
            found.append(Block(silence, None))
        found += [
            Block(self._told(version), version.until)
            for version in self.held
            if any(not self._covers(version, chain, relaxed=relaxed) for chain in generation.chains)
        ]
        return found

    def beginnable(self, records: Iterable[TlsaRecord], must: Iterable[Chain]) -> frozenset[TlsaRecord]:
        """Those of `records` that may be added: a combination that is new must cover every chain in `must`."""
        begun = groups(self.published)
        chains = tuple(must)
        added: set[TlsaRecord] = set()
        for parameters, group in groups(records).items():
            if parameters in begun or all(group & chain.records for chain in chains):
                added |= group
        return frozenset(added)

    def removable(self, records: frozenset[TlsaRecord]) -> frozenset[TlsaRecord]:
        """What is published, is not among the wanted `records`, and is ours to remove."""
        surplus = self.published - records
        return surplus if self.policy.exclusive else surplus & self._ours()

    def keeps_cover(self, gone: frozenset[TlsaRecord], chains: Iterable[Chain]) -> bool:
        """Whether at every server, what is left without `gone` covers `chains`, and is not nothing."""
        rest = [answer.records - gone for answer in self.heard]
        return all(left and all(covers(left, chain) for chain in chains) for left in rest)

    def _ours(self) -> frozenset[TlsaRecord]:
        observed = self.observed
        generations = [one for one in (observed.deployed, observed.staged, observed.next) if one is not None]
        chains = [chain for generation in generations for chain in generation.chains]
        return observed.former | {record for chain in chains for record in (chain.key, *chain.issuers)}

    def _covers(self, version: Version, chain: Chain, *, relaxed: bool) -> bool:
        if not version.known:
            return self.observed.deployed is not None and chain.key in self.observed.deployed.keys
        return covers_somehow(version.records, chain) if relaxed else covers(version.records, chain)

    def _told(self, version: Version) -> str:
        if not version.known:
            return (
                f"what {self.owner} had before this host began to watch it is not known, and may be held until "
                f"{moment(version.until)}"
            )
        what = f"the TLSA RRset at {self.owner} of {', '.join(sorted(map(shown, version.records)))}, TTL {version.ttl}"
        if version.until is not None:
            return f"{what}, may be held until {moment(version.until)}"
        at = [_place(a.server, a.address) for a in self.heard if (a.records, a.ttl) == (version.records, version.ttl)]
        return (
            f"{what}, is still served by {' and '.join(at)}"
            if at
            else f"{what}, may still be served by a silent server"
        )


def shown(record: TlsaRecord) -> str:
    """A record as messages name it: its numbers and the beginning of its data."""
    return f"{record.usage} {record.selector} {record.matching_type} {record.data.hex()[:8]}.."


def moment(time: float | None) -> str:
    """A time as messages name it, UTC, to the second."""
    if time is None:
        return "nobody can tell when"
    try:
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "the end of time"


def _place(server: str, address: str) -> str:
    return server if address in ("", server) else f"{server} ({address})"
