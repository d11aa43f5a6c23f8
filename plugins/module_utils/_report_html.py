# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The report as one self-contained HTML page.

Every text from outside goes through :func:`_text`. The page loads nothing, and its own policy allows no script but its
own: a host name that is a script stays a host name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import typing as t

from ._moments import moment
from ._printable import printable
from ._report import days_left, grouped_rows
from ._report_style import SCRIPT, STYLE
from ._report_timeline import Timelines
from ._report_tlsrpt_html import tls_reports_section
from ._verdicts import Verdict

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, t.Any]

__all__ = ["page"]

_WAITING: t.Final = frozenset({Verdict.NO_STARTTLS, Verdict.UNREACHABLE, Verdict.BOGUS, Verdict.MISMATCH})
_MEANING: t.Final = {
    Verdict.VERIFIED: "authenticated",
    Verdict.INSECURE: "not signed",
    Verdict.ABSENT: "no TLSA record",
    Verdict.UNUSABLE: "no usable record",
    Verdict.UNKNOWN: "could not be found out",
    Verdict.NO_STARTTLS: "TLS promised, none offered",
    Verdict.UNREACHABLE: "no session",
    Verdict.BOGUS: "DNSSEC fails",
    Verdict.MISMATCH: "served chain is not the published one",
}


def page(report: Mapping[str, t.Any]) -> str:
    """Return the page. Its title tells the outcome, so that a tab or a bookmark does."""
    rows = report["endpoints"]
    good = report["summary"][Verdict.VERIFIED]
    outcome = "all verified" if report["verified"] else f"{good} of {len(rows)} verified"
    policy = f"default-src 'none'; style-src '{_digest(STYLE)}'; script-src '{_digest(SCRIPT)}'"
    policy += "; base-uri 'none'; form-action 'none'"
    times = Timelines(report)
    groups = "".join(_group(name, rows, report, times) for name, rows in grouped_rows(report))
    groups += tls_reports_section(report)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">\n'
        f"<title>DANE: {outcome}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#report">Skip to the report</a>\n'
        f"<header><h1>DANE report: {_badge_of(report['verified'], outcome)}</h1>\n"
        f'<p class="dim">Looked at on {_moment(report["checked_at"])}. Mail waits where the verdict is red.</p>'
        f'</header>\n{_filters(report)}<main id="report">\n{groups or "<p>There was nothing to look at.</p>"}</main>\n'
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(printable(value))


def _moment(stamp: str | None) -> str:
    return f"{stamp[:10]} {stamp[11:16]} UTC" if stamp else "no date"


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _colour(verdict: str | None) -> str:
    if verdict is None or verdict == Verdict.VERIFIED:
        return "good"
    return "bad" if verdict in _WAITING else "mild"


_SIGNS: t.Final = {"good": "\u2713", "mild": "!", "bad": "\u2717"}


def _badge(verdict: str) -> str:
    colour = _colour(verdict)
    return f'<span class="badge {colour}"><span aria-hidden="true">{_SIGNS[colour]}</span> {_text(verdict)}</span>'


def _badge_of(good: object, words: str) -> str:
    colour = "good" if good else "bad"
    return f'<span class="badge {colour}"><span aria-hidden="true">{_SIGNS[colour]}</span> {_text(words)}</span>'


def _filters(report: Mapping[str, t.Any]) -> str:
    buttons = "".join(
        f'<button type="button" aria-pressed="false" value="{_text(verdict)}">{_badge(verdict)} {count} '
        f'<span class="dim">{_text(_MEANING[Verdict(verdict)])}</span></button>\n'
        for verdict, count in report["summary"].items()
        if count
    )
    return (
        f'<div class="filters" role="group" aria-label="Show only" hidden>\n{buttons}'
        '<input id="search" type="search" aria-label="Search in domains, hosts, addresses and reasons" '
        'placeholder="Search" autocomplete="off">\n<span id="shown" role="status" class="dim"></span></div>\n'
    )


def _group(domain: str | None, rows: Sequence[Row], report: Mapping[str, t.Any], times: Timelines) -> str:
    facts = next((item for item in report["domains"] if item["domain"] == domain), None)
    head = _text(domain) if domain else "Hosts by themselves"
    notes = [] if facts is None else list(facts["advice"])
    if facts is not None and not rows:
        notes.append("This domain takes no mail (null MX, RFC 7505).")
    badge = _badge(facts["verdict"]) if facts and facts["verdict"] else ""
    by_host = itertools.groupby(rows, key=lambda row: row["host"])
    hosts = "".join(_host(host, list(its_rows), facts, report, times) for host, its_rows in by_host)
    remarks = "".join(f"<p>{_text(note)}</p>" for note in notes)
    return f"<section>\n<header><h2>{head}</h2> {badge}</header>\n{remarks}{hosts}</section>\n"


def _host(
    host: str | None, rows: Sequence[Row], facts: Row | None, report: Mapping[str, t.Any], times: Timelines
) -> str:
    endpoints = "".join(_endpoint(row, facts, report) for row in rows)
    return f"<div>\n<h3>{_text(host or 'No host')}</h3>\n{endpoints}{times.of_host(rows)}</div>\n"


