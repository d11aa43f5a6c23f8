# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The ledger: every RRset that a resolver, or a sender's own cache behind it, may still hold. Pure.

What happens to one version of an RRset::

    intend() ---------> open, not seen --+
                             |           |  no server serves it,             until T
                             v           +--------------------------> held ----------> forgotten
    note(): served ---> open, seen ------+  and none can come to it

Only a complete observation, one in which every server answered, closes a version. The versions of an owner name stand
in the order in which they were published, so a server that serves a later one is past all earlier ones. Where the order
cannot tell (a record was removed and added again), a version that this host published counts as possible until it has
been superseded for longer than a transfer between name servers can be under way.
"""

from __future__ import annotations

import json
import math
import typing as t
from dataclasses import replace

from ._errors import InvalidRecord
from ._rollover_state import Ledger, Version
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._rollover_state import Answer, Policy

__all__ = ["Ledger", "Version", "from_json", "held", "hold", "intend", "note", "published", "switched", "to_json"]

FORMAT: t.Final = 1


def hold(ttl: int, policy: Policy) -> float:
    """For how many seconds after its last sight an RRset of this TTL may be held (DESIGN section 5, rule 4)."""
    return max(policy.multiplier * ttl, ttl + policy.sender_cache + policy.margin)


def _hold(version: Version, policy: Policy) -> float:
    if version.records is None:
        # Twice the largest TTL there is would be no better; but a transfer from before may still be under way.
        return policy.unknown_ttl + policy.sender_cache + policy.margin + policy.max_gap
    return hold(version.ttl, policy)


def held(ledger: Ledger, owner: str, now: float) -> tuple[Version, ...]:
    """The versions of the RRset at `owner` that may be held at `now`, oldest first."""
    return tuple(one for one in ledger.versions if one.owner == owner and (one.until is None or one.until > now))


def note(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
    """The ledger after a look at the servers that ended before `now`.

    One that is new, from the future or too old proves nothing: it begins anew, with an unknown version at each owner.
    """
    if ledger.updated is None or not -policy.margin <= now - ledger.updated <= policy.max_gap:
        ledger = Ledger(deployed_at=now)
    versions: list[Version] = []
    for owner in policy.owners:
        known = [one for one in ledger.versions if one.owner == owner] or [Version(owner, None, policy.unknown_ttl)]
        versions += _noted(known, owner, answers.get(owner, ()), policy, now)
    return replace(ledger, versions=tuple(versions), updated=now)


def intend(ledger: Ledger, owners: Mapping[str, Iterable[TlsaRecord]], policy: Policy) -> Ledger:
    """The ledger to save before the RRsets in `owners` are published: a crash must leave nothing unremembered."""
    versions = list(ledger.versions)
    for owner, rrset in owners.items():
        records = frozenset(rrset)
        places = [place for place, one in enumerate(versions) if one.owner == owner and one.until is None]
        if places and versions[places[-1]].records == records:
            versions[places[-1]] = replace(versions[places[-1]], intended=True)
        else:
            ttl = max([policy.ttl, *(versions[place].ttl for place in places)])
            versions.append(Version(owner, records, ttl, intended=True, seen=False))
    return replace(ledger, versions=tuple(versions))


def published(ledger: Ledger, owners: Iterable[str], now: float) -> Ledger:
    """The ledger after the provider accepted, before `now`, what was intended at `owners`."""
    versions = list(ledger.versions)
    for owner in owners:
        places = [place for place, one in enumerate(versions) if one.owner == owner and one.intended]
        for place in places[-1:]:
            versions[place] = replace(versions[place], published=now)
    return replace(ledger, versions=tuple(versions))


def switched(ledger: Ledger, now: float) -> Ledger:
    """The ledger after a deployment was proved live at `now`."""
    return replace(ledger, deployed_at=now)


# --- one owner name ---------------------------------------------------------------------------------------------------


def _noted(known: list[Version], owner: str, answers: Sequence[Answer], policy: Policy, now: float) -> list[Version]:
    good = [answer for answer in answers if answer.error is None]
    shown = sorted({(tuple(sorted(answer.records)), answer.ttl) for answer in good})
    contents = [(frozenset(records), ttl) for records, ttl in shown]
    for records, ttl in contents:
        known = _with_sight(known, Version(owner, records, ttl))
    if good and len(good) == len(answers):
        known = _closed(known, contents, policy, now)
    return [one for one in _without_doubles(known) if one.until is None or one.until > now]


def _with_sight(known: list[Version], sight: Version) -> list[Version]:
    """The versions with one that a server was seen to serve."""
    for place, one in enumerate(known):
        if one.until is None and one.records == sight.records and (one.ttl == sight.ttl or not one.seen):
            return [*known[:place], replace(one, ttl=sight.ttl, seen=True), *known[place + 1 :]]
    place = len(known)
    while place and known[place - 1].until is None and not known[place - 1].seen and not _after(known, place, sight):
        place -= 1
    return [*known[:place], sight, *known[place:]]


def _after(known: Sequence[Version], place: int, sight: Version) -> bool:
    """Whether an RRset made by somebody else shows the change that the version before `place` was intended to make."""
    before = (known[place - 2].records if place > 1 else None) or frozenset()
    after = known[place - 1].records or frozenset()
    there = sight.records or frozenset()
    return after != before and after - before <= there and not (before - after) & there


def _closed(
    known: list[Version], contents: Sequence[tuple[frozenset[TlsaRecord], int]], policy: Policy, now: float
) -> list[Version]:
    """The versions after a complete observation: those that no server serves, or can come to serve, are closed."""
    first = min(
        next(place for place, one in enumerate(known) if one.until is None and (one.records, one.ttl) == content)
        for content in contents
    )
    superseded: float | None = None
    found: list[Version] = []
    for place, one in reversed(list(enumerate(known))):
        gone = one.until is None and (one.records, one.ttl) not in contents
        settled = not one.intended or (superseded is not None and now - superseded > policy.max_gap)
        found.append(replace(one, until=now + _hold(one, policy)) if gone and (place < first or settled) else one)
        superseded = superseded if one.published is None else one.published
    return found[::-1]


def _without_doubles(known: Sequence[Version]) -> list[Version]:
    """Of equal versions that nothing open stands between, the last; of a held one that is open again, the open one."""
    found: list[Version] = []
    for place, one in enumerate(known):
        later = known[place + 1 :]
        follower = next((other for other in later if other.until is None), None)
        if one.until is None:
            doubled = follower is not None and _content(follower) == _content(one)
        else:
            doubled = any(
                _content(other) == _content(one) and (other.until is None or other.until >= one.until)
                for other in later
            )
        if not doubled:
            found.append(one)
    return found


def _content(version: Version) -> tuple[frozenset[TlsaRecord] | None, int]:
    return (version.records, version.ttl)


# --- the file ---------------------------------------------------------------------------------------------------------


def to_json(ledger: Ledger) -> str:
    """The ledger as its file holds it."""
    return json.dumps(
        {
            "format": FORMAT,
            "updated": ledger.updated,
            "deployed_at": ledger.deployed_at,
            "versions": [
                {
                    "owner": one.owner,
                    "records": None if one.records is None else sorted(record.to_text() for record in one.records),
                    "ttl": one.ttl,
                    "until": one.until,
                    "intended": one.intended,
                    "published": one.published,
                    "seen": one.seen,
                }
                for one in ledger.versions
            ],
        },
        indent=1,
    )


def from_json(text: str) -> Ledger:
    """The ledger that a file holds. Raises ValueError when it is damaged: then ``Ledger()`` is what begins anew."""
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            _refuse(f"its format is {content['format']!r}, not {FORMAT}")
        versions = tuple(
            Version(
                _text(one["owner"]),
                None if one["records"] is None else frozenset(TlsaRecord.from_text(_text(r)) for r in one["records"]),
                _seconds(one["ttl"]),
                _time(one["until"]),
                one["intended"] is True,
                _time(one["published"]),
                one["seen"] is True,
            )
            for one in content["versions"]
        )
        return Ledger(versions, _time(content["updated"]), _time(content["deployed_at"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, InvalidRecord) as error:
        msg = f"This is no ledger of a rollover: {error.__class__.__name__}: {error}"
        raise ValueError(msg) from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else _refuse(f"{value!r} is no text")


def _seconds(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return _refuse(f"{value!r} is no number of seconds")
    return value


def _time(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return _refuse(f"{value!r} is no time")
    return float(value)


def _refuse(why: str) -> t.NoReturn:
    raise ValueError(why)
