# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Certbot's lineages as a source of keys and chains: which one is in use, which one holds the next key.

Two lineages for each key algorithm, both renewed by certbot's own timer and with the same key (``--reuse-key``): one
has the deployed key, the other the next one, with a certificate that is as good as that in use. After a rollover they
have changed places, and the one that holds a key which nobody serves any more is issued anew with a new key.
"""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

from ._certificate import not_before
from ._certificate_store import Slot
from ._errors import InvalidCertificate, InvalidInput, StoreError
from ._key_material import Material
from ._key_memory import KeyMemory
from ._names import matches_reference
from ._server_chain import read_server_chain
from ._staging import chains_in

if t.TYPE_CHECKING:
    from ._certificate_store import CertificateStore
    from ._rollover_config import RolloverConfig
    from ._server_chain import ServerChain
    from ._tlsa import TlsaRecord

__all__ = ["LIVE", "is_for", "lineage_material", "renew_next", "renewed_material", "spare_material"]

LIVE: t.Final = "/etc/letsencrypt/live"
_TIMEOUT: t.Final = 600.0


def is_for(config: RolloverConfig, directory: Path) -> bool:
    """Whether a lineage is for this host: it is named, or where none is named its certificate is for the host's name.

    Certbot runs its deploy hooks for every lineage. Raises InvalidInput, InvalidCertificate.
    """
    if config.lineages:
        return directory.name in config.lineages
    return any(matches_reference(name, config.host) for name in _chain(_material(directory)).names)


def lineage_material(config: RolloverConfig, store: CertificateStore, directory: Path) -> tuple[Material, bool]:
    """The key and chain of a lineage, and whether they are the next ones instead of those in use.

    They are next where certbot makes next keys, and the key is not deployed. Raises InvalidInput, InvalidCertificate.
    """
    material = _material(directory)
    if config.next_keys != "certbot":
        return material, False
    record = _record(material)
    serving = _records(store, None) | _records(store, Slot.STAGED)
    return material, bool(serving) and record not in serving


def spare_material(config: RolloverConfig, store: CertificateStore) -> list[Material]:
    """For each algorithm whose next key is of no lineage, or was renewed there, the first lineage that could be it.

    That is one whose key is neither deployed nor staged, and never was. Raises InvalidInput, InvalidCertificate,
    StoreError.
    """
    lineages = [_material(Path(LIVE, name)) for name in config.lineages if Path(LIVE, name).is_dir()]
    chains = [(_chain(material), material) for material in lineages]
    upcoming = _chains(store, Slot.NEXT)
    supplied = {
        chain.algorithm
        for chain, _material in chains
        if (there := upcoming.get(chain.algorithm)) is not None
        and there.record == chain.record
        and not_before(chain.leaf) <= not_before(there.leaf)
    }
    remembered = KeyMemory(store.root).read()
    used = {*remembered.former, *remembered.retired} | _records(store, None) | _records(store, Slot.STAGED)
    found: dict[str, Material] = {}
    for chain, material in chains:
        if chain.algorithm not in supplied and chain.record not in used:
            found.setdefault(chain.algorithm, material)
    return list(found.values())


def renewed_material(config: RolloverConfig, store: CertificateStore) -> list[Material]:
    """What certbot renewed and its deploy hook, which runs once, did not stage: later certificates of deployed keys.

    Raises InvalidInput, InvalidCertificate, StoreError.
    """
    deployed, staged = _chains(store, None), _chains(store, Slot.STAGED)
    found: dict[str, Material] = {}
    for name in config.lineages:
        if not Path(LIVE, name).is_dir():
            continue
        material = _material(Path(LIVE, name))
        chain = _chain(material)
        before = staged.get(chain.algorithm) or deployed.get(chain.algorithm)
        if before is not None and before.record == chain.record and not_before(chain.leaf) > not_before(before.leaf):
            found[chain.algorithm] = material
    return list(found.values())


def renew_next(config: RolloverConfig, store: CertificateStore) -> list[str]:
    """Have certbot issue a new key and certificate in each lineage whose key was retired or is compromised.

    Certbot's deploy hook stages them. Returns what was done. Raises InvalidInput, InvalidCertificate, StoreError.
    """
    used = _records(store, None) | _records(store, Slot.STAGED) | _records(store, Slot.NEXT)
    remembered = KeyMemory(store.root).read()
    done = []
    for name in config.lineages:
        if not Path(LIVE, name).is_dir():
            continue
        record = _record(_material(Path(LIVE, name)))
        if record in used or record not in {*remembered.former, *remembered.retired}:
            continue
        _certbot("renew", "--cert-name", name, "--force-renewal", "--new-key", "--no-random-sleep-on-renew")
        done.append(f"certbot issued {name} anew, with a new key")
    return done


def _material(directory: Path) -> Material:
    key, chain = directory / "privkey.pem", directory / "fullchain.pem"
    try:
        return Material(key.read_bytes(), str(key), chain.read_bytes(), str(chain))
    except OSError as exc:
        msg = f"{directory} is no lineage of certbot: {exc}"
        raise InvalidInput(msg) from exc


def _chain(material: Material) -> ServerChain:
    return read_server_chain(
        material.key, material.chain, key_source=material.key_source, chain_source=material.chain_source
    )


def _record(material: Material) -> TlsaRecord:
    return _chain(material).record


def _records(store: CertificateStore, slot: Slot | None) -> set[TlsaRecord]:
    return {chain.record for chain in _chains(store, slot).values()}


def _chains(store: CertificateStore, slot: Slot | None) -> dict[str, ServerChain]:
    """By algorithm, the chains that are deployed, or with ``slot`` those in it."""
    generation = store.deployed() if slot is None else store.slot(slot)
    try:
        return {} if generation is None else chains_in(generation)
    except InvalidCertificate as exc:
        msg = f"The store {store.root} is damaged: {exc}"
        raise StoreError(msg) from exc


def _certbot(*arguments: str) -> None:
    try:
        done = subprocess.run(
            ("certbot", "--non-interactive", *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        msg = f"certbot could not be run: {exc}"
        raise StoreError(msg) from exc
    if done.returncode != 0:
        msg = f"certbot {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}"
        raise StoreError(msg)
