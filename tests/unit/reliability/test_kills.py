# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deferral is excused by a kill only if the host was down then and the sender says so."""

from __future__ import annotations

import calendar
import time

import pytest

from reliability.kills import host_was_down

REFUSED = "connect to mx1.one.example[fd53::31]:25: Connection refused"
SUSPENDED = "delivery temporarily suspended: connect to mx1.one.example[fd53::31]:25: Connection timed out"
MISMATCH = "Server certificate not trusted"
YEAR = time.gmtime().tm_year
AT = calendar.timegm((YEAR, 3, 5, 12, 0, 0))


def deferral(why: str) -> str:
    return f"Mar  5 12:00:00 mta postfix/smtp[9]: Q1: to=<traffic@one.example>, status=deferred ({why})"


@pytest.mark.parametrize("why", [REFUSED, SUSPENDED])
def test_a_host_that_was_down(why: str) -> None:
    assert host_was_down(deferral(why), [(AT - 100, AT - 90), (AT - 2, AT + 3)])


@pytest.mark.parametrize(
    ("why", "down"),
    [
        (MISMATCH, [(AT - 2, AT + 3)]),
        (REFUSED, []),
        (REFUSED, [(AT - 100, AT - 90)]),
        (REFUSED, [(AT + 10, AT + 20)]),
    ],
    ids=["another reason", "never down", "long ago", "later"],
)
def test_what_is_no_excuse(why: str, down: list[tuple[float, float]]) -> None:
    assert not host_was_down(deferral(why), down)
