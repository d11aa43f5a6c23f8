# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The report as a table for a terminal: one line for each endpoint, and under it what there is to say."""

from __future__ import annotations

import textwrap
import typing as t

from ._printable import printable
from ._report import days_left, grouped_rows
from ._report_tlsrpt import tls_report_lines
from ._verdicts import Verdict

if t.TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["table"]

_MIN_TEXT: t.Final = 40


def table(report: Mapping[str, t.Any], *, width: int = 150, only_problems: bool = False) -> list[str]:
    """Return the lines: endpoints, their sum, and what other mail hosts reported.

    ``only_problems`` leaves out what is verified without a remark, and policies under which no session failed.
    """
    lines: list[tuple[list[str], list[str]]] = []
    for domain, rows in grouped_rows(report):
        shown = [row for row in rows if not only_problems or row["verdict"] != Verdict.VERIFIED or _remarks(row)]
        cells = [_cells(domain, row) for row in shown]
        texts = [_texts(row, report["checked_at"]) for row in shown]
        if not rows:
            lines.append(([domain or "", "", "", "", "", ""], ["takes no mail (null MX, RFC 7505)"]))
        lines.extend(zip(_blank_repeats(cells), texts, strict=True))
    widths = [max((len(cells[column]) for cells, _texts_ in lines), default=0) for column in range(6)]
    return [
        *_laid_out(lines, widths, width),
        _summary(report),
        *tls_report_lines(report, only_problems=only_problems),
    ]


def _cells(domain: str | None, row: Mapping[str, t.Any]) -> list[str]:
    kind = "tls" if row["starttls"] == "none" else row["starttls"]
    cells = [domain, row["host"], row["address"], f"{row['port']} {kind}", row["key_algorithm"], row["verdict"]]
    return [printable(cell or "-") for cell in cells]


def _blank_repeats(rows: list[list[str]]) -> list[list[str]]:
    """Leave out a domain, and below it a host, that stands in the line above already."""
    result = []
    above = ["", ""]
    for cells in rows:
        same_domain = cells[0] == above[0]
        same_host = same_domain and cells[1] == above[1]
        result.append([" " if same_domain else cells[0], " " if same_host else cells[1], *cells[2:]])
        above = cells[:2]
    return result


def _texts(row: Mapping[str, t.Any], checked_at: str | None) -> list[str]:
    if row["verdict"] != Verdict.VERIFIED:
        return [printable(text) for text in (row["reason"], *_remarks(row))]
    facts = [_short(row["matched"])]
    days = days_left(row, checked_at)
    if days is not None:
        facts.append(f"cert {days} d")
    if row["spare"]:
        facts.append(f"{len(row['spare'])} record{'s' * (len(row['spare']) > 1)} in reserve")
    return ["  ".join(facts), *(printable(text) for text in _remarks(row))]


def _remarks(row: Mapping[str, t.Any]) -> list[str]:
    return [f"breach: {text}" for text in row["breaches"]] + [f"note: {text}" for text in row["advice"]]


def _short(record: str) -> str:
    return record if len(record) <= 20 else f"{record[:14]}.."


def _laid_out(lines: list[tuple[list[str], list[str]]], widths: list[int], width: int) -> list[str]:
    indent = sum(widths) + 2 * len(widths)
    room = max(_MIN_TEXT, width - indent)
    result = []
    for cells, texts in lines:
        head = "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True))
        wrapped = [part for text in texts for part in textwrap.wrap(text, room, break_on_hyphens=False)] or [""]
        result.append(f"{head}  {wrapped[0]}".rstrip())
        result.extend(" " * indent + part for part in wrapped[1:])
    return result


def _summary(report: Mapping[str, t.Any]) -> str:
    counts = [f"{count} {verdict}" for verdict, count in report["summary"].items() if count]
    total = len(report["endpoints"])
    return f"{total} endpoint{'s' * (total != 1)}: {', '.join(counts) or 'nothing to look at'}"
