# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""From a mail domain to addresses and TLSA records, in the DNS, as RFC 7672 section 2.2 says.

The look-ups come in as a function, so that this file does no I/O: `await lookup(name, rdtype)` gives an
:class:`_resolver.Answer` or raises LookupFailed. A failed look-up is kept as what it is; it never becomes "there is
none" (RFC 7672 section 2.1.2).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import InvalidInput, LookupFailed
from ._resolver import Status
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ._resolver import Answer

    Lookup = Callable[[str, str], Awaitable[Answer]]

__all__ = [
    "Addresses",
    "Failure",
    "MailHost",
    "MailRoute",
    "TlsaSet",
    "addresses_of_host",
    "mail_route",
    "tlsa_of_host",
]


@dataclass(frozen=True, slots=True)
class Failure:
    """A look-up that could not be answered: what was asked, why not, and whether validation was what failed.

    ``denial``: it is the proof that there is nothing which does not validate.
    """

    question: str
    message: str
    bogus: bool
    denial: bool = False


@dataclass(frozen=True, slots=True)
class MailHost:
    """An MX host as the MX record has it, with its preference; the domain itself where there is no MX record."""

    name: str
    preference: int = 0


@dataclass(frozen=True, slots=True)
class MailRoute:
    """Where a domain's mail goes. ``secure`` is that of the MX RRset or of its denial.

    ``names`` are the next-hop domain and, through secure aliases, what it stands for: the reference identifiers that
    a certificate may name beside the TLSA base domain (RFC 7672 section 3.2.2). ``null_mx``: it takes no mail at all
    (RFC 7505). ``missing``: the domain does not exist.
    """

    domain: str
    hosts: tuple[MailHost, ...] = ()
    secure: bool = False
    names: tuple[str, ...] = ()
    implicit: bool = False
    null_mx: bool = False
    missing: bool = False
    failure: Failure | None = None
    oddities: tuple[str, ...] = ()


async def _try(lookup: Lookup, name: str, rdtype: str) -> Answer | Failure:
    try:
        return await lookup(name, rdtype)
    except LookupFailed as failed:
        return Failure(f"{name} {rdtype}", str(failed), failed.bogus, failed.denial)
    except InvalidInput as error:  # a peer's record can name what no name can be
        return Failure(f"{name} {rdtype}", str(error), bogus=False)


async def mail_route(domain: str, lookup: Lookup) -> MailRoute:
    """Ask where the mail of `domain` goes (RFC 5321 section 5.1, RFC 7505, RFC 7672 section 2.2.1)."""
    answer = await _try(lookup, domain, "MX")
    if isinstance(answer, Failure):
        return MailRoute(domain, failure=answer)
    names = tuple(dict.fromkeys((domain, answer.canonical_name))) if answer.secure else ()
    if answer.status is Status.NXDOMAIN:
        return MailRoute(domain, secure=answer.secure, missing=True)
    if answer.status is Status.NODATA:
        return MailRoute(domain, (MailHost(domain),), answer.secure, names, implicit=True)
    found = sorted(_mx_records(answer.records), key=lambda host: (host.preference, host.name))
    real = tuple(host for host in found if host.name != ".")
    oddities = []
    if real and len(real) < len(found):
        oddities.append("a null MX record stands beside others, where RFC 7505 wants it alone")
    return MailRoute(domain, real, answer.secure, names, null_mx=not real, oddities=tuple(oddities))


