# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_ledger import (
    Ledger,
    from_json,
    held,
    hold,
    intend,
    note,
    published,
    switched,
    to_json,
)

from rollover_cases import NOW, OWNER, answer, policy, rrset, version

if t.TYPE_CHECKING:
    from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Answer

BEGUN = Ledger((version("a"),), NOW - 10, NOW - 10)
FIRST: dict[str, t.Any] = json.loads(to_json(BEGUN))["versions"][0]


def noted(ledger: Ledger, *answers: Answer, now: float = NOW) -> Ledger:
    return note(ledger, {OWNER: answers}, policy(), now)


@pytest.mark.parametrize(("ttl", "seconds"), [(3600, 7200), (300, 600), (60, 221), (0, 161)])
def test_hold_is_two_ttls_or_one_with_the_senders_cache_and_the_margin(ttl: int, seconds: float) -> None:
    assert hold(ttl, policy()) == seconds


@pytest.mark.parametrize(
    "ledger",
    [Ledger(), replace(BEGUN, updated=NOW + 61), replace(BEGUN, updated=NOW - 3601)],
    ids=["new", "ahead", "old"],
)
def test_a_ledger_that_proves_nothing_begins_anew(ledger: Ledger) -> None:
    after = noted(ledger, answer("a"))
    assert [(one.records, one.until) for one in after.versions] == [
        (None, NOW + 86400 + 101 + 60 + 3600),
        (rrset("a"), None),
    ]
    assert (after.updated, after.deployed_at) == (NOW, NOW)


def test_what_was_served_before_the_ledger_is_held_from_the_first_complete_look_on() -> None:
    first = noted(Ledger(), answer("a"), answer(server="ns2", error="timed out"))
    assert first.versions[0].until is None
    assert noted(first, answer("a"), answer("a", server="ns2"), now=NOW + 100).versions[0].until == NOW + 90261


@pytest.mark.parametrize("updated", [NOW + 60, NOW - 3600])
def test_a_ledger_within_the_bounds_goes_on(updated: float) -> None:
    assert noted(replace(BEGUN, updated=updated), answer("a")).versions == BEGUN.versions


def test_a_version_closes_when_the_last_server_serves_another() -> None:
    ledger = noted(BEGUN, answer("a", "b"), answer("a", server="ns2"))
    assert [one.until for one in ledger.versions] == [None, None]
    ledger = noted(ledger, answer("a", "b"), answer("a", "b", server="ns2"), now=NOW + 5)
    assert [(one.records, one.until) for one in ledger.versions] == [(rrset("a"), NOW + 605), (rrset("a", "b"), None)]
    assert held(ledger, OWNER, NOW + 604.9) == ledger.versions
    assert held(ledger, OWNER, NOW + 605) == ledger.versions[1:]
    assert noted(ledger, answer("a", "b"), now=NOW + 605).versions == ledger.versions[1:]


def test_a_silent_server_closes_nothing() -> None:
    after = noted(BEGUN, answer("a", "b"), answer(server="ns2", error="timed out"))
    assert [one.until for one in after.versions] == [None, None]
    assert noted(BEGUN).versions == BEGUN.versions


def test_the_same_records_with_another_ttl_are_another_version() -> None:
    after = noted(BEGUN, answer("a", ttl=60))
    assert [(one.ttl, one.until) for one in after.versions] == [(300, NOW + 600), (60, None)]


def test_what_is_served_again_is_open_again() -> None:
    ledger = noted(noted(BEGUN, answer("b")), answer("a"), now=NOW + 1)
    assert [(one.records, one.until) for one in ledger.versions] == [(rrset("b"), NOW + 601), (rrset("a"), None)]
    ledger = noted(ledger, answer("b"), now=NOW + 2)
    assert [one.until for one in noted(ledger, answer("a"), now=NOW + 3).versions] == [NOW + 603, None]


def test_an_intended_version_counts_until_servers_are_past_it() -> None:
    ledger = intend(BEGUN, {OWNER: rrset("a", "b")}, policy(ttl=60))
    assert ledger.versions[-1] == version("a", "b", intended=True, seen=False)
    assert intend(ledger, {OWNER: rrset("a", "b")}, policy()) == ledger
    ledger = published(ledger, [OWNER], NOW)
    assert noted(ledger, answer("a")).versions == ledger.versions
    served = noted(ledger, answer("a", "b", ttl=120), now=NOW + 1)
    assert served.versions[-1] == version("a", "b", ttl=120, intended=True, published=NOW)
    assert served.versions[0].until == NOW + 601


def test_a_removal_taken_back_counts_until_no_transfer_can_bring_it() -> None:
    ledger = replace(BEGUN, versions=(version("a", "b"),))
    for records, after in (("a",), 1), (("a", "b"), 2):
        ledger = published(intend(ledger, {OWNER: rrset(*records)}, policy()), [OWNER], NOW + after)
    ledger = noted(ledger, answer("a", "b"), now=NOW + 3500)
    assert [one.until for one in ledger.versions] == [None, None, None]
    ledger = noted(ledger, answer("a", "b"), now=NOW + 3603)
    assert [(one.records, one.until) for one in ledger.versions] == [(rrset("a"), NOW + 4203), (rrset("a", "b"), None)]


def test_what_somebody_else_published_stands_before_a_removal_that_it_does_not_show() -> None:
    ledger = intend(replace(BEGUN, versions=(version("a", "b"),)), {OWNER: rrset("a")}, policy())
    assert [one.records for one in noted(ledger, answer("a", "b", "x")).versions if one.until is None] == [
        rrset("a", "b", "x"),
        rrset("a"),
    ]
    assert noted(ledger, answer("a", "x")).versions[-1] == version("a", "x")
    alone = intend(replace(BEGUN, versions=()), {OWNER: rrset("a")}, policy())
    assert noted(alone, answer("x")).versions[0] == version("x")


def test_publication_of_what_nobody_intended_changes_nothing() -> None:
    assert published(BEGUN, [OWNER, "_465._tcp.mx1.example.org"], NOW) == BEGUN


def test_the_file_holds_everything() -> None:
    ledger = switched(intend(noted(Ledger(), answer("a")), {OWNER: rrset("a", "b")}, policy()), NOW + 3)
    assert from_json(to_json(ledger)) == ledger
    assert ledger.deployed_at == NOW + 3


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"versions": None},
        {"updated": True},
        {"updated": "1"},
        {"updated": float("inf")},
        {"versions": [{}]},
        {"versions": [FIRST | {"owner": 1}]},
        {"versions": [FIRST | {"ttl": -1}]},
        {"versions": [FIRST | {"ttl": True}]},
        {"versions": [FIRST | {"ttl": 1.5}]},
        {"versions": [FIRST | {"records": ["3 1"]}]},
        {"versions": [FIRST | {"until": []}]},
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="no ledger of a rollover"):
        from_json(json.dumps(json.loads(to_json(BEGUN)) | change))


@pytest.mark.parametrize("text", ["", "[]", "{", "1", "[" * 100000])
def test_what_is_no_file_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no ledger of a rollover"):
        from_json(text)
