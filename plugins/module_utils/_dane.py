# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a DANE client for mail makes of a TLSA RRset and a served chain (RFC 7671, RFC 7672 section 3).

Whether the RRset is secure in the sense of DNSSEC is judged before: an insecure one must not come here.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

from ._certificate import host_names, load_der_certificate
from ._errors import InvalidCertificate
from ._names import matches_reference, to_ascii
from ._path import Link, build_path, path_problem, path_signature_problem
from ._signature import signature_problem
from ._tlsa import MatchingType, Selector, TlsaRecord, Usage
from ._usability import data_problem, passed_over, unusable_reason
from ._x509 import tlsa_record_for

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography import x509

    from ._der import CertificateParts

__all__ = [
    "Breach",
    "MatchResult",
    "Outcome",
    "Unmatched",
    "breaches_of_rfc7671_section8",
    "match",
    "matches_chain",
    "unusable_reason",
]


class Outcome(enum.Enum):
    """What the records say of the chain."""

    MATCHED = "matched"
    MISMATCH = "mismatch"
    UNUSABLE = (
        "unusable"  # records, and none usable: TLS is mandatory, authentication impossible (RFC 7672 section 2.2)
    )
    ABSENT = "absent"  # no records at all


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A record that did not match, and why: a clause that can follow ``3 1 1 8a9f...: ``."""

    record: TlsaRecord
    usable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The outcome; the record that matched and at which depth (0 is the leaf), or for every record why it did not.

    ``depth`` is that of the matching certificate; for an anchor outside the served chain (2 0 0 and 2 1 0), it is the
    number of certificates below the anchor.
    """

    outcome: Outcome
    matched: TlsaRecord | None
    depth: int | None
    unmatched: tuple[Unmatched, ...]

    @property
    def verified(self) -> bool:
        return self.outcome is Outcome.MATCHED


@dataclass(frozen=True, slots=True)
class Breach:
    """A chain (its place among those given) that no record of a (usage, selector, matching type) matches."""

    parameters: tuple[int, int, int]
    chain: int


def match(
    rrset: Iterable[TlsaRecord],
    served_chain: Sequence[x509.Certificate],
    reference_identifiers: Iterable[str],
    now: datetime,
) -> MatchResult:
    """Judge a served chain, leaf first, by the TLSA RRset of its endpoint.

    ``reference_identifiers`` are host names: the TLSA base domain, and the next-hop domain where RFC 7672 section 3.2.2
    allows it. They and the validity dates count for DANE-TA only. ``now`` has a time zone.
    Raises InvalidName, and InvalidCertificate when what the server sent is malformed.
    """
    references = [to_ascii(name) for name in reference_identifiers]
    records = tuple(dict.fromkeys(rrset))
    if not records:
        return MatchResult(Outcome.ABSENT, None, None, ())
    reasons = {record: reason for record in records if (reason := unusable_reason(record))}
    usable = [record for record in records if record not in reasons]
    if not usable:
        return _result(Outcome.UNUSABLE, records, usable, reasons)
    reasons |= passed_over(usable)
    considered = [record for record in usable if record not in reasons]
    links = [Link.of(certificate) for certificate in served_chain]
    if not links:
        reasons.update(dict.fromkeys(considered, "the server sent no certificate"))
        return _result(Outcome.MISMATCH, records, usable, reasons)
    for record in considered:
        if record.usage == Usage.DANE_EE and _covers(record, links[0].parts):
            return MatchResult(Outcome.MATCHED, record, 0, ())
    anchors = [record for record in considered if record.usage == Usage.DANE_TA]
    path = build_path(links, _offered(anchors), now)
    anchor = _find_anchor(anchors, path)
    if anchor:
        problem = path_problem(path[: anchor.depth + 1], anchor.bare_key, now)
        problem = problem or _name_problem(links[0].certificate, references)
        if problem is None:
            return MatchResult(Outcome.MATCHED, anchor.record, anchor.depth, ())
        reasons[anchor.record] = f"it is the trust anchor of the chain, but {problem}"
    for record in considered:
        reasons.setdefault(record, _mismatch(record, links))
    return _result(Outcome.MISMATCH, records, usable, reasons)


