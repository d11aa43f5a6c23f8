# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The steps of a rollover, done: publish, deploy and prove, retire. Each is idempotent and can be killed anywhere."""

from __future__ import annotations

import time
import typing as t
from contextlib import suppress

from ._convergence import converge
from ._errors import DaneError, PublisherConflict, PublisherError, StoreError
from ._publication import State, Wanted, plan, zone_file_lines
from ._publishers.selection import publisher_from_options
from ._resolver import Resolver
from ._rollover_observation import served_at
from ._rollover_words import named
from ._units import reload_units

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._certificate_store import CertificateStore, Generation
    from ._publication import Change, Published
    from ._rollover_config import RolloverConfig
    from ._rollover_state import Generation as Chains
    from ._rollover_state import Served
    from ._tlsa import TlsaRecord

__all__ = ["by_hand", "deploy", "publish", "unproved"]

PROOF: t.Final = 20.0
"""Seconds within which every endpoint must serve what was deployed: services start processes anew after a reload."""
_PAUSE: t.Final = 0.5


def publish(
    config: RolloverConfig,
    added: Mapping[str, Sequence[TlsaRecord]],
    removed: Mapping[str, Sequence[TlsaRecord]],
    fits: Callable[[str, frozenset[TlsaRecord]], bool],
) -> tuple[str, ...]:
    """Add and remove records, by owner name, and nothing else; return what the user should hear.

    What others have put at the same names stays. ``fits`` says whether the RRset that a removal leaves at an owner name
    is one that the served chains match: the provider may not have what name servers serve. Raises DaneError.
    """
    if config.provider is None:
        raise StoreError("There is no provider to publish at")
    wanted = [
        *(Wanted(owner, tuple(records), State.PRESENT, config.ttl) for owner, records in added.items() if records),
        *(Wanted(owner, tuple(records), State.ABSENT) for owner, records in removed.items() if records),
    ]
    resolver = Resolver(config.resolver, config.resolver_port, config.timeout)
    with publisher_from_options(config.provider) as publisher:
        outcome = converge(
            publisher,
            wanted,
            resolver=resolver if config.require_signed else None,
            planner=lambda here, there: _plan(here, there, fits),
        )
    if outcome.errors:
        raise PublisherError("\n".join(outcome.errors.values()))
    return tuple(outcome.warnings)


def _plan(
    wanted: Sequence[Wanted],
    there: Mapping[str, Published],
    fits: Callable[[str, frozenset[TlsaRecord]], bool],
) -> tuple[Change, ...]:
    """The changes, if no removal leaves what does not fit. Raises PublisherConflict, InvalidInput."""
    for one in wanted:
        rest = t.cast("frozenset[TlsaRecord]", frozenset(there[one.name].records).difference(one.records))
        if one.state is State.ABSENT and not fits(one.name, rest):
            msg = (
                f"The provider has {named(rest)} at {one.name} beside what is to go, and name servers serve more than "
                "that, so nothing was removed: a served chain would match no record. Somebody else may have removed "
                "records there a moment ago, or they come from a wildcard; publish what is missing at the name itself"
            )
            raise PublisherConflict(msg)
    return plan(wanted, there)


def by_hand(config: RolloverConfig, after: Mapping[str, Sequence[TlsaRecord]]) -> tuple[str, ...]:
    """The RRsets after the step, as lines of a zone file, for a user without a provider."""
    return tuple(
        line
        for owner, records in sorted(after.items())
        for line in (
            zone_file_lines(owner, config.ttl, records).splitlines() if records else [f"; {owner}: no TLSA record"]
        )
    )


def deploy(
    store: CertificateStore,
    generation: Generation,
    units: Sequence[str],
    prove: Callable[[], Sequence[str]],
) -> None:
    """Have services load ``generation``, and see it served; where that fails all go back to what was deployed.

    ``prove`` returns what is wrong at the endpoints, one sentence each. Raises StoreError, with what failed; then the
    former keys and chains are deployed, or where there were none, the new ones.
    """
    former = store.deployed()
    store.owe_reload()
    if generation != former:
        store.deploy(generation)
    try:
        reload_units(units)
        if failures := prove():
            msg = f"After the reload not every endpoint serves what was deployed: {'; '.join(failures)}"
            raise StoreError(msg)
    except DaneError as exc:
        if former is None:
            raise
        if former == generation:
            msg = (
                f"{exc}. A run was ended between the switch to {generation.identifier} and its proof, so nothing was "
                "put back: mend this, or go back with `dane-rollover now --back`"
            )
            raise StoreError(msg) from exc
        store.deploy(former)
        with suppress(StoreError):
            reload_units(units)
            store.settle_reload()
        msg = f"{exc}. The former keys and chains were put back"
        raise StoreError(msg) from exc
    store.settle_reload()


def unproved(
    config: RolloverConfig,
    expected: Chains,
    addresses: Sequence[str],
    *,
    sleep: Callable[[float], None] = time.sleep,
    patience: float = PROOF,
) -> tuple[str, ...]:
    """What endpoints serve instead of ``expected``, after they had ``patience`` seconds; nothing when all serve it."""
    deadline = time.monotonic() + patience
    ports = {owner: (port, config.starttls_of(port)) for owner, port in config.owners.items()}
    while True:
        wrong = [text for served in served_at(config.host, ports, addresses) if (text := _difference(served, expected))]
        if not wrong or time.monotonic() >= deadline:
            return tuple(wrong)
        sleep(_PAUSE)


def _difference(served: Served, expected: Chains) -> str | None:
    if served.error is not None:
        return served.error
    wanted = {(chain.algorithm, chain.records) for chain in expected.chains}
    place = f"{served.owner} at {served.address}"
    if not served.chains:
        return f"{place} serves no chain"
    for chain in served.chains:
        if (chain.algorithm, chain.records) not in wanted:
            return f"{place} serves another {chain.algorithm} chain than the deployed one, of {chain.key.to_text()}"
    return None
