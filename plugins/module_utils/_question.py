# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""DNS questions as this collection asks them: always with EDNS, never in need of fragments."""

from __future__ import annotations

import typing as t

from ._deps import importing

with importing():
    import dns.flags
    import dns.message
    import dns.name

__all__ = ["question"]

EDNS_PAYLOAD: t.Final = 1232  # never fragmented (DNS flag day 2020); what is longer comes by TCP


def question(
    name: dns.name.Name, rdtype: str, *, recursion: bool, checking_disabled: bool = False, signatures: bool = True
) -> dns.message.Message:
    """A question with EDNS; with AD where recursion is wanted, so that AD comes back (RFC 6840 section 5.7).

    `signatures` sets DO, so that the answer brings its RRSIG and NSEC records.
    """
    flags = dns.flags.RD | dns.flags.AD if recursion else 0
    if checking_disabled:
        flags |= dns.flags.CD
    return dns.message.make_query(name, rdtype, use_edns=0, want_dnssec=signatures, payload=EDNS_PAYLOAD, flags=flags)
