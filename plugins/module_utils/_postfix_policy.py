# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The per-destination TLS policy table (``smtp_tls_policy_maps``): partners that must be verified, and exceptions.

The table is of type ``texthash``: one text file, replaced by one rename, with nothing to compile. A ``hash`` table is
two files that a crash can leave at odds, and ``lmdb`` is an extra package on Debian 12. Postfix reads a ``texthash``
table when a process starts, so a change needs the reload that a change of main.cf needs anyway.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from dataclasses import dataclass

from ._errors import InvalidInput
from ._postfix import Finding, PostfixState

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "LEVELS",
    "POLICY_HEADER",
    "Policy",
    "expired_policies",
    "fingerprint_findings",
    "parse_policies",
    "render_policies",
]

LEVELS: t.Final = ("dane-only", "dane", "secure", "fingerprint", "encrypt", "may", "none")

POLICY_HEADER: t.Final = "# Managed by Ansible (mailsec.dane.postfix_dane); changes made here are lost."

# Levels that are weaker than DANE where the destination has TLSA records: exceptions, which should come to an end.
_EXCEPTIONS: t.Final = frozenset({"secure", "fingerprint", "encrypt", "may", "none"})

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})+"
_DESTINATION = re.compile(rf"\.?{_DOMAIN}|(?:{_DOMAIN}|\[{_DOMAIN}\]|\[[0-9.]+\]|\[ipv6:[0-9a-f:.]+\])(?::[a-z0-9-]+)?")

# Hexadecimal octets with colons between them; 32 octets are SHA-256, 64 are SHA-512.
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True)
class Policy:
    """One entry: a next-hop destination, its level, and why and until when (the last day included) it is there."""

    destination: str
    level: str
    match: tuple[str, ...] = ()
    protocols: str | None = None
    comment: str | None = None
    until: dt.date | None = None

    def text(self) -> str:
        """Return the entry's right-hand side (postconf(5), smtp_tls_policy_maps)."""
        words = [self.level]
        if self.match:
            words.append("match=" + ("|" if self.level == "fingerprint" else ":").join(self.match))
        if self.protocols:
            words.append(f"protocols={self.protocols}")
        return " ".join(words)


def parse_policies(entries: Iterable[Mapping[str, t.Any]]) -> tuple[Policy, ...]:
    """Read the module's ``policies``. Raises InvalidInput for what Postfix would misread, and for a doubled entry."""
    policies: dict[str, Policy] = {}
    for entry in entries:
        policy = _parse(entry)
        if policy.destination in policies:
            msg = f"policies: {policy.destination} is there twice; Postfix would use one of the two and say nothing"
            raise InvalidInput(msg)
        policies[policy.destination] = policy
    return tuple(policies.values())


def _parse(entry: Mapping[str, t.Any]) -> Policy:
    destination = str(entry.get("destination") or "").lower()
    where = f"policies: {destination or 'an entry without destination'}"
    if not _DESTINATION.fullmatch(destination):
        msg = (
            f"policies: {entry.get('destination')!r} is no destination; write a mail domain (example.org), a domain "
            f"with its subdomains left out (.example.org is the subdomains alone), or [host]:port as in relayhost"
        )
        raise InvalidInput(msg)
    level = str(entry.get("level") or "")
    if level not in LEVELS:
        msg = f"{where}: level must be one of {', '.join(LEVELS)}, not {level!r}"
        raise InvalidInput(msg)
    match = tuple(str(item) for item in entry.get("match") or ())
    _check_match(where, level, match)
    protocols = entry.get("protocols")
    if protocols is not None and not re.fullmatch(r"[!<>=A-Za-z0-9.:]+", protocols):
        msg = f"{where}: protocols {protocols!r} must be one word, for example '>=TLSv1.2' or '!TLSv1.1:!TLSv1'"
        raise InvalidInput(msg)
    if protocols is not None and level == "none":
        msg = f"{where}: protocols mean nothing at level none"
        raise InvalidInput(msg)
    comment = entry.get("comment")
    if comment is not None and re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", comment):
        msg = f"{where}: the comment must be a single line"
        raise InvalidInput(msg)
    return Policy(destination, level, match, protocols, comment, _parse_date(where, entry.get("until")))


def _check_match(where: str, level: str, match: Sequence[str]) -> None:
    if level == "fingerprint":
        if not match:
            msg = f"{where}: level fingerprint needs match, the fingerprints of the certificate or public key"
            raise InvalidInput(msg)
        for item in match:
            if not _FINGERPRINT.fullmatch(item) or len(item.split(":")) not in {32, 64}:
                msg = f"{where}: {item!r} is no SHA-256 or SHA-512 fingerprint (32 or 64 octets, AB:CD:...)"
                raise InvalidInput(msg)
    elif level == "secure":
        for item in match:
            if not re.fullmatch(rf"nexthop|dot-nexthop|hostname|\.?{_DOMAIN}", item):
                msg = f"{where}: {item!r} is no match strategy; write nexthop, dot-nexthop, hostname, or a name"
                raise InvalidInput(msg)
    elif match:
        msg = f"{where}: match goes with the levels secure and fingerprint only, not with {level}"
        raise InvalidInput(msg)


def _parse_date(where: str, value: object) -> dt.date | None:
    if value is None or isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        msg = f"{where}: until must be a day such as 2027-01-31, not {value!r}"
        raise InvalidInput(msg) from None


def render_policies(policies: Iterable[Policy]) -> str:
    """Return the table's text: per entry its comment and end date, then the entry."""
    lines = [POLICY_HEADER]
    for policy in policies:
        lines.append("")
        if policy.comment:
            lines.append(f"# {policy.comment}")
        if policy.until:
            lines.append(f"# until {policy.until.isoformat()}")
        lines.append(f"{policy.destination}\t{policy.text()}")
    return "\n".join(lines) + "\n"


def expired_policies(policies: Iterable[Policy], today: dt.date) -> tuple[Finding, ...]:
    """Report each entry whose last day is over. The entry stays: whether it is still needed only a person knows."""
    return tuple(
        Finding(
            f"policies/{policy.destination}",
            "warning",
            f"The entry {policy.text().split()[0]!r} was to end on {policy.until.isoformat()}"
            + (f" ({policy.comment})." if policy.comment else "."),
            "Take it out of the policies"
            + (", so that DANE applies again," if policy.level in _EXCEPTIONS else "")
            + " or give it a later date.",
        )
        for policy in policies
        if policy.until and policy.until < today
    )


def fingerprint_findings(state: PostfixState, policies: Iterable[Policy]) -> tuple[Finding, ...]:
    """Report fingerprints that are not of the digest that Postfix compares (``smtp_tls_fingerprint_digest``)."""
    digest = state.value("smtp_tls_fingerprint_digest").lower().replace("-", "")
    octets = {"sha256": 32, "sha512": 64}.get(digest, 0)
    return tuple(
        Finding(
            f"policies/{policy.destination}",
            "error",
            f"Postfix compares {digest} fingerprints, and {item} is none, so all mail there would be deferred.",
            "Set smtp_tls_fingerprint_digest = sha256 (Postfix's default from compatibility level 3.6), "
            "or give fingerprints of the digest that is set.",
        )
        for policy in policies
        if policy.level == "fingerprint"
        for item in policy.match
        if len(item.split(":")) != octets
    )
