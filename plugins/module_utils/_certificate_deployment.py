# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Chains go into a host's certificate store: read, judged, staged, loaded once by OpenSSL, and switched to."""

from __future__ import annotations

import ssl
import typing as t
from contextlib import suppress
from dataclasses import dataclass

from ._certificate import not_after, not_before
from ._certificate_store import Slot
from ._errors import InvalidCertificate, InvalidInput, StoreError
from ._key_change import refuse_new_keys, refuse_unpublished
from ._key_memory import KeyMemory
from ._server_chain import ServerChain, chain_problems, chain_warnings, read_server_chain
from ._units import reload_units

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ._certificate_store import CertificateStore, Generation
    from ._key_change import Policy, Published
    from ._key_material import Material

__all__ = ["Deployment", "deploy", "describe", "prove_loadable", "read_chains", "store_files"]


@dataclass(frozen=True)
class Deployment:
    """What was done, or would be done in check mode."""

    changed: bool
    generation: str | None
    """The identifier of the deployed generation; None in check mode where it would be a new one."""
    before: tuple[ServerChain, ...]
    after: tuple[ServerChain, ...]
    pruned: tuple[str, ...]
    warnings: tuple[str, ...]


def store_files(chains: Iterable[ServerChain]) -> dict[str, bytes]:
    """The files of a generation that holds these chains."""
    files = {}
    for chain in chains:
        files[f"{chain.algorithm}.pem"] = chain.pem()
        files[f"{chain.algorithm}.crt"] = chain.certificates_pem()
    return files


def describe(chains: Iterable[ServerChain]) -> str:
    """What a reader may know of chains, one to a line, for diffs; never anything of a private key."""
    lines = []
    for chain in sorted(chains, key=lambda chain: chain.algorithm):
        issuer = "self-signed" if chain.self_signed else chain.leaf.issuer.rfc4514_string()
        lines.append(
            f"{chain.algorithm}: {chain.record.to_text()}, for {', '.join(chain.names) or '(no DNS name)'}, {issuer}, "
            f"{not_before(chain.leaf):%Y-%m-%d} to {not_after(chain.leaf):%Y-%m-%d}, "
            f"serial {chain.leaf.serial_number:x}, {len(chain.certificates)} in chain\n"
        )
    return "".join(lines)


def deploy(
    store: CertificateStore,
    material: Sequence[Material],
    policy: Policy,
    now: datetime,
    *,
    published: Published | None = None,
    check_mode: bool = False,
) -> Deployment:
    """Make the store serve these chains and no others.

    ``published`` is asked where nothing is deployed yet, because there is nothing else to tell which key clients know.
    A key that a rollover has replaced, or is under way to, is not for this: what is deployed stays, with a warning.
    Nothing is written before every chain was found fit. Raises InvalidCertificate, LookupFailed, StoreError.
    """
    chains = read_chains(material)
    if check_mode:
        if published is not None and store.deployed() is None:
            refuse_unpublished(published, chains, policy, now)
        return _deploy(store, chains, policy, now, write=False)
    with store.locked():
        if published is not None and store.deployed() is None:
            refuse_unpublished(published, chains, policy, now)
        return _deploy(store, chains, policy, now, write=True)


def _deploy(
    store: CertificateStore, chains: Sequence[ServerChain], policy: Policy, now: datetime, *, write: bool
) -> Deployment:
    current = store.deployed()
    before = () if current is None else _deployed_chains(current.files(), store.link, forgiving=policy.replace_key)
    served = {chain.algorithm: chain for chain in before}
    left = {} if policy.replace_key else _left_to_rollover(store, chains, served)
    chains = [served[chain.algorithm] if chain.algorithm in left else chain for chain in chains]
    wanted = store_files(chains)
    generation = current
    wrong_modes: tuple[str, ...] = ()
    if current is None or current.files() != wanted:
        _refuse_unfit([chain for chain in chains if chain not in before], now)
        if current is not None:
            refuse_new_keys(before, chains, policy)
        generation = store.stage(wanted) if write else None
        if generation is not None:
            prove_loadable(store, generation)
            _switch(store, current, generation, policy)
    else:
        wrong_modes = store.wrong_modes(current)
        if write and wrong_modes:
            store.mend_modes(current)
    owed = store.reload_owed
    if owed and write:
        reload_units(policy.units)
        store.settle_reload()
    pruned = store.superseded(policy.keep)
    if write:
        store.remove(pruned)
    return Deployment(
        changed=generation is None or generation != current or owed or bool(wrong_modes) or bool(pruned),
        generation=generation.identifier if generation else None,
        before=before,
        after=tuple(chains),
        pruned=tuple(old.identifier for old in pruned),
        warnings=(
            *(f"{algorithm}: {why}, so what is deployed stays" for algorithm, why in left.items()),
            *(f"{chain.algorithm}: {text}" for chain in chains for text in chain_warnings(chain, policy.host, now)),
        ),
    )


