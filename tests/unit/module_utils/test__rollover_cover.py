# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_cover import (
    covers,
    covers_by_any,
    groups,
    unmatched,
)

from rollover_cases import chain, record, rrset


@pytest.mark.parametrize(
    ("records", "strictly", "by_any"),
    [
        ((), True, True),
        (("a",), True, True),
        (("b",), False, False),
        (("a", "b"), True, True),
        (("a", "2 1 1 I"), True, True),
        (("a", "2 1 1 J"), False, True),
        (("a", "3 0 1 b"), False, True),
        (("1 1 1 x",), False, True),
        (("b", "9 1 1 x"), False, False),
        (("a", "9 1 1 x"), True, True),
        (("3 9 1 x", "3 1 9 x"), True, True),
    ],
)
def test_cover(records: tuple[str, ...], strictly: bool, by_any: bool) -> None:
    assert covers(rrset(*records), [chain("a", "I")]) is strictly
    assert covers_by_any(rrset(*records), [chain("a", "I")]) is by_any


def test_every_chain_has_to_be_covered() -> None:
    both = [chain("a"), chain("r", algorithm="rsa")]
    assert not covers(rrset("a"), both)
    assert not covers_by_any(rrset("a"), both)
    assert covers(rrset("a", "r"), both)


def test_what_is_unmatched_is_named() -> None:
    assert groups([record("3 1 1 a"), record("2 1 1 J"), record("255 1 1 x")]) == {(3, 1, 1), (2, 1, 1)}
    assert unmatched(rrset("a", "2 1 1 J"), chain("a", "I")) == {(2, 1, 1)}
