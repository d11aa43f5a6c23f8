# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What other mail hosts reported, in every form of the report."""

from __future__ import annotations

import html.parser
import json
import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.dane_report import dane_report

EVIL: t.Final = "<script>alert(1)</script>\"'\x1b[2J\u202e\n"
LOOK: t.Final[dict[str, t.Any]] = {
    "checked_at": "2026-11-22T12:00:00Z",
    "domains": [
        {"domain": "example.org", "verdict": None, "mx_secure": True, "hosts": [], "advice": []},
    ],
    "endpoints": [],
}


def failure(
    result_type: str, host: str, count: int, organization: str = "Company-X", reasons: t.Sequence[str] = ()
) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {"result_type": result_type, "host": host, "count": count}
    return {**found, "organizations": [organization], "reasons": list(reasons)}


def policy(**changes: object) -> dict[str, t.Any]:
    return {
        "domain": "example.org",
        "policy_type": "tlsa",
        "successful": 5326,
        "failed": 303,
        "organizations": ["Company-X"],
        "begin": "2026-11-20T00:00:00Z",
        "end": "2026-11-20T23:59:59Z",
        "failures": [
            failure("tlsa-invalid", "mx1.example.org", 300, reasons=["no record matches", "twice seen"]),
            failure("x-new", "", 3),
        ],
        **changes,
    }


def reports(*policies: dict[str, t.Any], **changes: object) -> dict[str, t.Any]:
    counts: dict[str, t.Any] = {"reports": 4, "repeated": 1, "contradicting": 0, "left_out": 0}
    rest: dict[str, t.Any] = {"mails_without_report": 2, "refused": [], "missing": []}
    return {**counts, **rest, "policies": list(policies), "changed": False, **changes}


REFUSED: t.Final = [{"place": "/var/mail/tls-reports, mail 4", "reason": "it unpacks to more than 4 MiB"}]
ONE: t.Final = {"mx1": reports(policy(), policy(policy_type="sts", failed=0, failures=[]), refused=REFUSED)}


def test_where_nobody_looked_there_is_no_section() -> None:
    assert t.cast("dict[str, t.Any]", dane_report(LOOK))["tls_reports"] is None
    assert "TLS reports" not in t.cast("str", dane_report(LOOK, "html"))
    assert "tls_report" not in t.cast("str", dane_report(LOOK, "metrics"))
    assert t.cast("list[str]", dane_report(LOOK, "table"))[-1] == "0 endpoints: nothing to look at"


def test_machines_are_added_up() -> None:
    other = policy(
        successful=4,
        failed=7,
        organizations=["Company-Z"],
        begin="2026-11-19T00:00:00Z",
        end="2026-11-19T23:59:59Z",
        failures=[
            failure("x-new", "", 400, "Company-Z", ["why"]),
        ],
    )
    report = t.cast("dict[str, t.Any]", dane_report(LOOK, tls_reports={**ONE, "mx2": reports(other)}))
    section = report["tls_reports"]
    assert (section["reports"], section["repeated"], section["mails_without_report"]) == (8, 2, 4)
    assert section["refused"] == [{"machine": "mx1", **REFUSED[0]}]
    sts, tlsa = section["policies"]
    assert (sts["policy_type"], sts["failed"]) == ("sts", 0)
    assert (tlsa["successful"], tlsa["failed"], tlsa["organizations"]) == (5330, 310, ["Company-X", "Company-Z"])
    assert (tlsa["begin"], tlsa["end"]) == ("2026-11-19T00:00:00Z", "2026-11-20T23:59:59Z")
    assert tlsa["failures"] == [
        {**failure("x-new", "", 403, reasons=["why"]), "organizations": ["Company-X", "Company-Z"]},
        failure("tlsa-invalid", "mx1.example.org", 300, reasons=["no record matches", "twice seen"]),
    ]
    assert json.loads(t.cast("str", dane_report(LOOK, "json", tls_reports=ONE)))["tls_reports"]["reports"] == 4


