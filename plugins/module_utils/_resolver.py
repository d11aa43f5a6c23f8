# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Answers of the validating resolver, with the three results that DANE must tell apart (RFC 7672 section 2.1).

There is an RRset, there is provably none, or nobody knows: only the first two are an :class:`Answer`.
"""

from __future__ import annotations

import enum
import ipaddress
import typing as t
from dataclasses import dataclass, replace
from functools import lru_cache

from ._deps import importing

with importing():
    import dns.edns
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

from ._errors import InvalidName, LookupFailed
from ._exchange import exchange
from ._lookups import lookups_of
from ._question import Question

if t.TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractAsyncContextManager

    from dns.rrset import RRset

    from ._lookups import Lookup

    Given = dns.message.Message | LookupFailed

__all__ = ["Answer", "Resolver", "Status", "absolute_name", "name_text", "read_response"]


class Status(enum.Enum):
    """What the DNS says of a name and type."""

    FOUND = "found"
    NODATA = "nodata"  # the name exists, or has names below it; the type does not
    NXDOMAIN = "nxdomain"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a validating resolver said.

    Names are lower case and without the trailing dot (the root is ``.``). ``ttl`` is in seconds, as the resolver
    counts it down: the least in the answer, aliases included, for FOUND; that of the denial otherwise (RFC 2308
    section 5), 0 where it carried no SOA. ``secure`` is the AD bit, so it speaks of the whole answer with its
    aliases, or of the denial. ``records`` are in presentation form, sorted. ``cname_chain`` holds the target of each
    alias in order, so it is empty without one, and otherwise its last is ``canonical_name``. ``signer`` is the zone
    that signed the records that were found; None where no signature came.
    """

    name: str
    rdtype: str
    status: Status
    secure: bool
    ttl: int
    records: tuple[str, ...]
    canonical_name: str
    cname_chain: tuple[str, ...]
    signer: str | None = None


@dataclass(frozen=True, slots=True)
class Resolver:
    """A recursive resolver. Its AD bit means something only where the way to it cannot be tampered with: loopback.

    Without ``signatures`` answers come without RRSIG and NSEC records, at half the cost, and have no ``signer``; AD is
    asked for all the same.
    """

    address: str = "127.0.0.1"
    port: int = 53
    timeout: float = 5.0
    signatures: bool = True

    @property
    def believable(self) -> bool:
        """Whether nobody can change its word on the way here."""
        return ipaddress.ip_address(self.address).is_loopback

    def lookup(self, name: str, rdtype: str) -> Answer:
        """Ask for `name` and `rdtype`, by UDP and where needed TCP.

        Raises LookupFailed whenever that gives neither an RRset nor a proper denial; its ``bogus`` is true when the
        data is there but does not validate. Raises InvalidName.
        """
        steps = self.steps(name, rdtype)
        query = next(steps)
        while True:
            given: dns.message.Message | LookupFailed
            try:
                given = exchange(query.message(), self.address, self.port, self.timeout)
            except LookupFailed as error:
                given = error
            try:
                query = steps.send(given)
            except StopIteration as done:
                return t.cast("Answer", done.value)

    def lookups(self, *, signatures: bool) -> AbstractAsyncContextManager[Lookup]:
        """Give `lookup` in its asynchronous form, for many questions at once in the running event loop."""
        return lookups_of(replace(self, signatures=signatures))

    def steps(self, name: str, rdtype: str) -> Generator[Question, Given, Answer]:
        """The look-up without its transport: yields each question, is sent its answer or failure, ends with Answer.

        Raises what :meth:`lookup` raises.
        """
        asked = absolute_name(name)
        response = yield from self._ask(asked, rdtype)
        if response.rcode() == dns.rcode.SERVFAIL:
            # Bogus, or the authoritative servers were slow? What comes with checking disabled tells the two apart.
            unchecked = yield from self._ask(asked, rdtype, checking_disabled=True)
            if unchecked.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                response = yield from self._ask(asked, rdtype)
                if response.rcode() == dns.rcode.SERVFAIL:
                    denial = not unchecked.answer
                    what = "the denial of " if denial else ""
                    raise LookupFailed(
                        f"DNSSEC validation of {what}{name_text(asked)} {rdtype} failed in the resolver {self.address}"
                        f"{_extended_error(response)}; `delv {name_text(asked)} {rdtype}` says where the chain breaks",
                        bogus=True,
                        denial=denial,
                    )
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise self._failed(asked, rdtype, dns.rcode.to_text(response.rcode()) + _extended_error(response))
        if not response.flags & dns.flags.RA:
            # A server that does not recurse answers with a referral, which looks like a denial.
            raise self._failed(asked, rdtype, "it does not offer recursion; it is no resolver")
        return self._read(asked, rdtype, response)

    def _ask(
        self, name: dns.name.Name, rdtype: str, *, checking_disabled: bool = False
    ) -> Generator[Question, Given, dns.message.Message]:
        given = yield Question(name, rdtype, checking_disabled, self.signatures)
        if isinstance(given, LookupFailed):
            raise self._failed(name, rdtype, str(given)) from given
        return given

    def _read(self, asked: dns.name.Name, rdtype: str, response: dns.message.Message) -> Answer:
        try:
            return read_response(asked, rdtype, response, secure=bool(response.flags & dns.flags.AD))
        except (dns.exception.DNSException, ValueError) as error:
            raise self._failed(asked, rdtype, f"a malformed chain of aliases ({error})") from error

    def _failed(self, name: dns.name.Name, rdtype: str, cause: str) -> LookupFailed:
        return LookupFailed(f"The resolver {self.address} gave no answer to {name_text(name)} {rdtype}: {cause}")


