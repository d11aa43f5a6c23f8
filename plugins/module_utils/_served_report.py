# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What servers and the resolver say, as modules return it: plain dictionaries, described in the modules' RETURN."""

from __future__ import annotations

import typing as t

from ._errors import LookupFailed

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._authoritative import ServerAnswer
    from ._resolver import Resolver
    from ._serving import Served

__all__ = ["described_servers", "resolver_says"]


def described_servers(look: Iterable[Served]) -> list[dict[str, t.Any]]:
    """One dictionary for each answer of each server, along the aliases."""
    return [_described(served, answer) for served in look for answer in served.answers]


def _described(served: Served, answer: ServerAnswer) -> dict[str, t.Any]:
    if answer.error is not None:
        status = "error"
    elif answer.alias is not None:
        status = "alias"
    else:
        status = answer.status.value if answer.status is not None else "error"
    return {
        "name": served.name,
        "zone": served.zone,
        "server": answer.server.name,
        "address": answer.server.address,
        "parent_only": answer.server.parent_only,
        "status": status,
        "in_step": served.is_in_step(answer),
        "records": [record.to_text() for record in answer.records],
        "ttl": answer.ttl,
        "negative_ttl": answer.negative_ttl,
        "alias": answer.alias,
        "signed": answer.signed,
        "serial": answer.serial,
        "parent_denied": answer.parent_denied,
        "error": answer.error,
    }


def resolver_says(resolver: Resolver, name: str) -> dict[str, t.Any]:
    """The validating resolver's answer to `name` TLSA; that there is none is part of it, too."""
    try:
        answer = resolver.lookup(name, "TLSA")
    except LookupFailed as error:
        status = "bogus" if error.bogus else "error"
        return {"status": status, "secure": False, "records": [], "ttl": None, "error": str(error)}
    return {
        "status": answer.status.value,
        "secure": answer.secure,
        "records": list(answer.records),
        "ttl": answer.ttl,
        "error": None,
    }
