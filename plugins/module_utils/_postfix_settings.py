# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which parameters main.cf must have for DANE, and which must go."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import PostfixError
from ._postfix import MINIMUM_VERSION, PostfixState, split_list, version_numbers

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ._postfix_wishes import Wishes

__all__ = ["REPLACED_KEY_FILES", "Plan", "check_version", "plan_settings"]

# "Withdrawn in Postfix 3.2" (postconf(5)): today no more than an `unused parameter` warning.
_WITHDRAWN: t.Final = ("tls_dane_digest_agility", "tls_dane_trust_anchor_digest_enable")

# Superseded by *_tls_security_level since 2.3, "support will be removed" since 3.9.
_SUPERSEDED: t.Final = ("use_tls", "enforce_tls", "tls_enforce_peername")

# Ignored, with a warning in each log, once smtpd_tls_chain_files is set.
REPLACED_KEY_FILES: t.Final = (
    "smtpd_tls_cert_file",
    "smtpd_tls_key_file",
    "smtpd_tls_dcert_file",
    "smtpd_tls_dkey_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_eckey_file",
)

_DEFAULT_DESTINATIONS: t.Final = "$myhostname, localhost.$mydomain, localhost"

# Parameters whose value is a list: white space, commas and nothing else may differ.
_LISTS: t.Final = frozenset({"smtpd_tls_chain_files", "smtp_tls_policy_maps", "mydestination"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The change to main.cf: parameters to be set, and parameters to be taken out."""

    assignments: Mapping[str, str]
    removals: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.assignments or self.removals)


def check_version(state: PostfixState) -> None:
    """Raise PostfixError unless this Postfix is recent enough for everything that is always set."""
    if version_numbers(state.version) < MINIMUM_VERSION:
        wanted = ".".join(str(number) for number in MINIMUM_VERSION)
        found = state.version or "of unknown version"
        msg = f"Postfix {found} is too old: {wanted} or later is needed (Debian 12 has 3.7)"
        raise PostfixError(msg)


def plan_settings(state: PostfixState, wishes: Wishes) -> Plan:
    """Compare what main.cf sets with what it should set.

    Raises PostfixError for a parameter that was asked for and that this version lacks.
    """
    wanted = {**_outbound(state, wishes), **_inbound(state, wishes)}
    for parameter, value in wanted.items():
        if not state.knows(parameter):
            msg = (
                f"Postfix {state.version} has no parameter {parameter}, so {parameter} = {value} cannot be set; "
                f"leave the option out for this host, or install a later Postfix"
            )
            raise PostfixError(msg)
    assignments = {name: value for name, value in wanted.items() if not _same(name, state.explicit.get(name), value)}
    obsolete = _WITHDRAWN + tuple(f"smtp_{name}" for name in _SUPERSEDED)
    if wishes.lmtp:
        obsolete += tuple(f"lmtp_{name}" for name in _SUPERSEDED)
    if wishes.chain_files:
        obsolete += ("smtpd_use_tls", "smtpd_enforce_tls", *REPLACED_KEY_FILES)
    removals = [name for name in obsolete if name in state.explicit]
    if not wanted.get("smtp_tls_policy_maps", "-") and "smtp_tls_policy_maps" in state.explicit:
        assignments.pop("smtp_tls_policy_maps", None)
        removals.append("smtp_tls_policy_maps")
    return Plan(assignments, tuple(removals))


def _outbound(state: PostfixState, wishes: Wishes) -> dict[str, str]:
    wanted = _client("smtp", state, wishes)
    # Always explicit: the default of 3.6 to 3.7.12 depends on the global level, an upstream mistake (HISTORY 20250210).
    wanted["smtp_tls_dane_insecure_mx_policy"] = "dane"
    if wishes.lmtp:
        wanted.update(_client("lmtp", state, wishes))
    wanted.update(_switch(state, "smtp_tlsrpt_enable", wishes.tlsrpt))
    if wishes.tlsrpt and wishes.tlsrpt_socket:
        wanted["smtp_tlsrpt_socket_name"] = wishes.tlsrpt_socket
    if wishes.policy_map is not None:
        maps = split_list(state.explicit.get("smtp_tls_policy_maps", ""))
        if wishes.policy_map and wishes.policy_map not in maps:
            maps.insert(0, wishes.policy_map)
        if not wishes.policy_map:
            maps = [table for table in maps if table != wishes.own_policy_map]
        if maps or "smtp_tls_policy_maps" in state.explicit:
            wanted["smtp_tls_policy_maps"] = ", ".join(maps)
    return wanted


def _client(prefix: str, state: PostfixState, wishes: Wishes) -> dict[str, str]:
    """Return the parameters that make the smtp or the lmtp client use DANE (TLS_README, "DANE TLS authentication")."""
    wanted = {
        f"{prefix}_dns_support_level": "dnssec",
        f"{prefix}_tls_security_level": wishes.security_level,
        f"{prefix}_tls_mandatory_protocols": wishes.mandatory_protocols,
        f"{prefix}_tls_loglevel": str(wishes.log_level),
    }
    # "dns, native" is somebody's choice and does DANE; with native first there is none. /etc/hosts stays in use.
    lookup = state.explicit.get(f"{prefix}_host_lookup", "")
    dns_first = lookup if split_list(lookup)[:1] == ["dns"] else "dns"
    wanted[f"{prefix}_host_lookup"] = "dns, native" if split_list(lookup)[:1] == ["native"] else dns_first
    if wishes.protocols is not None:
        wanted[f"{prefix}_tls_protocols"] = wishes.protocols
    return wanted


def _inbound(state: PostfixState, wishes: Wishes) -> dict[str, str]:
    wanted: dict[str, str] = {}
    if wishes.chain_files:
        wanted["smtpd_tls_chain_files"] = ", ".join(wishes.chain_files)
        # Never `encrypt`: a publicly referenced server must not require STARTTLS (RFC 3207 section 4).
        wanted["smtpd_tls_security_level"] = "may"
        wanted["smtpd_tls_loglevel"] = str(wishes.log_level)
    if wishes.ca_file is not None:
        wanted["smtpd_tls_CAfile"] = wishes.ca_file
    if wishes.server_protocols is not None:
        wanted["smtpd_tls_protocols"] = wishes.server_protocols
    wanted.update(_switch(state, "smtpd_tls_enable_rpk", wishes.raw_public_keys))
    if wishes.hostname is not None:
        wanted["myhostname"] = wishes.hostname
    if wishes.destinations:
        present = state.explicit.get("mydestination", _DEFAULT_DESTINATIONS).strip(", ")
        wanted["mydestination"] = ", ".join([*([present] if present else []), *wishes.destinations])
    return wanted


def _switch(state: PostfixState, parameter: str, on: bool | None) -> dict[str, str]:
    """Return a switch's setting; one that this version lacks is off already."""
    if on is None or not (on or state.knows(parameter)):
        return {}
    return {parameter: "yes" if on else "no"}


def _same(name: str, present: str | None, wanted: str) -> bool:
    if present is None:
        return False
    if name in _LISTS:
        return split_list(present) == split_list(wanted)
    return present == wanted
