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

__all__ = ["zone_problem"]


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
