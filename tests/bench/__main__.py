# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every measurement of this folder and write build/bench.json. Exit status 0 only if every goal was met.

A measurement is a file with ``run() -> list of rows``; a row is name, ours, peer, peer_name, unit, ratio (how many
times better ours is), goal (a ratio, or None) and met; the file's name is put before them as ``measurement``. What
other measurements wrote before stays in build/bench.json.
"""

from __future__ import annotations

import importlib
import json
import sys
import typing as t
from pathlib import Path

from lab.files import write_whole

HERE: t.Final = Path(__file__).resolve().parent
RESULT: t.Final = HERE.parents[1] / "build" / "bench.json"


def main(names: list[str]) -> int:
    """Run the measurements called `names` (all of them by default)."""
    known = sorted(path.stem for path in HERE.glob("[!_]*.py"))
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"there is no measurement {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    rows: list[dict[str, t.Any]] = []
    for name in names or known:
        print(f"measuring {name} ...", flush=True)
        measured = importlib.import_module(f"bench.{name}").run()
        rows += [{"measurement": name, **row} for row in measured]
        write_whole(RESULT, json.dumps([*_written_by_others(rows), *rows], indent=2) + "\n")
    for row in rows:
        goal = "no goal" if row["goal"] is None else f"goal {row['goal']:g}: {'met' if row['met'] else 'MISSED'}"
        ours, peer = f"ours {row['ours']} {row['unit']}", f"{row['peer_name']} {row['peer']}"
        print(f"{row['name']:<20} {ours}, {peer}: x{row['ratio']} ({goal})")
    return 0 if all(row["met"] is not False for row in rows) else 1


def _written_by_others(rows: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    measured = {row["measurement"] for row in rows}
    before = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else []
    return [row for row in before if row.get("measurement") not in measured | {None}]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
