# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import replace

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import (
    MatchingType,
    Selector,
    TlsaRecord,
    Usage,
    field_label,
    field_number,
)
from hypothesis import given
from hypothesis import strategies as st

DATA = bytes(range(32))
HEX = DATA.hex()
RECORD = TlsaRecord(3, 1, 1, DATA)

octet = st.integers(0, 255)
records = st.builds(TlsaRecord, octet, octet, octet, st.binary(max_size=80))

TEST_FROM_TEXT: list[tuple[str, TlsaRecord]] = [
    (f"3 1 1 {HEX}", RECORD),
    (f"3 1 1 {HEX.upper()}", RECORD),
    (f"  3\t1\n1   {HEX[:7]} {HEX[7:10]}\n\t{HEX[10:]} ", RECORD),
    (f"DANE-EE SPKI SHA2-256 {HEX}", RECORD),
    (f"dane-ee Spki sha2-256 {HEX}", RECORD),
    (f"( 3 1 1 {HEX[:32]}\n  {HEX[32:]} )", RECORD),
    (f"(3 1 1 {HEX})", RECORD),
    (f"003 01 1 {HEX}", RECORD),
    ("0 0 0 00", TlsaRecord(0, 0, 0, b"\0")),
    ("PrivCert PrivSel PrivMatch 01", TlsaRecord(255, 255, 255, b"\1")),
    ("priv-cert priv-sel priv-match 01", TlsaRecord(255, 255, 255, b"\1")),
    ("PKIX-TA Cert Full 01", TlsaRecord(0, 0, 0, b"\1")),
    ("4 2 3 0102", TlsaRecord(4, 2, 3, b"\1\2")),
    ("3 1 1", TlsaRecord(3, 1, 1, b"")),
    # RFC 6698 section 2.3
    (
        "( 0 0 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971 )",
        TlsaRecord(0, 0, 1, bytes.fromhex("d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971")),
    ),
    (
        """( 1 1 2 92003ba34942dc74152e2f2c408d29ec
              a5a520e7f2e06bb944f4dca346baf63c
              1b177615d466f6c4b71c216a50292bd5
              8c9ebdd2f74e38fe51ffd48c43326cbc )""",
        TlsaRecord(
            1,
            1,
            2,
            bytes.fromhex(
                "92003ba34942dc74152e2f2c408d29eca5a520e7f2e06bb944f4dca346baf63c"
                "1b177615d466f6c4b71c216a50292bd58c9ebdd2f74e38fe51ffd48c43326cbc"
            ),
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), TEST_FROM_TEXT)
def test_from_text(text: str, expected: TlsaRecord) -> None:
    assert TlsaRecord.from_text(text) == expected


USAGES = "pkix-ta (0), pkix-ee (1), dane-ta (2), dane-ee (3), priv-cert (255)"
MATCHING_TYPES = "full (0), sha2-256 (1), sha2-512 (2), priv-match (255)"
ODD = "Certificate association data has an odd number of hexadecimal digits"

TEST_FROM_TEXT_FAIL: list[tuple[str, str]] = [
    ("", "A TLSA record is written as usage, selector, matching type and data; got ''"),
    ("3 1", "A TLSA record is written as usage, selector, matching type and data; got '3 1'"),
    (f"( 3 1 1 {HEX}", f"'(' is no certificate usage: expected a number from 0 to 255 or one of {USAGES}"),
    (f"256 1 1 {HEX}", f"'256' is no certificate usage: expected a number from 0 to 255 or one of {USAGES}"),
    (f"-1 1 1 {HEX}", f"'-1' is no certificate usage: expected a number from 0 to 255 or one of {USAGES}"),
    (f"٣ 1 1 {HEX}", f"'٣' is no certificate usage: expected a number from 0 to 255 or one of {USAGES}"),
    (
        f"3 key 1 {HEX}",
        "'key' is no selector: expected a number from 0 to 255 or one of cert (0), spki (1), priv-sel (255)",
    ),
    (
        f"3 1 sha256 {HEX}",
        f"'sha256' is no matching type: expected a number from 0 to 255 or one of {MATCHING_TYPES}",
    ),
    ("3 1 1 8a9g", "Certificate association data must be hexadecimal digits, in '3 1 1 8a9g'"),
    ("3 1 1 0x8a", "Certificate association data must be hexadecimal digits, in '3 1 1 0x8a'"),
    ("3 1 1 8a9", f"{ODD} (3), in '3 1 1 8a9'"),
    (
        f"3 1 1 {'0' * 200}0",
        f"{ODD} (201), in '3 1 1 {'0' * 113}... (209 characters)",
    ),
]


@pytest.mark.parametrize(("text", "error"), TEST_FROM_TEXT_FAIL)
def test_from_text_fail(text: str, error: str) -> None:
    with pytest.raises(InvalidRecord, match=f"^{re.escape(error)}$"):
        TlsaRecord.from_text(text)


TEST_FROM_GENERIC: list[tuple[str, TlsaRecord]] = [
    (rf"\# 35 030101{HEX}", RECORD),
    (rf"\# 35 0301 01{HEX[:3]} {HEX[3:].upper()}", RECORD),
    ("\t\\#\n 3 030101", TlsaRecord(3, 1, 1, b"")),
]


@pytest.mark.parametrize(("text", "expected"), TEST_FROM_GENERIC)
def test_from_generic(text: str, expected: TlsaRecord) -> None:
    assert TlsaRecord.from_generic(text) == expected


TEST_FROM_GENERIC_FAIL: list[tuple[str, str]] = [
    (r"# 3 030101", r"The generic form of a record is \#, a length and hexadecimal digits; got '# 3 030101'"),
    (r"\# x 030101", r"The generic form of a record is \#, a length and hexadecimal digits; got '\\# x 030101'"),
    (r"\# 3 03010g", r"The generic form of a record is \#, a length and hexadecimal digits; got '\\# 3 03010g'"),
    (r"\# 4 030101", r"The length says 4 octets but 3 follow, in '\\# 4 030101'"),
    (r"\# 0", "The data of a TLSA record has 3 octets at least; got 0"),
    (r"\# 2 0301", "The data of a TLSA record has 3 octets at least; got 2"),
]


@pytest.mark.parametrize(("text", "error"), TEST_FROM_GENERIC_FAIL)
def test_from_generic_fail(text: str, error: str) -> None:
    with pytest.raises(InvalidRecord, match=f"^{re.escape(error)}$"):
        TlsaRecord.from_generic(text)


TEST_FROM_MAPPING: list[dict[str, object]] = [
    {"usage": 3, "selector": 1, "matching_type": 1, "data": HEX},
    {"usage": "3", "selector": " 1", "matching_type": "1 ", "data": f" {HEX[:5]} {HEX[5:].upper()}\n"},
    {"usage": "dane-ee", "selector": "spki", "matching_type": "sha2-256", "data": DATA},
    {"usage": Usage.DANE_EE, "selector": Selector.SPKI, "matching_type": MatchingType.SHA2_256, "data": DATA},
]


@pytest.mark.parametrize("fields", TEST_FROM_MAPPING)
def test_from_mapping(fields: dict[str, object]) -> None:
    assert TlsaRecord.from_mapping(fields) == RECORD


KEYS = "A TLSA record has the keys usage, selector, matching_type, data; got "

TEST_FROM_MAPPING_FAIL: list[tuple[dict[str, object], str]] = [
    ({}, f"{KEYS}{{}}"),
    ({"usage": 3, "selector": 1, "data": "00"}, f"{KEYS}{{'usage': 3, 'selector': 1, 'data': '00'}}"),
    (
        {"usage": 3, "selector": 1, "matching_type": 1, "data": "00", "ttl": 1},
        f"{KEYS}{{'usage': 3, 'selector': 1, 'matching_type': 1, 'data': '00', 'ttl': 1}}",
    ),
    (
        {"usage": 3, "selector": 1, "matching_type": 1, "data": 1234},
        "Certificate association data must be text; put 1234 into quotes",
    ),
    (
        {"usage": True, "selector": 1, "matching_type": 1, "data": "00"},
        f"True is no certificate usage: expected a number from 0 to 255 or one of {USAGES}",
    ),
    (
        {"usage": None, "selector": 1, "matching_type": 1, "data": "00"},
        f"None is no certificate usage: expected a number from 0 to 255 or one of {USAGES}",
    ),
    (
        {"usage": 256, "selector": 1, "matching_type": 1, "data": "00"},
        f"256 is no certificate usage: expected a number from 0 to 255 or one of {USAGES}",
    ),
]


@pytest.mark.parametrize(("fields", "error"), TEST_FROM_MAPPING_FAIL)
def test_from_mapping_fail(fields: dict[str, object], error: str) -> None:
    with pytest.raises(InvalidRecord, match=f"^{re.escape(error)}$"):
        TlsaRecord.from_mapping(fields)


def test_parse_tells_the_forms_apart() -> None:
    for form in (RECORD, RECORD.to_text(), RECORD.to_generic(), f" {RECORD.to_generic()}", RECORD.to_mapping()):
        assert TlsaRecord.parse(form) == RECORD


def test_parse_refuses_other_types() -> None:
    with pytest.raises(InvalidRecord, match=r"^A TLSA record is text or a mapping, not list: \[3, 1, 1\]$"):
        TlsaRecord.parse([3, 1, 1])


def test_written_forms() -> None:
    assert RECORD.to_text() == f"3 1 1 {HEX}"
    assert RECORD.to_generic() == rf"\# 35 030101{HEX}"
    assert RECORD.to_mapping() == {"usage": "dane-ee", "selector": "spki", "matching_type": "sha2-256", "data": HEX}
    assert RECORD.to_wire() == b"\3\1\1" + DATA
    assert TlsaRecord(3, 1, 1, b"").to_text() == "3 1 1"
    assert TlsaRecord(9, 255, 3, b"\1").to_mapping() == {
        "usage": 9,
        "selector": "priv-sel",
        "matching_type": 3,
        "data": "01",
    }


@given(records)
def test_reading_is_the_inverse_of_writing(record: TlsaRecord) -> None:
    assert TlsaRecord.from_text(record.to_text()) == record
    assert TlsaRecord.from_generic(record.to_generic()) == record
    assert TlsaRecord.from_mapping(record.to_mapping()) == record
    assert TlsaRecord.from_wire(record.to_wire()) == record
    for form in (record.to_text(), record.to_generic(), record.to_mapping()):
        assert TlsaRecord.parse(form) == record


@given(st.one_of(st.text(), st.text(alphabet="0123456789abcdefABCDEF \n\t()\\#-xspki")))
def test_any_text_is_a_record_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRecord):
        record = TlsaRecord.parse(text)
        assert TlsaRecord.parse(record.to_text()) == record