def test_table() -> None:
    lines = t.cast("list[str]", dane_report(LOOK, "table", tls_reports=ONE))
    assert lines[2:] == [
        "TLS reports: 4 from other mail hosts, 1 came again, 1 refused",
        "  example.org  sts  5326 sessions succeeded, 0 failed, 2026-11-20 to 2026-11-20 (Company-X)",
        "  example.org  tlsa  5326 sessions succeeded, 303 failed, 2026-11-20 to 2026-11-20 (Company-X)",
        "    300 tlsa-invalid at mx1.example.org (Company-X): no record matches; twice seen",
        "    3 x-new at no host named (Company-X)",
        "  refused on mx1: /var/mail/tls-reports, mail 4: it unpacks to more than 4 MiB",
    ]
    problems = t.cast("list[str]", dane_report(LOOK, "table", tls_reports=ONE, only_problems=True))
    assert [line for line in problems if " sts " in line] == []
    assert [line for line in problems if " tlsa " in line] != []


def test_what_is_not_added_up_is_told() -> None:
    missing = ["/var/mail/tls-reports"]
    found = {"mx1": reports(policy(), contradicting=2, left_out=3, missing=missing), "mx2": reports(contradicting=1)}
    lines = t.cast("list[str]", dane_report(LOOK, "table", tls_reports=found))
    assert lines[2] == (
        "TLS reports: 8 from other mail hosts, 2 came again, "
        "3 contradict another of the same name, 3 older ones left out"
    )
    assert lines[-1] == "  nothing is there yet on mx1: /var/mail/tls-reports"
    assert "dane_tls_reports_refused 0" in t.cast("str", dane_report(LOOK, "metrics", tls_reports=found))
    assert "no record matches; twice seen" in t.cast("str", dane_report(LOOK, "html", tls_reports=found))


def test_domains_that_the_report_is_not_about_are_only_counted() -> None:
    found = {"mx1": reports(policy(domain="elsewhere.example"), policy())}
    lines = t.cast("list[str]", dane_report(LOOK, "table", tls_reports=found))
    assert lines[2] == "TLS reports: 4 from other mail hosts, 1 came again, 1 on other domains not shown"
    for form in ("table", "html", "metrics"):
        assert "elsewhere" not in str(dane_report(LOOK, form, tls_reports=found))


def test_metrics() -> None:
    text = t.cast("str", dane_report(LOOK, "metrics", tls_reports=ONE))
    labels = 'domain="example.org",policy_type="tlsa"'
    assert f'dane_tls_report_sessions{{{labels},outcome="successful"}} 5326' in text
    assert f'dane_tls_report_sessions{{{labels},outcome="failed"}} 303' in text
    assert f'dane_tls_report_failures{{{labels},result_type="tlsa-invalid"}} 300' in text
    assert f'dane_tls_report_failures{{{labels},result_type="other"}} 3' in text
    assert "dane_tls_reports_refused 1" in text
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"([^\"\\]|\\.)*\",?)+\})? \d+", line), line


class Elements(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in {"meta", "br", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_that_a_stranger_wrote_does_harm() -> None:
    evil = policy(organizations=[EVIL], failures=[failure(EVIL, EVIL, 1, EVIL, [EVIL])])
    refused = [{"place": EVIL, "reason": EVIL}]
    found = {"mx1": reports(evil, policy(domain=EVIL), refused=refused, missing=[EVIL])}
    page = t.cast("str", dane_report(LOOK, "html", tls_reports=found))
    elements = Elements()
    elements.feed(page)
    assert elements.open == []
    assert "alert(1)</script>" not in page
    assert "5326 sessions succeeded" in page
    for line in t.cast("list[str]", dane_report(LOOK, "table", tls_reports=found)):
        assert line.isprintable()
    assert "alert" not in t.cast("str", dane_report(LOOK, "metrics", tls_reports=found))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1], "tls_reports must be a dictionary of results of mailsec.dane.tlsrpt_info, not [1]"),
        ({"mx1": {"reports": 1}}, "The result of mailsec.dane.tlsrpt_info of mx1 lacks repeated"),
    ],
)
def test_what_is_no_result_is_refused(value: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(message)):
        dane_report(LOOK, tls_reports=value)
