# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and certificates made for a test run, as a CA or a user would hand them over."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW: t.Final = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Issued:
    """A key and its certificate; ``key_pem`` and ``pem`` are what lies in files."""

    key: Key
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def traditional_key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    @property
    def encrypted_key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


@cache
def key_of(algorithm: str, number: int = 1) -> Key:
    """The same key for the same arguments: RSA keys are slow to make. ``number`` tells keys of one kind apart."""
    del number
    match algorithm:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "rsa1024":
            return rsa.generate_private_key(65537, 1024)  # noqa: S505  # the weak key that must be refused
        case "secp256k1":
            return ec.generate_private_key(ec.SECP256K1())
        case _:
            return ec.generate_private_key(ec.SECP256R1())


def ed25519_key_pem() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(
    name: str = "mx1.example.org",
    key: Key | None = None,
    *,
    issuer: Issued | None = None,
    names: tuple[str, ...] | None = None,
    begins: datetime = NOW - timedelta(days=1),
    days: int = 90,
) -> Issued:
    """A certificate for ``key`` (an ECDSA key if None), by ``issuer``, or self-signed."""
    key = key or key_of("ecdsa")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    dns_names = [x509.DNSName(dns) for dns in ((name,) if names is None else names)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    if dns_names:
        builder = builder.add_extension(x509.SubjectAlternativeName(dns_names), critical=False)
    signer = issuer.key if issuer else key
    return Issued(key, builder.sign(signer, hashes.SHA256()))


def signed_with_sha1(name: str = "mx1.example.org") -> Issued:
    """An ECDSA certificate that says to be signed by an RSA CA with SHA-1, which no library signs any more."""
    issued = issue(name, issuer=issue("Old CA", key_of("rsa")))
    sha256_with_rsa, sha1_with_rsa = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    der = issued.certificate.public_bytes(Encoding.DER).replace(sha256_with_rsa, sha1_with_rsa)
    return Issued(issued.key, x509.load_der_x509_certificate(der))
