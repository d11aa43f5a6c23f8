# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""DNS questions as this collection asks them: always with EDNS, never in need of fragments."""

from __future__ import annotations

import functools
import typing as t

from ._deps import importing

with importing():
    import dns.flags
    import dns.message
    import dns.name

__all__ = ["Question", "question", "repeats_question"]

EDNS_PAYLOAD: t.Final = 1232  # never fragmented (DNS flag day 2020); what is longer comes by TCP
_HEADER: t.Final = 10  # octets, without the id
_OPTIONS: t.Final = 11  # octets of an EDNS record without options (RFC 6891 section 6.1.2)


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


class Question(t.NamedTuple):
    """A question to a recursive resolver that is not a message yet: of most, no more than the octets are needed."""

    name: dns.name.Name
    rdtype: str
    checking_disabled: bool = False
    signatures: bool = True

    def message(self) -> dns.message.Message:
        return question(
            self.name,
            self.rdtype,
            recursion=True,
            checking_disabled=self.checking_disabled,
            signatures=self.signatures,
        )

    def octets(self) -> bytes:
        """What `message` is on the wire behind its id, for a quarter of the processor time."""
        flags_and_counts, type_and_class, options = _form(*self[1:])
        return flags_and_counts + self.name.to_wire() + type_and_class + options  # type: ignore[operator]


def repeats_question(answer: bytes, octets: bytes) -> bool:
    """Whether a DNS message answers the question sent as `octets`, whatever its id (RFC 1035 section 4.1.1)."""
    asked = octets[_HEADER:-_OPTIONS]
    answers = len(answer) > 12 and answer[2] & 0xF8 == 0x80 and answer[4:6] == octets[2:4]
    return answers and answer[12 : 12 + len(asked)].lower() == asked.lower()


@functools.cache
def _form(rdtype: str, checking_disabled: bool, signatures: bool) -> tuple[bytes, bytes, bytes]:
    """What all such questions have in common: the header behind the id, type and class, the EDNS record."""
    wire = Question(dns.name.root, rdtype, checking_disabled, signatures).message().to_wire()
    return wire[2:12], wire[13:-_OPTIONS], wire[-_OPTIONS:]
