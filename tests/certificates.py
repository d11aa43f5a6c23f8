# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for tests: small authorities, made on the spot, with any defect that a test is about."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if t.TYPE_CHECKING:
    from collections.abc import Sequence

NOW: t.Final = datetime.now(UTC).replace(microsecond=0)
HOST: t.Final = "mx1.example.org"

PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)

_MAKERS: t.Final[t.Mapping[str, t.Callable[[], PrivateKey]]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "dsa": lambda: dsa.generate_private_key(1024),  # noqa: S505  # larger ones take seconds to make
}
KEY_KINDS: t.Final = tuple(_MAKERS)


@functools.cache
def key(kind: str, number: int = 0) -> PrivateKey:  # noqa: ARG001  # the cache tells keys apart by it
    """A private key, the same one for the same ``kind`` and ``number`` throughout a test run."""
    return _MAKERS[kind]()


@dataclass(frozen=True)
class Holder:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public_pem(self) -> str:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True)
class Wish:
    """What a certificate shall be like; the defaults are those of a sound leaf."""

    subject: str = HOST
    names: Sequence[str] | None = (HOST,)
    key: PrivateKey = field(default_factory=lambda: key("p256"))
    ca: bool | None = False  # None: no basic constraints
    path_length: int | None = None
    not_before: datetime = NOW - timedelta(days=1)
    not_after: datetime = NOW + timedelta(days=30)
    signing: bool | None = None  # keyCertSign; None: no key usage at all
    purposes: Sequence[x509.ObjectIdentifier] | None = None
    key_identifiers: bool = False
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    digest: hashes.HashAlgorithm | None = None


def issue(issuer: Holder | None = None, **wishes: object) -> Holder:
    """A certificate by ``issuer``, or self-signed without one; keyword arguments are fields of ``Wish``."""
    wish = Wish(**t.cast("dict[str, t.Any]", wishes))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wish.subject)] if wish.subject else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(wish.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wish.not_before.replace(tzinfo=None))
        .not_valid_after(wish.not_after.replace(tzinfo=None))
    )
    for extension, critical in _extensions(wish, issuer):
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else wish.key
    digest = None if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()
    return Holder(builder.sign(signer, t.cast("t.Any", wish.digest or digest)), wish.key)


def authority(issuer: Holder | None = None, **wishes: object) -> Holder:
    """A CA: a root, or an intermediate below ``issuer``."""
    settings: dict[str, object] = {"names": None, "ca": True, "signing": True}
    if issuer is None:
        settings |= {"subject": "Test Root", "key": key("p256", 1)}
    else:
        settings |= {"subject": "Test Intermediate", "key": key("p256", 2)}
    return issue(issuer, **{**settings, **wishes})


def _extensions(wish: Wish, issuer: Holder | None) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if wish.ca is not None:
        found.append((x509.BasicConstraints(wish.ca, wish.path_length if wish.ca else None), True))
    if wish.names is not None:
        found.append((x509.SubjectAlternativeName([x509.DNSName(name) for name in wish.names]), False))
    if wish.signing is not None:
        found.append((key_usage(digital_signature=True, key_cert_sign=wish.signing), True))
    if wish.purposes is not None:
        found.append((x509.ExtendedKeyUsage(wish.purposes), False))
    if wish.key_identifiers:
        found.append((x509.SubjectKeyIdentifier.from_public_key(wish.key.public_key()), False))
        above = issuer.key if issuer else wish.key
        found.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False))
    return [*found, *wish.extensions]


def element(tag: int, content: bytes) -> bytes:
    """A DER element."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def rewritten(holder: Holder, old: bytes, new: bytes, signer: PrivateKey) -> Holder:
    """The certificate with other octets in its signed part, signed anew: for what no library would make.

    ``signer`` is of the kind that signed it before, Ed25519.
    """
    tbs = holder.certificate.tbs_certificate_bytes
    start = 2 if tbs[1] < 0x80 else 2 + (tbs[1] & 0x7F)
    content = element(0x30, tbs[start:].replace(old, new, 1))
    assert isinstance(signer, ed25519.Ed25519PrivateKey)
    algorithm = bytes.fromhex("300506032b6570")
    der = element(0x30, content + algorithm + element(3, b"\0" + signer.sign(content)))
    return Holder(x509.load_der_x509_certificate(der), holder.key)


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


SERVER_AUTH: t.Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH: t.Final = ExtendedKeyUsageOID.CLIENT_AUTH
