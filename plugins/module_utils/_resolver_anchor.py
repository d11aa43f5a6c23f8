# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The trust anchor of unbound: which keys it has, whether it keeps up with the root (RFC 5011)."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ._resolver_evidence import Finding, Group, ServerState, Verdict

__all__ = ["judge_anchor", "key_tags"]

STALE_DAYS: t.Final = 30  # unbound asks for the root's keys at least every 15 days (RFC 5011 section 2.3)
ANCHOR_OPTIONS: t.Final = ("auto-trust-anchor-file", "trust-anchor-file", "trust-anchor", "trusted-keys-file")


def judge_anchor(server: ServerState, now: int) -> Finding:
    """Whether unbound has a trust anchor, and one that follows the next key roll; `now` in seconds since 1970."""
    subject = "trust anchor"
    if not any(server.options.get(option) for option in ANCHOR_OPTIONS):
        advice = "Without one unbound validates nothing: install dns-root-data and use the role unbound_resolver."
        return Finding(Group.SERVER, subject, Verdict.FAILED, "none", advice)
    if not server.anchor_file:
        static = [name for name in ANCHOR_OPTIONS if server.options.get(name)]
        return Finding(Group.SERVER, subject, Verdict.OK, f"configured by hand ({', '.join(static)})")
    tags = key_tags(server.anchor_text or "")
    seen = f"{server.anchor_file} with the keys {', '.join(map(str, sorted(tags))) or 'none'}"
    if not tags:
        advice = "Restart unbound, which fills it from dns-root-data."
        return Finding(Group.SERVER, subject, Verdict.FAILED, seen, advice)
    success = re.search(r"^;;last_success:\s*(\d+)", server.anchor_text or "", re.MULTILINE)
    days = (now - int(success.group(1))) // 86400 if success and int(success.group(1)) else None
    if days is not None:
        seen += f", last seen at the root {days} days ago"
    missing = key_tags(server.packaged_anchor) - tags
    advice = ""
    if not server.anchor_writable:
        advice = (
            "Make the file and its folder writable for the user unbound, or it misses the next key roll (RFC 5011)."
        )
    elif missing:
        advice = f"It lacks the key {min(missing)} of dns-root-data: upgrade that package and restart unbound."
    elif days is not None and days > STALE_DAYS:
        advice = "unbound could not refresh the root's keys (RFC 5011): see `journalctl -u unbound`."
    return Finding(Group.SERVER, subject, Verdict.WARNING if advice else Verdict.OK, seen, advice)


def key_tags(text: str) -> frozenset[int]:
    """The key tags of all DS and key-signing DNSKEY records in `text` (RFC 4034 appendix B); others are ignored.

    Keys that unbound marks as missing, revoked or removed (RFC 5011 section 4.2) do not count.
    """
    tags: set[int] = set()
    for line in text.splitlines():
        record, _semicolon, comment = line.partition(";")
        if re.search(r"\[\s*(?:MISSING|REVOKED|REMOVED)\s*\]", comment):
            continue
        ds = re.search(r"\sDS\s+(\d+)\s+\d+\s+\d+\s+[0-9A-Fa-f]", record)
        key = re.search(r"\sDNSKEY\s+(\d+)\s+(\d+)\s+(\d+)\s+([A-Za-z0-9+/= ]+)", record)
        if ds:
            tags.add(int(ds.group(1)))
        elif key and int(key.group(1)) & 1:  # the SEP bit
            flags, protocol, algorithm = (int(key.group(number)) for number in (1, 2, 3))
            try:
                public = base64.b64decode(key.group(4).replace(" ", ""), validate=True)
            except binascii.Error:
                continue
            tags.add(_key_tag(flags.to_bytes(2, "big") + bytes([protocol, algorithm]) + public))
    return frozenset(tags)


def _key_tag(rdata: bytes) -> int:
    total = sum(byte << 8 if index % 2 == 0 else byte for index, byte in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF
