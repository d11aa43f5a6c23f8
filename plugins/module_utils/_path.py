# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The path from a served leaf certificate to a trust anchor, built and judged as OpenSSL does for DANE-TA.

OpenSSL is what Postfix and Exim verify with, so its order of search is followed: one issuer is chosen at each step and
never taken back. Names and TLSA records are no concern of this file.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._deps import built_of_libraries, importing

with importing():
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ._certificate import certificate_parts, extension, is_ca, not_after, not_before, shown_name
from ._errors import InvalidCertificate
from ._name_constraints import name_constraint_problem
from ._signature import signature_problem, signature_suits

if t.TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ._der import CertificateParts

__all__ = ["Link", "build_path", "path_problem", "path_signature_problem"]

with built_of_libraries():
    _SERVER_PURPOSES: t.Final = frozenset(
        {ExtendedKeyUsageOID.SERVER_AUTH, x509.ObjectIdentifier("2.16.840.1.113730.4.1")}  # the latter: Netscape SGC
    )
    # OpenSSL's X509_supported_extension(): an unknown critical extension forbids the use of a certificate.
    _UNDERSTOOD: t.Final = frozenset(
        {
            ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
            ExtensionOID.BASIC_CONSTRAINTS,
            ExtensionOID.CERTIFICATE_POLICIES,
            ExtensionOID.CRL_DISTRIBUTION_POINTS,
            ExtensionOID.EXTENDED_KEY_USAGE,
            ExtensionOID.INHIBIT_ANY_POLICY,
            ExtensionOID.KEY_USAGE,
            ExtensionOID.NAME_CONSTRAINTS,
            ExtensionOID.POLICY_CONSTRAINTS,
            ExtensionOID.POLICY_MAPPINGS,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
            ExtensionOID.SUBJECT_KEY_IDENTIFIER,
            x509.ObjectIdentifier("2.16.840.1.113730.1.1"),  # Netscape certificate type
        }
    )


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate with the octets that it consists of."""

    certificate: x509.Certificate
    parts: CertificateParts

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Link:
        return cls(certificate, certificate_parts(certificate))

    @property
    def self_issued(self) -> bool:
        return self.parts.issuer == self.parts.subject


def build_path(served: Sequence[Link], offered: Sequence[Link], now: datetime | None) -> list[Link]:
    """The leaf and, one above the other, its issuers as far as they are among those served or ``offered`` beside.

    ``served`` is not empty and begins with the leaf; ``offered`` are the certificates of 2 0 0 records (RFC 7671
    section 5.2.3). Of several issuers with one name, those that are valid at ``now`` go first.
    """
    path = [served[0]]
    candidates = [*served[1:], *offered]
    while not _names(path[-1], path[-1]):
        issuers = [link for link in candidates if link not in path and _may_have_issued(link, path[-1])]
        if not issuers:
            break
        valid = [link for link in issuers if now is None or _date_problem(link.certificate, now) is None]
        path.append(valid[0] if valid else max(issuers, key=lambda link: not_after(link.certificate)))
    return path


def _may_have_issued(issuer: Link, subject: Link) -> bool:
    """What OpenSSL's X509_check_issued() looks at; the signature is judged later."""
    if not _names(subject, issuer):
        return False
    usage = extension(issuer.certificate, x509.KeyUsage)
    return usage is None or usage.key_cert_sign


def _names(subject: Link, issuer: Link) -> bool:
    """Does a certificate name another as its issuer, by name, kind of key and key identifiers?

    One that names itself is taken as self-signed, and the path ends there.
    """
    if subject.parts.issuer != issuer.parts.subject:
        return False
    try:
        suits = signature_suits(subject.parts, issuer.parts.spki)
        named = extension(subject.certificate, x509.AuthorityKeyIdentifier)
        held = extension(issuer.certificate, x509.SubjectKeyIdentifier)
    except InvalidCertificate:
        return False
    if named is not None:
        if named.key_identifier is not None and held is not None and named.key_identifier != held.digest:
            return False
        serial = named.authority_cert_serial_number
        if serial is not None and serial != issuer.certificate.serial_number:
            return False
    return suits


