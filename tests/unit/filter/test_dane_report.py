# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report: merged from what several hosts found, and safe in every form whatever servers called themselves."""

from __future__ import annotations

import html.parser
import json
import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.dane_report import FilterModule, dane_report
from ansible_collections.mailsec.dane.plugins.module_utils._printable import printable
from ansible_collections.mailsec.dane.plugins.module_utils._report import merged
from ansible_collections.mailsec.dane.plugins.module_utils._verdicts import Verdict

EVIL: t.Final = "<script>alert(1)</script>\"'&`$(reboot)\x1b[2J\u202e{{ 7*7 }}\n"
RECORD: t.Final = "3 1 1 8a9f12d4c6b0e35c2f4f64c1d0a9b7e8f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8"


def row(**changes: object) -> dict[str, t.Any]:
    return {
        "domain": "example.org",
        "host": "mx1.example.org",
        "address": "192.0.2.1",
        "port": 25,
        "starttls": "smtp",
        "verdict": "verified",
        "reason": "the served chain matches 3 1 1 8a9f12d4c6b0...",
        "key_algorithm": "ECDSA",
        "owner": "_25._tcp.mx1.example.org",
        "tlsa": [RECORD],
        "matched": RECORD,
        "covered_by": [RECORD],
        "chain": [
            {
                "subject": "CN=mx1.example.org",
                "issuer": "CN=mx1.example.org",
                "names": ["mx1.example.org"],
                "key_algorithm": "ECDSA",
                "not_before": "2026-11-01T00:00:00Z",
                "not_after": "2027-01-30T00:00:00Z",
                "cert_sha256": "00" * 32,
                "spki_sha256": RECORD[6:],
            }
        ],
        "not_after": "2027-01-30T00:00:00Z",
        "tls_version": "TLSv1.3",
        "breaches": [],
        "spare": [],
        "advice": [],
        **changes,
    }


def unseen(**changes: object) -> dict[str, t.Any]:
    nothing: dict[str, t.Any] = {"matched": None, "covered_by": [], "chain": [], "not_after": None, "tls_version": None}
    return row(**{"key_algorithm": None, **nothing, **changes})


def result(
    *rows: dict[str, t.Any], domains: list[dict[str, t.Any]] | None = None, at: str = "12:00"
) -> dict[str, t.Any]:
    hosts = list(dict.fromkeys(one["host"] for one in rows if one["domain"] and one["host"]))
    verdict = rows[0]["verdict"] if rows else None
    default = [{"domain": "example.org", "verdict": verdict, "mx_secure": True, "hosts": hosts, "advice": []}]
    return {
        "changed": False,
        "checked_at": f"2026-11-22T{at}:00Z",
        "domains": default if domains is None else domains,
        "endpoints": list(rows),
    }


MISMATCH: t.Final = {"verdict": "mismatch", "matched": None, "reason": "another key. To mend: publish it"}


# --- merging ----------------------------------------------------------------------------------------------------------


def test_of_two_views_the_worse_is_kept() -> None:
    report = merged([result(row(), at="12:01"), result(row(**MISMATCH))])
    assert [one["verdict"] for one in report["endpoints"]] == ["mismatch"]
    assert report["domains"][0]["verdict"] == "mismatch"
    assert (report["verified"], report["checked_at"], report["schema"]) == (False, "2026-11-22T12:00:00Z", 1)
    assert merged([result(row(**MISMATCH)), result(row())])["endpoints"] == report["endpoints"]


def test_a_host_by_itself_gives_way_to_the_same_host_on_the_way_of_a_domain() -> None:
    report = merged([result(row()), result(row(domain=None), row(domain=None, port=465), domains=[])])
    assert [(one["domain"], one["port"]) for one in report["endpoints"]] == [("example.org", 25), (None, 465)]


def test_the_summary_counts_every_verdict() -> None:
    summary = merged([result(row(), row(address="192.0.2.2"), row(address="192.0.2.3", **MISMATCH))])["summary"]
    assert summary == {**{verdict.value: 0 for verdict in Verdict}, "verified": 2, "mismatch": 1}


def test_no_endpoint_is_not_verified() -> None:
    assert merged([])["verified"] is False


# --- the filter -------------------------------------------------------------------------------------------------------


TABLE: t.Final = """
example.org  mx1.example.org  192.0.2.1    25 smtp   ECDSA  verified  3 1 1 8a9f12d4..  cert 68 d  1 record in reserve
                              2001:db8::1  25 smtp   ECDSA  verified  3 1 1 8a9f12d4..  cert 68 d
                              192.0.2.1    465 tls   ECDSA  verified  3 1 1 8a9f12d4..  cert 68 d
                                                                      note: the certificate expires soon
             mx2.example.org  192.0.2.2    25 smtp   RSA    mismatch  another key. To mend: publish it
                                                                      breach: no record
-            x.example        -            993 imap  -      bogus     x y. To mend: z
5 endpoints: 3 verified, 1 bogus, 1 mismatch
"""


