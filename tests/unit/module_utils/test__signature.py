# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._certificate import certificate_parts
from ansible_collections.mailsec.dane.plugins.module_utils._der import CertificateParts, read_certificate
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._pem import read_blocks
from ansible_collections.mailsec.dane.plugins.module_utils._signature import (
    key_algorithm,
    load_key,
    signature_algorithm,
    signature_problem,
    signature_suits,
)
from cryptography.hazmat.primitives import hashes

from certificates import KEY_KINDS, authority, issue, key

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "rsa": "RSA",
    "p256": "ECDSA",
    "p384": "ECDSA",
    "p521": "ECDSA",
    "ed25519": "Ed25519",
    "ed448": "Ed448",
    "dsa": "DSA",
}
EC = certificate_parts(issue(authority()).certificate)
EC_KEY = authority().spki


def replaced(parts: CertificateParts, old: str, new: str) -> CertificateParts:
    """The certificate with other octets in its signature algorithm, both times that it stands there."""
    return read_certificate(parts.der.replace(bytes.fromhex(old), bytes.fromhex(new)))


@pytest.mark.parametrize("kind", KEY_KINDS)
def test_a_signature_verifies_under_its_key_only(kind: str) -> None:
    root, other = authority(key=key(kind, 1)), authority(key=key(kind, 2))
    parts = certificate_parts(issue(root).certificate)
    assert signature_problem(parts, root.spki) is None
    assert signature_problem(parts, other.spki) == "its signature is not by this key"
    assert key_algorithm(root.spki) == NAMES[kind]
    assert signature_suits(parts, root.spki)


@pytest.mark.parametrize("signer", KEY_KINDS)
@pytest.mark.parametrize("other", KEY_KINDS)
def test_a_key_of_another_kind_does_not_suit(signer: str, other: str) -> None:
    parts = certificate_parts(issue(authority(key=key(signer, 1))).certificate)
    suits = NAMES[signer] == NAMES[other]
    assert signature_suits(parts, authority(key=key(other, 1)).spki) is suits
    if not suits:
        assert signature_problem(parts, authority(key=key(other, 1)).spki) == "its signature is not by this key"


@pytest.mark.parametrize("kind", ["rsa", "p256"])
@pytest.mark.parametrize(
    "digest",
    [hashes.SHA224(), hashes.SHA384(), hashes.SHA512(), hashes.SHA3_256(), hashes.SHA3_512()],
    ids=lambda digest: digest.name,
)
def test_digests(kind: str, digest: hashes.HashAlgorithm) -> None:
    root = authority(key=key(kind, 1))
    parts = certificate_parts(issue(root, digest=digest).certificate)
    assert signature_problem(parts, root.spki) is None


def test_what_was_signed_counts() -> None:
    broken = read_certificate(EC.der.replace(b"mx1.example.org", b"mx2.example.org"))
    assert signature_problem(EC, EC_KEY) is None
    assert signature_problem(broken, EC_KEY) == "its signature is not by this key"


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


TEST_PSS: list[tuple[str, list[str]]] = [
    ("rsa", ["-sha256"]),
    ("rsa", ["-sha512"]),
    ("rsa", ["-sha384", "-sigopt", "rsa_pss_saltlen:11"]),
    ("rsa", ["-sha256", "-sigopt", "rsa_mgf1_md:sha512"]),
    ("rsa", ["-sha1", "-sigopt", "rsa_pss_saltlen:20"]),
    ("rsa-pss", ["-sha256"]),
]


@pytest.mark.parametrize(("kind", "options"), TEST_PSS)
def test_pss(kind: str, options: list[str], tmp_path: Path) -> None:
    scheme = ["-sigopt", "rsa_padding_mode:pss"] if kind == "rsa" else []
    request = ["req", "-x509", "-newkey", kind, "-pkeyopt", "rsa_keygen_bits:2048", "-nodes", "-keyout", "key.pem"]
    openssl(*request, "-subj", "/CN=mx1", "-out", "a.pem", *scheme, *options, folder=tmp_path)
    (block,) = read_blocks((tmp_path / "a.pem").read_text())
    parts = read_certificate(block.octets())
    assert signature_problem(parts, parts.spki) is None
    assert signature_suits(parts, parts.spki)
    assert key_algorithm(parts.spki) == {"rsa": "RSA", "rsa-pss": "RSA-PSS"}[kind]
    other = authority(key=key("rsa", 1))
    assert signature_problem(parts, other.spki) == "its signature is not by this key"


