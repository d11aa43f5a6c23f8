# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What an endpoint's owner should know although it decides no verdict."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ._certificate import not_after
from ._usability import unusable_reason

if t.TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from ._walk import Addresses, TlsaSet

__all__ = ["EXPIRY_NOTICE", "MANY_RECORDS", "advice_on"]

EXPIRY_NOTICE: t.Final = timedelta(days=14)
MANY_RECORDS: t.Final = 12
"""Microsoft's outbound servers failed for hosts with more TLSA records than this (July 2024)."""


def advice_on(
    addresses: Addresses, tlsa: TlsaSet, leaf: x509.Certificate, tls_version: str, now: datetime
) -> tuple[str, ...]:
    """Return one sentence for each thing to know."""
    return (*_on_certificate(leaf, now), *_on_records(tlsa), *_on_names(addresses), *_on_version(tls_version))


def _on_certificate(leaf: x509.Certificate, now: datetime) -> list[str]:
    left = not_after(leaf) - now
    if left < timedelta(0):
        ago = f"the certificate expired {abs(left).days} days ago"
        return [f"{ago}, which DANE-EE overlooks and every other client does not"]
    if left < EXPIRY_NOTICE:
        return [f"the certificate expires in {left.days} days"]
    return []


def _on_records(tlsa: TlsaSet) -> list[str]:
    found = []
    if len(tlsa.records) > MANY_RECORDS:
        found.append(
            f"{tlsa.owner} has {len(tlsa.records)} TLSA records, and large senders fail above {MANY_RECORDS}; "
            "remove those that stand for no key in use or to come"
        )
    useless = [f"{record.to_text()} ({why})" for record in tlsa.records if (why := unusable_reason(record))]
    if useless and len(useless) < len(tlsa.records):
        found.append(f"records that no sender can use stand beside usable ones: {'; '.join(useless)}")
    if tlsa.unreadable and tlsa.records:
        found.append(
            f"{tlsa.owner} holds a record of fewer than three octets, at which the Postfix of Debian 12 crashes: "
            f"remove {tlsa.unreadable[0]}"
        )
    if tlsa.hidden_below:
        found.append(
            f"{tlsa.hidden_below} is said not to exist, or not answered, though {tlsa.owner} is below it, so that "
            "resolvers which minimise names (RFC 9156) find no record; the zone's name servers must be mended"
        )
    if tlsa.unsigned and not tlsa.records:
        found.append(f"{len(tlsa.unsigned)} TLSA records at {tlsa.owner} count as none, because they are not signed")
    return found


def _on_names(addresses: Addresses) -> list[str]:
    if not addresses.alias_of:
        return []
    return [f"{addresses.host} is an alias of {addresses.alias_of}, which RFC 5321 section 5.1 forbids for MX hosts"]


def _on_version(tls_version: str) -> list[str]:
    return [f"only {tls_version} was agreed on, which RFC 8996 forbids"] if tls_version < "TLSv1.2" else []
