# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Keys in advance: whose records are published before anybody needs them, so that a rollover need not wait."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from ._certbot import renewed_material, spare_material
from ._certificate_store import Slot
from ._errors import InvalidInput, StoreError
from ._key_material import Material
from ._key_memory import KeyMemory
from ._self_signed import self_signed
from ._staging import chains_in, stage

if t.TYPE_CHECKING:
    from ._certificate_store import CertificateStore
    from ._rollover_config import RolloverConfig
    from ._rollover_files import RolloverFiles

__all__ = ["begin", "ensure_next", "go_back", "made_key", "make_next", "take_renewed"]

CURRENT_NEXT: t.Final = "current+next"


def made_key(config: RolloverConfig, algorithm: str, now: float) -> Material:
    """A new key with a self-signed certificate, which DANE-EE takes for as good as any."""
    key, certificate = self_signed(
        algorithm,
        config.names or (config.host,),
        datetime.fromtimestamp(now, UTC),
        days=config.valid_days,
        rsa_bits=config.rsa_bits,
    )
    source = f"a new {algorithm} key"
    return Material(key, source, certificate, source)


def ensure_next(config: RolloverConfig, store: CertificateStore, now: float) -> str | None:
    """Make next keys where the scheme wants them and there are none; return what was done.

    Under the store's lock. Raises StoreError, InvalidInput, InvalidCertificate.
    """
    if config.scheme != CURRENT_NEXT or store.deployed() is None:
        return None
    if config.next_keys == "certbot":
        return _next_of_certbot(config, store, now)
    if config.next_keys != "self-signed" or store.slot(Slot.NEXT) is not None:
        return None
    return make_next(config, store, now)


def take_renewed(config: RolloverConfig, store: CertificateStore, now: float) -> str | None:
    """Stage what certbot renewed, in case its deploy hook did not; return what was done.

    Under the store's lock. Raises StoreError, InvalidInput, InvalidCertificate.
    """
    material = renewed_material(config, store)
    if not material:
        return None
    staged = stage(store, material, config.host, datetime.fromtimestamp(now, UTC))
    return f"staged what certbot renewed: {staged.generation.identifier}"


def _next_of_certbot(config: RolloverConfig, store: CertificateStore, now: float) -> str | None:
    """Stage as next what certbot's lineages hold beside the deployed keys, in case its deploy hook did not."""
    material = spare_material(config, store)
    if not material:
        return None
    moment = datetime.fromtimestamp(now, UTC)
    fill = partial(made_key, config, now=now)
    staged = stage(store, material, config.host, moment, as_next=True, fill=fill)
    return f"staged next keys of certbot: {staged.generation.identifier}"


def make_next(config: RolloverConfig, store: CertificateStore, now: float) -> str:
    """Make a next key for each algorithm that is deployed; return what was done."""
    deployed = store.deployed()
    algorithms = sorted(chains_in(deployed)) if deployed is not None else []
    if not algorithms:
        msg = f"No key is deployed in {store.root}; run the role mailsec.dane.mail_certificate first"
        raise StoreError(msg)
    material = [made_key(config, algorithm, now) for algorithm in algorithms]
    staged = stage(store, material, config.host, datetime.fromtimestamp(now, UTC), as_next=True)
    return f"made next keys: {staged.generation.identifier}"


def begin(
    config: RolloverConfig, store: CertificateStore, files: RolloverFiles, now: float, *, emergency: bool = False
) -> str:
    """Begin a rollover to the next key, or to a new one where there is none. Nothing is deployed yet.

    In an emergency the deployed keys are compromised: they are never staged again, which is noted even where there is
    nothing to follow them yet. Under the store's lock. Raises StoreError, InvalidInput.
    """
    deployed = store.deployed()
    if deployed is None:
        msg = f"No key is deployed in {store.root}, so there is nothing to roll over from"
        raise StoreError(msg)
    if emergency:
        _note_compromised(store, files)
    upcoming = store.slot(Slot.NEXT)
    if upcoming is None:
        if config.next_keys == "given":
            msg = (
                ("It is noted that the deployed keys are compromised, but there" if emergency else "There")
                + " is no next key to follow them. Stage new ones, and they follow as soon as it is safe: "
                "dane-rollover stage --key KEY --chain CHAIN"
            )
            raise InvalidInput(msg)
        make_next(config, store, now)
        upcoming = store.slot(Slot.NEXT)
    if upcoming is None:
        msg = f"{store.root / 'next'} names nothing, although it was just written"
        raise StoreError(msg)
    store.fill(Slot.STAGED, upcoming)
    return f"staged the next keys, {upcoming.identifier}, to follow {deployed.identifier}"


def _note_compromised(store: CertificateStore, files: RolloverFiles) -> None:
    deployed = store.deployed()
    keys = [chain.record for chain in chains_in(deployed).values()] if deployed is not None else []
    notes = files.notes()
    texts = tuple(dict.fromkeys((*notes.compromised, *(key.to_text() for key in keys))))
    files.write_notes(replace(notes, compromised=texts))
    KeyMemory(store.root).add(former=keys, retired=keys)


def go_back(store: CertificateStore, files: RolloverFiles) -> str:
    """Stage what was deployed before. Its records may still be out: then it is deployed without a wait.

    Raises StoreError, also when one of its keys was retired.
    """
    previous = files.notes().previous
    found = next((one for one in store.generations() if one.identifier == previous), None)
    if found is None:
        msg = f"What was deployed before is not in {store.root} any more; stage a key and chain instead"
        raise StoreError(msg)
    retired = set(KeyMemory(store.root).read().retired)
    if gone := [chain.record.to_text() for chain in chains_in(found).values() if chain.record in retired]:
        msg = f"{found.identifier} cannot come back: its key {gone[0]} was retired"
        raise StoreError(msg)
    store.fill(Slot.STAGED, found)
    return f"staged {found.identifier}, which was deployed before"