@given(st.dictionaries(st.sampled_from(["usage", "selector", "matching_type", "data", "x"]), st.one_of(
    st.none(), st.integers(), st.text(), st.binary(), st.booleans(), st.lists(st.integers())
)))  # fmt: skip
def test_any_mapping_is_a_record_or_refused(fields: dict[str, object]) -> None:
    with contextlib.suppress(InvalidRecord):
        TlsaRecord.parse(fields)


@given(st.binary(max_size=10))
def test_any_octets_are_a_record_or_refused(wire: bytes) -> None:
    if len(wire) < 3:
        with pytest.raises(InvalidRecord):
            TlsaRecord.from_wire(wire)
    else:
        assert TlsaRecord.from_wire(wire).to_wire() == wire


def test_numbers_are_kept_as_plain_integers() -> None:
    record = TlsaRecord(Usage.DANE_TA, Selector.CERT, MatchingType.SHA2_512, DATA)
    assert [type(number) for number in record.parameters] == [int, int, int]
    assert record.parameters == (2, 0, 2)


@pytest.mark.parametrize("number", [-1, 256])
def test_numbers_have_eight_bits(number: int) -> None:
    with pytest.raises(InvalidRecord, match=f"^{number} is no matching type: "):
        TlsaRecord(3, 1, number, DATA)


