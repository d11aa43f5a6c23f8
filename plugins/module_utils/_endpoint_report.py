# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What is reported of one endpoint, and of one certificate in it; docs/report-schema.md describes the fields."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import typing as t
from dataclasses import dataclass

from ._certificate import certificate_parts, host_names, not_after, not_before, shown_name
from ._errors import InvalidCertificate
from ._signature import key_algorithm
from ._verdicts import Verdict

if t.TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

__all__ = ["CertificateReport", "EndpointReport", "certificate_report", "plain", "timestamp"]


def timestamp(moment: datetime) -> str:
    """``2026-11-20T08:00:00Z``; `moment` is in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class CertificateReport:
    """A certificate as served. The digests are what TLSA records with matching type 1 would hold."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    key_algorithm: str
    not_before: str
    not_after: str
    cert_sha256: str
    spki_sha256: str


@functools.lru_cache(maxsize=32)  # a server shows one chain at all its addresses
def certificate_report(certificate: x509.Certificate) -> CertificateReport:
    """Describe a certificate; whatever in it cannot be read is left empty rather than the whole."""
    parts = certificate_parts(certificate)
    try:
        issuer = certificate.issuer.rfc4514_string()
    except (ValueError, TypeError):
        issuer = ""
    try:
        names = host_names(certificate)
    except InvalidCertificate:
        names = ()
    return CertificateReport(
        subject=shown_name(certificate),
        issuer=issuer,
        names=names,
        key_algorithm=key_algorithm(parts.spki),
        not_before=timestamp(not_before(certificate)),
        not_after=timestamp(not_after(certificate)),
        cert_sha256=hashlib.sha256(parts.der).hexdigest(),
        spki_sha256=hashlib.sha256(parts.spki).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """One row: a chain that is served at an address and port, or why none was seen.

    What does not apply is None: ``domain`` for a host that was asked for by itself, ``host`` and ``address`` where the
    DNS did not lead so far, ``key_algorithm`` where no chain was seen. ``cause`` is the word of a Cause.
    """

    domain: str | None
    host: str | None
    address: str | None
    port: int
    starttls: str
    verdict: Verdict = Verdict.UNKNOWN
    cause: str = ""
    reason: str = ""
    key_algorithm: str | None = None
    owner: str | None = None
    tlsa: tuple[str, ...] = ()
    matched: str | None = None
    covered_by: tuple[str, ...] = ()
    chain: tuple[CertificateReport, ...] = ()
    not_after: str | None = None
    tls_version: str | None = None
    breaches: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, t.Any]:
        """The row as plain data, for a module's result and for JSON."""
        return t.cast("dict[str, t.Any]", plain(self))


def plain(value: object) -> object:
    """Turn data classes into dicts and tuples into lists, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value.value if isinstance(value, enum.Enum) else value
