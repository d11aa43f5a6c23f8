# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import (
    POSTFIX_WATCH,
    UNBOUND_UNIT,
    HostState,
    Reply,
    UnitState,
)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(failure="no answer in time"), "no answer in time"),
        (Reply(authenticated=True), "NOERROR with AD"),
        (Reply(rcode="SERVFAIL", explanation="EDE 6: bogus"), "SERVFAIL without AD (EDE 6: bogus)"),
    ],
)
def test_a_reply_tells_what_counts(reply: Reply, text: str) -> None:
    assert str(reply) == text


@pytest.mark.parametrize(
    ("unit", "written", "outdated"),
    [
        (UnitState(active=True, since=100), 101, True),
        (UnitState(active=True, since=100), 100, False),
        (UnitState(active=True, since=100), 0, False),
        (UnitState(active=False), 101, False),
    ],
)
def test_unbound_is_outdated_where_it_runs_since_before_its_configuration(
    unit: UnitState, written: int, outdated: bool
) -> None:
    assert HostState(units={UNBOUND_UNIT: unit}, unbound_written=written).unbound_outdated is outdated


@pytest.mark.parametrize(
    ("unit", "watched"),
    [(UnitState(), False), (UnitState(active=True), True), (UnitState(enabled=True), True)],
)
def test_debians_own_watch_counts_where_it_runs_or_will(unit: UnitState, watched: bool) -> None:
    assert HostState(units={POSTFIX_WATCH: unit}).postfix_watched_by_debian is watched
