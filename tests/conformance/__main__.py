# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Raise the cases in the lab, ask every judge, compare, and write build/conformance.json.

Exit status 0 only if our verdict is the RFC's in every case, and Postfix agrees wherever its two versions do, but for
the cases that `exceptions.txt` explains.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from conformance.cases import Case, read_cases
from conformance.deployment import zone_updates
from conformance.exim import exim
from conformance.judges import exim_deliveries, openssl_verdicts, postfix_deliveries
from conformance.peers import peer_verdicts
from conformance.server import serve
from conformance.stage import addresses_on_bridge, namespace_command, publish, python_environment, serving
from lab import lifecycle, topology
from lab.files import write_whole

ROOT: t.Final = Path(__file__).resolve().parents[2]
RESULT: t.Final = ROOT / "build" / "conformance.json"
FIRST: t.Final = 100
# What a sender does about each verdict (docs/guides/verify.md).
DELIVERY: t.Final = {
    "verified": "authenticated",
    "insecure": "unauthenticated",
    "absent": "unauthenticated",
    "unusable": "unauthenticated",
    "none": "refused",
}


def main() -> int:
    """Run everything; return the exit status."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each client that closes after TLS
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    lifecycle.up(lab, topology.chosen_hosts(["sender12"]))
    cases = read_cases()
    senders = {name: lab.container(topology.host(name)) for name in ("sender", "sender12")}

    def address(case: Case) -> str:
        return f"10.53.{lab.number}.{FIRST + case.number}"

    with (
        tempfile.TemporaryDirectory() as directory,
        addresses_on_bridge(lab, [address(case) for case in cases]),
        serving(lambda: serve(cases, address, Path(directory))),
    ):
        publish(lab, zone_updates(cases, address), list(senders))
        ours = _timed("ours", lambda: _ours(senders["sender"], cases))
        judged = {
            "postfix13": _timed("Postfix, Debian 13", lambda: postfix_deliveries(senders["sender"], cases)),
            "postfix12": _timed("Postfix, Debian 12", lambda: postfix_deliveries(senders["sender12"], cases)),
            "openssl": _timed("OpenSSL", lambda: openssl_verdicts(senders["sender"], cases, address)),
        }
        with exim(lab, senders["sender"]) as container:
            judged["exim"] = _timed("Exim", lambda: exim_deliveries(container, cases))
        peers = _timed("peers", lambda: peer_verdicts(lab, senders["sender"], cases, address))
    return _compare(cases, ours, judged, peers)


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


def _exceptions() -> dict[tuple[str, str], str]:
    """Where a judge is known to differ, with the reason: lines of `case | judge | why`."""
    text = Path(__file__).with_name("exceptions.txt").read_text("utf-8")
    rows = [[field.strip() for field in line.split("|")] for line in text.splitlines() if line and line[0] != "#"]
    return {(case, judge): why for case, judge, why in rows}


def _compare(
    cases: list[Case],
    ours: dict[str, dict[str, t.Any]],
    judged: dict[str, dict[str, tuple[str, str]]],
    peers: dict[str, dict[str, str]],
) -> int:
    explained, table, troubles = _exceptions(), [], []
    used = set()
    for case in cases:
        verdict = ours[case.name]["verdict"]
        row: dict[str, t.Any] = {
            "case": case.name, "rfc": case.rfc, "expected": case.verdict, "delivery": case.delivery,
            "ours": verdict, "cause": ours[case.name]["cause"], "reason": ours[case.name]["reason"],
            "peers": {peer: found[case.name] for peer, found in peers.items() if case.name in found},
        }  # fmt: skip
        if verdict != case.verdict:
            troubles.append(f"{case.name}: ours {verdict}, RFC {case.rfc} {case.verdict}: {row['reason']}")
        if row["cause"] != case.cause or (case.delivery == "waits" and ". To mend: " not in row["reason"]):
            troubles.append(f"{case.name}: the cause is {row['cause']}, not {case.cause}: {row['reason']}")
        for judge, found in judged.items():
            word, line = found.get(case.name, ("-", ""))
            row[judge], row[f"{judge}_line"] = word, line
            if word == case.delivery or (word == "-" and judge == "openssl"):
                continue
            if (case.name, judge) in explained:
                used.add((case.name, judge))
                row[f"{judge}_why"] = explained[case.name, judge]
            else:
                troubles.append(f"{case.name}: {judge} {word}, RFC {case.rfc} {case.delivery}: {line}")
        row["postfix"] = row["postfix13"] if row["postfix13"] == row["postfix12"] else "differ"
        implied = DELIVERY.get(verdict, "waits")
        if verdict == "unreachable" and case.delivery == "refused":
            implied = "refused"
        row["agree"] = row["postfix"] in (implied, "differ")
        if not row["agree"] and not {(case.name, "postfix13"), (case.name, "postfix12")} & set(explained):
            troubles.append(f"{case.name}: ours means {implied}, both Postfix versions {row['postfix']}")
        table.append(row)
    troubles += [f"exceptions.txt: {case} {judge} no longer differs" for case, judge in set(explained) - used]
    # Other runs put their rows into the same file (side_by_side.py); ours alone are those that say what is expected.
    before = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else []
    others = [row for row in before if "expected" not in row]
    write_whole(RESULT, json.dumps([*table, *others], indent=1) + "\n")
    for trouble in troubles:
        print(f"conformance: {trouble}")
    print(f"conformance: {len(cases)} cases, {len(troubles)} troubles; {RESULT}")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
