# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chains that the cases serve, each word of cases.txt made into a certificate."""

from __future__ import annotations

import datetime as dt
import functools
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mail_server import new_key

if t.TYPE_CHECKING:
    from conformance.cases import Case
    from mail_server import PrivateKey

__all__ = ["certificate_of", "key_of", "served_chain"]

ROOT, INTERMEDIATE, OTHER, NO_CA = "Conformance Root", "Conformance Intermediate", "Another Root", "Not a CA"
NOW = dt.datetime.now(dt.UTC)


@functools.cache
def key_of(name: str) -> PrivateKey:
    """The key called ``name``; every leaf has the key ``leaf`` but that of self-rsa."""
    return new_key("rsa" if name == "rsa" else "ecdsa")


def _build(
    subject: str,
    key: str,
    issuer: str,
    signer: str,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
    begins: int = -1,
    ends: int = 30,
    client_only: bool = False,
) -> x509.Certificate:
    common = [x509.NameAttribute(NameOID.COMMON_NAME, subject[:64])] if subject else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(common))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[:64])] if issuer else []))
        .public_key(key_of(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + dt.timedelta(days=begins))
        .not_valid_after(NOW + dt.timedelta(days=ends))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    if client_only:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(key_of(signer), hashes.SHA256())


@functools.cache
def certificate_of(word: str, case: Case) -> x509.Certificate:
    """The certificate that a word of a chain means for a case."""
    authorities: dict[str, tuple[str, str, str, str, bool]] = {
        "root": (ROOT, "root", ROOT, "root", True),
        "int": (INTERMEDIATE, "int", ROOT, "root", True),
        "other": (OTHER, "other", OTHER, "other", True),
        "noca": (NO_CA, "noca", ROOT, "root", False),
    }
    if word in authorities:
        subject, key, issuer, signer, ca = authorities[word]
        return _build(subject, key, issuer, signer, ca=ca)
    kind, _unused, variant = word.partition("-")
    base = case.base
    changes: dict[str, dict[str, t.Any]] = {
        "": {},
        "rsa": {"key": "rsa"},
        "expired": {"begins": -60, "ends": -30},
        "future": {"begins": 10, "ends": 30},
        "wrongname": {"names": ("www.nowhere.example",), "subject": "www.nowhere.example"},
        "noname": {"names": (), "subject": ""},
        "ca": {"ca": True},
        "domain": {"names": (case.domain,), "subject": "x"},
        "target": {"names": (f"target.{case.domain}",), "subject": "x"},
        "wildcard": {"names": (f"*.{base.partition('.')[2]}",), "subject": "x"},
        "partial": {"names": (f"m*.{base.partition('.')[2]}",), "subject": "x"},
        "cn": {"names": (), "subject": base},
        "cn-san": {"names": ("www.nowhere.example",), "subject": base},
        "clientauth": {"client_only": True},
        "under-noca": {"issuer": NO_CA, "signer": "noca"},
    }
    facts: dict[str, t.Any] = {"subject": base, "key": "leaf", "names": (base,), **changes[variant]}
    if kind == "self":
        facts |= {"issuer": facts["subject"], "signer": facts["key"]}
    else:
        facts = {"issuer": INTERMEDIATE, "signer": "int", **facts}
    return _build(**facts)


def served_chain(case: Case) -> list[x509.Certificate]:
    """The certificates that the case's server sends, in their order; none where it has no TLS."""
    return [] if case.chain == "-" else [certificate_of(word, case) for word in case.chain.split("+")]


def key_name(case: Case) -> str:
    """The name of the key that goes with the chain."""
    return "rsa" if case.chain == "self-rsa" else "leaf"
