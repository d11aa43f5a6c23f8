# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the module certificate_store does with its options, and what it tells of it."""

from __future__ import annotations

import grp
import typing as t
from datetime import UTC, datetime
from pathlib import Path

from ._certificate import not_after
from ._certificate_deployment import deploy, describe
from ._certificate_store import CertificateStore
from ._errors import InvalidInput, LookupFailed
from ._key_change import Policy
from ._key_material import load_material, recover_key
from ._module import text_diff
from ._names import to_ascii
from ._published import published_records
from ._resolver import Resolver

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ._server_chain import ServerChain
    from ._tlsa import TlsaRecord

__all__ = ["run"]


def run(options: Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The result of the module for its ``options``. Raises DaneError."""
    if options["keep"] < 2:
        msg = (
            f"keep is {options['keep']}; give 2 or more, because a service that is just loading its files must still "
            "find the former generation"
        )
        raise InvalidInput(msg)
    store = CertificateStore(Path(options["path"]), group=_gid(options["group"]))
    if options["state"] == "recovered":
        return _recovered(store, options["chains"], check_mode=check_mode)
    return _deployed(store, options, check_mode=check_mode)


def _gid(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as exc:
        msg = f"There is no group {group!r} on this host (option group); install the service that brings it"
        raise InvalidInput(msg) from exc


def _deployed(store: CertificateStore, options: Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    host = to_ascii(options["host"])
    resolver = Resolver(options["resolver"], options["resolver_port"], options["timeout"])
    unanswered: list[str] = []

    def published() -> dict[str, tuple[TlsaRecord, ...]]:
        try:
            return published_records(resolver, host, options["ports"])
        except LookupFailed as exc:
            # Check mode comes before the run that sets up the host's resolver.
            if not check_mode:
                raise
            unanswered.append(f"A run would stop here unless the published records can be looked up by then: {exc}")
            return {}

    done = deploy(
        store,
        [load_material(entry, number) for number, entry in enumerate(options["chains"], 1)],
        Policy(host, replace_key=options["replace_key"], keep=options["keep"], units=tuple(options["reload"])),
        datetime.now(UTC),
        published=published if options["ports"] else None,
        check_mode=check_mode,
    )
    return {
        "changed": done.changed,
        "deployed": {"path": str(store.link), "generation": done.generation},
        "chains": [_chain(chain, store.link) for chain in done.after],
        "removed_generations": list(done.pruned),
        "diff": text_diff(str(store.link), describe(done.before), describe(done.after)),
        "warnings": [*unanswered, *done.warnings],
    }


def _chain(chain: ServerChain, link: Path) -> dict[str, t.Any]:
    return {
        "algorithm": chain.algorithm,
        "path": str(link / f"{chain.algorithm}.pem"),
        "certificates": chain.certificates_pem().decode(),
        "tlsa": chain.record.to_text(),
        "names": list(chain.names),
        "not_after": f"{not_after(chain.leaf):%Y-%m-%dT%H:%M:%SZ}",
        "self_signed": chain.self_signed,
    }


def _recovered(store: CertificateStore, chains: list[dict[str, t.Any]], *, check_mode: bool) -> dict[str, t.Any]:
    for number, entry in enumerate(chains, 1):
        if not (entry.get("algorithm") and entry.get("private_key_path")):
            msg = f"Entry {number} of chains needs algorithm and private_key_path with state=recovered"
            raise InvalidInput(msg)
    recovered = [
        entry["private_key_path"]
        for entry in chains
        if recover_key(
            store,
            entry["algorithm"],
            Path(entry["private_key_path"]),
            Path(entry["chain_path"]) if entry.get("chain_path") else None,
            check_mode=check_mode,
        )
    ]
    before = "".join(f"{path}: missing, empty or behind\n" for path in recovered)
    after = "".join(f"{path}: the deployed key\n" for path in recovered)
    return {"changed": bool(recovered), "recovered": recovered, "diff": text_diff("key files", before, after)}
