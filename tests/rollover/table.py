# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/rollover-comparison.md from build/rollover.json: python -m rollover.table."""

from __future__ import annotations

import typing as t

import results
from demo.playbook import ROOT
from lab.files import write_whole
from rollover.naive import ORDERS

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from results import Row

HEAD: t.Final = """\
# Rollovers under traffic: ours and the orders of others

Made by `python -m rollover.table` from the last run of `make rollover`; do not edit.

Two senders that nobody manages, Postfix on Debian 13 (3 messages a second) and 12 (1 a second), deliver without pause
at level `dane-only` to two mail hosts, each through its own validating and caching resolver. All numbers are counts
of messages in the senders' own logs. *Put off* were deferred at least once: a sender at level `dane` or `dane-only`
refuses a server whose key matches no TLSA record, and tries again later. (Where no record is left, a sender at level
`dane` sends without verification instead.) The TTL of the TLSA records is that of the lab, some seconds; waits that a
page or a peer counts in seconds are scaled by it (300 s at TTL 3600). With the TTLs of the field every window is as
many times longer.
"""
COLUMNS: t.Final = "| {} | messages | verified at once | put off | bounced | unverified |\n|---|---|---|---|---|---|"


def main() -> None:
    """Write the page."""
    rows = results.load(ROOT / "build" / "rollover.json")
    seen_in = {f"naive: {order.name}": order.seen_in for order in ORDERS}
    lines = [HEAD, "## Ours", "", COLUMNS.format("scheme"), *_lines(rows, "plain: "), "", *_outcomes(rows, "plain: ")]
    lines += [
        "## Orders of others",
        "",
        COLUMNS.format("order"),
        *_lines(rows, "naive: "),
        "",
        "Where they are seen:",
        "",
    ]
    lines += [f"- {name.removeprefix('naive: ')}: {where}" for name, where in seen_in.items()]
    if faults := _lines(rows, "fault: "):
        lines += ["", "## Ours amid faults of others", "", COLUMNS.format("fault"), *faults, ""]
        lines += _outcomes(rows, "fault: ")
    write_whole(ROOT / "docs" / "rollover-comparison.md", "\n".join(lines).rstrip("\n") + "\n")


def _lines(rows: Sequence[Row], kind: str) -> list[str]:
    return [
        f"| {row.case.removeprefix(kind)} | {row.tried} | {row.verified - min(row.deferred, row.verified)} "
        f"| {row.deferred} | {row.bounced} | {row.leaked} |"
        for row in rows
        if row.case.startswith(kind)
    ]


def _outcomes(rows: Sequence[Row], kind: str) -> list[str]:
    return [f"- {row.case.removeprefix(kind)}: {row.outcome}" for row in rows if row.case.startswith(kind)] + [""]


if __name__ == "__main__":
    main()
