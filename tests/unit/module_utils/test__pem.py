# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._pem import read_blocks
from hypothesis import given
from hypothesis import strategies as st

from certificates import issue

LEAF = issue()


def block(body: str = "AQID", label: str = "CERTIFICATE") -> str:
    return f"-----BEGIN {label}-----{body}-----END {label}-----"


TEST_OCTETS: list[tuple[str, bytes]] = [
    (block(), b"\1\2\3"),
    (block("\nAQ\r\n\tID \n"), b"\1\2\3"),
    (f"Certificate:\n    Data: -- text - before\n{block()}\nand after", b"\1\2\3"),
    (LEAF.pem, LEAF.der),
    (LEAF.pem.replace("\n", "\r\n"), LEAF.der),
    (LEAF.pem.replace("\n", " "), LEAF.der),
    (f"----- our certificate\n{block()}\n----- the end\n.", b"\1\2\3"),
]


@pytest.mark.parametrize(("text", "octets"), TEST_OCTETS)
def test_octets(text: str, octets: bytes) -> None:
    (found,) = read_blocks(text)
    assert found.label == "CERTIFICATE"
    assert found.octets() == octets


def test_blocks_come_in_order_with_their_lines() -> None:
    legacy = block("\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAQID\n", "RSA PRIVATE KEY")
    text = f"text\n{block(label='PRIVATE KEY')}\n\n{legacy}\n{block()}{block(label='X509 CERTIFICATE')}\n"
    assert [(found.label, found.line) for found in read_blocks(text)] == [
        ("PRIVATE KEY", 2),
        ("RSA PRIVATE KEY", 4),
        ("CERTIFICATE", 10),
        ("X509 CERTIFICATE", 10),
    ]


@pytest.mark.parametrize("text", ["", "no PEM here", "-----BEGIN certificate-----\n.", "----- BEGIN X -----\n."])
def test_text_without_blocks_has_none(text: str) -> None:
    assert read_blocks(text) == []


BEGIN = "Truncated PEM: -----BEGIN CERTIFICATE-----"
NO_END = "and no matching END line follows"
NO_BEGIN = "and no matching BEGIN line comes before"

TEST_TRUNCATED: list[tuple[str, str]] = [
    ("\n-----BEGIN CERTIFICATE-----\nAQID\n", f"{BEGIN} in line 2, {NO_END}"),
    ("AQID\n-----END CERTIFICATE-----\n", f"Truncated PEM: -----END CERTIFICATE----- in line 2, {NO_BEGIN}"),
    (
        f"{block()}\n-----BEGIN CERTIFICATE-----\nAQID",
        f"{BEGIN} in line 2, {NO_END}",
    ),
    (
        f"-----BEGIN CERTIFICATE-----\nAQID\n{block()}",
        f"{BEGIN} in line 1, {NO_END}",
    ),
    (f"{block()}\n-----BEGIN CERT", f"Truncated PEM: -----BEGIN CERT in line 2, {NO_END}"),
    (
        "-----BEGIN CERTIFICATE-----AQID-----END X-----",
        f"{BEGIN} in line 1, {NO_END}",
    ),
]


@pytest.mark.parametrize(("text", "error"), TEST_TRUNCATED)
def test_truncated(text: str, error: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        read_blocks(text)


TEST_DAMAGED: list[tuple[str, str]] = [
    (block(""), "Damaged PEM: the CERTIFICATE block in line 1 is empty"),
    (block("AQI"), "Damaged PEM: the CERTIFICATE block in line 1 is not base64: "),
    (block("AQ!D"), "Damaged PEM: the CERTIFICATE block in line 1 is not base64: "),
    (block("AQ=D"), "Damaged PEM: the CERTIFICATE block in line 1 is not base64: "),
    (block("AQ==AQ=="), "Damaged PEM: the CERTIFICATE block in line 1 is not base64: "),
    (block("äöü0"), "Damaged PEM: the CERTIFICATE block in line 1 is not base64: "),
    (f"\n\n{block('A-I=')}", "Damaged PEM: the CERTIFICATE block in line 3 is not base64: "),
]


@pytest.mark.parametrize(("text", "error"), TEST_DAMAGED)
def test_damaged(text: str, error: str) -> None:
    (found,) = read_blocks(text)
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}"):
        found.octets()


@given(st.lists(st.sampled_from(["-----BEGIN X-----", "-----END X-----", "-----", "AQID", "\n", "-", "é"])))
def test_any_text_is_read_or_refused(pieces: list[str]) -> None:
    with contextlib.suppress(InvalidCertificate):
        for found in read_blocks("".join(pieces)):
            found.octets()


@given(st.integers(0, len(LEAF.pem) - 1))
def test_a_cut_off_file_never_passes_for_a_shorter_one(length: int) -> None:
    text = LEAF.pem + LEAF.pem
    cut = len(LEAF.pem) + length
    if text[cut:].strip() and text[len(LEAF.pem) : cut].strip("-"):
        with pytest.raises(InvalidCertificate):
            [found.octets() for found in read_blocks(text[:cut])]
