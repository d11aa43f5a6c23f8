# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Name constraints of CAs (RFC 5280 section 4.2.1.10), for the names that mail servers' certificates have."""

from __future__ import annotations

import typing as t

from ._deps import importing

with importing():
    from cryptography import x509

from ._certificate import extension, host_names

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["name_constraint_problem"]


def name_constraint_problem(constraints: x509.NameConstraints, certificate: x509.Certificate) -> str | None:
    """The first name of a certificate that the constraints of a CA above it exclude, with the reason; else None.

    Host names and directory names are judged. A name of another kind is refused when that kind is constrained at all,
    because passing it over would be wrong on the side of trust. Raises InvalidCertificate.
    """
    for name in _names(certificate):
        permitted = _of_kind(constraints.permitted_subtrees, name)
        excluded = _of_kind(constraints.excluded_subtrees, name)
        if not permitted and not excluded:
            continue
        if not isinstance(name, (x509.DNSName, x509.DirectoryName)):
            return f"{_shown(name)}, a kind of name whose constraints are not supported here"
        if any(_within(name, subtree) for subtree in excluded):
            return f"{_shown(name)}, which is in an excluded subtree"
        if permitted and not any(_within(name, subtree) for subtree in permitted):
            return f"{_shown(name)}, which is in no permitted subtree"
    return None


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    alternative = extension(certificate, x509.SubjectAlternativeName)
    if alternative is not None:
        yield from alternative
    if alternative is None or not alternative.get_values_for_type(x509.DNSName):
        # A common name that stands for a host name (RFC 7672 section 3.2.3) is constrained like one, as in OpenSSL.
        yield from (x509.DNSName(name) for name in host_names(certificate) if "." in name and name.isascii())
    if list(certificate.subject):
        yield x509.DirectoryName(certificate.subject)


def _of_kind(subtrees: Sequence[x509.GeneralName] | None, name: x509.GeneralName) -> list[x509.GeneralName]:
    return [subtree for subtree in subtrees or () if type(subtree) is type(name)]


def _within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    """Both are of one kind."""
    if isinstance(name, x509.DirectoryName):
        base: list[x509.RelativeDistinguishedName] = subtree.value.rdns
        return name.value.rdns[: len(base)] == base
    host, domain = str(name.value).lower(), str(subtree.value).lower()
    if not domain:
        return True
    # ".example.org" is common though RFC 5280 writes it without the dot; OpenSSL then wants a label before it.
    return host.endswith(domain) if domain.startswith(".") else f".{host}".endswith(f".{domain}")


def _shown(name: x509.GeneralName) -> str:
    value = name.value
    return repr(value.rfc4514_string() if isinstance(value, x509.Name) else str(value))
