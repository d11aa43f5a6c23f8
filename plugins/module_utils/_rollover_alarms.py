# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What somebody should hear of a rollover, whatever the next step is. Pure."""

from __future__ import annotations

import typing as t

from ._rollover_ledger import hold
from ._rollover_words import moment, shown

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._rollover_state import Generation
    from ._rollover_view import Block, OwnerView

__all__ = ["alarms", "earliest_end", "expires_at"]


def expires_at(generation: Generation) -> float:
    """When the first of its certificates expires."""
    return min(chain.not_after for chain in generation.chains)


def earliest_end(blocks: Sequence[Block]) -> float | None:
    """When the last of the blocks ends; None: nobody can tell."""
    ends = [block.until for block in blocks if block.until is not None]
    return max(ends) if ends and len(ends) == len(blocks) else None


def alarms(
    views: Sequence[OwnerView], target: Generation | None, objection: str | None, blocks: Sequence[Block]
) -> Iterable[str]:
    """A sentence each. `blocks` are what keeps `target` from being deployed; `objection` is why there is none."""
    view = views[0]
    policy, now, expiry = view.policy, view.now, expires_at(view.deployed)
    if objection:
        yield objection
    if expiry <= now:
        yield (
            f"the deployed certificate of {view.deployed.identifier} expired at {moment(expiry)}: DANE-EE does not "
            "mind, DANE-TA and other clients do"
        )
    longest = max([policy.ttl, *(version.ttl for one in views for version in one.held)])
    earliest = earliest_end(blocks) or now + hold(longest, policy)
    if (target is None or blocks) and now < expiry <= earliest:
        what = "any new key" if target is None else target.identifier
        yield (
            f"the deployed certificate expires at {moment(expiry)}, before {what} may be served "
            f"({moment(earliest)} at the earliest); "
            + ("the policy then relaxes the rule" if policy.relax_on_expiry else "the policy is to wait")
        )
    for one in views:
        if left := one.left():
            yield (
                f"{', '.join(map(shown, sorted(left)))} at the end of the alias {one.owner} is not needed by this host "
                "any more, and stays, as another host name that leads there may need it. Where none does, remove it, "
                "or set tlsa_rollover_alias_exclusive"
            )
        for chain in one.seen_chains:
            if bad := one.mismatch(chain):
                yield f"{bad}: mail to it may be deferred"
