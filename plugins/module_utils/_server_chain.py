# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A private key and its certificate chain, as a TLS server loads them: read, judged, and written anew.

What is written is the form of Postfix's ``smtpd_tls_chain_files``: the key first, then its certificate, then each
issuer after the one that it signed (TLS_README, "Server-side certificate and private key configuration").
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ._deps import built_of_libraries, importing

with importing():
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )
    from cryptography.x509.oid import SignatureAlgorithmOID

from ._certificate import certificate_parts, extension, not_after, not_before, shown_name
from ._errors import InvalidCertificate
from ._names import matches_reference
from ._pem import PRIVATE_KEY_LABELS, read_blocks
from ._signature import key_algorithm, signature_problem
from ._x509 import load_certificates, tlsa_record_for

if t.TYPE_CHECKING:
    from ._tlsa import TlsaRecord

__all__ = ["ALGORITHMS", "ServerChain", "chain_problems", "chain_warnings", "key_record", "read_server_chain"]

ALGORITHMS: t.Final = ("ecdsa", "rsa")
"""Key algorithms that a mail host can serve side by side, by the names of their files in the store."""

# Debian's OpenSSL has security level 2: 112 bits, which is RSA 2048, and no SHA-1 or MD5 below a root.
_MINIMUM_RSA_BITS: t.Final = 2048
_CURVES: t.Final = ("secp256r1", "secp384r1", "secp521r1")
with built_of_libraries():
    _WEAK_DIGESTS: t.Final = (
        SignatureAlgorithmOID.RSA_WITH_MD5,
        SignatureAlgorithmOID.RSA_WITH_SHA1,
        SignatureAlgorithmOID.ECDSA_WITH_SHA1,
    )
_CLOCK_SKEW: t.Final = timedelta(minutes=5)

_KEY_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class ServerChain:
    """One key of a server and the chain that goes with it; they are known to belong together."""

    algorithm: str
    """``ecdsa`` or ``rsa``."""
    private_key: bytes = field(repr=False)
    """PEM, PKCS #8, not encrypted. Never part of a representation, a message or a result."""
    certificates: tuple[x509.Certificate, ...]
    """The server's certificate, then its issuers as they were given."""

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]

    @property
    def record(self) -> TlsaRecord:
        """``3 1 1`` of the key: what must be published before this chain is served (RFC 7672 section 3.1.1)."""
        return tlsa_record_for(self.leaf)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names that the certificate is for; a common name is no reference (RFC 9525 section 2)."""
        alternative = extension(self.leaf, x509.SubjectAlternativeName)
        return () if alternative is None else tuple(alternative.get_values_for_type(x509.DNSName))

    @property
    def self_signed(self) -> bool:
        return self.leaf.issuer == self.leaf.subject and _signs(self.leaf, self.leaf)

    def certificates_pem(self) -> bytes:
        """The chain alone, PEM."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.certificates)

    def pem(self) -> bytes:
        """The key and then the chain, PEM, as a server loads them."""
        return self.private_key + self.certificates_pem()


def read_server_chain(key_data: bytes, chain_data: bytes, *, key_source: str, chain_source: str) -> ServerChain:
    """Read a PEM private key and a PEM chain, its own certificate first.

    The two may be one and the same file; certificates beside the key, and keys beside the chain, are passed over.
    ``key_source`` and ``chain_source`` name them in messages. Raises InvalidCertificate: not PEM, no key or several,
    an encrypted key, a key algorithm that mail servers do not share, a certificate of another key.
    """
    key = _read_key(key_data, key_source)
    try:
        certificates = load_certificates(chain_data)
    except InvalidCertificate as exc:
        msg = f"The chain in {chain_source} cannot be read: {exc}"
        raise InvalidCertificate(msg) from exc
    public_key = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    owners = [certificate_parts(certificate).spki for certificate in certificates]
    if owners[0] != public_key:
        detail = (
            "it stands later in the file: put the server's own certificate first"
            if public_key in owners
            else "give the key that the certificate was issued for"
        )
        msg = f"The first certificate in {chain_source} is not for the private key in {key_source}; {detail}"
        raise InvalidCertificate(msg)
    return ServerChain(
        algorithm="rsa" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa",
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificates=certificates,
    )


