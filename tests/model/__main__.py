# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The search, the mutants and that rollovers end: ``python -m model [--quick]`` writes ``build/model.json``.

``--quick`` looks less deep, at every mutant all the same, and writes ``build/model-quick.json``.
"""

from __future__ import annotations

import json
import sys
import time
import typing as t
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path

from .liveness import BOUND, end
from .machine import Machine
from .mutations import MUTATIONS, caught
from .scenario import SCENARIOS
from .search import search, wander

if t.TYPE_CHECKING:
    from .scenario import Scenario

STATES: t.Final = 56_000
"""At least so many in each search; there are two for each scenario, one of them with every fault."""
QUICK: t.Final = 6_000
WALKS: t.Final = 100

Row = dict[str, t.Any]


def looked_at(job: tuple[Scenario, int, bool]) -> Row:
    scenario, states, faulty = job
    if not faulty:
        scenario = replace(scenario, restages=1, faults=0, jumps=0)
    begun = time.monotonic()
    machine = Machine(scenario)
    found = search(machine, states=states, every=max(states // 150, 1))
    ways = wander(machine, walks=WALKS if states > QUICK else WALKS // 10, steps=200)
    stuck = [told for one in found.sample for told, ticks in (end(machine, one),) if ticks > BOUND]
    return {
        "scenario": scenario.name,
        "faults": faulty,
        "depth": found.depth,
        "states": found.states,
        "whole": found.whole,
        "violations": [why for why in (found.violation, ways.violation) if why],
        "deep_ways": {"steps": ways.depth, "states": ways.states},
        "ended": len(found.sample) - len(stuck),
        "stuck": stuck[:5],
        "seconds": round(time.monotonic() - begun, 1),
    }


def mutated(place: int) -> Row:
    found = caught(MUTATIONS[place])
    return {"name": MUTATIONS[place].name, "caught": found.violation is not None, "seen": found.violation}


def main() -> int:
    quick = "--quick" in sys.argv[1:]
    jobs = [(one, QUICK if quick else STATES, faulty) for one in SCENARIOS for faulty in (False, True)]
    with Pool(2) as pool:
        searches = []
        for row in pool.imap(looked_at, jobs, 1):
            searches.append(row)
            print(
                f"{row['scenario']:20} {'faults' if row['faults'] else 'calm':7} depth {row['depth']:3} "
                f"states {row['states']:8}{' (all)' if row['whole'] else ''} ended {row['ended']} "
                f"{row['seconds']} s {row['violations'] or ''} {row['stuck'] or ''}",
                flush=True,
            )
        mutations = []
        for row in pool.imap(mutated, range(len(MUTATIONS)), 1):
            mutations.append(row)
            print(f"{'caught' if row['caught'] else 'MISSED'}  {row['name']}", flush=True)
    result = {
        "depth": min(row["depth"] for row in searches if not row["whole"]),
        "states": sum(row["states"] for row in searches),
        "violations": sum(len(row["violations"]) + len(row["stuck"]) for row in searches),
        "mutations": mutations,
        "searches": searches,
    }
    target = Path("build/model-quick.json" if quick else "build/model.json")
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['states']} states, each layer whole to depth {result['depth']}, {result['violations']} violations")
    return int(bool(result["violations"]) or not all(row["caught"] for row in mutations))


if __name__ == "__main__":
    sys.exit(main())
