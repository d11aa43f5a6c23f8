# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a run would take away that mail relies on: mandatory encryption, and names that only /etc/hosts has.

`dane` is `may` for hosts without TLSA records.
"""

from __future__ import annotations

import typing as t

from ._postfix import Finding, PostfixState, split_list

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._postfix_lookup import Table

__all__ = ["relaxed_findings"]

# dane-only is the module's own, and going back from it to dane is what somebody asks for.
_OF_OTHERS: t.Final = ("encrypt", "fingerprint", "verify", "secure")
_MANDATORY: t.Final = (*_OF_OTHERS, "dane-only")


def relaxed_findings(before: PostfixState, planned: PostfixState, tables: Mapping[str, Table]) -> tuple[Finding, ...]:
    """Report that mail was sent encrypted or not at all, and would go in clear where a host has no TLSA records.

    A relay that a policy table names with a level that is as strict is no such case: all mail goes there.
    """
    return tuple(
        finding
        for prefix in ("smtp", "lmtp")
        for finding in (*_client(prefix, before, planned, tables), *_lookup(prefix, before, planned))
    )


def _lookup(prefix: str, before: PostfixState, planned: PostfixState) -> Iterator[Finding]:
    parameter = f"{prefix}_host_lookup"
    lookup = before.value(parameter)
    if split_list(lookup)[:1] == ["native"] and planned.value(parameter) != lookup:
        yield Finding(
            parameter,
            "notice",
            f"It is `{lookup}`, with which there is no DANE; with `{planned.value(parameter)}` the DNS is asked first.",
            "Make sure that no relay in /etc/hosts has another address in the DNS.",
        )


def _client(prefix: str, before: PostfixState, planned: PostfixState, tables: Mapping[str, Table]) -> Iterator[Finding]:
    parameter = f"{prefix}_tls_security_level"
    level = _level(prefix, before)
    if level not in _OF_OTHERS or planned.value(parameter) in _MANDATORY:
        return
    relays = split_list(planned.value("relayhost")) if prefix == "smtp" else []
    bare = [relay for relay in relays if not _kept(relay, tables)]
    if relays and not bare:
        return
    if relays:
        entries = ", ".join(f"{{destination: {relay!r}, level: {level}}}" for relay in bare)
        remedy = f"Keep the relay at its level by `policies: [{entries}]`"
    else:
        remedy = "Give the hosts that must have it a level in `policies`, or set security_level to dane-only"
    yield Finding(
        parameter,
        "error",
        f"It is `{level}`, so mail is encrypted or not sent; with `{planned.value(parameter)}` it would go in clear, "
        f"passwords for a relay with it, where the other host has no TLSA record and offers no STARTTLS.",
        f"{remedy}; or accept it.",
    )


def _level(prefix: str, state: PostfixState) -> str:
    """The level in force, as the parameters that it superseded give it where it is empty (TLS_README)."""
    level = state.value(f"{prefix}_tls_security_level").lower()
    if level or not state.yes(f"{prefix}_enforce_tls"):
        return level
    return "verify" if state.yes(f"{prefix}_tls_enforce_peername") else "encrypt"


def _kept(relay: str, tables: Mapping[str, Table]) -> bool:
    """Whether the first table that has the relay gives it a mandatory level."""
    for table in tables.values():
        policy = (table.entries or {}).get(relay.lower())
        if policy:
            return policy.split()[0].lower() in _MANDATORY
    return False