def _mx_records(records: Iterable[str]) -> list[MailHost]:
    hosts = []
    for record in records:
        preference, _space, name = record.partition(" ")
        hosts.append(MailHost(name.lower() if name == "." else name.lower().removesuffix("."), int(preference)))
    return hosts


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a host, with what their look-up proves for the TLSA base domain (RFC 7672 section 2.2.2).

    ``bases`` are the names below which TLSA records count, in the order of trial; none when the addresses are not
    secure. ``failures`` are of the families that could not be asked; the addresses of the other are there.
    """

    host: str
    addresses: tuple[str, ...] = ()
    secure: bool = False
    alias_of: str = ""
    bases: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


async def addresses_of_host(host: str, lookup: Lookup) -> Addresses:
    """Ask for the IPv4 and IPv6 addresses of `host`, following aliases, before any TLSA record."""
    answers = [await _try(lookup, host, rdtype) for rdtype in ("A", "AAAA")]
    failures = tuple(answer for answer in answers if isinstance(answer, Failure))
    found = [answer for answer in answers if not isinstance(answer, Failure) and answer.status is Status.FOUND]
    if not found:
        return Addresses(host, failures=failures)
    secure = all(answer.secure for answer in found)
    canonical = found[0].canonical_name
    alias_of = canonical if found[0].cname_chain else ""
    bases: tuple[str, ...] = ()
    if secure:
        bases = tuple(dict.fromkeys((canonical, host)))
    elif alias_of:
        # The alias may be signed where its target is not: then the alias's own name still counts.
        alias = await _try(lookup, host, "CNAME")
        if isinstance(alias, Failure):
            failures = (*failures, alias)
        elif alias.secure:
            bases = (host,)
    addresses = tuple(address for answer in found for address in answer.records)
    return Addresses(host, addresses, secure, alias_of, bases, failures)


@dataclass(frozen=True, slots=True)
class TlsaSet:
    """The TLSA RRset that counts for a host and port.

    ``base`` is the TLSA base domain, which is also the name for SNI and certificates; the host's own name where no
    records count. ``denied`` means that DNSSEC proves that there are none; ``unsigned`` are records that are there
    and do not count, because nothing proves them. ``hidden_below`` is the name above the owner where that is said not
    to exist, or cannot be asked for: who minimises names (RFC 9156) does not find the records below it.
    """

    owner: str
    base: str
    records: tuple[TlsaRecord, ...] = ()
    denied: bool = False
    unsigned: tuple[TlsaRecord, ...] = ()
    failure: Failure | None = None
    unreadable: tuple[str, ...] = ()
    ttl: int = 0
    hidden_below: str = ""


async def tlsa_of_host(addresses: Addresses, port: int, lookup: Lookup) -> TlsaSet:
    """Ask for the TLSA RRset of a host's `port`, at its base domains in order (RFC 7672 section 2.2.3)."""
    denied = bool(addresses.bases)
    unsigned: tuple[TlsaRecord, ...] = ()
    for base in addresses.bases:
        owner = f"_{port}._tcp.{base}"
        answer = await _try(lookup, owner, "TLSA")
        if isinstance(answer, Failure):
            return TlsaSet(owner, base, failure=answer)
        records, unreadable = _tlsa_records(answer.records)
        if answer.secure and answer.status is Status.FOUND:
            hidden = await _hidden_below(f"_tcp.{base}", lookup)
            return TlsaSet(owner, base, records, unreadable=unreadable, ttl=answer.ttl, hidden_below=hidden)
        denied = denied and answer.secure
        unsigned = (*unsigned, *records)
    return TlsaSet(f"_{port}._tcp.{addresses.host}", addresses.host, denied=denied, unsigned=unsigned)


async def _hidden_below(name: str, lookup: Lookup) -> str:
    """`name`, below which there are records, where the DNS does not admit that it exists (RFC 8020)."""
    answer = await _try(lookup, name, "A")
    return name if isinstance(answer, Failure) or answer.status is Status.NXDOMAIN else ""


def _tlsa_records(texts: Iterable[str]) -> tuple[tuple[TlsaRecord, ...], tuple[str, ...]]:
    records, unreadable = [], []
    for text in texts:
        try:
            records.append(TlsaRecord.parse(text))
        except InvalidInput:
            unreadable.append(text)  # fewer than three octets, which a zone can hold and nobody can use
    return tuple(records), tuple(unreadable)
