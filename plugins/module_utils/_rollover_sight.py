# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""One look at everything that a decision is made of: the store, the name servers, the endpoints, the ledger."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ._certificate_store import CertificateStore, Slot
from ._errors import InvalidCertificate, LookupFailed, ProbeImpossible, StoreError
from ._key_memory import KeyMemory
from ._resolver import Resolver
from ._rollover_chains import generation_of
from ._rollover_files import RolloverFiles
from ._rollover_ledger import note
from ._rollover_observation import answers_at, host_addresses, served_at
from ._rollover_state import Observed, Served
from ._serving import Observer

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from ._certificate_store import Generation as StoredGeneration
    from ._rollover_config import RolloverConfig
    from ._rollover_files import Notes
    from ._rollover_state import Generation, Policy
    from ._tlsa import TlsaRecord

__all__ = ["Sight", "look", "stored"]


@dataclass(frozen=True)
class Sight:
    """What was seen at ``now`` (POSIX seconds), and what the user should hear of it."""

    observed: Observed
    policy: Policy
    now: float
    addresses: tuple[str, ...]
    warnings: tuple[str, ...]


def stored(store: CertificateStore, generation: StoredGeneration | None) -> Generation | None:
    """A generation of the store as the core knows it. Raises StoreError when it is damaged."""
    if generation is None:
        return None
    try:
        return generation_of(generation.identifier, generation.files(), str(generation.directory))
    except InvalidCertificate as exc:
        msg = f"The store {store.root} is damaged: {exc}. Restore the file from a backup; until then nothing is done"
        raise StoreError(msg) from exc


def look(config: RolloverConfig, notes: Notes, *, clock: Callable[[], float] = time.time) -> Sight:
    """Look; nothing is written. The ledger in the result knows these answers. Raises StoreError."""
    store = CertificateStore(config.store)
    warnings = []
    resolver = Resolver(config.resolver, config.resolver_port, config.timeout)
    ledger, trouble = RolloverFiles(config.state).ledger(config.margin)
    if trouble:
        warnings.append(trouble)
    observer = Observer(resolver, config.timeout, servers=config.servers)
    answers, aliased = answers_at(observer, config.owners)
    now = clock()  # after the last answer: what was served a moment ago may be held from now on
    policy = config.policy(compromised=notes.compromised_records, shared=aliased)
    addresses, served = _served(config, resolver)
    observed = Observed(
        answers=answers,
        served=served,
        deployed=stored(store, store.deployed()),
        staged=stored(store, store.slot(Slot.STAGED)),
        next=stored(store, store.slot(Slot.NEXT)),
        former=frozenset(_former(store)),
        reload_owed=store.reload_owed,
        ledger=note(ledger, answers, policy, now),
    )
    return Sight(observed, policy, now, addresses, tuple(warnings))


def _served(config: RolloverConfig, resolver: Resolver) -> tuple[tuple[str, ...], tuple[Served, ...]]:
    """The addresses of the endpoints and what they serve; a look that fails is there with its error."""
    ports = {owner: (port, config.starttls_of(port)) for owner, port in config.owners.items()}
    try:
        addresses = config.addresses or host_addresses(resolver, config.host)
        return addresses, served_at(config.host, ports, addresses)
    except (LookupFailed, ProbeImpossible) as error:
        return (), tuple(Served(owner, "", (), error=str(error)) for owner in ports)


def _former(store: CertificateStore) -> set[TlsaRecord]:
    """Records that were once ours: remembered ones, and those of every generation that is still there."""
    remembered = KeyMemory(store.root).read()
    found = {*remembered.former, *remembered.retired}
    for generation in store.generations():
        try:
            chains = generation_of(generation.identifier, generation.files(), str(generation.directory)).chains
        except InvalidCertificate:
            continue  # what cannot be read only adds nothing
        for chain in chains:
            found.update((chain.key, *chain.issuers))
    return found