def _left_to_rollover(
    store: CertificateStore, chains: Iterable[ServerChain], served: Mapping[str, ServerChain]
) -> dict[str, str]:
    """The algorithms whose given key a rollover has replaced, or is under way to, with a sentence on each."""
    fresh = [chain for chain in chains if served.get(chain.algorithm, chain).record != chain.record]
    if not fresh:
        return {}
    former = KeyMemory(store.root).read().former
    slot = store.slot(Slot.STAGED)
    staged = () if slot is None else _deployed_chains(slot.files(), slot.directory, forgiving=True)
    under_way = {chain.record for chain in staged}
    left = {}
    for chain in fresh:
        key = chain.record.to_text()
        if chain.record in under_way:
            left[chain.algorithm] = f"a rollover to the given key, {key}, is under way (dane-rollover status)"
        elif chain.record in former:
            left[chain.algorithm] = f"a rollover has replaced the given key, {key} (dane-rollover now --back)"
    return left


def _switch(store: CertificateStore, former: Generation | None, fresh: Generation, policy: Policy) -> None:
    """Have services load ``fresh``; where one does not, all go back to ``former``, and StoreError is raised."""
    store.owe_reload()
    store.deploy(fresh)
    try:
        reload_units(policy.units)
    except StoreError as exc:
        if former is None:
            raise
        store.deploy(former)
        with suppress(StoreError):
            reload_units(policy.units)
            store.settle_reload()
        msg = f"{exc}. The former keys and chains were put back; mend the service, and run again"
        raise StoreError(msg) from exc
    store.settle_reload()


def read_chains(material: Sequence[Material]) -> tuple[ServerChain, ...]:
    chains: dict[str, tuple[ServerChain, Material]] = {}
    for item in material:
        chain = read_server_chain(item.key, item.chain, key_source=item.key_source, chain_source=item.chain_source)
        if chain.algorithm in chains:
            other = chains[chain.algorithm][1]
            msg = (
                f"{other.key_source} and {item.key_source} are both {chain.algorithm.upper()} keys; "
                "a server has one key for each algorithm"
            )
            raise InvalidCertificate(msg)
        chains[chain.algorithm] = (chain, item)
    if not chains:
        msg = "No chain was given; a mail host needs at least one key and certificate"
        raise InvalidInput(msg)
    return tuple(chains[algorithm][0] for algorithm in sorted(chains))


def _deployed_chains(files: Mapping[str, bytes], link: Path, *, forgiving: bool) -> tuple[ServerChain, ...]:
    chains = []
    for name, content in sorted(files.items()):
        if not name.endswith(".pem"):
            continue
        source = f"{link}/{name}"
        try:
            chains.append(read_server_chain(content, content, key_source=source, chain_source=source))
        except InvalidCertificate as exc:
            if forgiving:
                continue
            msg = (
                f"What is deployed is damaged, so nobody can say which keys the published TLSA records are for. {exc}. "
                "Restore the file from a backup; or, where it is lost, deploy what you have with replace_key "
                "(mail_certificate_replace_key: true) and correct the TLSA records at once"
            )
            raise StoreError(msg) from exc
    return tuple(chains)


def _refuse_unfit(chains: Iterable[ServerChain], now: datetime) -> None:
    if problems := [f"{chain.algorithm}: {text}" for chain in chains for text in chain_problems(chain, now)]:
        msg = f"Nothing was deployed. {'. '.join(problems)}"
        raise InvalidCertificate(msg)


def prove_loadable(store: CertificateStore, generation: Generation) -> None:
    """Have this host's OpenSSL load what services are to load. Raises StoreError, and removes the generation."""
    for name in generation.files():
        if not name.endswith(".pem"):
            continue
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(generation.directory / name)
        except (ssl.SSLError, OSError) as exc:
            store.remove([generation])
            msg = f"Nothing was deployed: this host's OpenSSL does not load the new {name}: {exc}"
            raise StoreError(msg) from exc
