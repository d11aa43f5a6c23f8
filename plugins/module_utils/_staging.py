# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Keys and chains that are to follow the deployed ones: read, judged, and put beside them. Services see nothing yet.

Whatever is wrong is refused before anything is written, and the deployed chain stays.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._certificate_deployment import prove_loadable, read_chains, store_files
from ._certificate_store import Slot
from ._errors import InvalidCertificate
from ._key_memory import KeyMemory
from ._names import matches_reference
from ._server_chain import chain_problems, read_server_chain

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from ._certificate_store import CertificateStore, Generation
    from ._key_material import Material
    from ._server_chain import ServerChain
    from ._tlsa import TlsaRecord

__all__ = ["Staged", "chains_in", "stage", "staging_problems"]


@dataclass(frozen=True)
class Staged:
    """What was staged. ``slot`` None: nothing was, as it is deployed already, or is a renewed certificate of a key that
    the staged generation is about to replace."""

    generation: Generation
    slot: Slot | None
    changed: bool


def staging_problems(
    chains: Iterable[ServerChain], host: str, retired: Iterable[TlsaRecord], now: datetime
) -> tuple[str, ...]:
    """Why chains must not be staged for ``host`` (A-labels); one sentence for each reason, all of them at once.

    Stricter than what DANE-EE asks for: a chain that is staged by hand or by an ACME client is meant for everybody.
    """
    refused = set(retired)
    found = []
    for chain in chains:
        problems = list(chain_problems(chain, now))
        if not any(matches_reference(name, host) for name in chain.names):
            named = ", ".join(chain.names) or "no DNS name"
            problems.append(f"The certificate is for {named} and not for {host}; have it issued for {host}")
        if len(chain.certificates) == 1 and not chain.self_signed:
            issuer = chain.leaf.issuer.rfc4514_string()
            problems.append(
                f"The chain is not complete: it has the server's certificate alone and not its issuer {issuer}; "
                "give the full chain (fullchain.pem)"
            )
        if chain.record in refused:
            problems.append(
                f"The key {chain.record.to_text()} was retired: it is compromised, or its records were removed after "
                "a rollover away from it; make a new key"
            )
        found += [f"{chain.algorithm}: {problem}" for problem in problems]
    return tuple(found)


def chains_in(generation: Generation) -> dict[str, ServerChain]:
    """The chains of a generation by algorithm. Raises StoreError, InvalidCertificate."""
    found = {}
    for name, content in generation.files().items():
        if name.endswith(".pem"):
            source = str(generation.directory / name)
            chain = read_server_chain(content, content, key_source=source, chain_source=source)
            found[chain.algorithm] = chain
    return found


def stage(
    store: CertificateStore,
    material: Sequence[Material],
    host: str,
    now: datetime,
    *,
    as_next: bool = False,
    fill: Callable[[str], Material] | None = None,
) -> Staged:
    """Put keys and chains beside the deployed ones, under ``staged`` or, with ``as_next``, under ``next``.

    An algorithm that is not given keeps what the slot has of it: an ACME client renews one certificate at a time.
    Without that a staged generation keeps what is deployed, and a next one gets what ``fill`` makes, as a key that is
    compromised must not come back with it. To be called under the store's lock. Raises InvalidCertificate, StoreError.
    """
    slot = Slot.NEXT if as_next else Slot.STAGED
    given = {chain.algorithm: chain for chain in read_chains(material)}
    if problems := staging_problems(given.values(), host, KeyMemory(store.root).read().retired, now):
        msg = f"Nothing was staged. {'. '.join(problems)}"
        raise InvalidCertificate(msg)
    current = store.deployed()
    deployed = {} if current is None else chains_in(current)
    before = store.slot(slot)
    base = {} if before is None else chains_in(before)
    if as_next:
        _refuse_deployed(given.values(), deployed)
        missing = sorted(set(deployed) - set(base) - set(given))
        if missing and fill is not None:
            base |= {chain.algorithm: chain for chain in read_chains([fill(algorithm) for algorithm in missing])}
    elif before is not None:
        useful = _useful(given, base, deployed)
        if useful != given and {**base, **useful} == base:
            return Staged(before, None, changed=False)
        given = useful
    chains = {**({} if as_next else deployed), **base, **given}
    generation = store.stage(store_files(chains[algorithm] for algorithm in sorted(chains)))
    if generation == current:
        store.clear(slot)
        return Staged(generation, None, changed=before is not None)
    prove_loadable(store, generation)
    store.fill(slot, generation)
    return Staged(generation, slot, changed=before != generation)


def _useful(
    given: Mapping[str, ServerChain], base: Mapping[str, ServerChain], deployed: Mapping[str, ServerChain]
) -> dict[str, ServerChain]:
    """Those of ``given`` that are no renewal of a deployed key which the staged ``base`` is about to replace."""
    served = {chain.record for chain in deployed.values()}
    leaving = {algorithm for algorithm, chain in base.items() if chain.record not in served}
    return {name: chain for name, chain in given.items() if name not in leaving or chain.record not in served}


def _refuse_deployed(chains: Iterable[ServerChain], deployed: Mapping[str, ServerChain]) -> None:
    served = {chain.record for chain in deployed.values()}
    for chain in chains:
        if chain.record in served:
            msg = (
                f"Nothing was staged. The {chain.algorithm} key {chain.record.to_text()} is deployed, so it cannot be "
                "the next one; make a new key"
            )
            raise InvalidCertificate(msg)
