# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Certificates, keys, protocols and ciphers that main.cf names and Postfix could not use.

Postfix finds out when a client or server process begins, logs a line, and goes on without TLS; ``postfix check`` says
nothing.
"""

from __future__ import annotations

import ssl
import typing as t

from ._errors import InvalidInput
from ._postfix import Finding, PostfixState, split_list
from ._postfix_wishes import check_protocols

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._postfix_lookup import Table

__all__ = ["tls_material_findings"]

_CIPHER_GRADES: t.Final = frozenset({"null", "export", "low", "medium", "high"})
_WITHOUT_TLS: t.Final = {
    "smtp": "all mail for hosts with TLSA records is deferred, and the rest goes in clear",
    "smtpd": "STARTTLS is not offered, and DANE senders defer their mail",
}
_OF_AUTHORITIES: t.Final = frozenset({"secure", "verify"})


def tls_material_findings(
    before: PostfixState, planned: PostfixState, policy_tables: Mapping[str, Table]
) -> tuple[Finding, ...]:
    """Return what keeps smtp(8), and smtpd(8) where it has a key, from using TLS at all.

    `before` is the state as it is; what a run itself sets is judged with the wishes.
    """
    serves = planned.value("smtpd_tls_chain_files") or planned.value("smtpd_tls_cert_file")
    prefixes = ("smtp", "smtpd") if serves else ("smtp",)
    return (
        *(finding for prefix in prefixes for finding in _authorities(prefix, before, planned)),
        *_client_certificate(planned),
        *(finding for prefix in prefixes for finding in (*_protocols(prefix, planned), *_ciphers(prefix, planned))),
        *_reuse(planned),
        *_authorities_missing(planned, policy_tables),
    )


def _authorities(prefix: str, before: PostfixState, planned: PostfixState) -> Iterator[Finding]:
    path = planned.value(f"{prefix}_tls_CAfile")
    if not path or path != before.value(f"{prefix}_tls_CAfile"):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        yield Finding(
            f"{prefix}_tls_CAfile",
            "error",
            f"{path} cannot be loaded ({_reason(error)}), so {_WITHOUT_TLS[prefix]}.",
            "Put the file there (Debian package ca-certificates has /etc/ssl/certs/ca-certificates.crt), "
            "or take the parameter out of main.cf.",
        )


def _client_certificate(state: PostfixState) -> Iterator[Finding]:
    chains = split_list(state.value("smtp_tls_chain_files"))
    pairs: list[tuple[str, str, str | None]] = [
        ("smtp_tls_chain_files", path, None) for path in chains if path != "none"
    ]
    if not chains:
        for kind in ("", "ec", "d"):
            if (certificate := state.value(f"smtp_tls_{kind}cert_file")) and certificate != "none":
                key = state.value(f"smtp_tls_{kind}key_file") or None
                pairs.append((f"smtp_tls_{kind}cert_file", certificate, key))
    for parameter, path, key in pairs:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, key, password="")  # none, and no prompt
        except (ssl.SSLError, OSError) as error:
            yield Finding(
                parameter,
                "error",
                f"{path} cannot be loaded with its key ({_reason(error)}), so {_WITHOUT_TLS['smtp']}.",
                "Mend the client certificate, or take it out of main.cf; DANE needs none.",
            )


def _protocols(prefix: str, state: PostfixState) -> Iterator[Finding]:
    for parameter in (f"{prefix}_tls_protocols", f"{prefix}_tls_mandatory_protocols"):
        if parameter not in state.explicit:
            continue
        try:
            check_protocols(parameter, state.value(parameter))
        except InvalidInput as error:
            yield Finding(
                parameter,
                "error",
                f"{str(error).removeprefix(f'{parameter}: ')}, so {_WITHOUT_TLS[prefix]}.",
                "Take the parameter out of main.cf, or write '>=TLSv1.2'.",
            )


def _ciphers(prefix: str, state: PostfixState) -> Iterator[Finding]:
    for parameter in (f"{prefix}_tls_ciphers", f"{prefix}_tls_mandatory_ciphers"):
        if parameter in state.explicit and (grade := state.value(parameter)).lower() not in _CIPHER_GRADES:
            yield Finding(
                parameter,
                "error",
                f"{grade!r} is no grade of ciphers, so {_WITHOUT_TLS[prefix]}.",
                "Write medium or high, or take the parameter out of main.cf.",
            )


def _reuse(state: PostfixState) -> Iterator[Finding]:
    if state.yes("smtp_tls_connection_reuse") and state.named("tlsproxy", "unix") is None:
        yield Finding(
            "smtp_tls_connection_reuse",
            "error",
            "Connections with TLS are kept by tlsproxy(8), and master.cf has none, so all mail by TLS is deferred.",
            "Put the line `tlsproxy unix - - y - 0 tlsproxy` into master.cf, or take the parameter out of main.cf.",
        )


def _authorities_missing(state: PostfixState, tables: Mapping[str, Table]) -> Iterator[Finding]:
    """``secure`` and ``verify`` need certificates of authorities, and Postfix has none by default (TLS_README)."""
    if state.value("smtp_tls_CAfile") or state.value("smtp_tls_CApath") or state.yes("tls_append_default_CA"):
        return
    remedy = (
        "Install the Debian package ca-certificates, and set smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt "
        "(`postconf -e`)."
    )
    for name, table in tables.items():
        strict = [key for key, value in (table.entries or {}).items() if _level(value) in _OF_AUTHORITIES]
        if strict:
            yield Finding(
                "smtp_tls_CAfile",
                "error",
                f"Postfix knows no certificate authorities, and {name} has secure or verify for "
                f"{', '.join(sorted(strict)[:5])}: all mail there is deferred.",
                remedy,
            )
        elif name.removeprefix("proxy:").startswith("socketmap:"):
            yield Finding(
                "smtp_tls_CAfile",
                "warning",
                f"Postfix knows no certificate authorities, and mail is deferred where {name} answers `secure`.",
                remedy,
            )


def _level(value: str) -> str:
    return next(iter(value.split()), "").lower()


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)