def path_problem(path: Sequence[Link], bare_key: bytes | None, now: datetime) -> str | None:
    """Why a path does not lead from its leaf to a trust anchor; None when it does.

    The anchor is the last certificate of ``path``; with ``bare_key``, a SubjectPublicKeyInfo, it is that key, and all
    of ``path`` lies below it.
    """
    try:
        return (
            _extension_problem(path)
            or _constraint_problem(path)
            or path_signature_problem(path, bare_key)
            or _validity_problem(path, bare_key, now)
        )
    except InvalidCertificate as exc:
        return str(exc)


def _extension_problem(path: Sequence[Link]) -> str | None:
    below = 0  # intermediates between this certificate and the leaf, self-issued ones not counted
    for depth, link in enumerate(path):
        certificate, name = link.certificate, shown_name(link.certificate)
        extension(certificate, x509.BasicConstraints)  # reads them all
        for found in certificate.extensions:
            if found.critical and found.oid not in _UNDERSTOOD:
                return (
                    f"certificate {name} has the critical extension {found.oid.dotted_string}, which is not understood"
                )
        purposes = extension(certificate, x509.ExtendedKeyUsage)
        if purposes is not None and not _SERVER_PURPOSES.intersection(purposes):
            return f"certificate {name} is not for TLS servers: its extended key usage lacks serverAuth"
        top = depth == len(path) - 1
        problem = _leaf_usage_problem(certificate) if depth == 0 else _ca_problem(certificate, below, top=top)
        if problem:
            return f"certificate {name} {problem}"
        if depth > 0 and not link.self_issued:
            below += 1
    return None


def _leaf_usage_problem(certificate: x509.Certificate) -> str | None:
    usage = extension(certificate, x509.KeyUsage)
    if usage is None or usage.digital_signature or usage.key_encipherment or usage.key_agreement:
        return None
    return "may not be used by a TLS server: its key usage allows neither signatures nor key exchange"


def _ca_problem(certificate: x509.Certificate, below: int, *, top: bool) -> str | None:
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None:
        # OpenSSL lets the topmost certificate be an old root, or a CA by its key usage alone. That the key usage, if
        # there is one, has keyCertSign was seen when the path was built.
        usage = extension(certificate, x509.KeyUsage)
        old_root = certificate.version is x509.Version.v1 and certificate.issuer == certificate.subject
        return None if top and (usage is not None or old_root) else "is no CA: it has no basic constraints"
    if not is_ca(certificate):
        return "is no CA, by its basic constraints"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"allows {constraints.path_length} CAs below it, and there are {below}"
    return None


def _constraint_problem(path: Sequence[Link]) -> str | None:
    for depth, link in enumerate(path[1:], 1):
        constraints = extension(link.certificate, x509.NameConstraints)
        if constraints is None:
            continue
        for lower in range(depth):
            if lower > 0 and path[lower].self_issued:
                continue
            if problem := name_constraint_problem(constraints, path[lower].certificate):
                return f"the name constraints of {shown_name(link.certificate)} exclude {problem}"
    return None


def path_signature_problem(path: Sequence[Link], bare_key: bytes | None) -> str | None:
    """Which certificate of a path is not signed by the one above, or by ``bare_key`` at the top; None when all are."""
    keys = [link.parts.spki for link in path[1:]]
    if bare_key is not None:
        keys.append(bare_key)
    for depth, (link, key) in enumerate(zip(path, keys, strict=False)):
        if problem := signature_problem(link.parts, key):
            return f"certificate {shown_name(link.certificate)} at depth {depth} does not lead to it: {problem}"
    return None


def _validity_problem(path: Sequence[Link], bare_key: bytes | None, now: datetime) -> str | None:
    # The dates of an anchor are no part of path validation (RFC 5280 section 6.1.1 d). OpenSSL does look at those of a
    # self-signed one, and what it defers may not be called verified here.
    dated = path if bare_key is not None or path[-1].self_issued else path[:-1]
    for depth, link in enumerate(dated):
        if problem := _date_problem(link.certificate, now):
            return f"certificate {shown_name(link.certificate)} at depth {depth} {problem}"
    return None


def _date_problem(certificate: x509.Certificate, now: datetime) -> str | None:
    if now < not_before(certificate):
        return f"is not valid before {not_before(certificate):%Y-%m-%d %H:%M:%S} UTC"
    if now > not_after(certificate):
        return f"expired on {not_after(certificate):%Y-%m-%d %H:%M:%S} UTC"
    return None
