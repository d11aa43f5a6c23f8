# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which certificates of a file form a chain, and which certificate of a chain a record of a usage speaks of."""

from __future__ import annotations

import typing as t

from ._deps import importing

with importing():
    from cryptography import x509

from ._certificate import certificate_parts, extension, is_ca, shown_name
from ._errors import InvalidCertificate
from ._signature import signature_problem
from ._tlsa import Usage

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Chain", "certificate_for_usage", "split_chains"]

Chain: t.TypeAlias = "tuple[x509.Certificate, ...]"


def split_chains(certificates: Iterable[x509.Certificate]) -> tuple[Chain, ...]:
    """Tell several chains of one file apart.

    A certificate that is no CA, or that names a host, begins a chain unless it issued one that stands before it; so
    does a self-signed one after others that are self-signed and alone. Raises InvalidCertificate where a self-signed
    certificate may be either a chain of its own or a root whose intermediate is missing.
    """
    groups: list[list[x509.Certificate]] = []
    for certificate in certificates:
        end_entity = not is_ca(certificate) or _names_host(certificate)
        if not groups or (end_entity and not any(_issued(certificate, other) for other in groups[-1])):
            groups.append([])
        groups[-1].append(certificate)
    return tuple(chain for group in groups for chain in _apart(group))


def _apart(group: Sequence[x509.Certificate]) -> list[Chain]:
    """One group as one chain, or, where all of it are unrelated self-signed certificates, as a chain for each."""
    strays = [
        certificate
        for certificate in group[1:]
        if _issued(certificate, certificate)
        and not any(_issued(certificate, other) for other in group if other != certificate)
    ]
    if not strays:
        return [tuple(group)]
    if len(strays) == len(group) - 1 and _issued(group[0], group[0]):
        return [(certificate,) for certificate in group]
    msg = (
        f"Self-signed certificate {shown_name(strays[0])} issued none of the certificates before it: add the missing "
        "intermediate, leave the certificate out, or, if it is a chain of its own, put its private key before it"
    )
    raise InvalidCertificate(msg)


def certificate_for_usage(chain: Sequence[x509.Certificate], usage: int) -> x509.Certificate:
    """The certificate whose data a record of ``usage`` holds.

    That is the leaf, but for PKIX-TA and DANE-TA: there it is the CA that issued the leaf, which is served with it, or
    the first certificate itself where the chain is one of CAs. Raises InvalidCertificate when no such CA is there.
    """
    leaf = chain[0]
    if usage not in (Usage.PKIX_TA, Usage.DANE_TA) or (is_ca(leaf) and not _names_host(leaf)):
        return leaf
    for certificate in chain[1:]:
        if is_ca(certificate) and _issued(certificate, leaf):
            return certificate
    msg = (
        f"Usage {Usage(usage).label} ({usage}) needs the CA that issued {shown_name(leaf)}, and the input lacks it; "
        "give the chain as it is served, or the CA's certificate"
    )
    raise InvalidCertificate(msg)


def _names_host(certificate: x509.Certificate) -> bool:
    names = extension(certificate, x509.SubjectAlternativeName)
    return names is not None and bool(names.get_values_for_type(x509.DNSName))


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    above, below = certificate_parts(issuer), certificate_parts(certificate)
    return below.issuer == above.subject and signature_problem(below, above.spki) is None
