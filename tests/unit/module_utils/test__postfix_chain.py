# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_chain import (
    chain_findings,
    issuer_findings,
    key_algorithm,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519

from certificates import Holder, authority, issue

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def pem(key: PrivateKeyTypes, form: serialization.PrivateFormat = PKCS8, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        (pem(RSA_KEY), "RSA"),
        (pem(RSA_KEY, TRADITIONAL), "RSA"),
        (pem(EC_KEY), "ECDSA"),
        (pem(EC_KEY, TRADITIONAL), "ECDSA"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "Ed25519"),
        (pem(ed448.Ed448PrivateKey.generate()), "Ed448"),
        ("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + pem(EC_KEY), "ECDSA"),
    ],
)
def test_the_algorithm_of_the_key(text: str, algorithm: str) -> None:
    assert key_algorithm(text + CERTIFICATE * 2) == algorithm


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a chain file holds exactly one private key, and here is none; write one file per key"),
        (CERTIFICATE, "and here is none"),
        (pem(EC_KEY) + CERTIFICATE + pem(RSA_KEY) + CERTIFICATE, "and here is 2 of them"),
        (CERTIFICATE + pem(EC_KEY), "the private key must come before its certificates"),
        (pem(EC_KEY), "no certificate follows the private key"),
        (pem(EC_KEY, password=b"x") + CERTIFICATE, "the private key is encrypted"),
        (pem(RSA_KEY, TRADITIONAL, b"x") + CERTIFICATE, "the private key is encrypted"),
        (
            pem(x25519.X25519PrivateKey.generate()) + CERTIFICATE,
            "the private key in line 1 is of no kind that TLS servers use",
        ),
        (pem(EC_KEY)[:-10] + CERTIFICATE, "Truncated PEM"),
    ],
)
def test_files_that_postfix_would_refuse_or_misuse(text: str, message: str) -> None:
    with pytest.raises(InvalidCertificate, match=re.escape(message)):
        key_algorithm(text)


def test_two_files_of_one_algorithm_are_refused() -> None:
    message = "/a.pem and /b.pem both hold an RSA key; Postfix serves one key of each algorithm only"
    with pytest.raises(InvalidCertificate, match=re.escape(message)):
        chain_findings({"/a.pem": "RSA", "/c.pem": "ECDSA", "/b.pem": "RSA"}, {})


def test_exposed_keys_and_acme_directories_are_reported() -> None:
    live = "/etc/letsencrypt/live/mx1.example.org/combined.pem"
    findings = chain_findings({"/a.pem": "RSA", live: "ECDSA"}, {"/a.pem": 0o100644, live: 0o100640})
    assert [(finding.setting, finding.severity) for finding in findings] == [("/a.pem", "warning"), (live, "warning")]
    assert chain_findings({"/a.pem": "RSA"}, {"/a.pem": 0o100600}) == ()


def test_each_certificate_is_followed_by_its_issuer() -> None:
    root = authority(subject="Root")
    middle = authority(root, subject="Middle")
    host = issue(middle, subject="mx1.example.org")

    def problems(*holders: Holder) -> list[str]:
        text = host.key_pem + "".join(holder.pem for holder in holders)
        return [finding.problem for finding in issuer_findings("/a.pem", text)]

    assert problems(host) == problems(host, middle) == problems(host, middle, root) == []
    line = (host.key_pem + host.pem).count("\n") + 1
    assert problems(host, root) == [f"The certificate in line {line} did not issue the one before it."]
    assert len(problems(host, root, middle)) == 2