def breaches_of_rfc7671_section8(
    rrset: Iterable[TlsaRecord], chains: Sequence[Sequence[x509.Certificate]]
) -> tuple[Breach, ...]:
    """Where an RRset breaks the rule that every (usage, selector, matching type) in it matches every chain served.

    Combinations that nobody can compute (private, unknown) are not judged. An empty result means that the rule holds.
    Raises InvalidCertificate when a chain is malformed.
    """
    groups: dict[tuple[int, int, int], list[TlsaRecord]] = {}
    for record in rrset:
        if record.usage <= 3 and record.selector <= 1 and record.matching_type <= 2:
            groups.setdefault(record.parameters, []).append(record)
    return tuple(
        Breach(parameters, number)
        for parameters in sorted(groups)
        for number, chain in enumerate(chains)
        if not any(matches_chain(record, chain) for record in groups[parameters])
    )


def matches_chain(record: TlsaRecord, chain: Sequence[x509.Certificate]) -> bool:
    """Is a record's data that of the chain: of its leaf or, for usages 0 and 2, of an issuer on the leaf's path?

    Names, dates and constraints are not looked at. Raises InvalidCertificate when the chain is malformed.
    """
    links = [Link.of(certificate) for certificate in chain]
    if not links or data_problem(record):
        return False
    if record.usage in (Usage.PKIX_EE, Usage.DANE_EE):
        return _covers(record, links[0].parts)
    path = build_path(links, _offered([record]), None)
    anchor = _find_anchor([record], path)
    return anchor is not None and path_signature_problem(path[: anchor.depth + 1], anchor.bare_key) is None


# --- the parts of a match ---------------------------------------------------------------------------------------------


class _Anchor(t.NamedTuple):
    """The record that names a trust anchor, the anchor's depth in the path, and its key if that is all there is."""

    record: TlsaRecord
    depth: int
    bare_key: bytes | None


def _covers(record: TlsaRecord, parts: CertificateParts) -> bool:
    return tlsa_record_for(parts, *record.parameters).data == record.data


def _offered(anchors: Iterable[TlsaRecord]) -> list[Link]:
    """The certificates that 2 0 0 records bring with them (RFC 7671 section 5.2.3)."""
    return [
        Link.of(load_der_certificate(record.data))
        for record in anchors
        if record.parameters == (Usage.DANE_TA, Selector.CERT, MatchingType.FULL)
    ]


def _find_anchor(anchors: Sequence[TlsaRecord], path: Sequence[Link]) -> _Anchor | None:
    for depth, link in enumerate(path[1:], 1):
        for record in anchors:
            if _covers(record, link.parts):
                return _Anchor(record, depth, None)
    for record in anchors:
        # A bare key needs no certificate of the anchor: it verifies the topmost one there is.
        if record.parameters == (Usage.DANE_TA, Selector.SPKI, MatchingType.FULL) and (
            signature_problem(path[-1].parts, record.data) is None
        ):
            return _Anchor(record, len(path), record.data)
    return None


def _name_problem(leaf: x509.Certificate, references: Sequence[str]) -> str | None:
    try:
        names = host_names(leaf)
    except InvalidCertificate as exc:
        return str(exc)
    if any(matches_reference(name, reference) for name in names for reference in references):
        return None
    return (
        f"the certificate is for {', '.join(names) or 'no host name'}, not for {' or '.join(references) or 'nothing'}"
    )


def _mismatch(record: TlsaRecord, links: Sequence[Link]) -> str:
    """Why a usable record is not of this chain, with the likely mistake where there is one."""
    of_leaf = _covers(record, links[0].parts)
    of_other = any(_covers(record, link.parts) for link in links[1:])
    if record.usage == Usage.DANE_EE:
        if of_other:
            return "it matches a CA certificate of the chain, which wants certificate usage dane-ta (2)"
        what = "public key" if record.selector == Selector.SPKI else "certificate"
        return f"the {what} of the server's leaf certificate is another one"
    if of_leaf:
        return "it matches the leaf certificate, which wants certificate usage dane-ee (3)"
    if of_other:
        return "it matches a certificate that is served but did not issue the leaf"
    return "no issuer in the served chain matches it; the trust anchor must be served (RFC 7671 section 5.2.2)"


def _result(
    outcome: Outcome,
    records: Iterable[TlsaRecord],
    usable: Iterable[TlsaRecord],
    reasons: t.Mapping[TlsaRecord, str],
) -> MatchResult:
    good = set(usable)
    return MatchResult(
        outcome, None, None, tuple(Unmatched(record, record in good, reasons[record]) for record in records)
    )
