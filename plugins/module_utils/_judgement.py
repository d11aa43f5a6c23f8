# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The verdict on an endpoint, from what the DNS said and what one handshake showed (RFC 7672 sections 2 and 3).

Pure: no I/O and no clock. The order of the questions is that in which a sender meets them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ._advice import advice_on
from ._certificate import load_der_certificate, not_before
from ._dane import Outcome as Match
from ._dane import breaches_of_rfc7671_section8, match, matches_chain
from ._endpoint_report import EndpointReport, certificate_report, timestamp
from ._errors import InvalidCertificate, InvalidName
from ._names import to_ascii
from ._starttls import Outcome
from ._tlsa import Usage
from ._usability import unusable_reason
from ._verdicts import Cause, reason
from ._x509 import tlsa_record_for

if t.TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from ._dane import MatchResult
    from ._dialogues import Starttls
    from ._starttls import Handshake
    from ._tlsa import TlsaRecord
    from ._walk import Addresses, Failure, MailRoute, TlsaSet

__all__ = ["Place", "judge_failure", "judge_handshake", "judge_unroutable", "settled"]


@dataclass(frozen=True, slots=True)
class Place:
    """What is judged: a port of a host, on the way from a mail domain (``route``) or by itself."""

    host: str
    port: int
    starttls: Starttls
    route: MailRoute | None = None

    @property
    def domain(self) -> str | None:
        return self.route.domain if self.route else None


def judge_unroutable(route: MailRoute, port: int, starttls: Starttls) -> EndpointReport | None:
    """The row of a domain whose mail leads to no host; None where it has hosts, or takes no mail at all."""
    row = EndpointReport(route.domain, None, None, port, starttls.value)
    if route.failure:
        return _failed(row, route.failure)
    if route.missing:
        return settled(row, Cause.NO_SUCH_DOMAIN, domain=route.domain)
    return None


def judge_failure(place: Place, addresses: Addresses, tlsa: TlsaSet | None) -> tuple[EndpointReport, ...]:
    """The rows for look-ups that failed, and for a host without any address; none when all is well so far."""
    row = EndpointReport(place.domain, place.host, None, place.port, place.starttls.value)
    failures = addresses.failures if tlsa is None or tlsa.failure is None else (*addresses.failures, tlsa.failure)
    if failures:
        return tuple(_failed(row, failure) for failure in failures)
    if not addresses.addresses:
        return (settled(row, Cause.NO_ADDRESS, host=place.host, domain=place.domain or place.host),)
    return ()


def _failed(row: EndpointReport, failure: Failure) -> EndpointReport:
    of_records = failure.question.endswith(" TLSA")
    if failure.bogus:
        cause = Cause.DENIAL_BOGUS if of_records and failure.denial else Cause.VALIDATION_FAILED
    else:
        cause = Cause.TLSA_UNANSWERED if of_records else Cause.LOOKUP_FAILED
    return settled(row, cause, question=failure.question, detail=failure.message)


def settled(row: EndpointReport, cause: Cause, **facts: object) -> EndpointReport:
    """The row with the verdict, the word and the sentence of `cause`. Raises KeyError for a missing fact."""
    return replace(row, verdict=cause.verdict, cause=cause.word, reason=reason(cause, **facts))


def judge_handshake(
    place: Place, addresses: Addresses, tlsa: TlsaSet, shake: Handshake, now: datetime
) -> EndpointReport:
    """The row for what one handshake with one address showed. ``now`` has a time zone."""
    texts = {record: record.to_text() for record in tlsa.records}
    row = EndpointReport(
        domain=place.domain,
        host=place.host,
        address=shake.endpoint.address,
        port=place.port,
        starttls=place.starttls.value,
        key_algorithm=shake.key_name or (shake.asked_for.value if shake.asked_for else None),
        owner=tlsa.owner,
        tlsa=tuple(texts.values()),
        tls_version=shake.tls_version or None,
    )
    facts = _Facts(place, addresses, tlsa, shake)
    if shake.outcome is not Outcome.SERVED:
        return facts.without_chain(row)
    try:
        chain = tuple(load_der_certificate(certificate) for certificate in shake.chain)
        result = match(tlsa.records, chain, facts.references, now)
    except InvalidCertificate as error:
        return facts.settle(row, Cause.CHAIN_UNREADABLE, why=error)
    facts.chain = chain
    row = facts.by_match(row, result)
    reports = tuple(certificate_report(certificate) for certificate in chain)
    return replace(
        row,
        matched=texts[result.matched] if result.matched else None,
        covered_by=tuple(text for record, text in texts.items() if _stands_for(record, chain)),
        chain=reports,
        not_after=reports[0].not_after,
        breaches=_breaches(tlsa, chain),
        advice=advice_on(addresses, tlsa, chain[0], shake.tls_version, now),
    )


def _breaches(tlsa: TlsaSet, chain: tuple[x509.Certificate, ...]) -> tuple[str, ...]:
    try:
        found = breaches_of_rfc7671_section8(tlsa.records, [chain])
    except InvalidCertificate as error:
        return (f"RFC 7671 section 8 cannot be judged: {error}",)
    return tuple(
        "no record with {} {} {} matches this chain, and RFC 7671 section 8 wants one".format(*breach.parameters)
        for breach in found
    )


