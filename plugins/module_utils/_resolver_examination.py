# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Asks a resolver all that its proof needs, side by side, and has the answers judged."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ._errors import InvalidInput
from ._resolver_probe import Question, ask_all, ask_libc, parse_question
from ._resolver_proof import (
    judge_algorithms,
    judge_bogus,
    judge_clock,
    judge_denial,
    judge_forwarder,
    judge_libc,
    judge_signed,
    judge_transport,
    judge_unsigned,
)

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ._resolver_evidence import Finding

__all__ = ["Examination"]

ABSENT_TYPE: t.Final = "TYPE65399"  # of the range for private use (RFC 6895 section 3.1): no zone has it
DNS_PORT: t.Final = 53
TLS_PORT: t.Final = 853  # RFC 7858 section 3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """A resolver, and the names by which it is tried: each ``name`` or ``name TYPE``. ``timeout`` is in seconds."""

    signed: tuple[Question, ...]
    bogus: tuple[Question, ...]
    unsigned: tuple[Question, ...]
    address: str
    port: int
    timeout: float

    @classmethod
    def from_options(cls, options: dict[str, t.Any]) -> t.Self:
        """Read a module's options. Raises InvalidInput."""
        signed = tuple(parse_question(name) for name in options["signed_names"])
        if not signed:
            raise InvalidInput("signed_names is empty: without a signed name nothing can be proved; give '.' at least")
        return cls(
            signed=signed,
            bogus=tuple(parse_question(name) for name in options["bogus_names"]),
            unsigned=tuple(parse_question(name) for name in options["unsigned_names"]),
            address=options["resolver"],
            port=options["resolver_port"],
            timeout=options["timeout"],
        )

    def validation(self, now: int) -> list[Finding]:
        """What the resolver's answers prove; `now` is in seconds since 1970."""
        by_tcp = replace(self.signed[0], tcp=True)
        plain = (*self.signed, *self.bogus, *self.unsigned)
        doubtful = (*self.signed, *self.bogus)
        questions = (*plain, *map(_unchecked, doubtful), *map(_denied, self.signed), by_tcp)
        replies = ask_all(tuple(dict.fromkeys(questions)), self.address, self.port, self.timeout)
        signed = [(_text(asked), replies[asked]) for asked in self.signed]
        # Without validation the unchecked answer still shows the signatures that the clock is held against.
        unchecked = [(_text(asked), replies[_unchecked(asked)]) for asked in self.signed]
        return [
            *(judge_signed(_text(asked), replies[asked], replies[_unchecked(asked)], now) for asked in self.signed),
            *(judge_bogus(_text(asked), replies[asked], replies[_unchecked(asked)]) for asked in self.bogus),
            *(judge_unsigned(_text(asked), replies[asked]) for asked in self.unsigned),
            judge_denial([(_text(asked), replies[_denied(asked)]) for asked in self.signed]),
            judge_transport(replies[self.signed[0]], replies[by_tcp], signed),
            judge_clock([*signed, *unchecked], now),
            judge_algorithms(signed),
        ]

    def libc(self) -> list[Finding]:
        """What a program gets that asks through /etc/resolv.conf."""
        # The last name: many have the root first, which some resolvers answer without AD.
        asked = self.signed[-1]
        return [judge_libc(_text(asked), ask_libc(asked))]

    def forwarders(self, addresses: Sequence[str]) -> list[Finding]:
        """Whether servers pass DNSSEC on; each is given as unbound has it: ``address[@port][#name for TLS]``."""
        return [self._forwarder(address) for address in addresses]

    def _forwarder(self, text: str) -> Finding:
        plain, _hash, tls_name = text.partition("#")
        address, _at, port = plain.partition("@")
        usual = TLS_PORT if tls_name else DNS_PORT
        questions = tuple(replace(make(asked), unchecked=True) for asked in self.signed for make in (_same, _denied))
        replies = ask_all(tuple(dict.fromkeys(questions)), address, int(port or usual), self.timeout, tls_name)
        return judge_forwarder(text, [(_text(asked), reply) for asked, reply in replies.items()])


def _same(asked: Question) -> Question:
    return asked


def _unchecked(asked: Question) -> Question:
    return replace(asked, unchecked=True)


def _denied(asked: Question) -> Question:
    return replace(asked, rdtype=ABSENT_TYPE)


def _text(asked: Question) -> str:
    return asked.name if asked.rdtype == "SOA" else f"{asked.name} {asked.rdtype}"
