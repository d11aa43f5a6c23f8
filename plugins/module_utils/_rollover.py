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
    |           [ deploy ]    the switch; services load anew; every address is proved live
    |                |
    +----------- [ retire ]   records that no chain needs any more

Nothing remembers where a rollover is: each call finds it out from what is published, held, served and staged. So a step
that was lost, repeated, or done by somebody else is no case of its own; neither is going back, as long as the former
records are out, nor a renewal that every RRset covers, nor the first RRset of a name. What could not be read never lets
a chain be deployed or a record be removed.

While a deployed key is compromised, some usable record that matches is enough; so it is, where the policy says so, when
a certificate would expire before its successor may be served. The scheme ``none`` ends DANE: records go at once, and
the deployed keys stay until no RRset can be held.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ._publication import MAX_RECORDS
from ._rollover_alarms import alarms, earliest_end, expires_at
from ._rollover_state import Decision, Kind, Scheme
from ._rollover_view import Block, OwnerView
from ._rollover_words import moment, named

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ._rollover_state import Generation, Observed, Policy
    from ._tlsa import TlsaRecord

__all__ = ["decide"]


def decide(observed: Observed, policy: Policy, now: float) -> Decision:
    """The step to take now, or what there is to wait for. ``observed.ledger`` has noted the same answers."""
    deployed = observed.deployed
    if deployed is None or not deployed.chains:
        return Decision(Kind.REFUSE, "no chain is deployed; the role mailsec.dane.mail_certificate deploys the first")
    if not policy.owners:
        return Decision(Kind.REFUSE, "there is no owner name, so no port whose records could be kept in step")
    target, objection = _target(observed, deployed, policy)
    views = [OwnerView(observed, policy, owner, now, deployed, target) for owner in policy.owners]
    blocks = [] if target is None else [block for view in views for block in view.blocks(target.chains)]
    steps = _steps(views, deployed, target, blocks)
    decision = next((step for step in steps if step is not None), None)
    if decision is None:
        done = (
            "DANE has ended: no TLSA record is published or held any more, and keys may change freely"
            if policy.scheme is Scheme.NONE
            else f"{deployed.identifier} is deployed, published and served, and nothing is left over"
        )
        decision = Decision(Kind.REFUSE, objection) if objection else Decision(Kind.DONE, done)
    return replace(decision, alarms=tuple(alarms(views, target, objection, blocks)))


def _target(observed: Observed, deployed: Generation, policy: Policy) -> tuple[Generation | None, str | None]:
    """What is to be deployed next, and why what is staged cannot be that."""
    emergency = deployed.keys & policy.compromised
    objection: str | None = None
    for one in (observed.staged, observed.next if emergency else None):
        if one is None or one.identifier == deployed.identifier:
            continue
        if bad := one.keys & policy.compromised:
            objection = f"{one.identifier} is staged with a compromised key ({named(bad)}); stage another"
        elif not one.chains:
            objection = f"{one.identifier} is staged and holds no chain; stage another"
        else:
            return one, None
    if emergency and objection is None:
        objection = f"the deployed key ({named(emergency)}) is compromised, and there is no other: stage a new one"
    return None, objection


def _steps(
    views: Sequence[OwnerView], deployed: Generation, target: Generation | None, blocks: Sequence[Block]
) -> Iterable[Decision | None]:
    """Whatever there is to do, most urgent first."""
    deploy: Decision | None = None
    if target is not None and (not blocks or _may_relax(views, deployed, target, blocks)):
        deploy = Decision(Kind.DEPLOY, _why_deploy(target, blocks), generation=target.identifier)
    if views[0].observed.reload_owed:
        # What may follow settles it, too: what is deployed may be what no service can load.
        why = f"services may not have loaded {deployed.identifier} yet"
        yield deploy or Decision(Kind.DEPLOY, why, generation=deployed.identifier)
    yield _compromised_gone(views)
    yield deploy
    if views[0].policy.scheme is Scheme.NONE:
        yield _ended(views)
        yield _waiting(blocks or [block for view in views for block in view.ending()])
        return
    publish, retire = _publication(views), _removal(views)
    if publish is not None and publish.kind is Kind.REFUSE and retire is not None and retire.kind is Kind.RETIRE:
        yield retire
    yield publish
    if retire is not None and retire.kind is Kind.RETIRE:
        yield retire
    yield _waiting(blocks)
    yield retire
    yield _waiting([Block(trouble) for view in views if (trouble := _unsettled(view))])


def _unsettled(view: OwnerView) -> str | None:
    if missing := view.wanted - view.published - view.startable(view.wanted - view.published):
        why = view.silence() or view.unseen() or view.stray() or "some chain that is served does not match"
        return f"{named(missing)} cannot be published at {view.owner} yet: {why}"
    return view.silence() or view.lag(view.wanted) or view.unseen() or view.stray()


