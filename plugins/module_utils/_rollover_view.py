# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What an observation says of one owner name: published, held, served, and what is not known. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import cached_property

from ._rollover_cover import covers, covers_by_any, groups, unmatched
from ._rollover_ledger import held
from ._rollover_state import Scheme
from ._rollover_words import moment, named, place_of, shown
from ._tlsa_fields import MatchingType, Selector, Usage

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._rollover_state import Answer, Chain, Generation, Observed, Policy, Served, Version
    from ._tlsa import TlsaRecord

__all__ = ["Block", "OwnerView"]

ISSUER: t.Final = (Usage.DANE_TA, Selector.SPKI, MatchingType.SHA2_256)


@dataclass(frozen=True, slots=True)
class Block:
    """Why something may not be done yet. ``until`` is None as long as nobody can tell when that ends."""

    why: str
    until: float | None = None


@dataclass(frozen=True)
class OwnerView:
    """One owner name in an observation; ``target`` is what is to follow what is ``deployed``."""

    observed: Observed
    policy: Policy
    owner: str
    now: float
    deployed: Generation
    target: Generation | None

    # --- the servers --------------------------------------------------------------------------------------------------

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
    def held(self) -> tuple[Version, ...]:
        """Every RRset that somebody may hold now."""
        return held(self.observed.ledger, self.owner, self.now)

    def silence(self) -> str | None:
        """Which server did not answer, so that nobody knows what it serves."""
        for answer in self.answers:
            if answer.error is not None:
                return f"{place_of(answer)} did not say what it serves at {self.owner}: {answer.error}"
        return None if self.answers else f"no name server was asked for {self.owner}"

    def lag(self, records: frozenset[TlsaRecord]) -> str | None:
        """Which server does not serve all of `records`, or serves what others do not."""
        for answer in self.heard:
            if missing := records - answer.records:
                return f"{place_of(answer)} does not serve {named(missing)} at {self.owner} yet"
        for answer in self.heard:
            if missing := self.published - answer.records:
                return f"{place_of(answer)} does not serve {named(missing)} at {self.owner}, others do"
        return None

    # --- the endpoints ------------------------------------------------------------------------------------------------

    @cached_property
    def served(self) -> tuple[Served, ...]:
        return tuple(served for served in self.observed.served if served.owner == self.owner)

    @cached_property
    def seen_chains(self) -> tuple[Chain, ...]:
        """What was seen at any address."""
        return tuple(dict.fromkeys(chain for served in self.served if served.error is None for chain in served.chains))

    @cached_property
    def needing(self) -> tuple[Chain, ...]:
        """The chains that an RRset must cover: what is deployed, and what is served."""
        return (*self.deployed.chains, *self.seen_chains)

    def unseen(self) -> str | None:
        """Which address could not be seen, so that nobody knows what it serves."""
        for served in self.served:
            if served.error is not None or not served.chains:
                why = served.error or "it showed no chain"
                return f"{served.address} could not be seen for {self.owner}: {why}"
        return None if self.served else f"no address was looked at for {self.owner}"

    def stray(self) -> str | None:
        """Which address serves a key that is not deployed; behind a shared name that is none of our business."""
        if not self.policy.exclusive:
            return None
        for served in self.served:
            for chain in served.chains if served.error is None else ():
                if chain.key not in self.deployed.keys:
                    return (
                        f"{served.address} serves {shown(chain.key)} for {self.owner}, which is not the key of "
                        f"{self.deployed.identifier} that is deployed; load its service anew"
                    )
        return None

    # --- records ------------------------------------------------------------------------------------------------------

    @cached_property
    def wanted(self) -> frozenset[TlsaRecord]:
        """The records that the scheme wants: of what is deployed, what is to follow, and what comes after that."""
        if self.policy.scheme is Scheme.NONE:
            return frozenset()
        generations = [one for one in (self.deployed, self.target) if one is not None]
        records = self.policy.extra.union(*(generation.keys for generation in generations))
        if self.policy.scheme is Scheme.CURRENT_NEXT and self.observed.next is not None:
            records |= self.observed.next.keys
        if self.policy.scheme is Scheme.CURRENT_ISSUER:
            chains = [chain for generation in generations for chain in generation.chains]
            # The topmost CA that is served: those below it change at the CA's whim.
            issuers = frozenset(chain.issuers[-1] for chain in chains if chain.issuers)
            there = issuers | {record for record in self.published if record.parameters == ISSUER}
            if all(chain.records & there for chain in (*chains, *self.seen_chains)):
                records |= issuers
        return records - (self.policy.compromised - self.deployed.keys)

    def startable(self, records: frozenset[TlsaRecord]) -> frozenset[TlsaRecord]:
        """Those of `records` that may be added.

        One more in a combination that every server has cannot uncover any chain. A combination that is new somewhere
        must cover every chain that is served, so every endpoint has to be seen; the first RRset of all is a promise
        of TLS with a matching key at every address (RFC 7672 section 2.2).
        """
        begun = [groups(answer.records) for answer in self.heard]
        known = not (self.silence() or self.unseen() or (not self.published and self.stray()))
        after = records | self.published
        return frozenset(
            record
            for record in records
            if all(record.parameters in one for one in begun)
            or not groups((record,))
            or (known and not any(record.parameters in unmatched(after, chain) for chain in self.needing))
        )

    def in_doubt(self) -> bool:
        """Whether wanted records may have been removed at the provider, unseen so far: then they are added again.

        That is so after a removal that was intended and not seen, and when a ledger began: what was intended before is
        forgotten. It ends when the provider has accepted the wanted records.
        """
        opened = [version for version in self.held if version.until is None]
        doubtful = any(version.records is None for version in self.held) or any(
            not version.seen and not self.wanted <= (version.records or frozenset()) for version in opened
        )
        last = next(reversed(opened), None)
        sure = last is not None and last.published is not None and self.wanted <= (last.records or frozenset())
        return doubtful and bool(self.wanted) and not sure

    def surplus(self) -> frozenset[TlsaRecord]:
        """What is published, is not wanted, and is ours to remove."""
        surplus = self._unwanted()
        return surplus & self.policy.compromised if self.policy.aliased else surplus

    def left(self) -> frozenset[TlsaRecord]:
        """What was ours and is not wanted, and stays nevertheless, as others may rely on it."""
        return self._unwanted() - self.surplus()

    def _unwanted(self) -> frozenset[TlsaRecord]:
        surplus = self.published - self.wanted
        return surplus if self.policy.exclusive else surplus & self._ours()

    def keeps_cover(self, gone: frozenset[TlsaRecord]) -> bool:
        """Whether at every server, what is left without `gone` covers all chains that need it, and is not nothing."""
        rests = [answer.records - gone for answer in self.heard]
        return all(rest and covers(rest, self.needing) for rest in rests)

    def _ours(self) -> frozenset[TlsaRecord]:
        observed = self.observed
        generations = [one for one in (self.deployed, observed.staged, observed.next) if one is not None]
        chains = [chain for generation in generations for chain in generation.chains]
        keys = frozenset(record for chain in chains for record in (chain.key, *chain.issuers))
        return observed.former | self.policy.compromised | keys

    # --- deploying ----------------------------------------------------------------------------------------------------

    def blocks(self, chains: Iterable[Chain], *, relaxed: bool = False) -> list[Block]:
        """What keeps `chains` from being served: an RRset that may be held and does not cover them, or not knowing."""
        wanted = tuple(chains)
        found = [Block(why) for why in (self.silence(), self.unseen()) if why]
        found += [Block(self._told(one), one.until) for one in self.held if not self._covers(one, wanted, relaxed)]
        return found

    def ending(self) -> list[Block]:
        """What keeps the deployed keys in service after DANE ended: any RRset that may still be held."""
        found = [Block(why) for why in (self.silence(),) if why]
        return found + [Block(self._told(one), one.until) for one in self.held if one.records is None or one.records]

    def mismatch(self, chain: Chain) -> str | None:
        """Which RRset that may be held a chain that is served does not match, in a sentence."""
        for one in self.held:
            if one.records is not None and not covers(one.records, (chain,)):
                return f"{shown(chain.key)}, served for {self.owner}, does not match the RRset {named(one.records)}"
        return None

    def _covers(self, version: Version, chains: tuple[Chain, ...], relaxed: bool) -> bool:
        if version.records is None:
            # Whatever it was, what is deployed was served under it; nothing else is known to match.
            known = [chain.records for chain in self.deployed.chains]
            return all(chain.records in known for chain in chains)
        return covers_by_any(version.records, chains) if relaxed else covers(version.records, chains)

    def _told(self, version: Version) -> str:
        if version.records is None:
            return (
                f"what {self.owner} had before this host began to watch it is not known, and may be held until "
                f"{moment(version.until)}"
            )
        what = f"the TLSA RRset {named(version.records)} at {self.owner}, TTL {version.ttl},"
        if version.until is not None:
            return f"{what} may be held until {moment(version.until)}"
        at = [place_of(one) for one in self.heard if (one.records, one.ttl) == (version.records, version.ttl)]
        return f"{what} is still served by {' and '.join(at)}" if at else f"{what} may yet be served by some server"