def test_table() -> None:
    found = result(
        row(spare=["3 1 1 " + "00" * 32]),
        row(address="2001:db8::1"),
        row(host="mx2.example.org", address="192.0.2.2", key_algorithm="RSA", breaches=["no record"], **MISMATCH),
        row(domain=None, port=465, starttls="none", advice=["the certificate expires soon"]),
        unseen(
            domain=None,
            host="x.example",
            address=None,
            port=993,
            starttls="imap",
            verdict="bogus",
            reason="x y. To mend: z",
        ),
    )
    assert dane_report(found, "table", 140) == TABLE.strip("\n").split("\n")


def test_table_wraps_reasons_below_themselves() -> None:
    lines = t.cast("list[str]", dane_report(result(row(**{**MISMATCH, "reason": "word " * 40})), "table", 110))
    start = lines[0].index("word")
    assert len(lines) > 3
    assert all(line.startswith(" " * start + "word") and len(line) <= 110 for line in lines[1:-1])


def test_table_of_problems_leaves_out_what_is_well() -> None:
    found = result(row(), row(address="192.0.2.2", advice=["note"]), row(address="192.0.2.3", **MISMATCH))
    lines = t.cast("list[str]", dane_report(found, "table", only_problems=True))
    assert [re.search(r"192\.0\.2\.\d", line)[0] for line in lines if "192" in line] == ["192.0.2.2", "192.0.2.3"]  # type: ignore[index]
    assert lines[-1] == "3 endpoints: 2 verified, 1 mismatch"


def test_table_says_that_a_domain_takes_no_mail() -> None:
    null: dict[str, t.Any] = {"domain": "n.example", "verdict": None, "mx_secure": True, "hosts": [], "advice": []}
    lines = t.cast("list[str]", dane_report(result(domains=[null]), "table"))
    assert lines[0].split() == ["n.example", "takes", "no", "mail", "(null", "MX,", "RFC", "7505)"]
    assert lines[1] == "0 endpoints: nothing to look at"


def test_json_is_the_report() -> None:
    assert json.loads(t.cast("str", dane_report([result(row())], "json"))) == dane_report(result(row()))


