# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which keys a host may serve at once.

At once it may serve a renewed certificate of a key that it serves already and, where nothing is deployed yet, whatever
agrees with the TLSA records that are published, if there are any. A key that is not served yet must first be in the DNS
for as long as resolvers hold the RRset without it (RFC 7671 section 8.1), which is the business of a rollover. So it is
refused here, unless the user takes that on himself.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._dane import Outcome, match
from ._errors import StoreError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ._server_chain import ServerChain
    from ._tlsa import TlsaRecord

__all__ = ["Policy", "Published", "refuse_new_keys", "refuse_unpublished"]

Published = t.Callable[[], "t.Mapping[str, t.Sequence[TlsaRecord]]"]
"""Asks the DNS: owner name to the records that are published there. Raises LookupFailed."""


@dataclass(frozen=True)
class Policy:
    """What the user wants of a deployment."""

    host: str
    """The host name that clients know the server by, in A-labels."""
    replace_key: bool = False
    """Serve a key at once, whatever the DNS says of it."""
    keep: int = 3
    """How many generations to keep beside the deployed one."""
    units: tuple[str, ...] = ()
    """The systemd units that load from the store, as far as they run."""


def refuse_unpublished(published: Published, chains: Iterable[ServerChain], policy: Policy, now: datetime) -> None:
    """On a host that serves nothing yet, refuse a chain that contradicts the published records.

    They may be there from the time before this collection, or from before the host was set up anew. Raises StoreError,
    and what ``published`` raises: a failed look-up is never read as "no records".
    """
    if policy.replace_key:
        return
    for name, records in published().items():
        for chain in chains:
            if match(records, chain.certificates, (policy.host,), now).outcome is not Outcome.MISMATCH:
                continue
            told = " and ".join(record.to_text() for record in records)
            msg = (
                f"{name} is published as {told}, and the {chain.algorithm} chain for {policy.host}, "
                f"{chain.record.to_text()}, matches none of it: senders would refuse to deliver mail, so nothing was "
                "changed. Deploy the key that those records are for (mail_certificate_source: files); or publish "
                f"{chain.record.to_text()} beside them, wait two TTLs and two minutes more, and run again. Where the "
                "old key is lost, replace_key (mail_certificate_replace_key: true) goes on at once, and mail waits "
                "until the records are corrected and the old ones have left the caches"
            )
            raise StoreError(
                msg,
                details={"new_keys": [chain.record.to_text()], "published": [record.to_text() for record in records]},
            )


def refuse_new_keys(before: Sequence[ServerChain], after: Sequence[ServerChain], policy: Policy) -> None:
    """On a host that serves ``before``, refuse chains of keys that are not among them. Raises StoreError."""
    if policy.replace_key:
        return
    served = [chain.record for chain in before]
    if not (fresh := [chain for chain in after if chain.record not in served]):
        return
    new = " and ".join(f"{chain.record.to_text()} ({chain.algorithm})" for chain in fresh)
    old = " and ".join(f"{chain.record.to_text()} ({chain.algorithm})" for chain in before)
    msg = (
        f"{policy.host} would serve a key that it does not serve now: {new}. Deployed is {old}. Hosts whose "
        "resolvers hold the published TLSA RRset would refuse to deliver mail, so nothing was changed. To roll the key "
        "over: dane-rollover stage --key KEY --chain CHAIN, on a host that has the role tlsa_rollover. By hand: "
        "publish the new record beside the old one, see it on every authoritative name server, wait two TTLs of the "
        "old RRset and two minutes more, run once with replace_key (mail_certificate_replace_key: true), and only then "
        "remove the old record. To keep the key instead, give a certificate that was issued for it. Where no TLSA "
        "record was ever published for this host, replace_key is safe at once"
    )
    raise StoreError(
        msg,
        details={
            "new_keys": [chain.record.to_text() for chain in fresh],
            "deployed_keys": [r.to_text() for r in served],
        },
    )