class _Facts:
    """Everything that a sentence may speak of."""

    chain: tuple[x509.Certificate, ...] = ()

    def __init__(self, place: Place, addresses: Addresses, tlsa: TlsaSet, shake: Handshake) -> None:
        self.place, self.addresses, self.tlsa, self.shake = place, addresses, tlsa, shake

    @property
    def references(self) -> tuple[str, ...]:
        """The names that a certificate may have under DANE-TA (RFC 7672 section 3.2.2)."""
        route = self.place.route
        names = (self.tlsa.base, *(route.names if route else ()))
        return tuple(dict.fromkeys(name for name in names if _is_host_name(name)))

    def settle(self, row: EndpointReport, cause: Cause, **facts: object) -> EndpointReport:
        place, shake = self.place, self.shake
        return settled(
            row,
            cause,
            **{
                "address": shake.endpoint.address,
                "alias": self.addresses.alias_of,
                "detail": shake.detail,
                "domain": place.domain or place.host,
                "host": place.host,
                "key": shake.key_name or shake.asked_for,
                "owner": self.tlsa.owner,
                "port": place.port,
                **({"wanted": self._wanted()} if "{wanted}" in cause.value[2] else {}),
                **facts,
            },
        )

    def _wanted(self) -> str:
        if not self.chain:
            return "the record of its key"
        return tlsa_record_for(self.chain[0]).to_text()

    def without_chain(self, row: EndpointReport) -> EndpointReport:
        """The verdict where no handshake was completed."""
        promised = bool(self.tlsa.records or self.tlsa.unreadable)
        match self.shake.outcome:
            case Outcome.NO_ROUTE:
                return self.settle(row, Cause.NO_ROUTE)
            case _ if self.shake.asked_for:
                return self.settle(row, Cause.ALGORITHM_NOT_SEEN)
            case Outcome.NO_STARTTLS if promised:
                return self.settle(row, Cause.NO_STARTTLS)
            case Outcome.TLS_FAILED if promised:
                return self.settle(row, Cause.HANDSHAKE_FAILED)
            case Outcome.NO_STARTTLS | Outcome.TLS_FAILED if self.place.starttls.value != "none":
                return self._without_records(row, Cause.NO_RECORDS_NO_TLS)
            case _:
                return self.settle(row, Cause.NOT_CONNECTED)

    def _without_records(self, row: EndpointReport, cause: Cause) -> EndpointReport:
        if self.tlsa.denied:
            return self.settle(row, cause)
        if self.addresses.secure:
            return self.settle(row, Cause.TLSA_UNSIGNED)
        return self.settle(row, Cause.ALIAS_UNSIGNED if self.addresses.alias_of else Cause.HOST_UNSIGNED)

    def by_match(self, row: EndpointReport, result: MatchResult) -> EndpointReport:
        """The verdict once the chain was held against the records."""
        match result.outcome:
            case Match.ABSENT if self.tlsa.unreadable:
                return self.settle(row, Cause.NO_USABLE_RECORD, why=f"{self.tlsa.unreadable[0]} is cut off")
            case Match.ABSENT:
                return self._without_records(row, Cause.NO_RECORDS)
            case Match.UNUSABLE:
                first = result.unmatched[0]
                return self.settle(row, Cause.NO_USABLE_RECORD, why=f"{_short(first.record)}: {first.reason}")
            case Match.MATCHED:
                signed = self.place.route is None or self.place.route.secure
                cause = Cause.MATCHED if signed else Cause.MX_UNSIGNED
                return self.settle(row, cause, record=_short(result.matched))
            case _:
                return self._mismatch(row, result)

    def _mismatch(self, row: EndpointReport, result: MatchResult) -> EndpointReport:
        usable = [unmatched for unmatched in result.unmatched if unmatched.usable]
        for unmatched in usable:
            if unmatched.record.usage == Usage.DANE_EE and _covers(unmatched.record, self.chain[0]):
                return self.settle(
                    row, Cause.STRONGER_DIGEST_STALE, record=_short(unmatched.record), why=unmatched.reason
                )
        authorities = [unmatched for unmatched in usable if unmatched.record.usage == Usage.DANE_TA]
        for unmatched in authorities:
            if any(_covers(unmatched.record, certificate) for certificate in self.chain[1:]):
                return self.settle(row, Cause.AUTHORITY_FAILS, record=_short(unmatched.record), why=unmatched.reason)
        published = " or ".join(_short(unmatched.record) for unmatched in usable[:3])
        if len(authorities) == len(usable):
            return self.settle(row, Cause.AUTHORITY_NOT_SERVED, published=published)
        return self.settle(
            row, Cause.KEY_NOT_LISTED, published=published, not_before=timestamp(not_before(self.chain[0]))[:10]
        )


def _short(record: TlsaRecord | None) -> str:
    """A record as a sentence shows it: the whole of a long digest helps nobody there."""
    text = record.to_text() if record else ""
    return text if len(text) <= 24 else f"{text[:18]}..."


def _covers(record: TlsaRecord, certificate: x509.Certificate) -> bool:
    return tlsa_record_for(certificate, *record.parameters) == record


def _stands_for(record: TlsaRecord, chain: tuple[x509.Certificate, ...]) -> bool:
    """Whether the record is of this chain; one that nobody can use is of none."""
    if unusable_reason(record) is not None:
        return False
    return _covers(record, chain[0]) if record.usage == Usage.DANE_EE else matches_chain(record, chain)


def _is_host_name(name: str) -> bool:
    try:
        return to_ascii(name) == name
    except InvalidName:
        return False
