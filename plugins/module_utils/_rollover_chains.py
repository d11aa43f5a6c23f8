# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Served and servable chains as the rollover's rule sees them: by every TLSA record that matches them. Pure."""

from __future__ import annotations

import typing as t

from ._certificate import is_ca, load_der_certificate, not_after
from ._dane import matches_chain
from ._errors import InvalidCertificate
from ._rollover_state import Chain, Generation
from ._server_chain import read_server_chain
from ._signature import key_algorithm
from ._x509 import certificate_parts, tlsa_record_for

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography import x509

    from ._tlsa import TlsaRecord

__all__ = ["chain_of", "chain_of_octets", "generation_of"]

_SELECTORS: t.Final = (0, 1)
_MATCHING_TYPES: t.Final = (0, 1, 2)
_OF_LEAF: t.Final = (1, 3)
_OF_ISSUER: t.Final = (0, 2)


def chain_of(certificates: Sequence[x509.Certificate]) -> Chain:
    """A chain, leaf first, with all the records that match it (RFC 6698 section 2.1). Raises InvalidCertificate.

    Records of an issuer are those whose key really signed the path from the leaf; names and dates are not looked at.
    """
    leaf = certificates[0]
    records = set(_records(leaf, _OF_LEAF))
    issuers = []
    for certificate in certificates[1:]:
        if not (is_ca(certificate) and matches_chain(tlsa_record_for(certificate, 2), certificates)):
            continue
        records.update(_records(certificate, _OF_ISSUER))
        issuers.append(tlsa_record_for(certificate, 2))
    return Chain(
        algorithm=key_algorithm(certificate_parts(leaf).spki).lower(),
        records=frozenset(records),
        key=tlsa_record_for(leaf),
        issuers=tuple(issuers),
        not_after=not_after(leaf).timestamp(),
    )


def chain_of_octets(chain: Sequence[bytes]) -> Chain:
    """The same for a chain as a handshake showed it, DER. Raises InvalidCertificate."""
    if not chain:
        raise InvalidCertificate("The server sent no certificate")
    return chain_of([load_der_certificate(der) for der in chain])


def generation_of(identifier: str, files: Mapping[str, bytes], place: str) -> Generation:
    """A generation of the store from its files; ``place`` names it in messages. Raises InvalidCertificate."""
    chains = []
    for name, content in sorted(files.items()):
        if name.endswith(".pem"):
            source = f"{place}/{name}"
            chains.append(
                chain_of(read_server_chain(content, content, key_source=source, chain_source=source).certificates)
            )
    if not chains:
        msg = f"{place} has no key and chain (*.pem)"
        raise InvalidCertificate(msg)
    return Generation(identifier, tuple(chains))


def _records(certificate: x509.Certificate, usages: tuple[int, ...]) -> list[TlsaRecord]:
    parts = certificate_parts(certificate)
    return [
        tlsa_record_for(parts, usage, selector, matching_type)
        for usage in usages
        for selector in _SELECTORS
        for matching_type in _MATCHING_TYPES
    ]
