# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Read, plan, change, read again: how RRsets at a provider become what is wanted, whoever else is at work there.

Nothing is changed before everything was read and judged. What one zone suffers does not keep others from their
changes. An error never leads to a removal.
"""

from __future__ import annotations

import random
import time
import typing as t
from dataclasses import dataclass, field
from functools import partial

from ._errors import InvalidInput, LookupFailed, PublisherConflict, PublisherError, PublisherRefused
from ._publication import Change, Published, State, Wanted, plan
from ._zone_security import alias_problem, zone_problem

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._publishers.base import Publisher
    from ._resolver import Resolver

    Planner = Callable[[Sequence[Wanted], Mapping[str, Published]], Sequence[Change]]

__all__ = ["Outcome", "converge"]

ATTEMPTS: t.Final = 8
"""Rounds of read, plan and write in which a lost race is made good; the waits between them are random and grow."""
SETTLING: t.Final = (0.0, 0.2, 0.8, 2.0)
"""Seconds before each look at what an accepted change has led to."""


@dataclass(slots=True)
class Outcome:
    """RRsets by wanted name, before and after; what went wrong, by zone; and what the user should hear."""

    before: Mapping[str, Published]
    after: dict[str, Published]
    errors: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def converge(
    publisher: Publisher,
    wanted: Sequence[Wanted],
    *,
    resolver: Resolver | None,
    planner: Planner = plan,
    check_mode: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Make the RRsets at `publisher` what is `wanted`; in check mode only say what they would become.

    With a `resolver`, a zone that gains or keeps records must validate there, with a chain of trust from the root;
    without one that is not looked at. `planner` says what must change. Raises InvalidInput and LookupFailed for what
    must not be published, and PublisherError when the provider cannot be read, all before anything was changed.
    """
    names = [one.name for one in wanted]
    before = _first_read(publisher, names)
    changes = planner(wanted, before)
    outcome = Outcome(before, dict(before))
    if resolver is not None:
        _require_secure_zones(resolver, wanted, before, outcome, check_mode=check_mode)
    if check_mode:
        by_owner = {change.owner: change for change in changes}
        outcome.after = {name: _predicted(there, by_owner.get(there.owner)) for name, there in before.items()}
        return outcome
    concerned = {change.owner for change in changes}
    by_zone: dict[str, list[Wanted]] = {}
    for one in wanted:
        if before[one.name].owner in concerned:
            by_zone.setdefault(before[one.name].zone, []).append(one)
    for zone, here in sorted(by_zone.items()):
        try:
            _converge_zone(publisher, zone, [one.name for one in here], partial(planner, here), outcome, sleep)
        except (PublisherError, InvalidInput) as error:
            outcome.errors[zone] = f"Zone {zone}: {error}"
    return outcome


def _first_read(publisher: Publisher, names: Sequence[str]) -> Mapping[str, Published]:
    """What is there. An error says which names were asked for: in which zones they are is not known yet."""
    try:
        return publisher.read(names)
    except PublisherError as error:
        if any(name in str(error) for name in names):
            raise
        others = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise type(error)(
            f"Reading {', '.join(names[:3])}{others}, so nothing was changed: {error}"
        ) from None  # its cause may carry secrets


def _predicted(there: Published, change: Change | None) -> Published:
    if change is None:
        return there
    return Published(there.name, there.owner, there.zone, change.ttl if change.after else None, change.after)


def _require_secure_zones(
    resolver: Resolver, wanted: Sequence[Wanted], before: Mapping[str, Published], outcome: Outcome, *, check_mode: bool
) -> None:
    there = [before[one.name] for one in wanted if one.records and one.state is not State.ABSENT]
    checks = [(f"zone {zone}", partial(zone_problem, resolver, zone)) for zone in sorted({one.zone for one in there})]
    checks += [
        (f"the alias {one.name}", partial(alias_problem, resolver, one.name, one.owner))
        for one in there
        if one.owner != one.name
    ]
    for what, check in checks:
        try:
            problem = check()
        except LookupFailed as error:
            if not check_mode:
                raise LookupFailed(
                    f"Whether {what} is signed could not be found out, so nothing was changed: {error}. Mend the "
                    "resolver, or to publish all the same set require_signed to false",
                    bogus=error.bogus,
                ) from error
            # On a host that is still to be set up, the resolver is installed by the run that this one foretells.
            outcome.warnings.append(f"Whether {what} is signed could not be found out: {error}")
            continue
        if problem:
            raise InvalidInput(
                f"{problem}. TLSA records there would be without effect (RFC 7672 section 2.2.1), so nothing was "
                "changed; to publish all the same, set require_signed to false"
            )