def _waiting(blocks: Sequence[Block]) -> Decision | None:
    if not blocks:
        return None
    last = max(blocks, key=lambda block: float("inf") if block.until is None else block.until)
    return Decision(Kind.WAIT, last.why, until=last.until)


# --- deploying --------------------------------------------------------------------------------------------------------


def _may_relax(views: Sequence[OwnerView], deployed: Generation, target: Generation, blocks: Sequence[Block]) -> bool:
    policy, now = views[0].policy, views[0].now
    emergency = bool(deployed.keys & policy.compromised)
    late = policy.relax_on_expiry and expires_at(deployed) <= (earliest_end(blocks) or now)
    return (emergency or late) and not any(view.blocks(target.chains, relaxed=True) for view in views)


def _why_deploy(target: Generation, blocks: Sequence[Block]) -> str:
    what = f"{target.identifier} ({named(target.keys)})"
    if blocks:
        return f"{what} matches a usable record of every RRset that may be held; the rule is relaxed: {blocks[0].why}"
    return f"{what} matches every TLSA RRset that may be held"


# --- publishing -------------------------------------------------------------------------------------------------------


def _publication(views: Sequence[OwnerView]) -> Decision | None:
    """Add what is wanted and served by no server; None when there is nothing that may be added."""
    owners: dict[str, tuple[TlsaRecord, ...]] = {}
    added: set[TlsaRecord] = set()
    for view in views:
        new: frozenset[TlsaRecord] = view.startable(view.wanted - view.published) if view.heard else frozenset()
        after = view.published | new
        if not new and not (view.heard and view.in_doubt()):
            continue
        if len(after) > MAX_RECORDS:
            return Decision(
                Kind.REFUSE,
                f"{view.owner} would have {len(after)} TLSA records, and some senders handle no more than "
                f"{MAX_RECORDS}: remove those that match no key of any machine behind the name",
            )
        owners[view.owner] = tuple(sorted(after))
        added |= new
    if not owners:
        return None
    where = ", ".join(owners)
    why = f"{named(added)} beside what is at {where}" if added else f"what is at {where}, as it may have been removed"
    return Decision(Kind.PUBLISH, why, owners=owners)


# --- removing ---------------------------------------------------------------------------------------------------------


def _compromised_gone(views: Sequence[OwnerView]) -> Decision | None:
    """Remove the records of compromised keys that are served no more, before anything else."""

    def gone(view: OwnerView) -> frozenset[TlsaRecord]:
        found = view.published & view.policy.compromised - view.deployed.keys
        return frozenset() if view.silence() or view.unseen() or not view.keeps_cover(found) else found

    return _retired(views, gone, "the keys are compromised, and served no more")


def _removal(views: Sequence[OwnerView]) -> Decision | None:
    """Remove what no chain needs, once that is proved; None when nothing is left over."""
    waits = {view.owner: _needed(view) for view in views if view.surplus()}
    retired = _retired(
        views, lambda view: view.surplus() if waits.get(view.owner) is None else frozenset(), "no chain needs it"
    )
    return retired or _waiting([block for block in waits.values() if block is not None])


def _needed(view: OwnerView) -> Block | None:
    gone = view.surplus()
    old = f"{named(gone)} at {view.owner} stays"
    if why := view.silence() or view.lag(view.wanted & view.published) or view.unseen() or view.stray():
        return Block(f"{old}: {why}")
    if not view.keeps_cover(gone):
        return Block(f"{old}: without it a chain that is served would match no record")
    since = view.observed.ledger.deployed_at
    end = view.now if since is None else since + view.policy.retire_after
    if view.now < end <= view.now + view.policy.retire_after and gone <= view.observed.former:
        return Block(f"{old} until {moment(end)}, so that the former key can be gone back to", end)
    return None


def _ended(views: Sequence[OwnerView]) -> Decision | None:
    """DANE ends: records go at once. No records are right for every chain, whatever is served."""
    for view in views:
        rest = view.published - view.surplus()
        if view.surplus() and rest and (view.unseen() or not view.keeps_cover(view.surplus())):
            return Decision(
                Kind.REFUSE,
                f"{view.owner} would be left with {named(rest)} of other machines, which the chains of this one do not "
                "match: take this machine from behind the name first",
            )
    return _retired(
        views, lambda view: frozenset() if view.silence() else view.surplus(), "DANE ends, so all records go"
    )


def _retired(
    views: Sequence[OwnerView], gone_at: Callable[[OwnerView], frozenset[TlsaRecord]], reason: str
) -> Decision | None:
    removed = {view.owner: tuple(sorted(gone)) for view in views if (gone := gone_at(view))}
    if not removed:
        return None
    owners = {view.owner: tuple(sorted(view.published.difference(removed.get(view.owner, ())))) for view in views}
    records = {record for gone in removed.values() for record in gone}
    return Decision(
        Kind.RETIRE,
        f"{named(records)} at {', '.join(removed)}: {reason}",
        owners={owner: owners[owner] for owner in removed},
        removed=removed,
    )
