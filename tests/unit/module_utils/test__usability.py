# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._usability import (
    data_problem,
    passed_over,
    unusable_reason,
)

from certificates import issue

LEAF = issue()
SHORT, LONG = bytes(32), bytes(64)

TEST_UNUSABLE: list[tuple[TlsaRecord, str | None]] = [
    (TlsaRecord(3, 1, 1, SHORT), None),
    (TlsaRecord(3, 0, 2, LONG), None),
    (TlsaRecord(2, 0, 1, SHORT), None),
    (TlsaRecord(2, 1, 0, LEAF.spki), None),
    (TlsaRecord(3, 0, 0, LEAF.der), None),
    (TlsaRecord(0, 1, 1, SHORT), "certificate usage pkix-ta (0) is not for mail (RFC 7672 section 3.1.3)"),
    (TlsaRecord(1, 1, 1, SHORT), "certificate usage pkix-ee (1) is not for mail (RFC 7672 section 3.1.3)"),
    (TlsaRecord(4, 1, 1, SHORT), "certificate usage 4 is private or unknown"),
    (TlsaRecord(255, 1, 1, SHORT), "certificate usage 255 is private or unknown"),
    (TlsaRecord(3, 2, 1, SHORT), "selector 2 is private or unknown"),
    (TlsaRecord(3, 255, 1, SHORT), "selector 255 is private or unknown"),
    (TlsaRecord(3, 1, 3, SHORT), "matching type 3 is private or unknown"),
    (TlsaRecord(3, 1, 255, SHORT), "matching type 255 is private or unknown"),
    (TlsaRecord(3, 1, 1, LONG), "its digest has 64 octets instead of 32"),
    (TlsaRecord(3, 1, 2, SHORT), "its digest has 32 octets instead of 64"),
    (TlsaRecord(3, 1, 1, b""), "its digest has 0 octets instead of 32"),
    (
        TlsaRecord(3, 1, 0, LEAF.der),
        "its data cannot be read: Not a DER public key: the public key's algorithm identifier has tag 0xa0 ",
    ),
    (
        TlsaRecord(3, 0, 0, b""),
        "its data cannot be read: Not a DER certificate: data ends at octet 0, where another element should begin",
    ),
    (
        TlsaRecord(2, 0, 0, LEAF.pem.encode()),
        "its data cannot be read: Not a DER certificate: the certificate has tag 0x2d instead of 0x30",
    ),
]


@pytest.mark.parametrize(("record", "reason"), TEST_UNUSABLE)
def test_unusable_reason(record: TlsaRecord, reason: str | None) -> None:
    found = unusable_reason(record)
    assert found == reason if reason is None else re.match(re.escape(reason), found or "")


def test_data_problem_does_not_ask_for_the_usage() -> None:
    assert data_problem(TlsaRecord(1, 1, 1, SHORT)) is None
    assert data_problem(TlsaRecord(1, 1, 1, LONG)) == "its digest has 64 octets instead of 32"


def test_digest_agility() -> None:
    weak, strong, full = TlsaRecord(3, 1, 1, SHORT), TlsaRecord(3, 1, 2, LONG), TlsaRecord(3, 1, 0, LEAF.spki)
    other_weak = TlsaRecord(3, 1, 1, bytes(31) + b"\1")
    other_selector, other_usage = TlsaRecord(3, 0, 1, SHORT), TlsaRecord(2, 1, 1, SHORT)
    reason = "passed over, as sha2-512 is there with its usage and selector (RFC 7671 section 9)"
    assert passed_over([weak, other_selector, other_usage, full]) == {}
    assert passed_over([weak, strong, other_weak, other_selector, other_usage, full]) == {
        weak: reason,
        other_weak: reason,
    }
