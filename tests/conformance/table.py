# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/conformance.md from build/conformance.json: python -m conformance.table."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from conformance.peers import PEERS
from lab.files import write_whole

ROOT: t.Final = Path(__file__).resolve().parents[2]
JUDGES: t.Final = {
    "postfix13": "Postfix 3.10",
    "postfix12": "Postfix 3.7",
    "exim": "Exim 4.98",
    "openssl": "OpenSSL 3.5",
}
HEAD: t.Final = """\
# Conformance

Made by `python -m conformance.table` from the last run of `python -m conformance`; do not edit.

Each line is a deployment, raised in the lab and judged by a real delivery from Postfix on Debian 13 (3.10) and 12 (3.7)
and from Exim on Debian 13 (built with GnuTLS), and by `openssl s_client -dane_tlsa_domain`, which does no DNS and is
asked only where the DNS is sound. *Expected* is what the RFC wants: our verdict, and what a sender does. The word of
the cause in each of our reports is tested too; it stands in `tests/conformance/cases.txt`.
"""
PEERS_HEAD: t.Final = """
## Other checkers

smtp-dane-verify (PyPI), hash-slinger's `tlsa --verify` and `ldns-dane` (which has no STARTTLS, so it is handed the
chain by `openssl s_client`) look at one host and say yes or no. Right is a yes to what the RFC calls authenticated, and
a no to everything else. Cases without a host are not put to them.
"""


def main() -> None:
    """Write the page."""
    written = json.loads((ROOT / "build" / "conformance.json").read_text("utf-8"))
    rows = [row for row in written if "expected" in row]
    right = sum(row["ours"] == row["expected"] for row in rows)
    agree = sum(row["agree"] for row in rows)
    lines = [
        HEAD,
        f"Our verdict is the RFC's in {right} of {len(rows)} cases; both Postfix versions act on it in {agree}.",
        "",
    ]
    lines.append("| case | RFC | expected | ours | " + " | ".join(JUDGES.values()) + " |")
    lines.append("|---" * (4 + len(JUDGES)) + "|")
    notes: list[str] = []
    for row in rows:
        cells = [_cell(row, judge, notes) for judge in JUDGES]
        expected = f"{row['expected']}, {row['delivery']}"
        lines.append(f"| {row['case']} | {row['rfc']} | {expected} | {row['ours']} | " + " | ".join(cells) + " |")
    lines += ["", "## Why a judge differs", "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]
    lines += _peers(rows)
    write_whole(ROOT / "docs" / "conformance.md", "\n".join(lines) + "\n")


def _peers(rows: list[dict[str, t.Any]]) -> list[str]:
    asked = [row for row in rows if row["peers"]]
    wrong = {peer: [row for row in asked if _wrong(row, peer)] for peer in PEERS}
    ours = sum(row["ours"] == row["expected"] for row in asked)
    lines = [PEERS_HEAD, "| checker | right | says yes wrongly | says no wrongly |", "|---|---|---|---|"]
    lines.append(f"| this collection | {ours} of {len(asked)} | - | - |")
    for peer, name in PEERS.items():
        said = {
            word: ", ".join(row["case"] for row in wrong[peer] if row["peers"].get(peer) == word) or "-"
            for word in ("yes", "no")
        }
        right = f"{len(asked) - len(wrong[peer])} of {len(asked)}"
        lines.append(f"| {name} | {right} | {said['yes']} | {said['no']} |")
    return lines


def _wrong(row: dict[str, t.Any], peer: str) -> bool:
    yes: bool = row["peers"].get(peer) == "yes"
    authenticated: bool = row["delivery"] == "authenticated"
    return yes != authenticated


def _cell(row: dict[str, t.Any], judge: str, notes: list[str]) -> str:
    why = row.get(f"{judge}_why")
    word = str(row[judge])
    if word == row["delivery"]:
        return "yes"
    if why is None:
        return word
    note = f"{JUDGES[judge]}, {row['case']}: {why}."
    notes.append(note)
    return f"**{word}** ({len(notes)})"


if __name__ == "__main__":
    main()
