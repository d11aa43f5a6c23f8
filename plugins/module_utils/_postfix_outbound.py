# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What in a Postfix configuration is in the way of DANE for outgoing mail.

Every function takes the state as it will be once the plan is carried out. What turns DANE off for all mail is an
``error``; Postfix itself logs a warning for each message at most, and delivers without verification.
"""

from __future__ import annotations

import re
import typing as t

from ._postfix import Finding, PostfixState, Service, Severity, split_list, version_numbers
from ._postfix_routes import route_findings, transports_of_all_mail

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._postfix_lookup import Table

__all__ = ["outbound_findings"]

# Overrides of an SMTP client service that take DANE from it, and the values that do not.
_CLIENT_OVERRIDES: t.Final = {
    "smtp_tls_security_level": ("dane", "dane-only"),
    "smtp_dns_support_level": ("dnssec",),
    "smtp_host_lookup": ("dns", "dns, native", "dns,native"),
    "smtp_tls_dane_insecure_mx_policy": ("dane",),
    "smtp_dns_resolver_options": ("",),
    "smtp_tls_wrappermode": ("no",),
    "ignore_mx_lookup_error": ("no",),
    "disable_dns_lookups": ("no",),
    "smtp_tls_per_site": (),
}

# "ignored where smtp_tls_security_level is not empty" (postconf(5)), and it is always set.
_NO_EFFECT: t.Final = frozenset({"smtp_use_tls", "smtp_enforce_tls"})

# Fixed upstream on 2026-05-31 (HISTORY); of the versions in Debian, 3.10.13 has the fix and 3.7.11 has not.
_TLSA_CRASH_FIXED: t.Final = {(3, 10): (3, 10, 13)}
_TLSA_CRASH_SINCE: t.Final = (3, 6)


def outbound_findings(state: PostfixState, transport_tables: Mapping[str, Table]) -> tuple[Finding, ...]:
    """Return everything in main.cf, master.cf and ``transport_maps`` that keeps outgoing mail from being verified."""
    return (
        *_parameters(state),
        *_clients(state, transports_of_all_mail(state, transport_tables)),
        *route_findings(state, transport_tables),
        *_reports(state),
        *_crash(state),
    )


def _parameters(state: PostfixState) -> Iterator[Finding]:
    if state.yes("ignore_mx_lookup_error"):
        yield Finding(
            "ignore_mx_lookup_error",
            "error",
            "With `yes`, Postfix turns DANE off for all destinations.",
            "Take the parameter out of main.cf.",
        )
    if state.yes("disable_dns_lookups"):
        yield Finding(
            "disable_dns_lookups",
            "error",
            "Without DNS lookups there is no DANE.",
            "Take the parameter out of main.cf; for a single destination without DNS use a transport of its own.",
        )
    if {"res_defnames", "res_dnsrch"} & {
        option.lower() for option in split_list(state.value("smtp_dns_resolver_options"))
    }:
        yield Finding(
            "smtp_dns_resolver_options",
            "error",
            "res_defnames and res_dnsrch make Postfix turn DANE off: it verifies no name that it completed itself.",
            "Take them out, and write full names in transport tables and relayhost.",
        )
    if "starttls" in {word.lower() for word in split_list(state.value("smtp_discard_ehlo_keywords"))}:
        yield Finding(
            "smtp_discard_ehlo_keywords",
            "error",
            "STARTTLS is ignored for every destination, so mail for hosts with TLSA records is deferred.",
            "Take `starttls` out of the list.",
        )
    yield from _digests(state)
    if state.value("smtp_tls_per_site") and not state.value("smtp_tls_policy_maps"):
        yield Finding(
            "smtp_tls_per_site",
            "warning",
            "The destinations in this obsolete table are delivered without DANE.",
            "Move what is still needed to the policies, and take the parameter out of main.cf.",
        )
    if state.yes("smtp_tls_wrappermode"):
        yield Finding(
            "smtp_tls_wrappermode",
            "error",
            "With `yes`, every connection begins with TLS at once, which no MX host on port 25 does.",
            "Take it out of main.cf, and give it to the one transport that needs it, in master.cf with "
            "`-o smtp_tls_wrappermode=yes -o smtp_tls_security_level=encrypt`.",
        )
    if state.value("smtp_dns_reply_filter"):
        yield Finding(
            "smtp_dns_reply_filter",
            "notice",
            "A filter on DNS replies may take away TLSA records, which reads as `this host has none`.",
            "Make sure that no rule of the table matches TLSA, MX, A or AAAA records of hosts that use DANE.",
        )


def _digests(state: PostfixState) -> Iterator[Finding]:
    if "tls_dane_digests" not in state.explicit:
        return
    names = [
        entry.partition("=")[0].lower().replace("-", "") for entry in split_list(state.explicit["tls_dane_digests"])
    ]
    if unknown := sorted({name for name in names if name not in {"sha512", "sha256"}}):
        yield Finding(
            "tls_dane_digests",
            "error",
            f"{', '.join(unknown)}: a digest unknown to OpenSSL turns DANE off; RFC 7671 has sha256 and sha512 alone.",
            "Take the parameter out of main.cf; its default is right.",
        )
    elif "sha256" not in names:
        yield Finding(
            "tls_dane_digests",
            "error",
            "Without sha256 nearly all TLSA records are unusable, and mail goes out unauthenticated.",
            "Take the parameter out of main.cf; its default is right.",
        )


def _clients(state: PostfixState, of_all_mail: frozenset[str]) -> Iterator[Finding]:
    """Look at every service of master.cf that runs smtp(8), and at what it needs beside it."""
    if state.named("smtp", "unix") is None:
        yield Finding(
            "smtp/unix", "error", "master.cf has no SMTP client service.", "Put the line of master.cf.proto back."
        )
    if state.named("tlsmgr", "unix") is None:
        yield Finding(
            "tlsmgr/unix",
            "error",
            "master.cf has no tlsmgr, without which there is no TLS.",
            "Put the line of master.cf.proto back.",
        )
    for service in state.services:
        if service.command == "smtp" and service.kind == "unix":
            yield from _client(service, of_all_mail)


def _client(service: Service, of_all_mail: frozenset[str]) -> Iterator[Finding]:
    # Relayed domains go by `relay`; further clients than that, and those that all mail takes, are somebody's own.
    severity: Severity = "error" if service.name in of_all_mail else "warning" if service.name == "relay" else "notice"
    for parameter, value in service.overrides:
        if _takes_dane(parameter, value.lower()):
            yield Finding(
                service.setting(parameter),
                severity,
                f"`-o {parameter}={value}` takes DANE from all mail that goes by the transport `{service.name}`.",
                "Take the override out of master.cf, or keep the transport for destinations that cannot do DANE.",
            )
        elif parameter in _NO_EFFECT:
            yield Finding(
                service.setting(parameter),
                "notice",
                "The override is obsolete and has no effect beside smtp_tls_security_level.",
                "Take it out of master.cf.",
            )
        elif parameter == "smtp_tls_policy_maps":
            blanket = any(re.match(r"static:\{?\s*(?!dane)", table) for table in split_list(value))
            lesser: Severity = "warning" if severity == "error" else "notice"
            yield Finding(
                service.setting(parameter),
                severity if blanket else lesser,
                f"`-o {parameter}={value}`: the transport `{service.name}` does not see the policies of main.cf.",
                "Take the override out of master.cf, and put its entries into main.cf's table.",
            )


def _takes_dane(parameter: str, value: str) -> bool:
    if parameter == "smtp_discard_ehlo_keywords":
        return "starttls" in split_list(value)
    return parameter in _CLIENT_OVERRIDES and value not in _CLIENT_OVERRIDES[parameter]


def _reports(state: PostfixState) -> Iterator[Finding]:
    socket = state.value("smtp_tlsrpt_socket_name")
    chrooted = [s.name for s in state.services if s.command == "smtp" and s.kind == "unix" and state.chrooted(s)]
    if state.yes("smtp_tlsrpt_enable") and socket.startswith("/") and chrooted:
        yield Finding(
            "smtp_tlsrpt_socket_name",
            "warning",
            f"{', '.join(chrooted)} run chrooted, where there is no {socket}, so nothing is reported.",
            "Give a path relative to the queue directory, such as run/tlsrpt/tlsrpt.sock.",
        )


def _crash(state: PostfixState) -> Iterator[Finding]:
    version = version_numbers(state.version)
    fixed = next((fix for branch, fix in _TLSA_CRASH_FIXED.items() if version[:2] == branch), None)
    if version < _TLSA_CRASH_SINCE or version[:2] > (3, 10) or (fixed and version >= fixed):
        return
    yield Finding(
        "mail_version",
        "warning",
        f"Postfix {state.version} lacks the fix of 2026-05-31: a TLSA record of three octets, which a hostile "
        f"destination can publish, ends the SMTP client process, again at each attempt to deliver there.",
        "Upgrade to Postfix 3.10.13 or later (Debian 13); until then, give a destination that does so "
        "a policies entry with level `encrypt`.",
    )
