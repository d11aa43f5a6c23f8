# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The next safe step of a certificate or key rollover. Pure and total: an observation, a policy and a time decide.

The rule: at every moment, for every TLSA RRset that anybody may still hold, each chain that the host serves matches it,
in every combination of usage, selector and matching type in it (RFC 7671 section 8). From it follow the steps::

              a chain is staged
                     |
    +-- done <-- [ publish ]  its records beside those that are there, as soon as it is staged
    |                |
    |            ( wait )     until every server serves them, and then until no RRset without them can be held
    |                |
    |           [ deploy ]    the switch; services load anew
    |                |
    |            ( wait )     until every address was seen to serve the deployed chain, with every key algorithm
    |                |
    +----------- [ retire ]   records that nothing needs any more

Nothing remembers where a rollover is: each call finds it out from what is published, held, served and staged. So a step
that was lost, repeated, or done by somebody else is no case of its own; neither is going back, as long as the former
records are out, nor a renewal for the same key, which every RRset covers. What could not be read never lets a chain be
deployed or a record be removed.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ._publication import MAX_RECORDS
from ._rollover_cover import covers
from ._rollover_state import Chain, Decision, Generation, Kind, Scheme
from ._rollover_view import Block, OwnerView, candidate, moment, shown, wanted
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._rollover_state import Observed, Policy

__all__ = ["decide"]

_OTHER_KEYS: t.Final = Generation("", (Chain("", frozenset(), TlsaRecord(3, 1, 1, b"")),))
"""Stands for any keys but the deployed ones: what it may not follow, they may not either."""


def decide(observed: Observed, policy: Policy, now: float) -> Decision:
    """The step to take now, or what there is to wait for. ``observed.ledger`` has noted the same answers."""
    deployed = observed.deployed
    if deployed is None or not deployed.chains:
        return Decision(Kind.REFUSE, "no chain is deployed; the role mailsec.dane.mail_certificate deploys the first")
    if not policy.owners:
        return Decision(Kind.REFUSE, "there is no owner name, so no port whose records could be kept in step")
    views = [OwnerView(observed, policy, owner, now) for owner in policy.owners]
    staged = candidate(observed)
    blocks = [] if staged is None else [block for view in views for block in view.blocks(staged)]
    decision = _decide(views, deployed, staged, blocks)
    return replace(decision, alarms=tuple(_alarms(views, deployed, staged, blocks)))


def _decide(
    views: Sequence[OwnerView], deployed: Generation, staged: Generation | None, blocks: Sequence[Block]
) -> Decision:
    observed, policy = views[0].observed, views[0].policy
    if observed.reload_owed:
        why = f"services may not have loaded {deployed.identifier} yet"
        return Decision(Kind.DEPLOY, why, generation=deployed.identifier)
    if staged is not None and (not blocks or _may_relax(views, deployed, staged, blocks)):
        return Decision(Kind.DEPLOY, _why_deploy(staged, blocks), generation=staged.identifier)
    if policy.scheme is Scheme.NONE:
        return _ending(views, deployed)
    records = wanted(observed, policy)
    publish = _publication(views, deployed, staged, records)
    retire = _removal(views, deployed, records)
    missing = any(not deployed.keys <= view.published for view in views)
    order = [retire, publish] if policy.emergency and not missing else [publish, retire]
    for step in order:
        if step is not None and step.kind in (Kind.PUBLISH, Kind.RETIRE, Kind.REFUSE):
            return step
    if blocks:
        return _waiting(blocks)
    waits = [step for step in order if step is not None]
    waits += [Decision(Kind.WAIT, lag) for view in views if (lag := view.silence() or view.disagreement())]
    done = "what is deployed is published and served everywhere, and nothing is left over"
    return waits[0] if waits else Decision(Kind.DONE, done)


# --- deploying --------------------------------------------------------------------------------------------------------


def _may_relax(views: Sequence[OwnerView], deployed: Generation, staged: Generation, blocks: Sequence[Block]) -> bool:
    policy = views[0].policy
    expires = policy.relax_on_expiry and _expires_first(deployed, blocks, views[0].now)
    if not (policy.emergency or expires):
        return False
    return not any(view.blocks(staged, relaxed=True) for view in views)


def _expires_first(deployed: Generation, blocks: Sequence[Block], now: float) -> bool:
    """Whether a deployed certificate expires before its successor may be served; without an end, once it has."""
    ends = [block.until for block in blocks]
    earliest = now if None in ends else max(end for end in ends if end is not None)
    return min(chain.not_after for chain in deployed.chains) <= earliest


def _why_deploy(staged: Generation, blocks: Sequence[Block]) -> str:
    keys = ", ".join(sorted(shown(key) for key in staged.keys))
    if blocks:
        return f"{staged.identifier} ({keys}) matches a usable record of every RRset that may be held; {blocks[0].why}"
    return f"{staged.identifier} ({keys}) matches every TLSA RRset that may be held"


def _waiting(blocks: Sequence[Block]) -> Decision:
    open_ended = [block for block in blocks if block.until is None]
    if open_ended:
        return Decision(Kind.WAIT, open_ended[0].why)
    last = max(blocks, key=lambda block: block.until or 0.0)
    return Decision(Kind.WAIT, last.why, until=last.until)


# --- publishing -------------------------------------------------------------------------------------------------------


