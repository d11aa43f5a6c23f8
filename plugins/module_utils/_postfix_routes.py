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

from ._postfix import Finding, PostfixState, Severity

if t.TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["route_findings"]


def route_findings(state: PostfixState) -> tuple[Finding, ...]:
    """Return the ways of mail on which DANE verifies somebody else than the destination, or nobody."""
    return (*_routes(state), *_filters(state), *_lmtp_sockets(state))


def _routes(state: PostfixState) -> Iterator[Finding]:
    if relay := state.value("relayhost"):
        yield _relay("relayhost", relay, state.value("smtp_tls_security_level"))
    transport, _unused, nexthop = state.value("default_transport").partition(":")
    if nexthop:
        yield _relay("default_transport", nexthop, state.value("smtp_tls_security_level"))
    elif transport != "smtp":
        yield Finding(
            "default_transport",
            "warning",
            f"Outgoing mail is not handed to smtp(8) as such, but to `{transport}`.",
            "Make sure that this transport runs smtp(8) without overrides that turn DANE off.",
        )
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


def _lmtp_sockets(state: PostfixState) -> Iterator[Finding]:
    """At a DANE level, lmtp(8) defers all mail for a UNIX-domain socket (smtp_tls_policy.c, dane_init)."""
    if state.value("lmtp_tls_security_level") not in {"dane", "dane-only"}:
        return
    for name in ("mailbox_transport", "virtual_transport", "local_transport", "relay_transport", "default_transport"):
        transport, _unused, nexthop = state.value(name).partition(":")
        service = state.named(transport, "unix")
        if service is None or service.command != "lmtp" or nexthop.startswith("inet:"):
            continue
        if service.override("lmtp_tls_security_level") in {None, "dane", "dane-only"}:
            yield Finding(
                name,
                "error",
                f"`{state.value(name)}` is a UNIX-domain socket, and with lmtp_tls_security_level "
                f"= {state.value('lmtp_tls_security_level')} all mail for it is deferred.",
                f"Leave lmtp off, or give {transport} in master.cf `-o lmtp_tls_security_level=none`.",
            )
