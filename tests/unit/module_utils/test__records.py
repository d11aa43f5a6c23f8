# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidRecord
from ansible_collections.mailsec.dane.plugins.module_utils._records import TextRecord
from hypothesis import given
from hypothesis import strategies as st

STRINGS = st.lists(st.binary(max_size=255), min_size=1, max_size=4).map(tuple)


@given(STRINGS)
def test_every_form_is_the_inverse_of_its_reading_and_dnspython_agrees(strings: tuple[bytes, ...]) -> None:
    record = TextRecord(strings)
    assert TextRecord.from_wire(record.to_wire()) == record
    assert TextRecord.from_text(record.to_text()) == record
    theirs = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, record.to_text())
    assert theirs.to_wire() == record.to_wire()
    assert TextRecord.from_text(str(theirs)) == record


def test_long_text_is_cut_into_strings() -> None:
    record = TextRecord.of("x" * 600)
    assert [len(string) for string in record.strings] == [255, 255, 90]
    assert record.text == "x" * 600


def test_text_without_quotes_is_one_string() -> None:
    assert TextRecord.from_text(" v=TLSRPTv1; rua=mailto:a@b.example ").strings == (
        b"v=TLSRPTv1; rua=mailto:a@b.example",
    )
    assert TextRecord.from_text("").strings == (b"",)


@pytest.mark.parametrize("text", ['"open', '"a" b', '"a\\', '"' + "x" * 256 + '"'])
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRecord, match="The TXT record"):
        TextRecord.from_text(text)


@pytest.mark.parametrize("wire", [b"", b"\x05abc", b"\x01a\x02b"])
def test_data_that_is_cut_short_is_refused(wire: bytes) -> None:
    with pytest.raises(InvalidRecord, match="cut short"):
        TextRecord.from_wire(wire)
