# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Signatures of certificates: which algorithms exist, and whether one verifies under a key.

The key is given as a SubjectPublicKeyInfo, because a DANE-TA record may hold a bare one (RFC 7671 section 5.2.2).
cryptography 38 (Debian 12) has no call for "is this certificate signed by that one" and does not read RSASSA-PSS
parameters, so both are done here.
"""

from __future__ import annotations

import functools
import typing as t

from ._deps import built_of_libraries, importing

with importing():
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

from ._der import INTEGER, OID, SEQUENCE, CertificateParts, check_public_key, elements, oid_text
from ._errors import InvalidCertificate

__all__ = ["key_algorithm", "load_key", "signature_algorithm", "signature_problem", "signature_suits"]

_NIST: t.Final = "2.16.840.1.101.3.4"  # arcs .2 (digests) and .3 (signatures)
_RSA: t.Final = "1.2.840.113549.1.1"
_PSS: t.Final = f"{_RSA}.10"

with built_of_libraries():
    _DIGESTS: t.Final[t.Mapping[str, type[hashes.HashAlgorithm]]] = {
        "1.3.14.3.2.26": hashes.SHA1,
        f"{_NIST}.2.1": hashes.SHA256,
        f"{_NIST}.2.2": hashes.SHA384,
        f"{_NIST}.2.3": hashes.SHA512,
        f"{_NIST}.2.4": hashes.SHA224,
        f"{_NIST}.2.5": hashes.SHA512_224,
        f"{_NIST}.2.6": hashes.SHA512_256,
        f"{_NIST}.2.7": hashes.SHA3_224,
        f"{_NIST}.2.8": hashes.SHA3_256,
        f"{_NIST}.2.9": hashes.SHA3_384,
        f"{_NIST}.2.10": hashes.SHA3_512,
    }

    _VERIFIABLE: t.Final[t.Mapping[str, tuple[str, type[hashes.HashAlgorithm] | None]]] = {
        _PSS: ("RSA", None),
        f"{_RSA}.4": ("RSA", hashes.MD5),
        f"{_RSA}.5": ("RSA", hashes.SHA1),
        f"{_RSA}.11": ("RSA", hashes.SHA256),
        f"{_RSA}.12": ("RSA", hashes.SHA384),
        f"{_RSA}.13": ("RSA", hashes.SHA512),
        f"{_RSA}.14": ("RSA", hashes.SHA224),
        f"{_RSA}.15": ("RSA", hashes.SHA512_224),
        f"{_RSA}.16": ("RSA", hashes.SHA512_256),
        f"{_NIST}.3.13": ("RSA", hashes.SHA3_224),
        f"{_NIST}.3.14": ("RSA", hashes.SHA3_256),
        f"{_NIST}.3.15": ("RSA", hashes.SHA3_384),
        f"{_NIST}.3.16": ("RSA", hashes.SHA3_512),
        "1.2.840.10045.4.1": ("ECDSA", hashes.SHA1),
        "1.2.840.10045.4.3.1": ("ECDSA", hashes.SHA224),
        "1.2.840.10045.4.3.2": ("ECDSA", hashes.SHA256),
        "1.2.840.10045.4.3.3": ("ECDSA", hashes.SHA384),
        "1.2.840.10045.4.3.4": ("ECDSA", hashes.SHA512),
        f"{_NIST}.3.9": ("ECDSA", hashes.SHA3_224),
        f"{_NIST}.3.10": ("ECDSA", hashes.SHA3_256),
        f"{_NIST}.3.11": ("ECDSA", hashes.SHA3_384),
        f"{_NIST}.3.12": ("ECDSA", hashes.SHA3_512),
        "1.2.840.10040.4.3": ("DSA", hashes.SHA1),
        f"{_NIST}.3.1": ("DSA", hashes.SHA224),
        f"{_NIST}.3.2": ("DSA", hashes.SHA256),
        f"{_NIST}.3.3": ("DSA", hashes.SHA384),
        f"{_NIST}.3.4": ("DSA", hashes.SHA512),
        f"{_NIST}.3.5": ("DSA", hashes.SHA3_224),
        f"{_NIST}.3.6": ("DSA", hashes.SHA3_256),
        f"{_NIST}.3.7": ("DSA", hashes.SHA3_384),
        f"{_NIST}.3.8": ("DSA", hashes.SHA3_512),
        "1.3.101.112": ("Ed25519", None),
        "1.3.101.113": ("Ed448", None),
    }
# Algorithms that OpenSSL 3.5 signs with and cryptography 38 cannot verify: good for DANE-EE, whose match needs no
# signature, and of no use below a trust anchor.
_KNOWN_ONLY: t.Final = {
    "1.2.156.10197.1.501": "SM2",
    "1.2.643.7.1.1.3.2": "GOST R 34.10-2012",
    "1.2.643.7.1.1.3.3": "GOST R 34.10-2012",
    "1.3.36.3.3.1.2": "RSA",
    **{f"{_NIST}.3.{number}": f"ML-DSA-{size}" for number, size in ((17, 44), (18, 65), (19, 87))},
    **{f"{_NIST}.3.{number}": "SLH-DSA" for number in range(20, 32)},
}
_KEYS: t.Final = {
    f"{_RSA}.1": "RSA",
    _PSS: "RSA-PSS",
    "1.2.840.10045.2.1": "ECDSA",
    "1.2.840.10040.4.1": "DSA",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}


def _algorithm(content: bytes) -> tuple[str, list[tuple[int, bytes]]]:
    """The object identifier and the parameters of an AlgorithmIdentifier's content."""
    parts = elements(content)
    if not parts or parts[0][0] != OID:
        msg = "Malformed DER: an algorithm without an object identifier"
        raise InvalidCertificate(msg)
    return oid_text(parts[0][1]), parts[1:]