def _converge_zone(
    publisher: Publisher,
    zone: str,
    names: Sequence[str],
    planner: Callable[[Mapping[str, Published]], Sequence[Change]],
    outcome: Outcome,
    sleep: Callable[[float], None],
) -> None:
    """Raises PublisherError; what the provider has then is in `outcome` as far as it could be found out."""
    present: Mapping[str, Published] = {name: outcome.before[name] for name in names}
    lost: PublisherConflict | None = None
    made: Sequence[Change] = ()
    for attempt in range(ATTEMPTS + 1):
        changes = [change for change in planner(present) if not made or not publisher.yields(change)]
        if not changes:
            _warn_of_rivals(publisher, made, present, outcome)
            return
        if attempt == ATTEMPTS:
            break
        if any(change.zone != zone for change in changes):
            raise PublisherConflict("an owner name became an alias into another zone while this ran; run again")
        try:
            publisher.apply(zone, changes)
        except PublisherConflict as error:
            lost = error
            sleep(random.uniform(0.05, 0.1 * 1.7**attempt))  # noqa: S311  # spreads rivals in time, no secret
            present = publisher.read(names)
            outcome.after.update(present)
            continue
        except PublisherError:
            _note_what_is_there(publisher, names, outcome)
            raise
        made = [*(one for one in made if one.owner not in {change.owner for change in changes}), *changes]
        present = _confirm(publisher, names, changes, outcome, sleep)
    raise PublisherConflict(
        f"{lost or 'what was changed did not stay so'}. Somebody else changes the same RRsets all the time; gave up "
        f"after {ATTEMPTS} tries"
    )


def _note_what_is_there(publisher: Publisher, names: Sequence[str], outcome: Outcome) -> None:
    try:
        outcome.after.update(publisher.read(names))
    except PublisherError:
        outcome.warnings.append(
            f"{publisher.place} cannot be read now, so it is not known whether the last message to it took effect"
        )


def _confirm(
    publisher: Publisher,
    names: Sequence[str],
    changes: Sequence[Change],
    outcome: Outcome,
    sleep: Callable[[float], None],
) -> Mapping[str, Published]:
    """See that an accepted change took place: RFC 2136 section 3.4.2.2 lets a server ignore one in silence.

    Returns what is there now.
    """
    unmoved: list[Change] = []
    for pause in SETTLING:
        sleep(pause)
        present = publisher.read(names)
        outcome.after.update(present)
        by_owner = {there.owner: there for there in present.values()}
        unmoved = [change for change in changes if _is_unmoved(change, by_owner.get(change.owner))]
        if not unmoved:
            return present
    owners = ", ".join(change.owner for change in unmoved[:5])
    raise PublisherRefused(
        f"the change was accepted and yet {owners} {'is' if len(unmoved) == 1 else 'are'} as before; "
        "a CNAME at the name, a wildcard above it, or a policy of PowerDNS that does not allow the change makes a "
        "server ignore it in silence"
    )


def _warn_of_rivals(
    publisher: Publisher, made: Sequence[Change], present: Mapping[str, Published], outcome: Outcome
) -> None:
    """Tell of what is not as this run left it."""
    by_owner = {there.owner: there for there in present.values()}
    for change in made:
        there = by_owner.get(change.owner)
        if there is None or there.records != change.after:
            outcome.warnings.append(f"{change.owner} was changed by somebody else right after this run changed it")
        elif change.after and there.ttl != change.ttl:
            outcome.warnings.append(f"{publisher.place} gives {change.owner} the TTL {there.ttl}, not {change.ttl}")


def _is_unmoved(change: Change, there: Published | None) -> bool:
    return (
        there is not None
        and (there.records, there.ttl) == (change.before, change.ttl_before)
        and (there.mixed_ttls or (there.records, there.ttl) != (change.after, change.ttl))
    )