def _endpoint(row: Row, facts: Row | None, report: Mapping[str, t.Any]) -> str:
    find = " ".join(str(row[key] or "") for key in ("domain", "host", "address", "port", "reason", "key_algorithm"))
    cause, _mend, cure = str(row["reason"]).partition(". To mend: ")
    remarks = [*(f"Breach: {text}" for text in row["breaches"]), *(f"Note: {text}" for text in row["advice"])]
    more = "".join(f'<p><span class="badge mild">!</span> {_text(remark)}</p>' for remark in remarks)
    return (
        f'<article data-verdict="{_text(row["verdict"])}" data-find="{_text(find.lower())}">\n'
        f"{_way(row, facts)}<p>{_badge(row['verdict'])} {_text(cause)}</p>\n{cure and f'<p>{_cure(cure)}</p>'}{more}"
        f"{_validity(row, report)}{_details(row)}</article>\n"
    )


def _cure(cure: str) -> str:
    return f"<b>To mend:</b> {_text(cure)}"


def _way(row: Row, facts: Row | None) -> str:
    """The way of a mail as a picture: MX record, server, TLSA record, certificate, and what joins each to the next."""
    boxes = []
    if row["domain"] is not None:
        signed = facts["mx_secure"] if facts else None
        boxes += [
            _box("MX record", row["domain"], row["host"] or "leads nowhere"),
            _joint(signed, "signed", "not signed"),
        ]
    kind = "TLS at once" if row["starttls"] == "none" else f"{row['starttls']}, STARTTLS"
    boxes.append(_box("Server", row["address"] or row["host"] or "none", f"port {row['port']}, {kind}"))
    if not row["host"]:
        return f'<ol class="way">{"".join(boxes)}</ol>\n'
    records = row["tlsa"]
    secure = (
        True if records else {Verdict.ABSENT: True, Verdict.INSECURE: False, Verdict.BOGUS: False}.get(row["verdict"])
    )
    boxes.append(_joint(secure, "proven by DNSSEC", "not proven"))
    shown = row["matched"] or (records[0] if records else "none")
    extra = f"and {len(records) - 1} more" if len(records) > 1 else row["owner"] or ""
    boxes += [_box("TLSA record", _cut(shown), extra), _match(row)]
    if row["chain"]:
        leaf = row["chain"][0]
        boxes.append(_box("Certificate", leaf["subject"], f"{leaf['key_algorithm']}, until {leaf['not_after'][:10]}"))
    else:
        boxes.append(_box("Certificate", "none seen", ""))
    return f'<ol class="way">{"".join(boxes)}</ol>\n'


def _box(title: str, first: object, second: object) -> str:
    return f'<li><b>{title}</b>{_text(first)}<br><span class="dim">{_text(second)}</span></li>'


def _joint(good: bool | None, yes: str, no: str) -> str:
    colour, words = ("mild", "not known") if good is None else ("good", yes) if good else ("bad", no)
    return f'<li class="link {colour}"><span aria-hidden="true">{_SIGNS[colour]}</span> {_text(words)}</li>'


def _match(row: Row) -> str:
    if not row["tlsa"] or not row["chain"]:
        return _joint(None, "", "")
    return _joint(row["matched"] is not None, "matches", "does not match")


def _cut(record: str) -> str:
    return record if len(record) <= 26 else f"{record[:22]}..."


def _validity(row: Row, report: Mapping[str, t.Any]) -> str:
    """A time line: the certificate's life as a bar, now as a mark on it, and which records stand beside."""
    left = days_left(row, report["checked_at"])
    if left is None or not row["chain"]:
        return ""
    begin, end = moment(row["chain"][0]["not_before"]), moment(row["not_after"])
    now = moment(report["checked_at"])
    whole = max((max(end, now) - min(begin, now)).total_seconds(), 1.0)
    return _bar((now - begin).total_seconds() / whole, (end - begin).total_seconds() / whole, left, row)


def _bar(passed: float, lifetime: float, left: int, row: Row) -> str:
    words = f"{left} days left" if left >= 0 else f"expired {-left} days ago"
    spare = "".join(f"<p>In reserve: <code>{_text(_cut(record))}</code></p>" for record in row["spare"])
    life, now = (f"{min(max(part, 0), 0.996) * 1000:.0f}" for part in (lifetime, passed))
    # The page's policy forbids styles on elements; a drawing can carry its own numbers.
    return (
        '<svg viewBox="0 0 1000 14" preserveAspectRatio="none" width="100%" height="14" role="img" '
        f'aria-label="certificate: {words}">'
        '<rect width="1000" height="10" y="2" rx="5" fill="currentColor" opacity=".2"/>'
        f'<rect width="{life}" height="10" y="2" rx="5" fill="currentColor" opacity=".35"/>'
        f'<rect x="{now}" width="4" height="14" fill="currentColor"/></svg>'
        f'<p class="dim">Certificate {_text(row["chain"][0]["not_before"][:10])} to '
        f"{_text(row['not_after'][:10])}, {words}.</p>{spare}"
    )


def _details(row: Row) -> str:
    lines = [("Owner", row["owner"]), ("TLS", row["tls_version"])]
    lines += [("Record", record) for record in row["tlsa"]]
    for depth, item in enumerate(row["chain"]):
        lines.append(
            (f"Chain {depth}", f"{item['subject']}, issued by {item['issuer']}, for {', '.join(item['names'])}")
        )
        lines.append(("", f"{item['key_algorithm']}, {item['not_before']} to {item['not_after']}"))
        lines.append(("x 1 1", item["spki_sha256"]))
        lines.append(("x 0 1", item["cert_sha256"]))
    body = "".join(
        f"<tr><th>{_text(name)}</th><td><code>{_text(text)}</code></td></tr>" for name, text in lines if text
    )
    return f"<details><summary>Records and certificates</summary><table>{body}</table></details>\n" if body else ""
