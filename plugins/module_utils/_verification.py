# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Look at domains and hosts as a DANE client does: the walk through the DNS, the handshakes, and the rows that result.

First the DNS is asked for everything; then each endpoint is looked at once, however many domains lead to
it. Nothing of a handshake is kept but its rows, so memory grows by rows alone.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ._comparison import compared
from ._dialogues import Starttls
from ._endpoint_report import EndpointReport
from ._errors import LookupFailed
from ._judgement import Place, judge_failure, judge_handshake, judge_unroutable, settled
from ._lookups import AT_ONCE
from ._sigalgs import KeyAlgorithm
from ._starttls import Endpoint, Limits, Outcome, Prober
from ._tlsa_wire import accept_any_digest_length
from ._verdicts import Cause, Verdict, worst
from ._walk import Addresses, MailRoute, TlsaSet, addresses_of_host, mail_route, tlsa_of_host
from ._workers import results_of

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._libunbound import ValidatingStub
    from ._lookups import Lookup
    from ._resolver import Resolver

    Source = Resolver | ValidatingStub
    _Job = list[tuple[int, Place]]  # the rows that wait for what one endpoint serves

__all__ = ["DomainReport", "HostTarget", "Report", "Settings", "is_address_literal", "verify"]


@dataclass(frozen=True, slots=True)
class HostTarget:
    """A port of a host to look at, by itself; ``address`` where only one of its addresses is wanted."""

    host: str
    port: int
    starttls: Starttls
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How to look. ``trust_resolver``: believe its AD bit although it is not on loopback."""

    algorithms: tuple[KeyAlgorithm, ...] = (KeyAlgorithm.RSA, KeyAlgorithm.ECDSA)
    limits: Limits = field(default_factory=Limits)
    client_name: str = ""
    trust_resolver: bool = False


@dataclass(frozen=True, slots=True)
class DomainReport:
    """A mail domain: where its mail goes, and the worst verdict on that way (None: it takes no mail, RFC 7505)."""

    domain: str
    verdict: Verdict | None
    mx_secure: bool | None
    hosts: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)  # asyncio.run makes a text of what its task returns, twice
class Report:
    endpoints: tuple[EndpointReport, ...]
    domains: tuple[DomainReport, ...]

    @property
    def verified(self) -> bool:
        """Whether there are rows, and all of them are verified."""
        return bool(self.endpoints) and all(row.verdict is Verdict.VERIFIED for row in self.endpoints)


def verify(
    domains: Sequence[str], targets: Sequence[HostTarget], resolver: Source, settings: Settings | None = None
) -> Report:
    """Look at the SMTP port of every MX host of `domains`, and at `targets`. Raises ProbeImpossible."""
    settings = settings or Settings()
    accept_any_digest_length()
    names = [name for name in domains if not is_address_literal(name)]
    literals = [name for name in domains if is_address_literal(name)]
    report = asyncio.run(_verified(names, targets, resolver, settings))
    rows = [_row(name, Cause.ADDRESS_LITERAL, domain=name) for name in literals]
    return Report(
        (*report.endpoints, *rows),
        (*report.domains, *(DomainReport(row.domain or "", row.verdict, None, (), ()) for row in rows)),
    )


def is_address_literal(domain: str) -> bool:
    """Whether mail goes to an address instead of a domain (RFC 5321 section 4.1.3)."""
    try:
        ipaddress.ip_address(domain.removeprefix("[").removesuffix("]").removeprefix("IPv6:"))
    except ValueError:
        return False
    return True


def _row(name: str, cause: Cause, **facts: object) -> EndpointReport:
    return settled(EndpointReport(name, None, None, 25, Starttls.SMTP.value), cause, **facts)


async def _verified(
    domains: Sequence[str], targets: Sequence[HostTarget], resolver: Source, settings: Settings
) -> Report:
    """The report, once it is known that the resolver's answers can be believed (RFC 7672 section 2.1.1)."""
    if not (settings.trust_resolver or resolver.believable):
        return _all_unknown(domains, targets, Cause.RESOLVER_REMOTE, resolver=resolver.address)
    # Signatures are of no use here and dear to read. Some resolvers say AD only to those who ask for them.
    for signatures in (False, True):
        try:
            async with resolver.lookups(signatures=signatures) as lookup:
                root = await lookup(".", "NS")
                if root.secure:
                    return await _Verification(lookup, settings).run(domains, targets)
        except LookupFailed as failed:  # of the root alone; later ones become rows
            cause = Cause.ROOT_BOGUS if failed.bogus else Cause.RESOLVER_SILENT
            return _all_unknown(domains, targets, cause, resolver=resolver.address, detail=failed)
    return _all_unknown(domains, targets, Cause.RESOLVER_NOT_VALIDATING, resolver=resolver.address)


def _all_unknown(domains: Sequence[str], targets: Sequence[HostTarget], cause: Cause, **facts: object) -> Report:
    rows = [_row(name, cause, **facts) for name in domains]
    rows += [
        settled(EndpointReport(None, item.host, item.address, item.port, item.starttls.value), cause, **facts)
        for item in targets
    ]
    return Report(tuple(rows), tuple(DomainReport(name, Verdict.UNKNOWN, None, (), ()) for name in domains))