def signature_algorithm(certificate: CertificateParts) -> str:
    """The object identifier of a certificate's signature algorithm. Raises InvalidCertificate when it is unknown."""
    return _known_signature(certificate.signature_algorithm)


@functools.lru_cache(maxsize=64)  # there are few, and every certificate asks
def _known_signature(identifier: bytes) -> str:
    oid, _parameters = _algorithm(elements(identifier)[0][1])
    if oid not in _VERIFIABLE and oid not in _KNOWN_ONLY:
        msg = f"The certificate is signed by an unknown algorithm, object identifier {oid}; is it damaged?"
        raise InvalidCertificate(msg)
    return oid


def key_algorithm(spki: bytes) -> str:
    """``RSA``, ``RSA-PSS``, ``ECDSA``, ``DSA``, ``Ed25519``, ``Ed448``, ... or the object identifier of the rest.

    Raises InvalidCertificate when ``spki`` is no DER SubjectPublicKeyInfo.
    """
    algorithm = elements(elements(check_public_key(spki))[0][1])[0][1]
    oid, _parameters = _algorithm(algorithm)
    return _KEYS.get(oid) or _KNOWN_ONLY.get(oid) or oid


def signature_suits(certificate: CertificateParts, issuer_spki: bytes) -> bool:
    """Can a key of this kind make signatures of the kind that the certificate has?"""
    oid = signature_algorithm(certificate)
    kind = _VERIFIABLE[oid][0] if oid in _VERIFIABLE else _KNOWN_ONLY[oid]
    held = key_algorithm(issuer_spki)
    return held in {kind, oid} or (kind == "RSA" and held == "RSA-PSS")


def load_key(spki: bytes) -> object:
    """The key as cryptography's object. Raises InvalidCertificate when the library cannot read it."""
    try:
        return load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        msg = f"The {key_algorithm(spki)} public key cannot be used: {exc}"
        raise InvalidCertificate(msg) from exc


def _pss(parameters: list[tuple[int, bytes]]) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    """RSASSA-PSS-params (RFC 4055 section 3.1), its defaults included."""
    fields = dict(elements(parameters[0][1])) if parameters and parameters[0][0] == SEQUENCE else {}
    digest: type[hashes.HashAlgorithm] = hashes.SHA1
    mask: type[hashes.HashAlgorithm] = hashes.SHA1
    salt = 20
    try:
        if 0xA0 in fields:
            digest = _DIGESTS[_algorithm(elements(fields[0xA0])[0][1])[0]]
        if 0xA1 in fields:
            _mgf1, inner = _algorithm(elements(fields[0xA1])[0][1])
            mask = _DIGESTS[_algorithm(inner[0][1])[0]]
        if 0xA2 in fields:
            tag, content = elements(fields[0xA2])[0]
            salt = int.from_bytes(content, "big") if tag == INTEGER else -1
    except (KeyError, IndexError) as exc:
        msg = "The RSASSA-PSS parameters of the signature are malformed or name an unknown digest"
        raise InvalidCertificate(msg) from exc
    return padding.PSS(padding.MGF1(mask()), salt), digest()


def signature_problem(certificate: CertificateParts, issuer_spki: bytes) -> str | None:
    """Why a certificate's signature does not verify under a key; None when it does."""
    try:
        _verify(certificate, issuer_spki)
    except InvalidSignature:
        return "its signature is not by this key"
    except (InvalidCertificate, UnsupportedAlgorithm, ValueError, TypeError) as exc:
        return f"its signature cannot be verified: {exc}"
    return None


def _verify(certificate: CertificateParts, issuer_spki: bytes) -> None:
    oid = signature_algorithm(certificate)
    if oid not in _VERIFIABLE:
        msg = f"{_KNOWN_ONLY[oid]} signatures are not supported"
        raise InvalidCertificate(msg)
    wanted, digest = _VERIFIABLE[oid]
    key = load_key(issuer_spki)
    signature, tbs = certificate.signature, certificate.tbs
    if wanted == "RSA" and isinstance(key, rsa.RSAPublicKey):
        if digest is None:
            _oid, parameters = _algorithm(elements(certificate.signature_algorithm)[0][1])
            scheme, chosen = _pss(parameters)
            key.verify(signature, tbs, scheme, chosen)
        else:
            key.verify(signature, tbs, padding.PKCS1v15(), digest())
    elif wanted == "ECDSA" and digest is not None and isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, tbs, ec.ECDSA(digest()))
    elif wanted == "DSA" and digest is not None and isinstance(key, dsa.DSAPublicKey):
        key.verify(signature, tbs, digest())
    elif (wanted == "Ed25519" and isinstance(key, ed25519.Ed25519PublicKey)) or (
        wanted == "Ed448" and isinstance(key, ed448.Ed448PublicKey)
    ):
        key.verify(signature, tbs)
    else:
        raise InvalidSignature  # the key is of another kind than the signature
