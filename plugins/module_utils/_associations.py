# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""From the text of a certificate, chain or key file straight to its TLSA records."""

from __future__ import annotations

import typing as t

from ._chains import certificate_for_usage
from ._der import check_public_key, read_certificate
from ._errors import InvalidCertificate
from ._pem import CERTIFICATE_LABELS, PUBLIC_KEY_LABEL
from ._signature import signature_algorithm
from ._tlsa import TlsaRecord, Usage
from ._x509 import certificate_blocks, load_chains, pem_blocks, tlsa_record_for

__all__ = ["tlsa_records_for"]


def tlsa_records_for(
    data: bytes | str, usage: int = 3, selector: int = 1, matching_type: int = 1
) -> tuple[TlsaRecord, ...]:
    """A record for each chain of a file, in the file's order and none twice; or that of its public key.

    Usages 2 and 0 speak of the CA that issued the leaf, all others of the leaf. Raises InvalidCertificate.
    """
    blocks = pem_blocks(data)
    if blocks is None:
        return _of_der(t.cast("bytes", data), usage, selector, matching_type)
    labels = {block.label for block in blocks}
    if PUBLIC_KEY_LABEL in labels and not labels & CERTIFICATE_LABELS:
        keys = [block.octets() for block in blocks if block.label == PUBLIC_KEY_LABEL]
        return tuple(dict.fromkeys(tlsa_record_for(key, usage, selector, matching_type) for key in keys))
    certificates = certificate_blocks(blocks)
    if len(certificates) == 1 and usage not in (Usage.PKIX_TA, Usage.DANE_TA):
        # The usual case needs no more than the octets; a fleet has thousands of these.
        parts = read_certificate(certificates[0].octets())
        signature_algorithm(parts)
        return (tlsa_record_for(parts, usage, selector, matching_type),)
    chosen = [certificate_for_usage(chain, usage) for chain in load_chains(data)]
    return tuple(dict.fromkeys(tlsa_record_for(one, usage, selector, matching_type) for one in chosen))


def _of_der(data: bytes, usage: int, selector: int, matching_type: int) -> tuple[TlsaRecord, ...]:
    try:
        source = check_public_key(data)
    except InvalidCertificate:
        (chain,) = load_chains(data)
        return (tlsa_record_for(certificate_for_usage(chain, usage), usage, selector, matching_type),)
    return (tlsa_record_for(source, usage, selector, matching_type),)
