# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.
"""The time line of a host in the HTML report: its records since when, its certificates from when to when.

A rollover is seen in it: a record comes before the certificate that it stands for, and the old one goes after. Each bar
stands beside the words that say the same.
"""

from __future__ import annotations

import html
import typing as t
from dataclasses import dataclass

from ._moments import moment
from ._printable import printable

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    Row = Mapping[str, t.Any]

__all__ = ["Timelines"]

_WIDTH: t.Final = 1000


@dataclass(frozen=True, slots=True)
class _Line:
    """A bar for a life, in it a dark one for when it was seen, and the words for both."""

    label: str
    words: str
    life: tuple[datetime, datetime]
    seen: tuple[datetime, datetime]
    gone: bool


class Timelines:
    """The time lines of one report."""

    def __init__(self, report: Mapping[str, t.Any]) -> None:
        self._checked_at: str = report["checked_at"] or ""
        self._records = _grouped(report["history"]["records"], "owner")
        self._certificates = _grouped(report["history"]["certificates"], "host")

    def of_host(self, rows: Sequence[Row]) -> str:
        """Return the drawing for the rows of one host; empty where nothing of it was ever seen."""
        owners = dict.fromkeys(row["owner"] for row in rows)
        records = _joined((entry for owner in owners for entry in self._records.get(owner, ())), "record")
        certificates = _joined(self._certificates.get(rows[0]["host"], ()), "cert_sha256")
        served = {certificate["spki_sha256"] for certificate in certificates}
        lines = [_record_line(entry, rows) for entry in records]
        lines += [_certificate_line(entry, self._checked_at) for entry in certificates]
        if not lines:
            return ""
        # Open where something moves: a key to come, one that went, or a record that went.
        moving = len(served) > len({row["key_algorithm"] for row in rows if row["chain"]})
        moving = moving or any(line.gone for line in lines) or any(row["spare"] for row in rows)
        return _drawing(lines, self._checked_at, moving=moving)


def _grouped(entries: Iterable[Row], key: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for entry in entries:
        groups.setdefault(entry[key], []).append(entry)
    return groups


def _joined(entries: Iterable[Row], key: str) -> list[dict[str, t.Any]]:
    """What stands at several ports of the host, once, from its first to its last sight; the oldest first."""
    joined: dict[str, dict[str, t.Any]] = {}
    for entry in entries:
        known = joined.setdefault(entry[key], dict(entry))
        known["first_seen"] = min(known["first_seen"], entry["first_seen"])
        known["last_seen"] = max(known["last_seen"], entry["last_seen"])
    return sorted(joined.values(), key=lambda entry: (entry["first_seen"], entry[key]))


def _record_line(entry: Row, rows: Sequence[Row]) -> _Line:
    record = entry["record"]
    matched = dict.fromkeys(str(row["key_algorithm"]) for row in rows if record in row["covered_by"])
    gone = not any(record in row["tlsa"] for row in rows)
    state = f"stands for the {' and the '.join(matched)} chain, " if matched else "" if gone else "in reserve, "
    seen = moment(entry["first_seen"]), moment(entry["last_seen"])
    return _Line(f"Record {_cut(record)}", f"{state}{_seen(entry, gone=gone)}", seen, seen, gone)


def _certificate_line(entry: Row, checked_at: str) -> _Line:
    gone = entry["last_seen"] < checked_at
    life = moment(entry["not_before"]), moment(entry["not_after"])
    return _Line(
        f"{entry['key_algorithm']} certificate of key {entry['spki_sha256'][:12]}...",
        f"valid from {entry['not_before'][:10]} to {entry['not_after'][:10]}, {_seen(entry, gone=gone)}",
        life,
        (moment(entry["first_seen"]), moment(entry["last_seen"])),
        gone,
    )


def _seen(entry: Row, *, gone: bool) -> str:
    first, last = entry["first_seen"][:16].replace("T", " "), entry["last_seen"][:16].replace("T", " ")
    # A look that failed does not show what is there, so nothing is called removed.
    return f"not seen now, but from {first} to {last}" if gone else f"seen since {first}"


def _cut(record: str) -> str:
    return record if len(record) <= 26 else f"{record[:18]}..."


def _drawing(lines: Sequence[_Line], checked_at: str, *, moving: bool) -> str:
    now = moment(checked_at)
    begin = min(now, *(min(line.life[0], line.seen[0]) for line in lines))
    end = max(now, *(line.life[1] for line in lines))
    spread = max((end - begin).total_seconds(), 1.0)

    def place(at: datetime) -> int:
        return round((at - begin).total_seconds() / spread * _WIDTH)

    items = "".join(
        f"<li><b>{_text(line.label)}</b> {_text(line.words)}"
        # The page's policy forbids styles on elements; a drawing can carry its own numbers.
        f'<svg viewBox="0 0 {_WIDTH} 10" preserveAspectRatio="none" width="100%" height="10" aria-hidden="true">'
        f"{_bar(place(line.life[0]), place(line.life[1]), '.25')}{_bar(place(line.seen[0]), place(line.seen[1]), '.7')}"
        f'<rect x="{min(place(now), _WIDTH - 3)}" width="3" height="10" fill="currentColor"/></svg></li>\n'
        for line in lines
    )
    return (
        f'<details class="times"{" open" if moving else ""}><summary>Time line</summary>\n'
        f'<p class="dim">{begin:%Y-%m-%d} to {end:%Y-%m-%d}. The mark is this look; dark is when a look saw it.</p>\n'
        f"<ol>\n{items}</ol></details>\n"
    )


def _bar(begin: int, end: int, opacity: str) -> str:
    width = max(end - begin, 4)
    return f'<rect x="{min(begin, _WIDTH - 4)}" width="{width}" height="10" fill="currentColor" opacity="{opacity}"/>'


def _text(value: object) -> str:
    return html.escape(printable(value))
