# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a rollover is decided from, and the decision: plain values, no behaviour but small look-ups.

Times are POSIX seconds, spans are seconds. A chain comes as the set of all TLSA records that match it, so that nothing
here needs cryptography.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ._tlsa import TlsaRecord

__all__ = [
    "Answer",
    "Chain",
    "Decision",
    "Generation",
    "Kind",
    "Ledger",
    "Observed",
    "Policy",
    "Scheme",
    "Served",
    "Version",
]


class Scheme(enum.StrEnum):
    """Which records stand in the DNS at rest (DESIGN of the rollover guide)."""

    CURRENT_NEXT = "current+next"  # 3 1 1 of the key in use, and of the key to come
    CURRENT_ISSUER = "current+issuer"  # 3 1 1 of the key in use, and 2 1 1 of a CA in the served chain
    CURRENT = "current"  # 3 1 1 of the key in use
    NONE = "none"  # no records: DANE ends for the name


class Kind(enum.StrEnum):
    """What to do next."""

    PUBLISH = "publish"
    WAIT = "wait"
    DEPLOY = "deploy"
    RETIRE = "retire"
    DONE = "done"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Chain:
    """A key and chain that is served or could be."""

    algorithm: str
    """``ecdsa`` or ``rsa``."""
    records: frozenset[TlsaRecord]
    """Every record that matches the chain, of all usages, selectors and matching types that can be computed."""
    key: TlsaRecord
    """``3 1 1`` of the key."""
    issuers: tuple[TlsaRecord, ...] = ()
    """``2 1 1`` of each CA certificate in the served chain, the leaf's issuer first; empty for a self-signed one."""
    not_after: float = float("inf")


@dataclass(frozen=True, slots=True)
class Generation:
    """Keys and chains that are switched to together, one for each key algorithm."""

    identifier: str
    chains: tuple[Chain, ...]

    @property
    def keys(self) -> frozenset[TlsaRecord]:
        """The ``3 1 1`` of every key."""
        return frozenset(chain.key for chain in self.chains)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one authoritative server at one address serves at an owner name, aliases followed.

    ``ttl`` is the largest along the aliases; the negative TTL where there are no records. With an ``error`` the rest
    means nothing.
    """

    server: str
    address: str
    records: frozenset[TlsaRecord] = frozenset()
    ttl: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What one address of an endpoint showed, a chain for each key algorithm; with an ``error`` it is not known."""

    owner: str
    address: str
    chains: tuple[Chain, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A TLSA RRset that resolvers, or senders themselves, may hold: until ``until``, or as long as it is None.

    ``known`` is false for what was served before the ledger began; nobody knows what that was, so the keys that are
    deployed are all that can be said to match it.
    """

    owner: str
    records: frozenset[TlsaRecord]
    ttl: int
    until: float | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Ledger:
    """What may still be held. ``updated`` is None before the first note, ``deployed_at`` before the first switch."""

    versions: tuple[Version, ...] = ()
    updated: float | None = None
    deployed_at: float | None = None
    deployed: str | None = None
    """The generation that was deployed when ``deployed_at`` was noted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user wants. All spans are in seconds."""

    owners: tuple[str, ...]
    scheme: Scheme
    ttl: int = 3600
    multiplier: float = 2.0
    """Times the TTL of the RRset that lacked a record (RFC 7671 section 8.1)."""
    sender_cache: int = 101
    """How long a mail sender keeps records itself: Postfix min(TTL, 100) + 1 (its source, tls_dane.c)."""
    margin: int = 60
    """Beyond every TTL; also the bound that the host's clock is held to."""
    unknown_ttl: int = 86400
    """What may be held from before the ledger began: unbound's cache-max-ttl."""
    max_gap: int = 3600
    """A ledger that was not updated for longer proves nothing, and begins anew."""
    exclusive: bool = True
    """False: other machines stand behind the name, and only records known as ours are ever removed."""
    extra: frozenset[TlsaRecord] = frozenset()
    """Always published, never removed."""
    emergency: bool = False
    """A key is compromised: any usable record that matches is enough, and the records of former keys go first."""
    relax_on_expiry: bool = False
    """Where a certificate expires before its successor may be deployed: any usable record that matches is enough."""
    retire_after: int = 0
    """How long former records stay after a switch, so that the former key can be gone back to at once."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision is made from. ``answers`` has every owner of the policy as a key."""

    answers: Mapping[str, tuple[Answer, ...]]
    served: tuple[Served, ...]
    deployed: Generation | None
    staged: Generation | None = None
    next: Generation | None = None
    former: frozenset[TlsaRecord] = frozenset()
    """Records that were once ours."""
    reload_owed: bool = False
    """Services may not have loaded what is deployed."""
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(frozen=True, slots=True)
class Decision:
    """One step, or why there is none.

    ``until`` is when a wait ends; None where nobody can tell, so look again. ``owners`` are the RRsets after a
    publication or removal, only those that change. ``alarms`` are for a person, whatever the step.
    """

    kind: Kind
    why: str
    until: float | None = None
    owners: Mapping[str, tuple[TlsaRecord, ...]] = field(default_factory=dict)
    generation: str | None = None
    alarms: tuple[str, ...] = ()
