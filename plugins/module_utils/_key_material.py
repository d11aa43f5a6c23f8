# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Private keys and chains as the user gives them, from files on the host or as text; and lost key files recovered."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ._durable import Access, replace_file
from ._errors import InvalidCertificate, InvalidInput, StoreError
from ._key_memory import KeyMemory
from ._server_chain import key_record, read_server_chain

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ._certificate_store import CertificateStore
    from ._server_chain import ServerChain

__all__ = ["Material", "load_material", "recover_key"]


@dataclass(frozen=True)
class Material:
    """A key and a chain as the user gave them, each with the words that name it in messages."""

    key: bytes
    key_source: str
    chain: bytes
    chain_source: str

    def __repr__(self) -> str:
        return f"Material({self.key_source}, {self.chain_source})"


def load_material(options: Mapping[str, t.Any], number: int) -> Material:
    """The key and the chain of one entry of a module's ``chains``.

    Keys of ``options``: ``private_key_path`` or ``private_key_content``, ``chain_path`` or ``chain_content``; without
    a chain of its own the file of the key is taken to hold both. Raises InvalidInput.
    """
    key, key_source = _take(options, "private_key", number)
    if options.get("chain_path") is None and options.get("chain_content") is None:
        return Material(key, key_source, key, key_source)
    return Material(key, key_source, *_take(options, "chain", number))


def _take(options: Mapping[str, t.Any], what: str, number: int) -> tuple[bytes, str]:
    path, content = options.get(f"{what}_path"), options.get(f"{what}_content")
    if content is not None:
        return content.encode(), f"{what}_content of entry {number} of chains"
    if path is None:
        msg = f"Entry {number} of chains has neither {what}_path nor {what}_content; give one of them"
        raise InvalidInput(msg)
    try:
        return Path(path).read_bytes(), str(path)
    except OSError as exc:
        msg = f"{what}_path of entry {number} of chains cannot be read on this host: {exc}"
        raise InvalidInput(msg) from exc


def recover_key(
    store: CertificateStore, algorithm: str, path: Path, chain_path: Path | None = None, *, check_mode: bool = False
) -> bool:
    """Write the deployed key of an algorithm to ``path`` where that file is missing or empty, or behind.

    A lost key file would otherwise be followed by a new key, and that by a mismatch with what is published. A file is
    behind when a rollover has put another key in the place of the one that it holds; then the certificate at
    ``chain_path`` follows too. Returns whether a file was written, or would be; False also where nothing is deployed.
    Raises StoreError.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
        current = store.deployed()
        deployed = None if current is None else current.files().get(f"{algorithm}.pem")
        if deployed is None:
            return False
        source = f"{store.link}/{algorithm}.pem"
        chain = read_server_chain(deployed, deployed, key_source=source, chain_source=source)
        behind = bool(content.strip()) and _is_behind(store, content, path, chain)
        if content.strip() and not behind:
            return False
        if not check_mode:
            replace_file(path, chain.private_key, Access(0o600))
            if behind and chain_path is not None:
                replace_file(chain_path, chain.certificates_pem(), Access(0o644))
    except (OSError, InvalidCertificate) as exc:
        msg = f"The key file {path} is lost, and cannot be recovered from what is deployed: {exc}"
        raise StoreError(msg) from exc
    return True


def _is_behind(store: CertificateStore, content: bytes, path: Path, deployed: ServerChain) -> bool:
    """Whether a key file holds a key that was served before and is not any more. A damaged one is left to others."""
    try:
        record = key_record(content, str(path))
    except InvalidCertificate:
        return False
    return record != deployed.record and record in KeyMemory(store.root).read().former