def key_record(data: bytes, source: str) -> TlsaRecord:
    """``3 1 1`` of a PEM private key; ``source`` names it in messages. Raises InvalidCertificate."""
    public_key = _read_key(data, source).public_key()
    return tlsa_record_for(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _read_key(data: bytes, source: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        labels = [block.label for block in read_blocks(data.decode("ascii", "replace"))]
    except InvalidCertificate as exc:
        msg = f"The private key in {source} cannot be read: {exc}"
        raise InvalidCertificate(msg) from None
    keys = [label for label in labels if label in PRIVATE_KEY_LABELS]
    block = _KEY_BLOCK.search(data)
    if len(keys) != 1 or block is None:
        msg = f"{source} holds {len(keys) or 'no'} PEM private key{'s' if len(keys) > 1 else ''}; it must hold one"
        raise InvalidCertificate(msg)
    if block[1] == b"ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block[0].split(b"\n\n")[0]:
        msg = (
            f"The private key in {source} is encrypted, and a mail server that starts by itself cannot ask for a "
            "passphrase; give it decrypted, protected by its file's mode or by Ansible Vault"
        )
        raise InvalidCertificate(msg)
    try:
        key = load_pem_private_key(block[0] + b"\n", None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own text is left out: nothing that it read from a key belongs in a message.
        msg = f"The private key in {source} is damaged or of an unknown kind"
        raise InvalidCertificate(msg) from None
    if isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        return key
    kind = key_algorithm(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    msg = (
        f"The private key in {source} is an {kind} key, which many mail hosts cannot verify; "
        "use ECDSA P-256, RSA with 3072 bits, or both side by side"
    )
    raise InvalidCertificate(msg)


def chain_problems(chain: ServerChain, now: datetime) -> tuple[str, ...]:
    """Why a chain must not be deployed: servers would not load it, or clients of some kind would refuse it."""
    return (*_strength_problems(chain), *_order_problems(chain), *_date_problems(chain, now))


def chain_warnings(chain: ServerChain, host: str, now: datetime) -> tuple[str, ...]:
    """What DANE-EE does not mind (RFC 7672 section 3.1.1) and other clients do. ``host`` is in A-labels."""
    found = list(_date_problems(chain, now))
    if not any(matches_reference(name, host) for name in chain.names):
        named = ", ".join(chain.names) or "no DNS name"
        found.append(
            f"The certificate is for {named} and not for {host}: DANE-EE (3 1 1) does not mind, "
            "but mail clients, MTA-STS and DANE-TA do"
        )
    last = chain.certificates[-1]
    if len(chain.certificates) == 1 and not chain.self_signed:
        found.append(
            f"The chain holds only the server's certificate and not its issuer {last.issuer.rfc4514_string()}: "
            "clients that do not know this issuer itself cannot verify it; append the intermediate certificates"
        )
    return tuple(found)


def _strength_problems(chain: ServerChain) -> list[str]:
    found = []
    for certificate in chain.certificates:
        key = certificate.public_key()
        who = f"The certificate of {shown_name(certificate)}"
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < _MINIMUM_RSA_BITS:
            found.append(
                f"{who} has an RSA key of {key.key_size} bits; Debian's OpenSSL loads none below {_MINIMUM_RSA_BITS}"
            )
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
            found.append(f"{who} has a key on the curve {key.curve.name}; mail hosts share P-256, P-384 and P-521")
        if certificate.signature_algorithm_oid in _WEAK_DIGESTS and certificate.issuer != certificate.subject:
            found.append(f"{who} is signed with SHA-1 or MD5, which Debian's OpenSSL does not load")
    return found


def _order_problems(chain: ServerChain) -> list[str]:
    found = []
    for position, (certificate, issuer) in enumerate(zip(chain.certificates, chain.certificates[1:], strict=False), 1):
        if certificate.issuer != issuer.subject:
            found.append(
                f"Certificate {position + 1} of the chain is {shown_name(issuer)}, but certificate {position} was "
                f"issued by {certificate.issuer.rfc4514_string()}: each must be followed by its issuer "
                "(RFC 8446 section 4.4.2)"
            )
        elif not _signs(issuer, certificate):
            found.append(
                f"Certificate {position} of the chain was not signed by the key of certificate {position + 1}, though "
                f"both name {shown_name(issuer)}: take the chain that the CA issued with this very certificate"
            )
    return found


def _date_problems(chain: ServerChain, now: datetime) -> list[str]:
    found = []
    for certificate in chain.certificates:
        begins, ends = not_before(certificate), not_after(certificate)
        who = f"The certificate of {shown_name(certificate)}"
        if begins > now + _CLOCK_SKEW:
            found.append(f"{who} is not valid before {begins:%Y-%m-%d %H:%M} UTC; is this host's clock right?")
        if ends <= now:
            found.append(f"{who} expired at {ends:%Y-%m-%d %H:%M} UTC; renew it, for the same key")
    return found


def _signs(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    return signature_problem(certificate_parts(certificate), certificate_parts(issuer).spki) is None