@dataclass(frozen=True, slots=True)
class _Found:
    """What the DNS says of a host, and of its TLSA records by port."""

    addresses: Addresses
    tlsa: t.Mapping[int, TlsaSet]


class _Verification:
    def __init__(self, lookup: Lookup, settings: Settings) -> None:
        self._lookup = lookup
        self._settings = settings

    async def run(self, domains: Sequence[str], targets: Sequence[HostTarget]) -> Report:
        """Return the rows in the order of the question: domains first, MX hosts by preference, then targets."""
        routes = await results_of(AT_ONCE, lambda name: mail_route(name, self._lookup), domains)
        places = _places(routes, targets)
        ports: dict[str, dict[int, None]] = {}
        for place, _wanted in places:
            ports.setdefault(place.host, {})[place.port] = None
        found = dict(zip(ports, await results_of(AT_ONCE, lambda item: self._found(*item), ports.items()), strict=True))
        rows: list[list[EndpointReport]] = []
        jobs: dict[Endpoint, _Job] = {}
        for number, (place, wanted) in enumerate(places):
            addresses, tlsa = found[place.host].addresses, found[place.host].tlsa[place.port]
            rows.append(list(judge_failure(place, addresses, tlsa)))
            if tlsa.failure is None:
                for address in addresses.addresses:
                    if wanted in (None, address):
                        endpoint = Endpoint(address, place.port, place.starttls, tlsa.base)
                        jobs.setdefault(endpoint, []).append((number, place))
        prober = Prober(self._settings.limits, self._settings.client_name)
        look = functools.partial(self._look, prober, found, rows)
        await results_of(self._settings.limits.connections, lambda job: look(*job), _by_turns(jobs))
        return _report(routes, [row for some in rows for row in _ordered(some)])

    async def _found(self, host: str, ports: Iterable[int]) -> _Found:
        addresses = await addresses_of_host(host, self._lookup)
        sets = await asyncio.gather(*(tlsa_of_host(addresses, port, self._lookup) for port in ports))
        return _Found(addresses, dict(zip(ports, sets, strict=True)))

    async def _look(
        self,
        prober: Prober,
        found: t.Mapping[str, _Found],
        rows: Sequence[list[EndpointReport]],
        endpoint: Endpoint,
        askers: _Job,
    ) -> None:
        shakes = await prober.inspect(endpoint, self._settings.algorithms)
        now = datetime.now(UTC)
        for shake in shakes:
            if shake.asked_for and shake.outcome is Outcome.TLS_FAILED:
                continue  # the server has no key of that kind
            for number, place in askers:
                known = found[place.host]
                rows[number].append(judge_handshake(place, known.addresses, known.tlsa[place.port], shake, now))


def _places(routes: Sequence[MailRoute], targets: Sequence[HostTarget]) -> list[tuple[Place, str | None]]:
    """Where to look, each with the one address that is wanted, if so. A target that a domain leads to is no other."""
    places: list[tuple[Place, str | None]] = [
        (Place(host.name, 25, Starttls.SMTP, route), None) for route in routes for host in route.hosts
    ]
    reached = {(place.host, place.port) for place, _wanted in places}
    places.extend(
        (Place(target.host, target.port, target.starttls), target.address)
        for target in dict.fromkeys(targets)
        if (target.host, target.port) not in reached
    )
    return places


def _by_turns(jobs: t.Mapping[Endpoint, _Job]) -> list[tuple[Endpoint, _Job]]:
    """The jobs with the first of each address in front, then the second of each, and so on.

    An address takes few connections at once. So none waits for another of its address while there are others to look
    at, and the time-outs of dead addresses pass while the many jobs of some alive one are done.
    """
    turns: dict[str, int] = {}
    numbered = []
    for job in jobs.items():
        address = job[0].address
        turns[address] = turns.get(address, 0) + 1
        numbered.append((turns[address], job))
    return [job for _turn, job in sorted(numbered, key=lambda one: one[0])]


def _ordered(rows: list[EndpointReport]) -> list[EndpointReport]:
    return sorted(rows, key=lambda row: (":" in (row.address or ""), row.address or "", row.key_algorithm or ""))


def _report(routes: Sequence[MailRoute], rows: list[EndpointReport]) -> Report:
    unroutable = [row for route in routes if (row := judge_unroutable(route, 25, Starttls.SMTP))]
    rows = [*unroutable, *compared(rows)]
    of_domain: dict[str | None, list[Verdict]] = {}
    for row in rows:
        of_domain.setdefault(row.domain, []).append(row.verdict)
    domains = []
    for route in routes:
        verdicts = of_domain.get(route.domain, [])
        hosts = tuple(host.name for host in route.hosts)
        domains.append(DomainReport(route.domain, worst(verdicts), route.secure, hosts, route.oddities))
    return Report(tuple(rows), tuple(domains))