PSS = "06092a864886f70d01010a"
RSA_ROOT = authority(key=key("rsa", 1))
RSA = certificate_parts(issue(RSA_ROOT).certificate)
MALFORMED = "its signature cannot be verified: The RSASSA-PSS parameters of the signature are malformed or name "

TEST_PSS_FAIL: list[tuple[str, str]] = [
    (f"300d{PSS}0500", "its signature is not by this key"),  # no parameters: SHA-1 and its defaults
    (f"300b{PSS}", "its signature is not by this key"),
    (f"300d{PSS}3000", "its signature is not by this key"),
    (f"300f{PSS}3002a000", MALFORMED),
    (f"3015{PSS}3008a006300406022a03", MALFORMED),
    (f"300f{PSS}3002a100", MALFORMED),
    (f"3015{PSS}3008a106300406022a03", MALFORMED),
    (f"300f{PSS}3002a200", MALFORMED),
    (f"3012{PSS}3005a203020100", "its signature is not by this key"),
    (f"3012{PSS}3005a203040100", "its signature cannot be verified: "),
]


@pytest.mark.parametrize(("algorithm", "problem"), TEST_PSS_FAIL)
def test_pss_fail(algorithm: str, problem: str) -> None:
    parts = RSA._replace(signature_algorithm=bytes.fromhex(algorithm))
    assert (signature_problem(parts, RSA_ROOT.spki) or "").startswith(problem)


def test_an_unknown_signature_algorithm_is_named() -> None:
    parts = replaced(EC, "06082a8648ce3d040302", "06082a8648ce3d04037f")
    error = "The certificate is signed by an unknown algorithm, object identifier 1.2.840.10045.4.3.127; is it damaged?"
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        signature_algorithm(parts)
    assert signature_problem(parts, EC_KEY) == f"its signature cannot be verified: {error}"


def test_an_algorithm_without_identifier_is_malformed() -> None:
    parts = EC._replace(signature_algorithm=bytes.fromhex("30020500"))
    with pytest.raises(InvalidCertificate, match=r"^Malformed DER: an algorithm without an object identifier$"):
        signature_algorithm(parts)


ML_DSA_65 = bytes.fromhex("300b0609608648016503040312")


def test_an_algorithm_that_the_library_lacks_is_known_and_not_verified() -> None:
    parts = EC._replace(signature_algorithm=ML_DSA_65)
    spki = bytes.fromhex("3010") + ML_DSA_65 + bytes.fromhex("030100")
    assert signature_algorithm(parts) == "2.16.840.1.101.3.4.3.18"
    assert key_algorithm(spki) == "ML-DSA-65"
    assert signature_suits(parts, spki)
    assert not signature_suits(parts, EC_KEY)
    assert signature_problem(parts, EC_KEY) == (
        "its signature cannot be verified: ML-DSA-65 signatures are not supported"
    )


def test_a_key_that_nobody_knows_has_its_identifier_for_a_name() -> None:
    spki = bytes.fromhex("300a30050603550403030100")
    assert key_algorithm(spki) == "2.5.4.3"
    with pytest.raises(InvalidCertificate, match=r"^The 2\.5\.4\.3 public key cannot be used: "):
        load_key(spki)
    assert (signature_problem(EC, spki) or "").startswith("its signature cannot be verified: The 2.5.4.3 public key ")


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(
        InvalidCertificate, match=r"^Not a DER public key: the public key has tag 0x31 instead of 0x30$"
    ):
        key_algorithm(b"\x31\0")
    assert signature_problem(EC, b"\x31\0") == (
        "its signature cannot be verified: Not a DER public key: the public key has tag 0x31 instead of 0x30"
    )
