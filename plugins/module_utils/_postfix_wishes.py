# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the user asks of Postfix's parameters, held to what Postfix would understand.

Postfix accepts any nonsense as a value (``postfix check`` and ``postconf -n`` stay silent), so values are checked here.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ._errors import InvalidInput, InvalidName
from ._names import to_ascii
from ._postfix import split_list

__all__ = ["SECURITY_LEVELS", "Wishes", "check_protocols"]

SECURITY_LEVELS: t.Final = ("dane", "dane-only")

# Postfix compares them without regard to case.
_PROTOCOLS: t.Final = ("sslv2", "sslv3", "tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3")

# Postfix splits lists at blanks and commas, and expands dollar signs.
_PATH: t.Final = re.compile(r"/[^\s,{}$\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asks of main.cf. None, and an empty tuple, mean that the setting is left as it is.

    ``policy_map`` is the table (``texthash:/path``) to be consulted first, empty when there is to be none of ours;
    ``own_policy_map`` is its name in either case.
    """

    security_level: str = "dane"
    mandatory_protocols: str = ">=TLSv1.2"
    protocols: str | None = None
    log_level: int = 1
    lmtp: bool = False
    chain_files: tuple[str, ...] = ()
    ca_file: str | None = None
    server_protocols: str | None = None
    raw_public_keys: bool | None = None
    tlsrpt: bool | None = None
    tlsrpt_socket: str | None = None
    hostname: str | None = None
    destinations: tuple[str, ...] = ()
    policy_map: str | None = None
    own_policy_map: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidInput for a value that Postfix would misread."""
        if self.security_level not in SECURITY_LEVELS:
            msg = f"security_level must be one of {', '.join(SECURITY_LEVELS)}, not {self.security_level!r}"
            raise InvalidInput(msg)
        for option in ("mandatory_protocols", "protocols", "server_protocols"):
            check_protocols(option, getattr(self, option))
        for path in self.chain_files:
            _check_path("chain_files", path)
        if self.ca_file is not None:
            _check_path("ca_file", self.ca_file)
        if self.own_policy_map:
            _check_path("policy_file", self.own_policy_map.removeprefix("texthash:"))
        if self.hostname is not None:
            _check_name("hostname", self.hostname, "fully qualified host name, such as mx1.example.org")
        for domain in self.destinations:
            _check_name("destinations", domain, "mail domain, such as example.org")
        if self.tlsrpt and not self.tlsrpt_socket:
            msg = "tlsrpt is on, and tlsrpt_socket is missing: give the socket that the collector listens on"
            raise InvalidInput(msg)
        if self.tlsrpt_socket is not None:
            # Postfix takes a relative one from the queue directory, with and without chroot.
            _check_path("tlsrpt_socket", f"/{self.tlsrpt_socket.removeprefix('/')}")


def _check_path(option: str, path: str) -> None:
    if not _PATH.fullmatch(path):
        msg = f"{option}: {path!r} is not an absolute path free of blanks, commas, braces and dollar signs"
        raise InvalidInput(msg)


def _check_name(option: str, name: str, kind: str) -> None:
    try:
        ascii_name = to_ascii(name)
    except InvalidName:
        ascii_name = ""
    if name != ascii_name or "." not in name:
        msg = f"{option}: {name!r} is no {kind}, in lower case and as A-labels"
        raise InvalidInput(msg)


def check_protocols(option: str, value: str | None) -> None:
    """Raise InvalidInput unless the value is a protocol list of Postfix 3.6 or later that allows TLS 1.2 or 1.3."""
    if value is None:
        return
    allowed = set(_PROTOCOLS)
    included: set[str] = set()
    for token in split_list(value.replace(":", ",")):
        found = re.fullmatch(r"(>=|<=|!)?(\S+)", token)
        if found is None or found[2].lower() not in _PROTOCOLS:
            msg = f"{option}: {token!r} in {value!r} is no protocol; write for example '>=TLSv1.2' or '!TLSv1.1'"
            raise InvalidInput(msg)
        name = found[2].lower()
        position = _PROTOCOLS.index(name)
        if found[1] == ">=":
            allowed.intersection_update(_PROTOCOLS[position:])
        elif found[1] == "<=":
            allowed.intersection_update(_PROTOCOLS[: position + 1])
        elif found[1] == "!":
            allowed.discard(name)
        else:
            included.add(name)
    if included:
        allowed.intersection_update(included)
    if not allowed & {"tlsv1.2", "tlsv1.3"}:
        msg = f"{option}: {value!r} allows neither TLSv1.2 nor TLSv1.3, which DANE hosts speak (RFC 7671 section 3)"
        raise InvalidInput(msg)
