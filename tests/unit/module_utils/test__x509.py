# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import contextlib
import hashlib
import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._der import read_certificate
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import (
    certificate_parts,
    load_certificates,
    load_chains,
    tlsa_record_for,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from certificates import KEY_KINDS, Holder, authority, issue, key

ROOT = authority()
MIDDLE = authority(ROOT)
LEAF = issue(MIDDLE)
RSA = issue(MIDDLE, key=key("rsa"))
CSR = x509.CertificateSigningRequestBuilder().subject_name(LEAF.certificate.subject).sign(key("p256"), hashes.SHA256())


def pem(*holders: Holder) -> str:
    return "".join(holder.pem for holder in holders)


def found(data: bytes | str) -> list[list[bytes]]:
    return [[certificate.public_bytes(Encoding.DER) for certificate in chain] for chain in load_chains(data)]


TEST_LOAD_CERTIFICATES: list[tuple[bytes | str, tuple[Holder, ...]]] = [
    (LEAF.pem, (LEAF,)),
    (LEAF.pem.encode(), (LEAF,)),
    (LEAF.der, (LEAF,)),
    (pem(LEAF, MIDDLE, ROOT), (LEAF, MIDDLE, ROOT)),
    (LEAF.key_pem + pem(LEAF, MIDDLE), (LEAF, MIDDLE)),
    (pem(LEAF, MIDDLE) + LEAF.key_pem, (LEAF, MIDDLE)),
    ("0 s:CN = mx1\n" + LEAF.pem, (LEAF,)),
    (b"0 s:CN = mx1\n" + LEAF.pem.encode(), (LEAF,)),
    ("Prüfung\n".encode() + LEAF.pem.encode(), (LEAF,)),
    ("Prüfung\n".encode("latin-1") + LEAF.pem.encode(), (LEAF,)),
    (LEAF.pem.replace("CERTIFICATE", "X509 CERTIFICATE"), (LEAF,)),
    (CSR.public_bytes(Encoding.PEM).decode() + LEAF.pem, (LEAF,)),
]


@pytest.mark.parametrize(("data", "expected"), TEST_LOAD_CERTIFICATES)
def test_load_certificates(data: bytes | str, expected: tuple[Holder, ...]) -> None:
    assert load_certificates(data) == tuple(holder.certificate for holder in expected)


WANTED = "A certificate is wanted, and the input "
NO_PEM = "There is no PEM block (-----BEGIN ...-----) in the input, which begins with "
CONVERT = "convert it to plain certificates (openssl x509, openssl pkcs7 -print_certs)"
UNKNOWN = LEAF.der.replace(bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f"))

TEST_LOAD_CERTIFICATES_FAIL: list[tuple[bytes | str, str]] = [
    ("", "The input is empty where a certificate or key was expected"),
    (b"", "The input is empty where a certificate or key was expected"),
    (" \n", "The input is empty where a certificate or key was expected"),
    ("hello", f"{NO_PEM}'hello'"),
    ("x" * 99, f"{NO_PEM}'{'x' * 30}'"),
    (
        "/etc/ssl/mx1.pem\n",
        f"{NO_PEM}'/etc/ssl/mx1.pem\\n'; it looks like a path, read the file first (lookup)",
    ),
    ("/* a\nb */", f"{NO_PEM}'/* a\\nb */'"),
    (
        base64.b64encode(LEAF.pem.encode()).decode(),
        f"{NO_PEM}'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS'; it looks like base64, decode it first (b64decode)",
    ),
    (LEAF.key_pem, f"{WANTED}holds only: PRIVATE KEY"),
    (LEAF.public_pem * 2, f"{WANTED}holds only: PUBLIC KEY"),
    (CSR.public_bytes(Encoding.PEM), f"{WANTED}holds only: CERTIFICATE REQUEST"),
    (
        CSR.public_bytes(Encoding.DER),
        f"{WANTED}is a certificate signing request",
    ),
    (
        LEAF.spki,
        f"{WANTED}is a public key",
    ),
    (
        LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        f"{WANTED}is a private key",
    ),
    (b"\x30\x01\x00", "Not a DER certificate: data ends at octet 2, where another element should begin"),
    (
        LEAF.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        f"Line 1 begins a TRUSTED CERTIFICATE block, which TLS servers do not load; {CONVERT}",
    ),
    (
        f"{LEAF.pem}-----BEGIN PKCS7-----\nAQID\n-----END PKCS7-----\n",
        f"Line {LEAF.pem.count(chr(10)) + 1} begins a PKCS7 block, which TLS servers do not load; {CONVERT}",
    ),
    (
        f"text\n{LEAF.public_pem.replace('PUBLIC KEY', 'CERTIFICATE')}",
        "The certificate in line 2: Not a DER certificate: its signature algorithm has tag 0x03 instead of 0x30",
    ),
    (
        UNKNOWN,
        ("The certificate is signed by an unknown algorithm, object identifier 1.2.840.10045.4.3.127; is it damaged?"),
    ),
    (
        LEAF.pem.rpartition("-----END")[0],
        "Truncated PEM: -----BEGIN CERTIFICATE----- in line 1, and no matching END line follows",
    ),
]


@pytest.mark.parametrize(("data", "error"), TEST_LOAD_CERTIFICATES_FAIL)
def test_load_certificates_fail(data: bytes | str, error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        load_certificates(data)


EC_PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

TEST_LOAD_CHAINS: list[tuple[bytes | str, list[list[Holder]]]] = [
    (LEAF.der, [[LEAF]]),
    (pem(LEAF, MIDDLE, ROOT), [[LEAF, MIDDLE, ROOT]]),
    (pem(LEAF, MIDDLE, RSA, MIDDLE), [[LEAF, MIDDLE], [RSA, MIDDLE]]),
    (pem(LEAF, MIDDLE) + LEAF.key_pem + pem(RSA, MIDDLE) + RSA.key_pem, [[LEAF, MIDDLE], [RSA, MIDDLE]]),
    (LEAF.key_pem + pem(LEAF, MIDDLE) + RSA.key_pem + pem(RSA, MIDDLE), [[LEAF, MIDDLE], [RSA, MIDDLE]]),
    # Keys tell chains apart where nothing else does.
    (MIDDLE.key_pem + MIDDLE.pem + ROOT.key_pem + ROOT.pem, [[MIDDLE], [ROOT]]),
    (EC_PARAMETERS + MIDDLE.key_pem + MIDDLE.pem + ROOT.key_pem + ROOT.pem, [[MIDDLE], [ROOT]]),
    (LEAF.key_pem + CSR.public_bytes(Encoding.PEM).decode() + LEAF.pem, [[LEAF]]),
]


@pytest.mark.parametrize(("data", "expected"), TEST_LOAD_CHAINS)
def test_load_chains(data: bytes | str, expected: list[list[Holder]]) -> None:
    assert found(data) == [[holder.der for holder in chain] for chain in expected]


TEST_LOAD_CHAINS_FAIL: list[tuple[str, str]] = [
    (LEAF.key_pem, f"{WANTED}holds only: PRIVATE KEY"),
    (EC_PARAMETERS, f"{WANTED}holds only: EC PARAMETERS"),
    (LEAF.key_pem + LEAF.pem + RSA.key_pem, "Private key 2 of the file is followed by no certificate"),
    (LEAF.key_pem + RSA.key_pem + RSA.pem, "Private key 1 of the file is followed by no certificate"),
]


@pytest.mark.parametrize(("data", "error"), TEST_LOAD_CHAINS_FAIL)
def test_load_chains_fail(data: str, error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        load_chains(data)


@pytest.mark.parametrize("kind", KEY_KINDS)
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching_type", [0, 1, 2])
def test_tlsa_record_for(kind: str, selector: int, matching_type: int) -> None:
    holder = issue(key=key(kind))
    selected = holder.spki if selector else holder.der
    expected = (selected, hashlib.sha256(selected).digest(), hashlib.sha512(selected).digest())[matching_type]
    for usage in (0, 1, 2, 3, 255):
        record = tlsa_record_for(holder.certificate, usage, selector, matching_type)
        assert record.parameters == (usage, selector, matching_type)
        assert record.data == expected


def test_every_source_of_a_key_gives_the_same_record() -> None:
    record = tlsa_record_for(LEAF.certificate)
    assert record.parameters == (3, 1, 1)
    assert tlsa_record_for(certificate_parts(LEAF.certificate)) == record
    assert tlsa_record_for(LEAF.key.public_key()) == record
    assert tlsa_record_for(LEAF.spki) == record


def test_the_key_is_taken_as_the_certificate_has_it() -> None:
    """An RSA key with an unusual, valid encoding: the parameters are absent instead of NULL."""
    plain = issue(key=key("rsa"))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    start = plain.der.index(algorithm)
    odd = bytearray(plain.der.replace(algorithm, bytes.fromhex("300b06092a864886f70d010101")))
    for position in (2, 6, start - 2):  # the lengths of the certificate, of its signed part and of the key
        length = int.from_bytes(odd[position : position + 2], "big") - 2
        odd[position : position + 2] = length.to_bytes(2, "big")
    record = tlsa_record_for(read_certificate(bytes(odd)), 3, 1, 0)
    assert record.data != plain.spki
    assert record.data in odd


TEST_TLSA_RECORD_FOR_FAIL: list[tuple[bytes, int, int, str]] = [
    (LEAF.spki, 0, 1, "Selector cert (0) needs a certificate; a bare public key goes with selector spki (1)"),
    (
        LEAF.spki,
        2,
        1,
        (
            "Selector 2 with matching type 1 cannot be computed; "
            "use selector cert (0) or spki (1) and matching type full (0), sha2-256 (1) or sha2-512 (2)"
        ),
    ),
    (
        LEAF.spki,
        1,
        3,
        (
            "Selector 1 with matching type 3 cannot be computed; "
            "use selector cert (0) or spki (1) and matching type full (0), sha2-256 (1) or sha2-512 (2)"
        ),
    ),
    (b"key", 1, 1, "Not a DER public key: element at octet 0 wants 101 octets, 1 are left"),
]


@pytest.mark.parametrize(("source", "selector", "matching_type", "error"), TEST_TLSA_RECORD_FOR_FAIL)
def test_tlsa_record_for_fail(source: bytes, selector: int, matching_type: int, error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        tlsa_record_for(source, 3, selector, matching_type)


@given(st.one_of(st.binary(), st.text(), st.binary().map(lambda tail: b"\x30" + tail)))
def test_any_input_is_loaded_or_refused(data: bytes | str) -> None:
    for load in (load_certificates, load_chains):
        with contextlib.suppress(InvalidCertificate):
            load(data)


@given(st.integers(0, len(LEAF.der) - 1), st.integers(0, 255))
@pytest.mark.filterwarnings("ignore::UserWarning")  # cryptography warns of oddities that it accepts
def test_a_damaged_certificate_is_loaded_or_refused(position: int, octet: int) -> None:
    damaged = bytearray(LEAF.der)
    damaged[position] = octet
    with contextlib.suppress(InvalidCertificate):
        load_chains(bytes(damaged))
