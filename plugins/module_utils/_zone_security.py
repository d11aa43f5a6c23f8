# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Is a zone signed, and does the chain of trust reach it from the root?"""

from __future__ import annotations

import typing as t

from ._errors import LookupFailed
from ._resolver import Status

if t.TYPE_CHECKING:
    from ._resolver import Resolver

__all__ = ["alias_problem", "zone_problem"]

_MAX_ALIASES: t.Final = 8


def zone_problem(resolver: Resolver, zone: str) -> str | None:
    """Why DANE clients get nothing secure from `zone`, in one clause; None when they do.

    Raises LookupFailed when the resolver cannot say.
    """
    try:
        if resolver.lookup(zone, "SOA").secure:
            return None
        if resolver.lookup(zone, "DNSKEY").status is not Status.FOUND:
            return f"Zone {zone} is not signed (no DNSKEY); sign it and have its DS record put into the parent zone"
        if resolver.lookup(zone, "DS").status is not Status.FOUND:
            return f"Zone {zone} is signed, but its parent has no DS record for it; ask the registrar to add it"
    except LookupFailed as error:
        if error.bogus:
            return f"Zone {zone} does not validate: {error}"
        raise
    return (
        f"Zone {zone} has a DS record, but the resolver {resolver.address} does not call it secure: either it does not "
        "validate, or a zone above is not signed"
    )


def alias_problem(resolver: Resolver, name: str, owner: str) -> str | None:
    """Why nobody comes securely from `name` by its aliases to `owner`, in one clause; None when the aliases are signed.

    An alias in an unsigned zone makes the whole look-up insecure (RFC 7671 section 7, RFC 4035 section 3.2.3). An alias
    that is not in the DNS yet cannot be judged. Raises LookupFailed when the resolver cannot say.
    """
    for _step in range(_MAX_ALIASES):
        if name == owner:
            return None
        try:
            answer = resolver.lookup(name, "CNAME")
        except LookupFailed as error:
            if error.bogus:
                return f"The alias {name} does not validate: {error}"
            raise
        if answer.status is not Status.FOUND:
            return None
        target = answer.records[0].rstrip(".").lower()
        if not answer.secure:
            return (
                f"{name} is an alias of {target} and not signed; sign its zone, or put the records at the name itself"
            )
        name = target
    return None
