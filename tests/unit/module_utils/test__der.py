# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._der import (
    check_public_key,
    elements,
    oid_text,
    read_certificate,
)
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from hypothesis import given
from hypothesis import strategies as st

from certificates import KEY_KINDS, authority, element, issue, key

LEAF = issue(authority())


def sequence(*parts: bytes) -> bytes:
    return element(0x30, b"".join(parts))


NUMBER = element(2, b"\1")
ALGORITHM = sequence(element(6, b"\x2a\x03"))
NAME = sequence()
SPKI = sequence(ALGORITHM, element(3, b"\0key"))
SIGNATURE = element(3, b"\0signature")
TBS = sequence(NUMBER, ALGORITHM, NAME, sequence(), NAME, SPKI)


@pytest.mark.parametrize("kind", KEY_KINDS)
def test_the_parts_are_those_that_the_library_sees(kind: str) -> None:
    holder = issue(authority(key=key(kind, 1)), key=key(kind))
    parts = read_certificate(holder.der)
    assert parts.der == holder.der
    assert parts.spki == holder.spki
    assert parts.tbs == holder.certificate.tbs_certificate_bytes
    assert parts.issuer == holder.certificate.issuer.public_bytes()
    assert parts.subject == holder.certificate.subject.public_bytes()
    assert parts.signature == holder.certificate.signature
    oid = elements(elements(parts.signature_algorithm)[0][1])[0][1]
    assert oid_text(oid) == holder.certificate.signature_algorithm_oid.dotted_string


def test_the_smallest_certificate_has_no_version_and_no_extensions() -> None:
    parts = read_certificate(sequence(TBS, ALGORITHM, SIGNATURE))
    assert parts.tbs == TBS
    assert parts.spki == SPKI
    assert parts.signature == b"signature"


def tbs(*parts: bytes) -> bytes:
    return sequence(sequence(*parts), ALGORITHM, SIGNATURE)


DER = "Not a DER certificate: "

TEST_READ_CERTIFICATE_FAIL: list[tuple[bytes, str]] = [
    (b"", f"{DER}data ends at octet 0, where another element should begin"),
    (b"\x30", f"{DER}data ends at octet 0, where another element should begin"),
    (b"\x31\0", f"{DER}the certificate has tag 0x31 instead of 0x30"),
    (b"\x30\x80\0\0", f"{DER}length at octet 1 is indefinite, too large or cut off"),
    (b"\x30\x84\0\0\0\0", f"{DER}length at octet 1 is indefinite, too large or cut off"),
    (b"\x30\x82\0", f"{DER}length at octet 1 is indefinite, too large or cut off"),
    (b"\x30\x81\x7f" + bytes(127), f"{DER}length at octet 1 is not in its shortest form"),
    (b"\x30\x82\x00\x80" + bytes(128), f"{DER}length at octet 1 is not in its shortest form"),
    (LEAF.der[:-1], f"{DER}element at octet 0 wants {len(LEAF.der) - 4} octets, {len(LEAF.der) - 5} are left"),
    (b"\x30\x05abc", f"{DER}element at octet 0 wants 5 octets, 3 are left"),
    (LEAF.der + b"\0", f"{DER}1 octets follow the certificate"),
    (sequence(), f"{DER}data ends at octet 2, where another element should begin"),
    (sequence(NUMBER), f"{DER}its signed part has tag 0x02 instead of 0x30"),
    (sequence(TBS, NUMBER), f"{DER}its signature algorithm has tag 0x02 instead of 0x30"),
    (sequence(TBS, ALGORITHM, NUMBER), f"{DER}its signature has tag 0x02 instead of 0x03"),
    (
        sequence(TBS, ALGORITHM, SIGNATURE, NUMBER),
        f"{DER}its signature is not a string of whole octets at the end",
    ),
    (
        sequence(TBS, ALGORITHM, element(3, b"")),
        f"{DER}its signature is not a string of whole octets at the end",
    ),
    (
        sequence(TBS, ALGORITHM, element(3, b"\1x")),
        f"{DER}its signature is not a string of whole octets at the end",
    ),
    (tbs(element(0xA0, NUMBER), ALGORITHM), f"{DER}its serial number has tag 0x30 instead of 0x02"),
    (tbs(NUMBER, NUMBER), f"{DER}its inner signature algorithm has tag 0x02 instead of 0x30"),
    (tbs(NUMBER, sequence(NUMBER)), f"{DER}its two signature algorithms differ (RFC 5280 section 4.1.1.2)"),
    (tbs(NUMBER, ALGORITHM, NUMBER), f"{DER}its issuer has tag 0x02 instead of 0x30"),
    (tbs(NUMBER, ALGORITHM, NAME, NUMBER), f"{DER}its validity has tag 0x02 instead of 0x30"),
    (tbs(NUMBER, ALGORITHM, NAME, NAME, NUMBER), f"{DER}its subject has tag 0x02 instead of 0x30"),
    (tbs(NUMBER, ALGORITHM, NAME, NAME, NAME, NUMBER), f"{DER}its public key has tag 0x02 instead of 0x30"),
    (
        tbs(NUMBER, ALGORITHM, NAME, NAME, NAME, sequence(ALGORITHM, SIGNATURE, NUMBER)),
        f"{DER}something follows the public key's value",
    ),
]


