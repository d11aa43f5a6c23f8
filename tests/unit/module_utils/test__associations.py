# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._associations import tlsa_records_for
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import load_certificates, tlsa_record_for
from cryptography.hazmat.primitives.serialization import Encoding

from certificates import HOST, Holder, authority, issue, key

if t.TYPE_CHECKING:
    from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

VECTORS = Path(__file__).parents[2] / "vectors"
ROOT = authority()
MIDDLE = authority(ROOT)
LEAF = issue(MIDDLE)
RSA = issue(MIDDLE, key=key("rsa"))


def rr(holder: Holder, usage: int = 3, selector: int = 1, matching_type: int = 1) -> TlsaRecord:
    return tlsa_record_for(holder.certificate, usage, selector, matching_type)


TWO = LEAF.pem + MIDDLE.pem + RSA.pem + MIDDLE.pem

TEST_RECORDS: list[tuple[bytes | str, tuple[int, int, int], tuple[TlsaRecord, ...]]] = [
    (LEAF.pem, (3, 1, 1), (rr(LEAF),)),
    (LEAF.pem.encode(), (3, 0, 2), (rr(LEAF, 3, 0, 2),)),
    (LEAF.der, (3, 1, 1), (rr(LEAF),)),
    (LEAF.public_pem, (3, 1, 1), (rr(LEAF),)),
    (LEAF.spki, (3, 1, 1), (rr(LEAF),)),
    (LEAF.public_pem + RSA.public_pem, (3, 1, 1), (rr(LEAF), rr(RSA))),
    (LEAF.public_pem, (2, 1, 0), (rr(LEAF, 2, 1, 0),)),
    (LEAF.pem + LEAF.public_pem, (3, 1, 1), (rr(LEAF),)),
    (LEAF.pem + MIDDLE.pem, (3, 1, 1), (rr(LEAF),)),
    (LEAF.pem + MIDDLE.pem, (2, 1, 1), (rr(MIDDLE, 2),)),
    (MIDDLE.pem, (2, 0, 1), (rr(MIDDLE, 2, 0),)),
    (MIDDLE.der, (2, 0, 1), (rr(MIDDLE, 2, 0),)),
    (TWO, (3, 1, 1), (rr(LEAF), rr(RSA))),
    (TWO, (2, 1, 1), (rr(MIDDLE, 2),)),
    (LEAF.pem, (255, 1, 1), (rr(LEAF, 255),)),
]


@pytest.mark.parametrize(("data", "parameters", "expected"), TEST_RECORDS)
def test_records(data: bytes | str, parameters: tuple[int, int, int], expected: tuple[TlsaRecord, ...]) -> None:
    assert tlsa_records_for(data, *parameters) == expected


TEST_RECORDS_FAIL: list[tuple[bytes | str, tuple[int, int, int], str]] = [
    ("", (3, 1, 1), "The input is empty where a certificate or key was expected"),
    (LEAF.key_pem, (3, 1, 1), "A certificate is wanted, and the input holds only: PRIVATE KEY"),
    (
        LEAF.public_pem,
        (3, 0, 1),
        "Selector cert (0) needs a certificate; a bare public key goes with selector spki (1)",
    ),
    (
        LEAF.pem,
        (2, 1, 1),
        (
            f"Usage dane-ta (2) needs the CA that issued CN={HOST}, and the input lacks it; "
            "give the chain as it is served, or the CA's certificate"
        ),
    ),
    (
        LEAF.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE") + RSA.pem,
        (3, 1, 1),
        (
            "Line 1 begins a TRUSTED CERTIFICATE block, which TLS servers do not load; "
            "convert it to plain certificates (openssl x509, openssl pkcs7 -print_certs)"
        ),
    ),
    (
        LEAF.public_pem.replace("PUBLIC KEY", "CERTIFICATE"),
        (3, 1, 1),
        "Not a DER certificate: its signature algorithm has tag 0x03 instead of 0x30",
    ),
    (b"\x30\0", (3, 1, 1), "Not a DER certificate: data ends at octet 2, where another element should begin"),
]


@pytest.mark.parametrize(("data", "parameters", "error"), TEST_RECORDS_FAIL)
def test_records_fail(data: bytes | str, parameters: tuple[int, int, int], error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        tlsa_records_for(data, *parameters)


# SHA-256 of the public keys, as "openssl x509 -pubkey | openssl pkey -pubin -outform DER | sha256sum" gives it.
LETS_ENCRYPT = [
    "2e8307068b6db620e4a39d068b5dee5d6ef5788cbb2c0b6d23ead84fcc17178c",
    "9d637b3d27a9e570d07607b9ccadb80a70915c7af72afce12841b1b1da825fd1",
    "51aaa87d984b559ac69e929f888a022d832e089ff4dba0a412b5101bca4bc799",
    "6ebcefb4210b088654a38b03fea3d7d1c711b4fb1ddc363a45f9b1a4e53da01e",
    "b3fb5d00e994cddf2cc9a4eea9f806bc5727e83cc0e4299bf956f2d524fe5376",
    "a698a20824be04e47a1a33c4fa488731be92011f23a31e900e2ca26c9c2acfce",
    "b0292ae545978e0fbb98abbd94c861605e5b18bb32ed523f50d5b7b5c71d47bc",
]


def test_lets_encrypt() -> None:
    """The digests that mail hosts publish as 2 1 1 for the intermediates YR1 to YE3 and for Root YE."""
    certificates = load_certificates((VECTORS / "lets_encrypt_y.pem").read_bytes())
    pems = [certificate.public_bytes(Encoding.PEM) for certificate in certificates]
    assert [record.to_text() for pem in pems for record in tlsa_records_for(pem, 2, 1, 1)] == [
        f"2 1 1 {digest}" for digest in LETS_ENCRYPT
    ]
