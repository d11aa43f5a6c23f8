# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The ledger: which TLSA RRsets may still be held by resolvers and senders. Pure; ``now`` is passed.

A version is open as long as a server serves it, or may: one that did not answer may serve whatever it served before. It
closes with the first look at which every server answered and none served it, and is held for :func:`hold` seconds from
then on; as answers come before ``now``, that is never too short.
"""

from __future__ import annotations

import json
import typing as t

from ._rollover_state import Ledger, Version
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._rollover_state import Answer, Policy

__all__ = ["from_json", "held", "hold", "is_proof", "note", "switched", "to_json"]

_FORM: t.Final = 1


def hold(ttl: int, policy: Policy) -> float:
    """How long an RRset with this TTL may be held after no server serves it any more, in seconds.

    Two TTLs (RFC 7671 section 8.1), or one, a sender's own cache and a margin, whichever is longer.
    """
    return max(policy.multiplier * ttl, ttl + policy.sender_cache + policy.margin)


def is_proof(ledger: Ledger, policy: Policy, now: float) -> bool:
    """Whether the ledger tells of all that was served lately: neither new, nor from the future, nor long asleep."""
    if ledger.updated is None:
        return False
    return ledger.updated - policy.margin <= now <= ledger.updated + policy.max_gap


def note(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
    """The ledger after a look at every owner; ``now`` is after the last answer."""
    if not is_proof(ledger, policy, now):
        ledger = _begun(ledger, answers, policy, now)
    versions: list[Version] = []
    for owner in dict.fromkeys([*(version.owner for version in ledger.versions), *answers]):
        known = [version for version in ledger.versions if version.owner == owner]
        versions += _noted(owner, known, answers.get(owner, ()), policy, now)
    return Ledger(tuple(versions), now, ledger.deployed_at, ledger.deployed)


def switched(ledger: Ledger, generation: str, now: float) -> Ledger:
    """The ledger after ``generation`` was deployed, for the time that former records stay (``retire_after``)."""
    return Ledger(ledger.versions, ledger.updated, now, generation)


def held(ledger: Ledger, owner: str, now: float) -> tuple[Version, ...]:
    """The versions of an owner's RRset that somebody may hold at ``now``."""
    return tuple(
        version
        for version in ledger.versions
        if version.owner == owner and (version.until is None or version.until > now)
    )


def _begun(ledger: Ledger, answers: Mapping[str, Sequence[Answer]], policy: Policy, now: float) -> Ledger:
    """A ledger that begins now. What the old one knew may still be held; so may what nobody knows of."""
    until = now + policy.unknown_ttl + policy.sender_cache + policy.margin
    unknown = [Version(owner, frozenset(), policy.unknown_ttl, until, known=False) for owner in answers]
    kept = [
        Version(version.owner, version.records, version.ttl, _no_later(version.until, now, hold(version.ttl, policy)))
        for version in ledger.versions
        if version.known
    ]
    return Ledger((*unknown, *kept), now, ledger.deployed_at, ledger.deployed)


def _no_later(until: float | None, now: float, longest: float) -> float | None:
    """An end that is further off than it can be was noted by a clock that was wrong."""
    return None if until is None else min(until, now + longest)


def _noted(
    owner: str, known: Sequence[Version], answers: Sequence[Answer], policy: Policy, now: float
) -> list[Version]:
    served = {(answer.records, answer.ttl): None for answer in answers if answer.error is None}
    complete = bool(answers) and all(answer.error is None for answer in answers)
    found: list[Version] = []
    for version in known:
        if version.known and (version.records, version.ttl) in served:
            continue
        until = version.until
        if until is None and complete:
            until = now + hold(version.ttl, policy)
        if until is None or until > now:
            found.append(Version(owner, version.records, version.ttl, until, version.known))
    return [*(Version(owner, records, ttl) for records, ttl in served), *found]


def to_json(ledger: Ledger) -> str:
    """The ledger as a text for a file."""
    return (
        json.dumps(
            {
                "form": _FORM,
                "updated": ledger.updated,
                "deployed_at": ledger.deployed_at,
                "deployed": ledger.deployed,
                "versions": [
                    {
                        "owner": version.owner,
                        "records": sorted(record.to_text() for record in version.records),
                        "ttl": version.ttl,
                        "until": version.until,
                        "known": version.known,
                    }
                    for version in ledger.versions
                ],
            },
            indent=1,
        )
        + "\n"
    )


def from_json(text: str) -> Ledger:
    """The ledger that a file holds. Raises ValueError, KeyError, TypeError, AttributeError: it is damaged."""
    raw = json.loads(text)
    if raw["form"] != _FORM:
        msg = f"form {raw['form']!r} is not {_FORM}"
        raise ValueError(msg)
    return Ledger(
        tuple(_version(one) for one in raw["versions"]),
        _time(raw["updated"]),
        _time(raw["deployed_at"]),
        None if raw["deployed"] is None else str(raw["deployed"]),
    )


def _version(raw: dict[str, t.Any]) -> Version:
    return Version(
        str(raw["owner"]),
        frozenset(TlsaRecord.from_text(record) for record in raw["records"]),
        int(raw["ttl"]),
        _time(raw["until"]),
        bool(raw["known"]),
    )


def _time(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) > 1e12:  # noqa: PLR0124  # NaN
        msg = f"{value!r} is no time"
        raise ValueError(msg)
    return float(value)
