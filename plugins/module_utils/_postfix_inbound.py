# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What in a Postfix configuration keeps others from verifying this host by DANE.

A TLSA record is a promise of STARTTLS with a certain key on that port (RFC 7672 section 2.2). Whatever breaks the
promise makes DANE senders defer their mail, so it is an ``error`` on port 25.
"""

from __future__ import annotations

import typing as t

from ._postfix import Finding, PostfixState, Service, Severity, split_list
from ._postfix_settings import REPLACED_KEY_FILES

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["inbound_findings"]

_KEY_OVERRIDES: t.Final = frozenset({"smtpd_tls_chain_files", *REPLACED_KEY_FILES})

_SERVICES: t.Final = {25: "smtp", 465: "submissions", 587: "submission"}

_DISCARD: t.Final = ("smtpd_discard_ehlo_keywords", "postscreen_discard_ehlo_keywords")


def inbound_findings(state: PostfixState, ports: Iterable[int]) -> tuple[Finding, ...]:
    """Return everything that keeps the served keys, or STARTTLS itself, from being what TLSA records promise.

    ``ports`` are those that TLSA records are published for; those that Postfix does not serve by nature (993, ...) are
    passed over.
    """
    return (*_parameters(state), *_postscreen(state), *_listeners(state, ports))


def _parameters(state: PostfixState) -> Iterator[Finding]:
    level = state.value("smtpd_tls_security_level").lower()
    if level not in {"", "may"}:
        yield Finding(
            "smtpd_tls_security_level",
            "error",
            f"It is `{level}`; a host that mail is sent to must offer STARTTLS and not demand it (RFC 3207 section 4).",
            "Make it `may`; ask for more on the submission ports alone, in master.cf with -o.",
        )
    if state.yes("smtpd_tls_wrappermode"):
        yield Finding(
            "smtpd_tls_wrappermode",
            "error",
            "With `yes` in main.cf, port 25 speaks TLS from the first octet, which no sender does.",
            "Take it out of main.cf, and give it to submissions (port 465) in master.cf with -o.",
        )
    for name in _DISCARD:
        if "starttls" in {word.lower() for word in split_list(state.value(name))}:
            yield Finding(
                name,
                "error",
                "STARTTLS is hidden from every sender, so DANE senders defer.",
                "Take `starttls` out of the list.",
            )
    if state.value("smtpd_discard_ehlo_keyword_address_maps"):
        yield Finding(
            "smtpd_discard_ehlo_keyword_address_maps",
            "notice",
            "A table hides EHLO keywords from some senders; a DANE sender from whom STARTTLS is hidden defers its mail "
            "(RFC 7672 section 9.2).",
            "Make sure that no entry hides `starttls`.",
        )
    if state.value("tls_server_sni_maps"):
        yield Finding(
            "tls_server_sni_maps",
            "notice",
            "Clients that send a name in this table are served another key, and DANE senders send the MX host's name.",
            "Publish TLSA records for those keys too, or leave the MX host's names out of the table.",
        )
    interfaces = [name.strip("[]") for name in split_list(state.value("inet_interfaces"))]
    if interfaces and all(
        name in {"loopback-only", "localhost", "::1"} or name.startswith("127.") for name in interfaces
    ):
        yield Finding(
            "inet_interfaces",
            "warning",
            f"Postfix listens on {', '.join(interfaces)} only, so this host receives no mail from others.",
            "Set inet_interfaces = all and restart Postfix, or publish no TLSA records for this host.",
        )


def _postscreen(state: PostfixState) -> Iterator[Finding]:
    if not any(service.command == "postscreen" for service in state.services):
        return
    needed = [("smtpd", "pass"), ("tlsproxy", "unix")]
    needed += [("dnsblog", "unix")] if state.value("postscreen_dnsbl_sites") else []
    for name, kind in needed:
        if state.named(name, kind) is None:
            yield Finding(
                f"{name}/{kind}",
                "error",
                f"Port 25 is postscreen's, and master.cf has no {name} service for it.",
                "Put it in as POSTSCREEN_README says.",
            )
    if (behind := state.named("smtpd", "pass")) is not None:
        yield from _overrides(behind, "error", levels=("may",))
    if "postscreen_tls_security_level" in state.explicit and state.value("postscreen_tls_security_level") not in {
        "",
        "may",
    }:
        level = state.value("postscreen_tls_security_level")
        yield Finding(
            "postscreen_tls_security_level",
            "error",
            f"Port 25 is postscreen's, and its level is {level}.",
            "Take the parameter out of main.cf; it then follows smtpd_tls_security_level.",
        )
    for name in sorted(_KEY_OVERRIDES):
        if (twin := name.replace("smtpd_", "tlsproxy_", 1)) in state.explicit:
            yield Finding(
                twin,
                "error",
                "postscreen's sessions are served another key than smtpd's.",
                f"Take it out of main.cf; it then follows {name}.",
            )


def _listeners(state: PostfixState, ports: Iterable[int]) -> Iterator[Finding]:
    public = [service for service in state.services if service.kind == "inet" and not service.loopback_only]
    for port in ports:
        if port in _SERVICES and not any(service.port == port for service in public):
            yield Finding(
                f"{_SERVICES[port]}/inet",
                "warning",
                f"TLSA records are wanted for port {port}, and Postfix does not listen there.",
                f"Put the service {_SERVICES[port]} into master.cf, or leave port {port} out of the ports.",
            )
    for service in public:
        if service.port == 25:
            yield from _overrides(service, "error", levels=("may",))
            yield from _wrapper(service, "error", state, wanted=False)
        elif service.port == 465:
            yield from _overrides(service, "warning", levels=("may", "encrypt"))
            yield from _wrapper(service, "warning", state, wanted=True)
        elif service.port == 587:
            yield from _overrides(service, "warning", levels=("may", "encrypt"))
            yield from _wrapper(service, "warning", state, wanted=False)
            if service.override("smtpd_tls_security_level") is None:
                yield Finding(
                    service.setting("smtpd_tls_security_level"),
                    "notice",
                    "Submission takes the level of port 25, `may`: a client may send its password in clear text.",
                    "Give it `-o smtpd_tls_security_level=encrypt` in master.cf.",
                )


def _wrapper(service: Service, severity: Severity, state: PostfixState, *, wanted: bool) -> Iterator[Finding]:
    """Port 465 speaks TLS from the first octet (RFC 8314 section 3), the others only after STARTTLS."""
    override = service.override("smtpd_tls_wrappermode")
    on = (override or state.value("smtpd_tls_wrappermode")).lower() == "yes"
    if wanted and not on:
        problem, remedy = (
            "waits for STARTTLS, as no client on this port does",
            "Give it `-o smtpd_tls_wrappermode=yes`.",
        )
    elif on and not wanted and override:
        problem, remedy = "speaks TLS from the first octet", "Take the override out of master.cf."
    else:
        return
    yield Finding(service.setting("smtpd_tls_wrappermode"), severity, f"Port {service.port} {problem}.", remedy)


def _place(service: Service) -> str:
    return "What postscreen passes on" if service.kind == "pass" else f"Port {service.port}"


def _overrides(service: Service, severity: Severity, *, levels: tuple[str, ...]) -> Iterator[Finding]:
    level = service.override("smtpd_tls_security_level")
    if level is not None and level.lower() not in levels:
        yield Finding(
            service.setting("smtpd_tls_security_level"),
            severity,
            f"{_place(service)} has the level {level}.",
            f"Make it {' or '.join(levels)} in master.cf.",
        )
    for parameter, value in service.overrides:
        if parameter in _DISCARD and "starttls" in split_list(value.lower()):
            yield Finding(
                service.setting(parameter),
                severity,
                f"{_place(service)} hides STARTTLS from every client, so whoever relies on TLSA records stays away.",
                "Take `starttls` out of the list in master.cf.",
            )
        if parameter in _KEY_OVERRIDES:
            yield Finding(
                service.setting(parameter),
                severity,
                f"{_place(service)} serves the key of {value}, and not that of smtpd_tls_chain_files in main.cf.",
                "Take the override out of master.cf, or publish TLSA records for that key too.",
            )
        if parameter in {"smtpd_use_tls", "smtpd_enforce_tls"} and service.override("smtpd_tls_security_level") is None:
            yield Finding(
                service.setting(parameter),
                "notice",
                "The override is obsolete and has no effect beside smtpd_tls_security_level.",
                "Take it out of master.cf.",
            )
