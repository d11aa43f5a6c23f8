# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Questions about one certificate, answered alike by every cryptography from 38 (Debian 12) on."""

from __future__ import annotations

import functools
import typing as t
from datetime import UTC, datetime

from ._deps import importing

with importing():
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

from ._der import CertificateParts, read_certificate
from ._errors import InvalidCertificate
from ._signature import signature_algorithm

__all__ = [
    "certificate_parts",
    "extension",
    "host_names",
    "is_ca",
    "load_der_certificate",
    "not_after",
    "not_before",
    "shown_name",
]

_Extension = t.TypeVar("_Extension", bound="x509.ExtensionType")


@functools.lru_cache(maxsize=32)  # a server shows one chain at all its addresses
def load_der_certificate(der: bytes) -> x509.Certificate:
    """Read one DER certificate. Raises InvalidCertificate: malformed, or signed by an algorithm that nobody knows."""
    signature_algorithm(read_certificate(der))
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as exc:
        msg = f"The certificate cannot be read: {exc}"
        raise InvalidCertificate(msg) from exc


def certificate_parts(certificate: x509.Certificate) -> CertificateParts:
    """The octets of a certificate that cryptography has read. Raises InvalidCertificate."""
    return read_certificate(certificate.public_bytes(Encoding.DER))


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The value of an extension; None when it is not there.

    Raises InvalidCertificate when any extension of the certificate is malformed or there twice: a certificate that is
    understood in part is not understood.
    """
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as exc:
        msg = f"The extensions of certificate {shown_name(certificate)} cannot be read: {exc}"
        raise InvalidCertificate(msg) from exc


def is_ca(certificate: x509.Certificate) -> bool:
    """Do its basic constraints call it a CA (RFC 5280 section 4.2.1.9)? Raises InvalidCertificate."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def host_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its DNS-IDs; its common names only if it has no DNS-ID (RFC 7672 section 3.2.3). Raises InvalidCertificate."""
    alternative = extension(certificate, x509.SubjectAlternativeName)
    names = alternative.get_values_for_type(x509.DNSName) if alternative is not None else []
    if names:
        return tuple(names)
    try:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError) as exc:
        msg = f"The subject of certificate {certificate.serial_number:x} cannot be read: {exc}"
        raise InvalidCertificate(msg) from exc
    return tuple(attribute.value for attribute in common if isinstance(attribute.value, str))


def shown_name(certificate: x509.Certificate) -> str:
    """How messages call a certificate: by its subject, or by its serial number where the subject says nothing."""
    try:
        return certificate.subject.rfc4514_string() or f"with serial number {certificate.serial_number:x}"
    except (ValueError, TypeError):
        return f"with serial number {certificate.serial_number:x}"


def not_before(certificate: x509.Certificate) -> datetime:
    """The first moment of its validity, with its time zone."""
    return _moment(certificate, "not_valid_before")


def not_after(certificate: x509.Certificate) -> datetime:
    """The last moment of its validity, with its time zone."""
    return _moment(certificate, "not_valid_after")


def _moment(certificate: x509.Certificate, attribute: str) -> datetime:
    # cryptography 42 brought the attributes with a time zone and deprecated those without.
    aware = getattr(certificate, f"{attribute}_utc", None)
    moment: datetime = aware or getattr(certificate, attribute)
    return moment.replace(tzinfo=UTC)
