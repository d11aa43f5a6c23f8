# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of one lab, under build/lab/NUMBER: a lock, and the secrets that outlive the containers."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import dns.dnssec
import dns.name
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from dns.dnssectypes import Algorithm

from lab.errors import LabError
from lab.progress import say
from lab.topology import HOSTS, Kind
from lab.zones import ECDSAP256SHA256, ED25519, KEY_ALGORITHMS, RSASHA256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.topology import Lab

    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_KEY_FLAGS = 257  # zone key and secure entry point: one combined signing key for each zone


@dataclass(frozen=True)
class ZoneKey:
    """A zone's signing key in BIND's file format. ``dnskey`` and ``ds`` are rdata in presentation form."""

    zone: str
    tag: int
    dnskey: str
    ds: str
    private: str

    @property
    def algorithm(self) -> int:
        """The DNSSEC algorithm."""
        return int(self.dnskey.split()[2])

    @property
    def file_stem(self) -> str:
        """The name BIND gives to the key's files, without the ending."""
        return f"K{self.zone.rstrip('.')}.+{self.algorithm:03d}+{self.tag:05d}"


@dataclass(frozen=True)
class ServerCertificate:
    """A key and its self-signed certificate, PEM, and the TLSA rdata (3 1 1) of the key."""

    chain: str
    tlsa: str


@dataclass(frozen=True)
class SshKey:
    """An SSH key: the private half in OpenSSH's own format, the public half as one line."""

    private: str
    public: str


@dataclass(frozen=True)
class Secrets:
    """What a lab keeps for its lifetime: zone keys by zone name, TSIG secrets (base64), certificates by host name.

    ``update_secrets`` are those of the managed mail hosts' own keys, by host name.
    ``administrator`` may log in to the managed hosts, which all have ``ssh_host`` as their own key.
    """

    zone_keys: dict[str, ZoneKey]
    update_secrets: dict[str, str]
    transfer_secret: str
    certificates: dict[str, ServerCertificate]
    administrator: SshKey
    ssh_host: SshKey


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another command is at work on {what}; waiting for it to end")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def load_secrets(lab: Lab) -> Secrets:
    """Return the lab's secrets, made on the first call. Call it with the lab's lock held."""
    path = lab.directory / "secrets.json"
    if path.exists():
        try:
            known = _parse(path.read_text("utf-8"))
        except (KeyError, TypeError, ValueError) as error:
            raise LabError(
                f"{path} is not what this version wrote ({error!r}); run `python -m lab down` once"
            ) from error
        # A lab that was raised before a zone was added to it.
        added = {
            zone: _zone_key(zone, number) for zone, number in KEY_ALGORITHMS.items() if zone not in known.zone_keys
        }
        if not added:
            return known
        made = replace(known, zone_keys=known.zone_keys | added)
    else:
        made = _make()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(".secrets.json.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        json.dump(asdict(made), handle, indent=1)
    temporary.replace(path)
    return made


def forget(lab: Lab) -> None:
    """Remove all state of a lab but its lock."""
    for entry in lab.directory.iterdir() if lab.directory.exists() else ():
        if entry.name == "lock":
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _parse(text: str) -> Secrets:
    raw = json.loads(text)
    return Secrets(
        zone_keys={name: ZoneKey(**key) for name, key in raw["zone_keys"].items()},
        update_secrets=raw["update_secrets"],
        transfer_secret=raw["transfer_secret"],
        certificates={name: ServerCertificate(**item) for name, item in raw["certificates"].items()},
        administrator=SshKey(**raw["administrator"]),
        ssh_host=SshKey(**raw["ssh_host"]),
    )


def _make() -> Secrets:
    return Secrets(
        zone_keys={name: _zone_key(name, algorithm) for name, algorithm in KEY_ALGORITHMS.items()},
        update_secrets={host.name: _tsig_secret() for host in HOSTS if host.kind is Kind.MANAGED},
        transfer_secret=_tsig_secret(),
        certificates={host.fqdn: _certificate(host.fqdn) for host in HOSTS if host.kind is Kind.SENDER},
        administrator=_ssh_key(),
        ssh_host=_ssh_key(),
    )


def _tsig_secret() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _ssh_key() -> SshKey:
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private.decode(), public.decode())


def _zone_key(zone: str, algorithm: int) -> ZoneKey:
    key, numbers = _MAKERS[algorithm]()
    dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm(algorithm), flags=_KEY_FLAGS)
    private = f"Private-key-format: v1.3\nAlgorithm: {algorithm} ({Algorithm(algorithm).name})\n" + "".join(
        f"{name}: {base64.b64encode(value).decode()}\n" for name, value in numbers.items()
    )
    ds = dns.dnssec.make_ds(dns.name.from_text(zone), dnskey, "SHA256")
    return ZoneKey(zone, dns.dnssec.key_id(dnskey), dnskey.to_text(), ds.to_text(), private)


def _ecdsa_key() -> tuple[ec.EllipticCurvePrivateKey, dict[str, bytes]]:
    key = ec.generate_private_key(ec.SECP256R1())
    return key, {"PrivateKey": key.private_numbers().private_value.to_bytes(32, "big")}


def _ed25519_key() -> tuple[ed25519.Ed25519PrivateKey, dict[str, bytes]]:
    key = ed25519.Ed25519PrivateKey.generate()
    return key, {"PrivateKey": key.private_bytes_raw()}


def _rsa_key() -> tuple[rsa.RSAPrivateKey, dict[str, bytes]]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = key.private_numbers()
    named = {
        "Modulus": numbers.public_numbers.n,
        "PublicExponent": numbers.public_numbers.e,
        "PrivateExponent": numbers.d,
        "Prime1": numbers.p,
        "Prime2": numbers.q,
        "Exponent1": numbers.dmp1,
        "Exponent2": numbers.dmq1,
        "Coefficient": numbers.iqmp,
    }
    return key, {name: value.to_bytes((value.bit_length() + 7) // 8, "big") for name, value in named.items()}


_MAKERS: dict[int, Callable[[], tuple[PrivateKey, dict[str, bytes]]]] = {
    RSASHA256: _rsa_key,
    ECDSAP256SHA256: _ecdsa_key,
    ED25519: _ed25519_key,
}
"""Each algorithm's private key, and its parts as BIND names them."""


def _certificate(name: str) -> ServerCertificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(tz=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return ServerCertificate(
        (private + certificate.public_bytes(serialization.Encoding.PEM)).decode(), f"3 1 1 {digest.finalize().hex()}"
    )
