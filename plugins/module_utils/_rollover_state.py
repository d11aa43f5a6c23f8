# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a rollover looks at, what it remembers, and what it decides: the values that ``_rollover.decide`` works on.

A chain is given as the set of all TLSA records that match it, so that nothing here needs cryptography. All times are
POSIX seconds, all durations seconds.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field
from types import MappingProxyType

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
    """Which records are published beside those of the deployed and the staged chain (DESIGN section 5)."""

    CURRENT_NEXT = "current+next"  # the 3 1 1 of a key made beforehand: a rollover to it needs no wait
    CURRENT_ISSUER = "current+issuer"  # the 2 1 1 of the CA in the served chain: the net beneath
    CURRENT = "current"
    NONE = "none"  # DANE ends for the name


class Kind(enum.StrEnum):
    """What is to be done now; each is one action that can be repeated."""

    PUBLISH = "publish"  # add records
    RETIRE = "retire"  # remove records
    DEPLOY = "deploy"  # switch the store, reload, prove each endpoint live
    WAIT = "wait"
    DONE = "done"
    REFUSE = "refuse"  # it cannot go on before somebody changes something


# --- what is looked at ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain that is, or could be, served.

    ``algorithm`` is ``ecdsa`` or ``rsa``. ``records`` are all records that match the chain: usages 0 to 3, selectors 0
    and 1, matching types 1 and 2 (and 0). ``key`` is its 3 1 1; ``issuers`` are the 2 1 1 of each CA certificate in the
    served chain, the one nearest to the leaf first (none for a self-signed one).
    """

    algorithm: str
    records: frozenset[TlsaRecord]
    key: TlsaRecord
    issuers: tuple[TlsaRecord, ...]
    not_after: float


@dataclass(frozen=True, slots=True)
class Generation:
    """The chains that are deployed together, one for each key algorithm; ``identifier`` is that of the store."""

    identifier: str
    chains: tuple[Chain, ...]

    @property
    def keys(self) -> frozenset[TlsaRecord]:
        """The 3 1 1 of every chain."""
        return frozenset(chain.key for chain in self.chains)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one address of one authoritative server serves at one owner name, aliases followed.

    ``ttl`` is the largest along the aliases; without records it is the negative TTL (RFC 2308 section 5). With
    ``error`` the records and the TTL mean nothing: a failed read is no absence.
    """

    server: str
    address: str
    records: frozenset[TlsaRecord]
    ttl: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What one address of one endpoint showed: a chain for each key algorithm that it has. ``owner``: its TLSA name."""

    owner: str
    address: str
    chains: tuple[Chain, ...]
    error: str | None = None


# --- what is remembered -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Version:
    """One RRset that was, or may have been, served at ``owner``.

    ``records`` None: what was served before the ledger began is not known. ``until`` None: it is open, that is, still
    served, or this host set out to publish it and it may still come; else until when a resolver, and a sender's own
    cache behind it, may hold it. ``intended``: this host set out to publish it; ``published``: when the provider last
    accepted that; ``seen``: some server was seen to serve it.
    """

    owner: str
    records: frozenset[TlsaRecord] | None
    ttl: int
    until: float | None = None
    intended: bool = False
    published: float | None = None
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every RRset that a resolver may still hold; of one owner name, the older ones stand first.

    ``updated`` is the time of the last look at the servers. ``deployed_at`` is when the last deployment was proved
    live, or when the ledger began: the rollback window counts from it.
    """

    versions: tuple[Version, ...] = ()
    updated: float | None = None
    deployed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision rests on. Every owner name of the policy is a key of ``answers``.

    ``ledger`` has been brought up to date with the same answers. ``former``: records of older generations in the
    store, once ours. ``reload_owed``: the deployed generation was switched, and services may not have loaded it.
    """

    answers: Mapping[str, tuple[Answer, ...]]
    served: tuple[Served, ...]
    deployed: Generation | None
    staged: Generation | None
    next: Generation | None
    former: frozenset[TlsaRecord]
    reload_owed: bool
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Policy:
    """What the administrator wants.

    ``margin`` covers what the clock may be wrong by. ``unknown_ttl`` is the largest TTL that records from before the
    ledger began may have. A ledger not updated for longer than ``max_gap`` proves nothing; it is also how long a
    transfer between name servers may be under way. ``exclusive`` False: other machines stand behind the same name, and
    only records that are or were ours are removed. ``extra`` is always published. ``compromised``: the 3 1 1 of keys
    that somebody else may have. ``aliased``: the records are reached by an alias, and another host name that leads
    there may serve a key of ours, unseen from here; so nothing is removed but what is compromised. While one of them is
    deployed, the staged chain, or else the next key, is deployed as soon as *any* usable record matches it, and its
    record is the first to be retired; none of them is ever deployed again. (An emergency names the keys, so that it
    ends by itself when they are gone.) ``retire_after`` is the rollback window: for so long after a deployment the
    former records stay.
    """

    owners: tuple[str, ...]
    scheme: Scheme
    ttl: int
    multiplier: float = 2.0
    sender_cache: int = 101
    margin: int = 60
    unknown_ttl: int = 86400
    max_gap: int = 3600
    exclusive: bool = True
    aliased: bool = False
    extra: frozenset[TlsaRecord] = frozenset()
    compromised: frozenset[TlsaRecord] = frozenset()
    relax_on_expiry: bool = False
    retire_after: int = 0


# --- what is decided --------------------------------------------------------------------------------------------------

_NOTHING: t.Final[Mapping[str, tuple[TlsaRecord, ...]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Decision:
    """One step, and why.

    ``owners``, for publish and retire: the RRset after the step, by owner name, only those that change; ``removed``,
    for retire, what goes from each. Publish only ever adds (state ``present``), retire only ever removes (``absent``).
    The ledger is saved as ``intend`` makes it before either is acted on, and as ``published`` makes it once the
    provider has accepted it. ``generation``, for deploy: what to deploy, and where it is deployed already, to reload
    and prove. ``until``, for wait: when to look again; None: at the next run. ``alarms`` are what somebody should hear
    whatever the decision is, a sentence each.
    """

    kind: Kind
    why: str
    until: float | None = None
    owners: Mapping[str, tuple[TlsaRecord, ...]] = field(default_factory=lambda: _NOTHING)
    removed: Mapping[str, tuple[TlsaRecord, ...]] = field(default_factory=lambda: _NOTHING)
    generation: str | None = None
    alarms: tuple[str, ...] = ()