def read_response(asked: dns.name.Name, rdtype: str, response: dns.message.Message, *, secure: bool) -> Answer:
    """Read a response with rcode NOERROR or NXDOMAIN. Raises DNSException, ValueError: a malformed chain of aliases."""
    chain = response.resolve_chaining()  # type: ignore[attr-defined]  # the class that from_wire makes has it
    found = chain.answer if chain.answer is not None and response.rcode() == dns.rcode.NOERROR else None
    if found is not None:
        status = Status.FOUND
    elif response.rcode() == dns.rcode.NXDOMAIN:
        status = Status.NXDOMAIN
    else:
        status = Status.NODATA
    name = name_text(asked)
    targets = tuple(name_text(alias[0].target) for alias in chain.cnames)
    return Answer(
        name=name,
        rdtype=rdtype,
        status=status,
        secure=secure,
        ttl=chain.minimum_ttl if found is not None else _negative_ttl(response),
        records=tuple(sorted(rdata.to_text() for rdata in found)) if found is not None else (),
        canonical_name=targets[-1] if targets else name,
        cname_chain=targets,
        signer=_signer(response, found),
    )


@lru_cache(maxsize=4096)
def absolute_name(name: str) -> dns.name.Name:
    """Any owner name as dnspython holds it, lower case. Raises InvalidName."""
    try:
        return dns.name.from_text(name.strip().lower())
    except (dns.exception.DNSException, UnicodeError) as error:
        raise InvalidName(f"{name!r} is not a domain name: {error}") from error


def name_text(name: dns.name.Name) -> str:
    """Text of a name: lower case, without the trailing dot; the root is ``.``."""
    return name.to_text(omit_final_dot=name != dns.name.root).lower()


def _signer(response: dns.message.Message, found: RRset | None) -> str | None:
    if found is None:
        return None
    signatures = response.get_rrset(
        response.answer, found.name, dns.rdataclass.IN, dns.rdatatype.RRSIG, covers=found.rdtype
    )
    return name_text(signatures[0].signer) if signatures else None


def _negative_ttl(response: dns.message.Message) -> int:
    for rrset in response.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            return min(int(rrset.ttl), int(rrset[0].minimum))
    return 0


def _extended_error(response: dns.message.Message) -> str:
    """What the resolver adds of its own accord (RFC 8914), for people."""
    texts = [option.to_text() for option in response.options if isinstance(option, dns.edns.EDEOption)]
    return f" ({'; '.join(texts)})" if texts else ""
