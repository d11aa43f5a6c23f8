# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Certificates, chains and public keys from files and handshakes, and the TLSA records that speak of them.

Input is PEM or DER, as text or bytes. Every certificate is read twice: by the strict reader in ``_der``, which copies
the octets that digests are made of, and by cryptography, which knows what they mean.
"""

from __future__ import annotations

import hashlib
import typing as t

from ._deps import importing

with importing():
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from ._certificate import certificate_parts, load_der_certificate
from ._chains import Chain, split_chains
from ._der import CertificateParts, check_public_key
from ._errors import InvalidCertificate
from ._pem import CERTIFICATE_LABELS, PRIVATE_KEY_LABELS, PemBlock, read_blocks
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = [
    "certificate_blocks",
    "certificate_parts",
    "load_certificates",
    "load_chains",
    "pem_blocks",
    "tlsa_record_for",
]


def load_certificates(data: bytes | str) -> Chain:
    """Every certificate of a PEM file, in its order, or the one of a DER file.

    Keys, and text around the blocks, are passed over. Raises InvalidCertificate: empty input, cut off or damaged PEM,
    something else than a certificate, an unknown signature algorithm.
    """
    blocks = pem_blocks(data)
    if blocks is None:
        return (_certificate(t.cast("bytes", data)),)
    return tuple(_certificate(block.octets(), block.line) for block in certificate_blocks(blocks))


def load_chains(data: bytes | str) -> tuple[Chain, ...]:
    """The chains of a file, as it orders them.

    A file that begins with a private key has the form of Postfix's ``smtpd_tls_chain_files``: each key begins a chain.
    In any other, each certificate that is no CA, or names a host, begins one unless it issued what stands before it.
    Raises InvalidCertificate as ``load_certificates`` does, and where a certificate's chain cannot be told.
    """
    blocks = pem_blocks(data)
    if blocks is None or not _key_first(blocks):
        return split_chains(load_certificates(data))
    groups: list[list[x509.Certificate]] = []
    for block in certificate_blocks(blocks, and_keys=True):
        if block.label in PRIVATE_KEY_LABELS:
            groups.append([])
        else:
            groups[-1].append(_certificate(block.octets(), block.line))
    if not all(groups):
        msg = f"Private key {groups.index([]) + 1} of the file is followed by no certificate"
        raise InvalidCertificate(msg)
    return tuple(tuple(group) for group in groups)


def tlsa_record_for(
    source: x509.Certificate | CertificateParts | PublicKeyTypes | bytes,
    usage: int = 3,
    selector: int = 1,
    matching_type: int = 1,
) -> TlsaRecord:
    """The TLSA record of a certificate or a bare public key (RFC 6698 section 2.1).

    A public key may be given as its DER SubjectPublicKeyInfo. Raises InvalidCertificate when selector cert (0) is asked
    of a key, and for selectors and matching types that have no meaning.
    """
    digest = _DIGESTS.get(matching_type)
    if digest is None or selector not in (0, 1):
        msg = (
            f"Selector {selector} with matching type {matching_type} cannot be computed; "
            "use selector cert (0) or spki (1) and matching type full (0), sha2-256 (1) or sha2-512 (2)"
        )
        raise InvalidCertificate(msg)
    if isinstance(source, x509.Certificate):
        source = certificate_parts(source)
    if isinstance(source, CertificateParts):
        selected = source.spki if selector == 1 else source.der
    elif selector == 0:
        msg = "Selector cert (0) needs a certificate; a bare public key goes with selector spki (1)"
        raise InvalidCertificate(msg)
    elif isinstance(source, bytes):
        selected = check_public_key(source)
    else:
        selected = source.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TlsaRecord(usage, selector, matching_type, digest(selected))


# By number, as of MatchingType: members of an enumeration are slow to look up, and there may be thousands to do.
_DIGESTS: t.Final[t.Mapping[int, t.Callable[[bytes], bytes]]] = {
    0: bytes,
    1: lambda octets: hashlib.sha256(octets).digest(),
    2: lambda octets: hashlib.sha512(octets).digest(),
}


# --- reading ----------------------------------------------------------------------------------------------------------


def pem_blocks(data: bytes | str) -> list[PemBlock] | None:
    """The PEM blocks of the input, at least one; None when it is DER. Raises InvalidCertificate."""
    if not data.strip():
        raise InvalidCertificate("The input is empty where a certificate or key was expected")
    if isinstance(data, bytes):
        if data[0] == 0x30 and b"-----BEGIN " not in data:
            return None
        data = data.decode("latin-1")  # what surrounds the blocks may be in any encoding
    blocks = read_blocks(data)
    if not blocks:
        msg = f"There is no PEM block (-----BEGIN ...-----) in the input, which begins with {data[:30]!r}{_hint(data)}"
        raise InvalidCertificate(msg)
    return blocks


def _hint(data: str) -> str:
    if data.lstrip().startswith("LS0tLS1C"):
        return "; it looks like base64, decode it first (b64decode)"
    if data.startswith("/") and "\n" not in data.strip():
        return "; it looks like a path, read the file first (lookup)"
    return ""


def _key_first(blocks: Sequence[PemBlock]) -> bool:
    # "openssl ecparam -genkey" writes a block of parameters before the key.
    labels = [block.label for block in blocks if not block.label.endswith(" PARAMETERS")]
    return bool(labels) and labels[0] in PRIVATE_KEY_LABELS


def _labels(blocks: Sequence[PemBlock]) -> str:
    return ", ".join(dict.fromkeys(block.label for block in blocks))


def certificate_blocks(blocks: Sequence[PemBlock], *, and_keys: bool = False) -> list[PemBlock]:
    """The certificate blocks, and the private keys when wanted. Raises InvalidCertificate when there is none."""
    for block in blocks:
        if block.label in {"TRUSTED CERTIFICATE", "PKCS7", "CMS"}:
            msg = (
                f"Line {block.line} begins a {block.label} block, which TLS servers do not load; "
                "convert it to plain certificates (openssl x509, openssl pkcs7 -print_certs)"
            )
            raise InvalidCertificate(msg)
    if not any(block.label in CERTIFICATE_LABELS for block in blocks):
        msg = f"A certificate is wanted, and the input holds only: {_labels(blocks)}"
        raise InvalidCertificate(msg)
    wanted = CERTIFICATE_LABELS | PRIVATE_KEY_LABELS if and_keys else CERTIFICATE_LABELS
    return [block for block in blocks if block.label in wanted]


def _certificate(der: bytes, line: int | None = None) -> x509.Certificate:
    try:
        return load_der_certificate(der)
    except InvalidCertificate as exc:
        if line is not None:
            msg = f"The certificate in line {line}: {exc}"
        elif kind := _kind_of(der):
            msg = f"A certificate is wanted, and the input is {kind}"
        else:
            raise
        raise InvalidCertificate(msg) from exc


def _kind_of(der: bytes) -> str | None:
    """What DER input is when it is no certificate; None when that is unknown."""
    loaders: t.Final = (
        (x509.load_der_x509_csr, "a certificate signing request"),
        (check_public_key, "a public key"),
        (lambda data: load_der_private_key(data, None), "a private key"),
    )
    for load, kind in loaders:
        try:
            load(der)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return kind
    return None
