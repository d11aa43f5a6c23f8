# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/rollover-model.md from build/model.json: python -m model.table."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from lab.files import write_whole

ROOT: t.Final = Path(__file__).resolve().parents[2]
HEAD: t.Final = """\
# The model of a rollover

Made by `python -m model.table` from the last run of `make model`; do not edit.

The agent's decisions are one pure function, `_rollover.decide`. Around it, `tests/model/` puts a world as a state
machine and looks at every state that can be reached, breadth first, to a stated depth; then far deeper at random. In
each state the rule must hold in its strict form: **each chain that a process of the host may serve matches every TLSA
RRset that anybody may still hold, in every combination of usage, selector and matching type that the RRset has** (RFC
7671 section 8), and the last record is never removed. The rule is written down in the model anew; the code under test
does not judge itself.

What may happen, in any order:

- the primary takes a change over at any time; the second name server transfers it later, or a transfer that began
  before goes on and ends after the next change;
- resolvers, and the senders' own caches, hold what any server served for the TTL that it really had, and a tick longer;
- a process of the service is recycled and loads whatever is deployed, without any reload, while older ones go on;
- a reload fails, or reaches one address only; a look at an address meets any of the processes there;
- a server or an address does not answer;
- somebody stages another chain, or withdraws it, between any two steps; another machine behind the same name
  serves its own;
- the agent is killed before, within and after each of its effects, and begins again;
- its ledger is lost, or replaced by an older copy; its clock jumps, within the bound that the margin is for.

The counter-test: each protection is taken away, one at a time, and the model must find the harm. A test that draws
scenarios and ways by Hypothesis (`tests/unit/model/`) goes where nobody wrote a scenario down. From a sample of all
states, each rollover comes to its end once nothing goes wrong any more.
"""
SEEN: t.Final = """\
{states:,} different states, in each search every state to a depth of {depth} moves or more; {violations} violations.
*Faults* are lost or old ledgers, and clocks that jump."""


def main() -> None:
    """Write the page."""
    found = json.loads((ROOT / "build" / "model.json").read_text("utf-8"))
    lines = [
        HEAD,
        "## What was looked at",
        "",
        SEEN.format(**found),
        "",
        "| scenario | faults | states | every state to depth | rollovers that came to their end |",
        "|---|---|---|---|---|",
        *(_searched(row) for row in found["searches"]),
        "",
        "## What is caught",
        "",
        "| protection taken away | what the model then sees |",
        "|---|---|",
        *(f"| {row['name']} | {row['seen'] or 'nothing: **missed**'} |" for row in found["mutations"]),
    ]
    write_whole(ROOT / "docs" / "rollover-model.md", "\n".join(lines) + "\n")


def _searched(row: dict[str, t.Any]) -> str:
    depth = "all of them" if row["whole"] else row["depth"]
    ended = f"{row['ended']} of {row['ended'] + len(row['stuck'])}"
    return f"| {row['scenario']} | {'yes' if row['faults'] else 'no'} | {row['states']:,} | {depth} | {ended} |"


if __name__ == "__main__":
    main()
