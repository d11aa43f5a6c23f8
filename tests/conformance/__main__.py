# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Raise the cases in the lab, ask every judge, compare, and write build/conformance.json.

Exit status 0 only if our verdict is the RFC's in every case, and Postfix agrees wherever its two versions do, but for
the cases that `exceptions.txt` explains. ``--without exim,peers`` leaves out the judges that need packages which the
lab's images do not hold, and writes build/matrix.json instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from conformance.cases import read_cases
from conformance.comparison import compared, read_exceptions
from conformance.exim import exim
from conformance.judges import exim_deliveries, openssl_verdicts, postfix_deliveries
from conformance.peers import peer_verdicts
from conformance.raising import raised
from conformance.stage import namespace_command, python_environment
from lab import lifecycle
from lab.files import write_whole

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.cases import Case

ROOT: t.Final = Path(__file__).resolve().parents[2]
RESULT: t.Final = ROOT / "build" / "conformance.json"
RESULT_OF_SOME: t.Final = ROOT / "build" / "matrix.json"
OPTIONAL: t.Final = ("exim", "peers")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything, or what `arguments` leave of it; return the exit status."""
    without = _left_out(arguments)
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    cases = read_cases()
    with raised(lab, cases) as (senders, address):
        ours = _timed("ours", lambda: _ours(senders["sender"], cases))
        judged = {
            "postfix13": _timed("Postfix, Debian 13", lambda: postfix_deliveries(senders["sender"], cases)),
            "postfix12": _timed("Postfix, Debian 12", lambda: postfix_deliveries(senders["sender12"], cases)),
            "openssl": _timed("OpenSSL", lambda: openssl_verdicts(senders["sender"], cases, address)),
        }
        if "exim" not in without:
            with exim(lab, senders["sender"]) as container:
                judged["exim"] = _timed("Exim", lambda: exim_deliveries(container, cases))
        peers = {}
        if "peers" not in without:
            peers = _timed("peers", lambda: peer_verdicts(lab, senders["sender"], cases, address))
    table, troubles = compared(cases, ours, judged, peers, read_exceptions())
    _write(table, RESULT_OF_SOME if without else RESULT)
    for trouble in troubles:
        print(f"conformance: {trouble}")
    left_out = f" (without {', '.join(sorted(without))})" if without else ""
    print(f"conformance: {len(cases)} cases{left_out}, {len(troubles)} troubles")
    return 1 if troubles else 0


def _left_out(arguments: Sequence[str] | None) -> frozenset[str]:
    parser = argparse.ArgumentParser(prog="python -m conformance")
    parser.add_argument("--without", default="", metavar="JUDGES", help=f"leave out some of {','.join(OPTIONAL)}")
    named = frozenset(filter(None, parser.parse_args(arguments).without.split(",")))
    if unknown := named - set(OPTIONAL):
        parser.error(f"--without takes {' and '.join(OPTIONAL)}, not {', '.join(sorted(unknown))}")
    return named


def _timed(what: str, ask: t.Callable[[], t.Any]) -> t.Any:  # noqa: ANN401  # whatever the judge gives
    began = time.monotonic()
    found = ask()
    print(f"conformance: {what}: {len(found)} cases in {time.monotonic() - began:.0f} s", flush=True)
    return found


def _ours(container: str, cases: list[Case]) -> dict[str, dict[str, t.Any]]:
    output = subprocess.run(
        namespace_command(container, [sys.executable, "-m", "conformance.look"]),
        input="\n".join(case.domain for case in cases).encode(),
        env=python_environment(),
        check=True,
        capture_output=True,
    ).stdout
    found = json.loads(output)
    verdicts = {domain["domain"]: domain["verdict"] or "none" for domain in found["domains"]}
    worst = {row["domain"]: row for row in found["endpoints"] if row["verdict"] == verdicts[row["domain"]]}
    none = {"cause": "-", "reason": ""}
    return {case.name: {**worst.get(case.domain, none), "verdict": verdicts[case.domain]} for case in cases}


def _write(table: Sequence[t.Mapping[str, t.Any]], result: Path) -> None:
    # Other runs put their rows into the same file (side_by_side.py); ours alone are those that say what is expected.
    before = json.loads(result.read_text("utf-8")) if result.exists() else []
    others = [row for row in before if "expected" not in row]
    write_whole(result, json.dumps([*table, *others], indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
