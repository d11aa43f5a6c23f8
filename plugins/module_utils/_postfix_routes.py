# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which ways mail takes through Postfix, and what DANE can verify on each: relays, content filters, LMTP sockets.

Every function takes the state as it will be once the plan is carried out.
"""

from __future__ import annotations

import re
import typing as t

from ._postfix import Finding, PostfixState, Severity, split_list

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._postfix_lookup import Table

__all__ = ["route_findings", "transports_of_all_mail"]

_NOWHERE: t.Final = frozenset({"error", "discard"})


def route_findings(state: PostfixState, transport_tables: Mapping[str, Table]) -> tuple[Finding, ...]:
    """Return the ways of mail on which DANE verifies somebody else than the destination, or nobody.

    `transport_tables` are those of ``transport_maps``.
    """
    return (
        *_routes(state, transport_tables),
        *_transport_tables(state, transport_tables),
        *_filters(state),
        *_lmtp_sockets(state, transport_tables),
    )


def transports_of_all_mail(state: PostfixState, transport_tables: Mapping[str, Table]) -> frozenset[str]:
    """The names of the transports that mail for every destination takes."""
    return frozenset(transport for _setting, transport, _nexthop in _ways_of_all_mail(state, transport_tables))


def _ways_of_all_mail(state: PostfixState, transport_tables: Mapping[str, Table]) -> list[tuple[str, str, str]]:
    """Where all mail is sent to go: by which setting, transport and next hop, empty for the destination itself."""
    ways = [("default_transport", state.value("default_transport"))]
    by_sender = split_list(state.value("sender_dependent_default_transport_maps"))
    ways += [("sender_dependent_default_transport_maps", way) for name in by_sender if (way := _static(name))]
    for name, table in transport_tables.items():
        if everything := (table.entries or {}).get("*") or _static(name):
            ways.append((f"transport_maps/{name}", everything))
    found = []
    for setting, value in ways:
        transport, _unused, nexthop = value.strip().partition(":")
        found.append((setting, transport or "smtp", nexthop))
    return found


def _static(table: str) -> str:
    """What a table of type static answers, empty for another one (DATABASE_README)."""
    return table.removeprefix("static:").strip("{} ") if table.startswith("static:") else ""


def _routes(state: PostfixState, transport_tables: Mapping[str, Table]) -> Iterator[Finding]:
    level = state.value("smtp_tls_security_level")
    if relay := state.value("relayhost"):
        yield _relay("relayhost", relay, level)
    for setting, transport, nexthop in _ways_of_all_mail(state, transport_tables):
        service = state.named(transport, "unix")
        command = service.command if service else ""
        if command in _NOWHERE:
            yield Finding(
                setting,
                "notice",
                f"Mail for elsewhere is not sent: its transport is `{transport}`.",
                "Leave it so on a host that only receives.",
            )
        elif command != "smtp" and transport != "smtp":  # a missing `smtp` is a finding by itself
            yield Finding(
                setting,
                "warning",
                f"Outgoing mail is not handed to smtp(8), but to `{transport}`, and that does no DANE.",
                "Send by a transport that runs smtp(8).",
            )
        elif nexthop:
            yield _relay(setting, nexthop, level)
    if state.value("smtp_fallback_relay"):
        yield Finding(
            "smtp_fallback_relay",
            "notice",
            "Mail that a destination's MX hosts did not take, be it because they failed DANE, goes to this relay.",
            "Have TLSA records for the relay, and a relay that verifies the destinations itself.",
        )
    for name in ("sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"):
        if state.value(name):
            yield Finding(
                name,
                "notice",
                "Mail of the senders in it goes by a relay, so DANE verifies the relay and not the destination.",
                "Have TLSA records for the relays, and relays that do DANE themselves.",
            )


def _transport_tables(state: PostfixState, tables: Mapping[str, Table]) -> Iterator[Finding]:
    for name, table in tables.items():
        if table.entries is None and not _static(name):
            yield Finding(
                f"transport_maps/{name}",
                "notice",
                "The table's entries cannot be listed; mail that they send to a relay is verified as far as the relay.",
                "Look through them for transports whose overrides turn DANE off, and for relays without TLSA records.",
            )
        odd = [key for key, value in (table.entries or {}).items() if key != "*" and _leaves_dane(state, value)]
        if odd:
            shown = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
            yield Finding(
                f"transport_maps/{name}",
                "notice",
                f"Mail for {shown} goes to a next hop of its own, and DANE verifies that one and not the destination.",
                "Have TLSA records for these next hops, and relays that do DANE themselves.",
            )


def _leaves_dane(state: PostfixState, value: str) -> bool:
    transport, _unused, nexthop = value.partition(":")
    service = state.named(transport or "smtp", "unix")
    return bool(nexthop) and service is not None and service.command == "smtp"


def _relay(setting: str, nexthop: str, level: str) -> Finding:
    host = nexthop.split(",", maxsplit=1)[0].strip()
    literal = re.fullmatch(r"\[(?:[0-9.]+|(?:ipv6:)?[0-9a-f:]*:[0-9a-f:.]*)\](?::\S+)?", host.lower())
    severity: Severity = "notice"
    if literal and level == "dane-only":
        severity = "error"
        how = "is an address, and an address has no TLSA records, so at level dane-only no mail goes out."
    elif literal:
        severity = "warning"
        how = "is an address, and an address has no TLSA records: the connection to the relay is not authenticated."
    elif host.startswith("["):
        how = "is one host: DANE verifies that host, by its own TLSA records, and never the destination behind it."
    else:
        how = "is looked up by MX: DANE verifies its MX hosts, and never the destination behind them."
    remedy = "Have TLSA records for the relay in a signed zone; towards the destinations the relay itself must do DANE."
    if literal:
        remedy = f"Write the relay's name instead of its address. {remedy}"
    return Finding(setting, severity, f"All outgoing mail goes to {host}. It {how}", remedy)


def _filters(state: PostfixState) -> Iterator[Finding]:
    """Content filters take mail and hand it back; the way to them must not demand DANE.

    They are named in main.cf, or in master.cf for the mail of one service.
    """
    named = {"content_filter": state.value("content_filter")}
    for service in state.services:
        named[service.setting("content_filter")] = service.override("content_filter") or ""
    for setting, content_filter in named.items():
        transport = content_filter.partition(":")[0]
        client = state.named(transport, "unix")
        if client is None or client.command != "smtp":
            continue
        level = client.override("smtp_tls_security_level") or state.value("smtp_tls_security_level")
        if level == "dane-only":
            yield Finding(
                setting,
                "error",
                f"The filter is reached by smtp(8) through `{transport}`, and at level dane-only no mail would "
                f"reach it.",
                f"Give {transport} in master.cf `-o smtp_tls_security_level=none`.",
            )
        elif level == "dane" and transport == "smtp":
            yield Finding(
                setting,
                "notice",
                "The filter is reached by the transport `smtp`, as all outgoing mail is.",
                "A transport of its own with `-o smtp_tls_security_level=none` saves a lookup for each message.",
            )


def _lmtp_sockets(state: PostfixState, transport_tables: Mapping[str, Table]) -> Iterator[Finding]:
    """At a DANE level, lmtp(8) defers all mail for a UNIX-domain socket (smtp_tls_policy.c, dane_init)."""
    if state.value("lmtp_tls_security_level") not in {"dane", "dane-only"}:
        return
    names = ("mailbox_transport", "virtual_transport", "local_transport", "relay_transport", "default_transport")
    ways = [(name, state.value(name)) for name in names]
    for name, table in transport_tables.items():
        ways += [(f"{name}/{key}", value) for key, value in (table.entries or {}).items()]
    for setting, value in ways:
        transport, _unused, nexthop = value.partition(":")
        service = state.named(transport, "unix")
        if service is None or service.command != "lmtp" or not nexthop.startswith("unix:"):
            continue
        if service.override("lmtp_tls_security_level") in {None, "dane", "dane-only"}:
            yield Finding(
                setting,
                "error",
                f"`{value}` is a UNIX-domain socket, and with lmtp_tls_security_level "
                f"= {state.value('lmtp_tls_security_level')} all mail for it is deferred.",
                f"Leave lmtp off, or give {transport} in master.cf `-o lmtp_tls_security_level=none`.",
            )