def test_metrics() -> None:
    text = t.cast("str", dane_report(result(row(), unseen(address="192.0.2.2", **MISMATCH)), "metrics"))
    labels = 'domain="example.org",host="mx1.example.org",address="192.0.2.1",port="25",key_algorithm="ECDSA"'
    assert f'dane_endpoint_verified{{{labels},verdict="verified"}} 1' in text
    assert f"dane_certificate_expiry_seconds{{{labels}}} 1801267200" in text
    assert 'key_algorithm="",verdict="mismatch"} 0' in text
    assert 'dane_endpoints{verdict="mismatch"} 1' in text
    assert "dane_checked_seconds 1795348800" in text
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{(\w+=\"([^\"\\]|\\.)*\",?)+\})? \d+", line), line


@pytest.mark.parametrize(
    ("value", "arguments", "message"),
    [
        (7, {}, "The input must be a result of mailsec.dane.dane_info or a list of them, not int"),
        ("text", {}, "The input must be a result of mailsec.dane.dane_info or a list of them, not str"),
        (
            {"endpoints": []},
            {},
            "A result of mailsec.dane.dane_info has checked_at, domains, endpoints; this one lacks",
        ),
        ([], {"format": "xml"}, "format is one of dict, json, html, metrics and table, not 'xml'"),
        ([], {"previous": "{"}, "previous is no JSON: "),
        ([], {"previous": [1]}, "previous must be a report as dane_report gives it, not list"),
        ([], {"format": "table", "width": "wide"}, "width must be a number of columns, not 'wide'"),
    ],
)
def test_bad_input(value: object, arguments: dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(f"mailsec.dane.dane_report: {message}")):
        dane_report(value, **arguments)


def test_the_filter_is_found_by_its_name() -> None:
    assert FilterModule().filters() == {"dane_report": dane_report}


# --- names that are attacks -------------------------------------------------------------------------------------------


def evil_result() -> dict[str, t.Any]:
    chain = [{**row()["chain"][0], "subject": EVIL, "issuer": EVIL, "names": [EVIL]}]
    texts = {"host": EVIL, "reason": EVIL, "advice": [EVIL], "breaches": [EVIL], "spare": [EVIL], "chain": chain}
    domain = {"domain": "example.org", "verdict": "verified", "mx_secure": True, "hosts": [EVIL], "advice": [EVIL]}
    return result(row(**texts), row(**texts, verdict="mismatch", address="192.0.2.2"), domains=[domain])


class Tags(html.parser.HTMLParser):
    """Collects elements and attributes, and holds that each element that must be closed is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.attributes |= {name for name, _value in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in {"meta", "br", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_runs_no_name() -> None:
    page = t.cast("str", dane_report(evil_result(), "html"))
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert tags.found.count("script") == 1
    assert not {name for name in tags.attributes if name.startswith("on") or name in {"src", "href", "style"}} - {
        "href"
    }
    assert len(tags.ids) == len(set(tags.ids))
    assert "alert(1)</script>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_the_pages_policy_names_its_own_style_and_script() -> None:
    import base64  # noqa: PLC0415
    import hashlib  # noqa: PLC0415

    page = t.cast("str", dane_report(result(row()), "html"))
    for tag in ("style", "script"):
        body = page.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src &#x27;sha256-{digest}&#x27;" in page


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "matches"),
        (MISMATCH, "does not match"),
        ({"chain": [], "not_after": None}, "not known"),
        ({"tlsa": [], "verdict": "absent"}, "proven by DNSSEC"),
        ({"tlsa": [], "verdict": "insecure"}, "not proven"),
        ({"spare": [RECORD]}, "In reserve"),
        ({"not_after": "2026-11-12T00:00:00Z"}, "expired 10 days ago"),
    ],
)
def test_the_page_says_in_words_what_it_paints(changes: dict[str, t.Any], text: str) -> None:
    assert text in t.cast("str", dane_report(result(row(**changes)), "html"))


def test_the_page_has_a_time_line_that_is_open_while_something_moves() -> None:
    before = dane_report(result(row()))
    new = {
        **row()["chain"][0],
        "cert_sha256": "11" * 32,
        "spki_sha256": "22" * 32,
        "not_before": "2026-11-22T00:00:00Z",
    }
    next_record = "3 1 1 " + "22" * 32
    moved = result(
        row(tlsa=[RECORD, next_record], matched=next_record, covered_by=[next_record], chain=[new]), at="18:30"
    )
    page = t.cast("str", dane_report(moved, "html", previous=before))
    line = page.partition('<details class="times" open>')[2].partition("</details>")[0]
    assert re.sub("<[^>]*>", "", line).split("\n")[1:-1] == [
        "2026-11-01 to 2027-01-30. The mark is this look; dark is when a look saw it.",
        "",
        "Record 3 1 1 8a9f12d4c6b0... in reserve, seen since 2026-11-22 12:00",
        "Record 3 1 1 222222222222... stands for the ECDSA chain, seen since 2026-11-22 18:30",
        (
            "ECDSA certificate of key 8a9f12d4c6b0... valid from 2026-11-01 to 2027-01-30, not seen now, but from "
            "2026-11-22 12:00 to 2026-11-22 12:00"
        ),
        "ECDSA certificate of key 222222222222... valid from 2026-11-22 to 2027-01-30, seen since 2026-11-22 18:30",
    ]
    assert '<details class="times"><summary>' in t.cast("str", dane_report(result(row()), "html"))


def test_a_report_goes_on_from_the_text_of_the_one_before() -> None:
    before = dane_report(result(row()), "json")
    report = t.cast("dict[str, t.Any]", dane_report(result(row(), at="13:00"), previous=before))
    assert report["history"]["records"] == [
        {
            "owner": "_25._tcp.mx1.example.org",
            "record": RECORD,
            "first_seen": "2026-11-22T12:00:00Z",
            "last_seen": "2026-11-22T13:00:00Z",
        }
    ]
    assert dane_report(result(row()), previous="") == dane_report(result(row()))


def test_the_title_tells_the_outcome() -> None:
    assert "<title>DANE: all verified</title>" in t.cast("str", dane_report(result(row()), "html"))
    assert "<title>DANE: 0 of 1 verified</title>" in t.cast("str", dane_report(result(row(**MISMATCH)), "html"))


def test_no_control_character_reaches_a_terminal() -> None:
    for line in t.cast("list[str]", dane_report(evil_result(), "table")):
        assert line.isprintable()
    assert printable("a\x00\x7f\u202e\u2066\u00adé") == "a?????é"


def test_metrics_keep_one_line_for_each_sample() -> None:
    text = t.cast("str", dane_report(evil_result(), "metrics"))
    assert sum(line.startswith("dane_endpoint_verified{") for line in text.splitlines()) == 2
