# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa_fields import (
    FIELDS,
    MatchingType,
    Selector,
    Usage,
    field_label,
    field_number,
    shown,
)

# RFC 7218 section 2, as it writes them.
ACRONYMS = {
    "usage": {"PKIX-TA": 0, "PKIX-EE": 1, "DANE-TA": 2, "DANE-EE": 3, "PrivCert": 255},
    "selector": {"Cert": 0, "SPKI": 1, "PrivSel": 255},
    "matching_type": {"Full": 0, "SHA2-256": 1, "SHA2-512": 2, "PrivMatch": 255},
}


@pytest.mark.parametrize("field", FIELDS)
def test_acronyms_of_rfc_7218(field: str) -> None:
    assert {int(member) for member in FIELDS[field]} == set(ACRONYMS[field].values())
    for acronym, number in ACRONYMS[field].items():
        for spelling in (acronym, acronym.lower(), acronym.upper(), f" {acronym}\n", number, str(number)):
            assert field_number(field, spelling) == number


@pytest.mark.parametrize("field", FIELDS)
def test_labels_are_read_again(field: str) -> None:
    for number in range(256):
        assert field_number(field, field_label(field, number)) == number


def test_labels() -> None:
    assert [member.label for member in Usage] == ["pkix-ta", "pkix-ee", "dane-ta", "dane-ee", "priv-cert"]
    assert [member.label for member in Selector] == ["cert", "spki", "priv-sel"]
    assert [member.label for member in MatchingType] == ["full", "sha2-256", "sha2-512", "priv-match"]


@pytest.mark.parametrize("value", [-1, 256, 1000, "-1", "+1", "1.0", "", "0x1", "dane", 1.0, None, True, [], b"1"])
def test_what_is_no_number_of_a_field(value: object) -> None:
    with pytest.raises(InvalidRecord, match=r" is no certificate usage: expected a number from 0 to 255 or one of "):
        field_number("usage", value)


def test_messages_stay_short() -> None:
    assert shown("a" * 158) == repr("a" * 158)
    assert shown("a" * 159) == f"'{'a' * 119}... (161 characters)"