def test_data_fits_into_a_record() -> None:
    assert len(TlsaRecord(3, 1, 0, bytes(65532)).to_wire()) == 65535
    with pytest.raises(
        InvalidRecord, match=r"^Certificate association data of 65533 octets does not fit into a DNS record \(65532\)$"
    ):
        TlsaRecord(3, 1, 0, bytes(65533))


@given(records, records)
def test_order_and_equality_are_those_of_the_wire_form(one: TlsaRecord, other: TlsaRecord) -> None:
    assert (one == other) is (one.to_wire() == other.to_wire())
    assert (one < other) is (one.to_wire() < other.to_wire())
    assert hash(replace(one)) == hash(one)


def test_names_of_fields() -> None:
    assert field_number("usage", "PKIX-EE") == 1
    assert field_number("matching_type", 77) == 77
    assert field_label("selector", 0) == "cert"
    assert field_label("selector", 2) == 2


NO_INPUT = "digest of no input at all; the certificate was not read"

TEST_PROBLEMS: list[tuple[TlsaRecord, tuple[str, ...]]] = [
    (RECORD, ()),
    (TlsaRecord(2, 0, 2, bytes(64)), ()),
    (TlsaRecord(3, 0, 0, b"\x30\0"), ()),
    (TlsaRecord(255, 255, 255, b"\1"), ()),
    (TlsaRecord(3, 1, 1, DATA[:-1]), ("a SHA2-256 digest has 32 octets, this one has 31",)),
    (TlsaRecord(3, 1, 2, DATA), ("a SHA2-512 digest has 64 octets, this one has 32",)),
    (TlsaRecord(3, 1, 1, b""), ("the certificate association data is empty",)),
    (TlsaRecord(3, 1, 0, b""), ("the certificate association data is empty",)),
    (TlsaRecord(3, 1, 1, hashlib.sha256(b"").digest()), (f"this is the SHA2-256 {NO_INPUT}",)),
    (TlsaRecord(3, 1, 2, hashlib.sha512(b"").digest()), (f"this is the SHA2-512 {NO_INPUT}",)),
    (
        TlsaRecord(4, 2, 3, DATA),
        (
            "certificate usage 4 is unknown, so no client can use the record",
            "selector 2 is unknown, so no client can use the record",
            "matching type 3 is unknown, so no client can use the record",
        ),
    ),
]


@pytest.mark.parametrize(("record", "expected"), TEST_PROBLEMS)
def test_problems(record: TlsaRecord, expected: tuple[str, ...]) -> None:
    assert record.problems() == expected


def test_require_publishable() -> None:
    assert RECORD.require_publishable() is RECORD
    error = "TLSA record '3 1 1 e3' must not be published: a SHA2-256 digest has 32 octets, this one has 1"
    with pytest.raises(InvalidRecord, match=f"^{re.escape(error)}$"):
        TlsaRecord(3, 1, 1, b"\xe3").require_publishable()
