# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What every authoritative name server serves, each asked directly on all its addresses and without recursion.

Which servers there are is asked of the validating resolver; what they serve is not, as it may remember what was. A
server that does not answer is part of the result: it never hides the others, and is never read as "no records".
"""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ._deps import importing

with importing():
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

from ._errors import InvalidInput, LookupFailed
from ._exchange import exchange
from ._names import names_upwards
from ._question import question
from ._resolver import Resolver, Status, absolute_name, name_text
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Server",
    "ServerAnswer",
    "addresses_of_server",
    "ask_servers",
    "first_zone",
    "host_of",
    "names_of_servers",
    "response",
    "servers_of",
    "zone_of",
]

THREADS: t.Final = 16


class _Lame(LookupFailed):
    """A server said that it has no authority for a name."""


@dataclass(frozen=True, slots=True)
class Server:
    """One address of an authoritative server. Without ``address``, why it has none that can be asked is ``problem``.

    ``parent_only``: the zone itself does not name it, only its parent does.
    """

    name: str
    address: str
    port: int = 53
    problem: str | None = None
    parent_only: bool = False

    @property
    def title(self) -> str:
        """Its name for people, with what is odd about it."""
        return f"{self.name}, which only the parent zone names" if self.parent_only else self.name


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one server at one address serves at one owner name.

    ``error`` is None for an answer, and then exactly one of the following holds. ``delegated`` is a zone below that of
    the server, so others must be asked; ``alias`` is the target of a CNAME; ``status`` is FOUND and ``records`` are the
    TLSA records with their ``ttl``; or it is NODATA or NXDOMAIN, and ``negative_ttl`` says how long that may be
    remembered (RFC 2308 section 5). All times are in seconds. ``serial`` is that of the zone's SOA on this server.
    ``parent_denied`` is true when the server denies the name above the owner name, ``_tcp.host``, although there are
    names below it (RFC 8020): resolvers that minimise names then never ask for the records.
    """

    server: Server
    name: str
    status: Status | None = None
    records: tuple[TlsaRecord, ...] = ()
    ttl: int | None = None
    negative_ttl: int | None = None
    alias: str | None = None
    delegated: str | None = None
    signed: bool = False
    serial: int | None = None
    parent_denied: bool = False
    error: str | None = None
    lame: bool = False
    """With ``error``: it said itself that it has no authority, so nobody has records from it."""


def host_of(name: str) -> str:
    """`name` without the leading labels that begin with an underscore; all of it if there are no others."""
    labels = name.split(".")
    first = next((index for index, label in enumerate(labels) if not label.startswith("_")), 0)
    return ".".join(labels[first:])


def zone_of(resolver: Resolver, name: str) -> str:
    """The zone that the host of `name` is in. Raises LookupFailed.

    No question is asked that the DNS would deny, if that can be avoided. Of a denial for ``_25._tcp.host``, and with
    aggressive use of NSEC (RFC 8198, on in Debian's unbound) even of one for a missing type at ``host``, the resolver
    learns that there are no records, and hides them once they are there. So the signer of the host's address is taken
    for the zone; only without it a SOA is looked for. If the labels with underscores are delegated, the servers say so.
    """
    host = host_of(name)
    address = resolver.lookup(host, "A")
    if address.signer is not None and not address.cname_chain:
        return address.signer
    zone = first_zone(resolver, names_upwards(host))
    if zone is None:
        msg = f"No zone was found that {name} is in; the resolver {resolver.address} knows no SOA above it"
        raise LookupFailed(msg)
    return zone


def first_zone(resolver: Resolver, names: Iterable[str]) -> str | None:
    """The first of `names` that is a zone, by its SOA; None where none is. Raises LookupFailed."""
    for name in names:
        answer = resolver.lookup(name, "SOA")
        if answer.status is Status.FOUND and not answer.cname_chain:
            return name
    return None


def servers_of(resolver: Resolver, zone: str, *, port: int = 53) -> tuple[Server, ...]:
    """Every address of every name server of `zone`, IPv4 and IPv6. Raises LookupFailed when there are no NS records.

    A server whose addresses cannot be found is there with the reason.
    """
    names = names_of_servers(resolver, zone)
    return tuple(server for name in names for server in addresses_of_server(resolver, name, port))


def names_of_servers(resolver: Resolver, zone: str) -> list[str]:
    """The names of `zone`'s name servers, sorted. Raises LookupFailed when there are no NS records."""
    answer = resolver.lookup(zone, "NS")
    if answer.status is not Status.FOUND:
        raise LookupFailed(f"Zone {zone} has no NS records")
    return sorted(text.rstrip(".").lower() for text in answer.records)


def addresses_of_server(
    resolver: Resolver, name: str, port: int, glue: Sequence[str] = (), *, parent_only: bool = False
) -> tuple[Server, ...]:
    """Every address of one server: what the resolver finds and what the delegation has as `glue`."""
    problems: list[str] = []
    addresses = list(glue)
    for rdtype in ("A", "AAAA"):
        try:
            addresses += resolver.lookup(name, rdtype).records
        except LookupFailed as error:
            problems.append(str(error))
    servers = [Server(name, address, port, parent_only=parent_only) for address in dict.fromkeys(addresses)]
    if problems or not addresses:
        problem = "; ".join(problems) or "it has no address"
        servers.append(Server(name, "", port, problem, parent_only))
    return tuple(servers)


