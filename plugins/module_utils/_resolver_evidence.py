# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What is known of a resolver, and what has been found out about it, as values.

Adapters make replies and states; the proof makes findings of them.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HOST_UNITS",
    "Finding",
    "Group",
    "HostState",
    "PostfixState",
    "Reply",
    "ServerState",
    "Signature",
    "UnitState",
    "Verdict",
]

RESOLVED_UNIT: t.Final = "systemd-resolved.service"
UNBOUND_UNIT: t.Final = "unbound.service"
POSTFIX_WATCH: t.Final = "postfix-resolvconf.path"
OUR_WATCH: t.Final = "dane-resolv-conf.path"
HOST_UNITS: t.Final = (RESOLVED_UNIT, POSTFIX_WATCH, OUR_WATCH, UNBOUND_UNIT)


class Group(enum.Enum):
    """What a finding is about; a user chooses among these."""

    HOST = "host"  # /etc/resolv.conf, who writes it, and Postfix's copy
    SERVER = "server"  # how unbound on this host is configured
    VALIDATION = "validation"  # what the resolver answers
    LIBC = "libc"  # what a program that uses the C library gets to see
    FORWARDERS = "forwarders"  # whether the servers that the resolver is to forward to pass DNSSEC on


class Verdict(enum.Enum):
    """`failed` breaks what DANE promises; `warning` may do so later; `unknown` could not be found out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was seen (``evidence``), and one sentence that says what to do (``advice``)."""

    group: Group
    subject: str
    verdict: Verdict
    evidence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """What an RRSIG says of itself; the times are seconds since 1970 (RFC 4034 section 3.1)."""

    algorithm: int
    inception: int
    expiration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back for one question. ``failure`` tells why nothing did; then the rest has no meaning.

    ``rcode`` is its name, ``authenticated`` the AD bit, ``records`` the number of records in the answer section,
    ``denial`` which of NSEC and NSEC3 the authority section holds, ``payload`` the resolver's EDNS size in bytes, 0
    without EDNS, ``size`` the bytes of the whole message, ``explanation`` its Extended DNS Errors (RFC 8914).
    """

    rcode: str = "NOERROR"
    authenticated: bool = False
    records: int = 0
    denial: frozenset[str] = frozenset()
    signatures: tuple[Signature, ...] = ()
    payload: int = 0
    size: int = 0
    explanation: str = ""
    failure: str = ""

    def __str__(self) -> str:
        if self.failure:
            return self.failure
        explanation = f" ({self.explanation})" if self.explanation else ""
        return f"{self.rcode}{' with AD' if self.authenticated else ' without AD'}{explanation}"


@dataclass(frozen=True, slots=True)
class UnitState:
    """What systemd says of a unit; `since` is when it became active, in seconds since 1970, 0 where it is not."""

    active: bool = False
    enabled: bool = False
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What was found on a host: `text` is the content of /etc/resolv.conf behind any link, None where there is none.

    `link` is where the file links to, as the link has it. `mounted` is true where the file itself is a mount point, as
    container engines make it. `programs` are those of ``_resolv_managers.HOST_PROGRAMS`` that exist, `files` the
    contents of those of its ``HOST_FILES`` that exist, and what NetworkManager says of its configuration.
    ``listeners`` are the names of the programs that take questions on port 53 of 127.0.0.1 or ::1.
    ``unbound_written`` is when unbound's configuration was last changed, in seconds since 1970.
    ``root_key_writable`` is whether Debian's RFC 5011 file exists, and unbound may write it and its folder.
    """

    text: str | None = None
    link: str | None = None
    mounted: bool = False
    programs: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, UnitState] = field(default_factory=dict)
    listeners: tuple[str, ...] = ()
    unbound_written: int = 0
    root_key_writable: bool = False

    @property
    def postfix_watched_by_debian(self) -> bool:
        """Whether Debian's own unit copies /etc/resolv.conf for Postfix; on Debian 13 without the reload it needs."""
        unit = self.units.get(POSTFIX_WATCH, UnitState())
        return unit.active or unit.enabled

    @property
    def postfix_watch(self) -> UnitState:
        """The unit of the role unbound_resolver that brings each change of /etc/resolv.conf to Postfix."""
        return self.units.get(OUR_WATCH, UnitState())

    @property
    def unbound_outdated(self) -> bool:
        """Whether unbound runs with an older configuration than the one that is written."""
        unit = self.units.get(UNBOUND_UNIT, UnitState())
        return unit.active and self.unbound_written > unit.since


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """How unbound on this host is set up. ``failure`` tells why its configuration could not be read.

    ``options`` has the values of each option in order, as ``unbound-checkconf -o`` prints them. ``forwarders`` are
    those in force for the root, as ``unbound-control list_forwards`` prints them, None where it cannot be asked.
    ``anchor_file`` is the RFC 5011 file in use, ``anchor_text`` its content, ``anchor_writable`` whether unbound's
    user may write the file and its folder, ``packaged_anchor`` the DS records of Debian's package dns-root-data.
    """

    failure: str = ""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forwarders: tuple[str, ...] | None = None
    anchor_file: str = ""
    anchor_text: str | None = None
    anchor_writable: bool = False
    packaged_anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostfixState:
    """One Postfix instance: its queue directory, and the copy of resolv.conf in there, None where there is none."""

    queue_directory: str
    copy: str | None = None
