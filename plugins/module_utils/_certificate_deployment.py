# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What may go into a host's certificate store at once, and putting it there.

At once may go: anything on a host that serves nothing yet, and a renewed certificate of a key that is served already.
A key that is not served yet must first be in the DNS for as long as resolvers hold the RRset without it (RFC 7671
section 8.1), which is the business of a rollover. So it is refused here, unless the user takes that on himself.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import InvalidCertificate, InvalidInput, StoreError
from ._server_chain import ServerChain, chain_problems, chain_warnings, read_server_chain, validity

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ._certificate_store import CertificateStore
    from ._key_material import Material

__all__ = ["Deployment", "Policy", "deploy", "describe", "store_files"]


@dataclass(frozen=True)
class Policy:
    """What the user wants of a deployment."""

    host: str
    """The host name that clients know the server by, in A-labels."""
    replace_key: bool = False
    """Serve a key at once, whatever the DNS says of it."""
    keep: int = 3
    """How many generations to keep beside the deployed one."""


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
        begins, ends = validity(chain.leaf)
        issuer = "self-signed" if chain.self_signed else chain.leaf.issuer.rfc4514_string()
        lines.append(
            f"{chain.algorithm}: {chain.record.to_text()}, for {', '.join(chain.names) or '(no DNS name)'}, {issuer}, "
            f"{begins:%Y-%m-%d} to {ends:%Y-%m-%d}, serial {chain.leaf.serial_number:x}, "
            f"{len(chain.certificates)} in chain\n"
        )
    return "".join(lines)


def deploy(
    store: CertificateStore, material: Sequence[Material], policy: Policy, now: datetime, *, check_mode: bool = False
) -> Deployment:
    """Make the store serve these chains and no others.

    Nothing is written before every chain was found fit. Raises InvalidCertificate, StoreError.
    """
    chains = _read_chains(material)
    if check_mode:
        return _deploy(store, chains, policy, now, write=False)
    with store.locked():
        return _deploy(store, chains, policy, now, write=True)


def _deploy(
    store: CertificateStore, chains: Sequence[ServerChain], policy: Policy, now: datetime, *, write: bool
) -> Deployment:
    current = store.deployed()
    before = () if current is None else _deployed_chains(current.files(), store.link, forgiving=policy.replace_key)
    wanted = store_files(chains)
    generation = current
    wrong_modes: tuple[Path, ...] = ()
    if current is None or current.files() != wanted:
        _refuse_unfit([chain for chain in chains if chain not in before], now)
        if current is not None and not policy.replace_key:
            _refuse_new_keys(before, chains, policy.host, store.link)
        generation = store.stage(wanted) if write else None
        if generation is not None:
            store.deploy(generation)
    else:
        wrong_modes = store.wrong_modes(current)
        if write:
            store.mend_modes(wrong_modes)
    pruned = store.superseded(policy.keep)
    if write:
        store.remove(pruned)
    return Deployment(
        changed=generation is None or generation != current or bool(wrong_modes) or bool(pruned),
        generation=generation.identifier if generation else None,
        before=before,
        after=tuple(chains),
        pruned=tuple(old.identifier for old in pruned),
        warnings=tuple(
            f"{chain.algorithm}: {text}" for chain in chains for text in chain_warnings(chain, policy.host, now)
        ),
    )


def _read_chains(material: Sequence[Material]) -> tuple[ServerChain, ...]:
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


def _refuse_new_keys(before: Sequence[ServerChain], after: Sequence[ServerChain], host: str, link: Path) -> None:
    served = [chain.record for chain in before]
    if not (fresh := [chain for chain in after if chain.record not in served]):
        return
    new = " and ".join(f"{chain.record.to_text()} ({chain.algorithm})" for chain in fresh)
    old = " and ".join(f"{chain.record.to_text()} ({chain.algorithm})" for chain in before)
    msg = (
        f"{host} would serve a key that it does not serve now: {new}. Deployed in {link} is {old}. Hosts whose "
        "resolvers hold the published TLSA RRset would refuse to deliver mail, so nothing was changed. To roll the key "
        "over by hand: publish the new record beside the old one, see it on every authoritative name server, wait two "
        "TTLs of the old RRset and two minutes more, run once with replace_key (mail_certificate_replace_key: true), "
        "and only then remove the old record. To keep the key instead, give a certificate that was issued for it. "
        "Where no TLSA record was ever published for this host, replace_key is safe at once"
    )
    raise StoreError(
        msg,
        details={
            "new_keys": [chain.record.to_text() for chain in fresh],
            "deployed_keys": [r.to_text() for r in served],
        },
    )
