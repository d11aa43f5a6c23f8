# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from conformance.__main__ import main
from conformance.cases import Case
from conformance.comparison import compared, read_exceptions

if t.TYPE_CHECKING:
    from pathlib import Path

CASE: t.Final = Case(0, "one", "7672 2.2", (), (), "", "ok", "mismatch", "waits", "key_not_listed")
OURS: t.Final = {"one": {"verdict": "mismatch", "cause": "key_not_listed", "reason": "it differs. To mend: publish"}}
POSTFIX: t.Final = {"postfix13": {"one": ("waits", "deferred")}, "postfix12": {"one": ("waits", "deferred")}}
EXIM: t.Final = {"exim": {"one": ("authenticated", "=> CV=dane")}}


def troubles(
    judged: dict[str, dict[str, tuple[str, str]]] | None = None,
    exceptions: dict[tuple[str, str], str] | None = None,
    ours: dict[str, dict[str, str]] | None = None,
) -> list[str]:
    return compared([CASE], ours or OURS, judged or POSTFIX, {}, exceptions or {})[1]


def test_all_agree() -> None:
    table, wrong = compared([CASE], OURS, POSTFIX, {"ldns-dane": {"one": "no"}}, {})
    assert wrong == []
    assert (table[0]["ours"], table[0]["postfix"], table[0]["agree"]) == ("mismatch", "waits", True)
    assert table[0]["peers"] == {"ldns-dane": "no"}


def test_a_judge_that_differs_is_a_trouble_unless_it_is_explained() -> None:
    assert troubles(POSTFIX | EXIM) == ["one: exim authenticated, RFC 7672 2.2 waits: => CV=dane"]
    table, wrong = compared([CASE], OURS, POSTFIX | EXIM, {}, {("one", "exim"): "no digest agility"})
    assert wrong == []
    assert table[0]["exim_why"] == "no digest agility"


def test_an_explanation_that_no_longer_holds_is_a_trouble_where_its_judge_was_asked() -> None:
    explained = {("one", "exim"): "no digest agility"}
    assert troubles(POSTFIX, explained) == []
    agreeing = {"exim": {"one": ("waits", "==")}}
    assert troubles(POSTFIX | agreeing, explained) == ["exceptions.txt: one exim no longer differs"]


def test_our_own_verdict_and_cause_have_no_exceptions() -> None:
    other = {"one": {"verdict": "verified", "cause": "matched", "reason": "it matches"}}
    assert troubles(ours=other) == [
        "one: ours verified, RFC 7672 2.2 mismatch: it matches",
        "one: the cause is matched, not key_not_listed: it matches",
        "one: ours means authenticated, both Postfix versions waits",
    ]
    without_cure = {"one": {**OURS["one"], "reason": "it differs"}}
    assert troubles(ours=without_cure) == ["one: the cause is key_not_listed, not key_not_listed: it differs"]


def test_a_judge_that_says_nothing_is_a_trouble_but_for_openssl() -> None:
    silent: dict[str, dict[str, tuple[str, str]]] = {"exim": {}, "openssl": {}}
    assert troubles(POSTFIX | silent) == ["one: exim -, RFC 7672 2.2 waits: "]


def test_exceptions_name_judges_that_there_are(tmp_path: Path) -> None:
    assert ("ta-next-hop-name", "openssl") in read_exceptions()
    file = tmp_path / "exceptions.txt"
    file.write_text("one | exmi | a slip\n", encoding="utf-8")
    with pytest.raises(ValueError, match="there is no judge 'exmi'"):
        read_exceptions(file)


def test_only_some_judges_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--without", "exim,postfix12"])
    assert "--without takes exim and peers, not postfix12" in capsys.readouterr().err