def ask_servers(
    servers: Sequence[Server], name: str, timeout: float, silent: dict[Server, str] | None = None
) -> tuple[ServerAnswer, ...]:
    """Ask all `servers` at once for the TLSA RRset at `name`; the answers are in the order of `servers`.

    `timeout` is in seconds, for each question. A server in `silent` is not asked, and has what is said there for its
    error; one that does not answer in time is put into it. Raises InvalidInput without servers.
    """
    if not servers:
        raise InvalidInput("There is no name server to ask")
    known = {} if silent is None else silent
    with ThreadPoolExecutor(min(THREADS, len(servers))) as pool:
        return tuple(pool.map(lambda server: _ask_server(server, name, timeout, known), servers))


def _ask_server(server: Server, name: str, timeout: float, silent: dict[Server, str]) -> ServerAnswer:
    if failed := server.problem or silent.get(server):
        return ServerAnswer(server, name, error=failed)
    owner = absolute_name(name)
    try:
        answer = response(server, owner, "TLSA", timeout)
        if delegated := _delegation(answer, owner):
            return ServerAnswer(server, name, delegated=delegated)
        _require_authority(answer, owner)
        soa = _authoritative(server, owner, "SOA", timeout)
        parent_denied = _denies_parent(server, owner, answer, soa, timeout)
    except LookupFailed as error:
        if error.silent:
            silent[server] = str(error)
        return ServerAnswer(server, name, error=str(error), lame=isinstance(error, _Lame))
    serial = next((int(rrset[0].serial) for rrset in _all(soa) if rrset.rdtype == dns.rdatatype.SOA), None)
    rrset = answer.get_rrset(answer.answer, owner, dns.rdataclass.IN, dns.rdatatype.TLSA)
    cname = answer.get_rrset(answer.answer, owner, dns.rdataclass.IN, dns.rdatatype.CNAME)
    common: dict[str, t.Any] = {
        "signed": any(one.rdtype == dns.rdatatype.RRSIG for one in _all(answer)),
        "serial": serial,
        "parent_denied": parent_denied,
    }
    if cname is not None:
        return ServerAnswer(server, name, alias=name_text(cname[0].target), ttl=cname.ttl, **common)
    if rrset is not None:
        records = tuple(sorted(TlsaRecord(one.usage, one.selector, one.mtype, bytes(one.cert)) for one in rrset))
        return ServerAnswer(server, name, Status.FOUND, records, int(rrset.ttl), **common)
    status = Status.NXDOMAIN if answer.rcode() == dns.rcode.NXDOMAIN else Status.NODATA
    soas = [one for one in answer.authority if one.rdtype == dns.rdatatype.SOA]
    negative = min(int(soas[0].ttl), int(soas[0][0].minimum)) if soas else None
    return ServerAnswer(server, name, status, negative_ttl=negative, **common)


def _denies_parent(
    server: Server, owner: dns.name.Name, answer: dns.message.Message, soa: dns.message.Message, timeout: float
) -> bool:
    """Whether the name above one that exists is denied; above the zone's own name others may have the authority."""
    if answer.rcode() != dns.rcode.NOERROR or len(owner.labels) <= 2:
        return False
    if soa.get_rrset(soa.answer, owner, dns.rdataclass.IN, dns.rdatatype.SOA) is not None:
        return False
    return _authoritative(server, owner.parent(), "TLSA", timeout).rcode() == dns.rcode.NXDOMAIN


def _authoritative(server: Server, name: dns.name.Name, rdtype: str, timeout: float) -> dns.message.Message:
    """An authoritative answer, positive or negative. Raises LookupFailed for all else: lame, refused, broken."""
    answer = response(server, name, rdtype, timeout)
    _require_authority(answer, name)
    return answer


def response(server: Server, name: dns.name.Name, rdtype: str, timeout: float) -> dns.message.Message:
    """What one server answers without recursion, a referral included; `timeout` is in seconds.

    Raises LookupFailed without an answer, and for a rcode other than NOERROR and NXDOMAIN.
    """
    answer = exchange(question(name, rdtype, recursion=False), server.address, server.port, timeout)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        failure = _Lame if answer.rcode() in (dns.rcode.REFUSED, dns.rcode.NOTAUTH) else LookupFailed
        raise failure(f"It answered {dns.rcode.to_text(answer.rcode())} to {name_text(name)} {rdtype}")
    return answer


def _require_authority(answer: dns.message.Message, name: dns.name.Name) -> None:
    if not answer.flags & dns.flags.AA:
        raise _Lame(f"It is lame: the zone names it as server, but it has no authority for {name_text(name)}")


def _delegation(answer: dns.message.Message, name: dns.name.Name) -> str | None:
    """The zone that a referral leads down to; one that leads elsewhere is a lame server's."""
    if answer.flags & dns.flags.AA or answer.answer:
        return None
    for rrset in answer.authority:
        if rrset.rdtype == dns.rdatatype.NS and rrset.name.labels[0].startswith(b"_") and name.is_subdomain(rrset.name):
            return name_text(rrset.name)
    return None


def _all(answer: dns.message.Message) -> list[t.Any]:
    return [*answer.answer, *answer.authority]