@pytest.mark.parametrize(("der", "error"), TEST_READ_CERTIFICATE_FAIL)
def test_read_certificate_fail(der: bytes, error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        read_certificate(der)


def test_no_part_reaches_beyond_the_signed_part() -> None:
    short = sequence(NUMBER, ALGORITHM, NAME, sequence(), NAME, SPKI[:-1])
    with pytest.raises(
        InvalidCertificate, match=r"^Not a DER certificate: element at octet \d+ wants 12 octets, 11 are left$"
    ):
        read_certificate(sequence(short, ALGORITHM, SIGNATURE))


KEY = "Not a DER public key: "

TEST_CHECK_PUBLIC_KEY_FAIL: list[tuple[bytes, str]] = [
    (b"", f"{KEY}data ends at octet 0, where another element should begin"),
    (NUMBER, f"{KEY}the public key has tag 0x02 instead of 0x30"),
    (SPKI + b"\0\0", f"{KEY}2 octets follow the public key"),
    (sequence(NUMBER), f"{KEY}the public key's algorithm has tag 0x02 instead of 0x30"),
    (sequence(sequence(NUMBER)), f"{KEY}the public key's algorithm identifier has tag 0x02 instead of 0x06"),
    (sequence(ALGORITHM, NUMBER), f"{KEY}the public key's value has tag 0x02 instead of 0x03"),
    (sequence(ALGORITHM, SIGNATURE, NUMBER), f"{KEY}something follows the public key's value"),
    (LEAF.der, f"{KEY}the public key's algorithm identifier has tag 0xa0 instead of 0x06"),
]


@pytest.mark.parametrize(("spki", "error"), TEST_CHECK_PUBLIC_KEY_FAIL)
def test_check_public_key_fail(spki: bytes, error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        check_public_key(spki)


def test_check_public_key() -> None:
    assert check_public_key(LEAF.spki) == LEAF.spki


def test_elements() -> None:
    assert elements(b"") == []
    assert elements(NUMBER + element(4, bytes(200))) == [(2, b"\1"), (4, bytes(200))]
    with pytest.raises(
        InvalidCertificate, match=r"^Malformed DER: data ends at octet 3, where another element should begin$"
    ):
        elements(NUMBER + b"\0")


TEST_OID_TEXT: list[tuple[str, str]] = [
    ("2a864886f70d01010b", "1.2.840.113549.1.1.11"),
    ("2b656e", "1.3.101.110"),
    ("608648016503040311", "2.16.840.1.101.3.4.3.17"),
    ("883703", "2.999.3"),
    ("00", "0.0"),
]


@pytest.mark.parametrize(("content", "expected"), TEST_OID_TEXT)
def test_oid_text(content: str, expected: str) -> None:
    assert oid_text(bytes.fromhex(content)) == expected


@pytest.mark.parametrize(("content", "shown"), [("", "(empty)"), ("2a86", "2a86")])
def test_oid_text_fail(content: str, shown: str) -> None:
    error = f"Malformed DER: object identifier {shown} is cut off"
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        oid_text(bytes.fromhex(content))


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_refused(data: bytes) -> None:
    for read in (read_certificate, check_public_key, elements, oid_text):
        with contextlib.suppress(InvalidCertificate):
            read(data)


@given(st.integers(0, len(LEAF.der) - 1), st.binary(max_size=3))
def test_a_damaged_certificate_is_read_or_refused(position: int, octets: bytes) -> None:
    with contextlib.suppress(InvalidCertificate):
        parts = read_certificate(LEAF.der[:position] + octets + LEAF.der[position + 1 :])
        assert parts.spki in parts.tbs
        assert parts.tbs in parts.der