def _publication(
    views: Sequence[OwnerView], deployed: Generation, staged: Generation | None, records: frozenset[TlsaRecord]
) -> Decision | None:
    """Add what is wanted and served by no server; None when nothing is to be added or waited for."""
    owners: dict[str, tuple[TlsaRecord, ...]] = {}
    waits: list[str] = []
    staged_chains = () if staged is None else staged.chains
    for view in views:
        must = (*deployed.chains, *staged_chains, *view.seen_chains)
        added = view.beginnable(records - view.published, must) if view.heard else frozenset[TlsaRecord]()
        if not view.heard:
            waits.append(view.silence() or "")
        elif not added:
            continue
        elif not view.published and (why := _not_ready(view, added)):
            waits.append(why)
        elif len(after := view.published | added) > MAX_RECORDS:
            return Decision(Kind.REFUSE, _too_many(view, after))
        else:
            owners[view.owner] = tuple(sorted(after))
    if owners:
        new = sorted({shown(one) for view in views for one in set(owners.get(view.owner, ())) - view.published})
        return Decision(Kind.PUBLISH, f"{', '.join(new)} beside what {', '.join(owners)} has", owners=owners)
    return Decision(Kind.WAIT, waits[0]) if waits else None


def _not_ready(view: OwnerView, added: Iterable[TlsaRecord]) -> str | None:
    """Why a first RRset may not be published: it promises TLS, with matching keys, at every address (RFC 7672 2.2)."""
    why = view.silence() or view.unproved()
    if why is None and (wrong := next((chain for chain in view.seen_chains if not covers(added, chain)), None)):
        why = f"one of its addresses serves {shown(wrong.key)}"
    return f"{view.owner} has no TLSA record yet, and {why}" if why else None


def _too_many(view: OwnerView, after: Iterable[TlsaRecord]) -> str:
    count = len(set(after))
    return (
        f"{view.owner} would have {count} TLSA records, and some senders handle no more than {MAX_RECORDS}: "
        "remove those that match no key of any machine behind the name"
    )


# --- removing ---------------------------------------------------------------------------------------------------------


def _removal(views: Sequence[OwnerView], deployed: Generation, records: frozenset[TlsaRecord]) -> Decision | None:
    """Remove what nothing needs, once it is proved that nothing does; None when nothing is left over."""
    owners: dict[str, tuple[TlsaRecord, ...]] = {}
    waits: list[Block] = []
    for view in views:
        gone = view.removable(records)
        if not gone:
            continue
        if block := _needed(view, deployed, gone):
            waits.append(block)
        else:
            owners[view.owner] = tuple(sorted(view.published - gone))
    if owners:
        old = sorted({shown(one) for view in views if view.owner in owners for one in view.removable(records)})
        return Decision(Kind.RETIRE, f"{', '.join(old)} at {', '.join(owners)}: no chain needs it", owners=owners)
    return _waiting(waits) if waits else None


def _needed(view: OwnerView, deployed: Generation, gone: frozenset[TlsaRecord]) -> Block | None:
    old = f"{', '.join(sorted(map(shown, gone)))} at {view.owner} stays"
    if why := view.silence() or view.disagreement() or view.unproved():
        return Block(f"{old}: {why}", None)
    chains: tuple[Chain, ...] = (*deployed.chains, *view.seen_chains)
    if not view.keeps_cover(gone, chains):
        return Block(f"{old}: without it some server would have no record for a chain that is served", None)
    ledger, policy = view.observed.ledger, view.policy
    if ledger.deployed_at is not None and not policy.emergency:
        end = ledger.deployed_at + policy.retire_after
        if view.now < end <= view.now + policy.retire_after:
            return Block(f"{old} until {moment(end)}, so that the former key can be gone back to", end)
    return None


def _ending(views: Sequence[OwnerView], deployed: Generation) -> Decision:
    """DANE ends for the name: records go at once, and the keys must stay as long as anybody holds the records."""
    owners: dict[str, tuple[TlsaRecord, ...]] = {}
    for view in views:
        gone = view.removable(frozenset())
        if not gone:
            continue
        after = view.published - gone
        if not all(covers(after, chain) for chain in deployed.chains):
            told = ", ".join(sorted(map(shown, after)))
            return Decision(
                Kind.REFUSE,
                f"{view.owner} would be left with {told} of other machines, which the chains of this one do not match; "
                "take this machine from behind the name first",
            )
        owners[view.owner] = tuple(sorted(after))
    if owners:
        return Decision(Kind.RETIRE, f"DANE ends for {', '.join(owners)}: all records go", owners=owners)
    blocks = [
        Block(f"keep serving the deployed keys: {block.why}", block.until)
        for view in views
        for block in view.blocks(_OTHER_KEYS)
    ]
    if blocks:
        return _waiting(blocks)
    return Decision(Kind.DONE, "no TLSA record is published or held any more; keys may change freely")


# --- what a person should hear ----------------------------------------------------------------------------------------


def _alarms(
    views: Sequence[OwnerView], deployed: Generation, staged: Generation | None, blocks: Sequence[Block]
) -> Iterable[str]:
    policy, now = views[0].policy, views[0].now
    for chain in deployed.chains:
        if chain.not_after <= now:
            yield (
                f"the deployed {chain.algorithm} certificate expired at {moment(chain.not_after)}: DANE-EE (3 1 1) "
                "does not mind, mail clients and DANE-TA do"
            )
    if staged is not None and blocks and _expires_first(deployed, blocks, now):
        end = min(chain.not_after for chain in deployed.chains)
        yield (
            f"a deployed certificate expires at {moment(end)}, before {staged.identifier} may be served "
            f"({_waiting(blocks).why}); " + ("the policy relaxes the rule" if policy.relax_on_expiry else "it waits")
        )
    if policy.emergency and staged is not None and blocks:
        yield f"a key is compromised, and its successor cannot be served yet: {_waiting(blocks).why}"
    for view in views:
        for chain in view.seen_chains:
            if any(version.known and not covers(version.records, chain) for version in view.held):
                yield f"{shown(chain.key)}, served for {view.owner}, does not match every TLSA RRset that may be held"
