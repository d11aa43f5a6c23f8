# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.tlsa_rdata_parse import FilterModule, tlsa_rdata_parse

DIGEST = "00112233445566778899aabbccddeeff" * 2
NAMES = {"usage": "dane-ee", "selector": "spki", "matching_type": "sha2-256", "data": DIGEST}
NUMBERS = {"usage": 3, "selector": 1, "matching_type": 1, "data": DIGEST}


def test_the_filter_is_found() -> None:
    assert FilterModule().filters() == {"tlsa_rdata_parse": tlsa_rdata_parse}


TEST_PARSE: list[tuple[object, dict[str, object], object]] = [
    (f"3 1 1 {DIGEST}", {}, NAMES),
    (f"DANE-EE SPKI SHA2-256 {DIGEST[:30].upper()} {DIGEST[30:]}", {}, NAMES),
    (rf"\# 35 030101{DIGEST}", {}, NAMES),
    (NUMBERS, {}, NAMES),
    (NAMES, {"numeric": True}, NUMBERS),
    ([f"3 1 1 {DIGEST}", NUMBERS], {}, [NAMES, NAMES]),
    ([], {}, []),
    ("9 255 1 00", {"strict": False}, {"usage": 9, "selector": "priv-sel", "matching_type": "sha2-256", "data": "00"}),
]


@pytest.mark.parametrize(("value", "options", "expected"), TEST_PARSE)
def test_parse(value: object, options: dict[str, object], expected: object) -> None:
    assert FilterModule().filters()["tlsa_rdata_parse"](value, **options) == expected


TEST_PARSE_FAIL: list[tuple[object, dict[str, object], str]] = [
    ("", {}, "A TLSA record is written as usage, selector, matching type and data; got ''"),
    (b"3 1 1 00", {}, "A TLSA record is text or a mapping, not bytes: b'3 1 1 00'"),
    ([["3"]], {}, "A TLSA record is text or a mapping, not list: ['3']"),
    (
        "3 1 1 00",
        {},
        "TLSA record '3 1 1 00' must not be published: a SHA2-256 digest has 32 octets, this one has 1",
    ),
    (f"3 1 1 {DIGEST}", {"strict": "yes"}, "strict is true or false, not 'yes'"),
    (f"3 1 1 {DIGEST}", {"numeric": 1}, "numeric is true or false, not 1"),
]


@pytest.mark.parametrize(("value", "options", "error"), TEST_PARSE_FAIL)
def test_parse_fail(value: object, options: dict[str, object], error: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(f'mailsec.dane.tlsa_rdata_parse: {error}')}$"):
        FilterModule().filters()["tlsa_rdata_parse"](value, **options)
