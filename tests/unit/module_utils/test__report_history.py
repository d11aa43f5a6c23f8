# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._report_history import history_of

OWNER: t.Final = "_25._tcp.mx.example"
OLD, NEW = "3 1 1 " + "aa" * 32, "3 1 1 " + "bb" * 32


def at(day: int) -> str:
    return f"2026-11-{day:02}T12:00:00Z"


def row(*records: str, key: str = "aa", port: int = 25) -> dict[str, t.Any]:
    certificate = {
        "cert_sha256": key * 32,
        "spki_sha256": key * 32,
        "key_algorithm": "RSA",
        "not_before": at(1),
        "not_after": at(30),
        "subject": "CN=mx",
    }
    return {"owner": OWNER, "host": "mx.example", "port": port, "tlsa": list(records), "chain": [certificate]}


def looks(*seen: tuple[int, list[dict[str, t.Any]]]) -> dict[str, list[dict[str, t.Any]]]:
    history = None
    for day, rows in seen:
        history = {"history": history_of(rows, at(day), history)}
    assert history is not None
    return history["history"]


def spans(entries: list[dict[str, t.Any]], key: str) -> list[tuple[str, str, str]]:
    return [(entry[key][:8], entry["first_seen"][8:10], entry["last_seen"][8:10]) for entry in entries]


def test_a_rollover_is_seen_in_the_order_in_which_it_goes() -> None:
    history = looks((1, [row(OLD)]), (2, [row(OLD, NEW)]), (3, [row(OLD, NEW, key="bb")]), (4, [row(NEW, key="bb")]))
    assert spans(history["records"], "record") == [(OLD[:8], "01", "03"), (NEW[:8], "02", "04")]
    assert spans(history["certificates"], "cert_sha256") == [("aaaaaaaa", "01", "02"), ("bbbbbbbb", "03", "04")]


def test_a_look_that_saw_nothing_takes_nothing_away() -> None:
    blind = {**row(), "owner": None, "chain": []}
    assert looks((1, [row(OLD)]), (2, [blind])) == looks((1, [row(OLD)]))


def test_what_several_addresses_show_stands_once_and_each_port_by_itself() -> None:
    history = looks((1, [row(OLD), row(OLD), row(OLD, port=465)]))
    assert (len(history["records"]), len(history["certificates"])) == (1, 2)


def test_the_history_neither_reaches_back_for_ever_nor_grows_without_bound() -> None:
    old = {"history": looks((1, [row(OLD)]))}
    assert spans(history_of([row(NEW)], "2027-12-31T12:00:00Z", old)["records"], "record") == [(NEW[:8], "31", "31")]
    many = [row(*(f"3 1 1 {number:064x}" for number in range(100)))]
    assert len(history_of(many, at(1), None)["records"]) == 40


def test_a_report_that_is_older_than_the_history_turns_no_time_around() -> None:
    history = looks((2, [row(OLD)]), (1, [row(OLD)]))
    assert spans(history["records"], "record") == [(OLD[:8], "01", "02")]


@pytest.mark.parametrize(
    "previous",
    [
        {},
        {"history": []},
        {"history": {"records": [{}], "certificates": []}},
        {"history": {"records": [{"owner": "o", "record": "r", "first_seen": "x", "last_seen": "y"}]}},
        {"history": {"records": [7], "certificates": []}},
    ],
)
def test_what_is_no_report_is_refused(previous: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidInput, match="Move it away to begin a new history; nothing was written"):
        history_of([], at(1), previous)
