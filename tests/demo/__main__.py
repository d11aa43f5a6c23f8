# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m demo``: the lab, the site playbook twice, mail in every direction, and what the judges say of it.

Exit status 0 only if every message and every endpoint was verified and the second run changed nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
import typing as t
from dataclasses import asdict

from demo import mail
from demo.playbook import ROOT, Recap, run_playbook
from lab import inventory, lifecycle, topology
from lab.errors import LabError
from lab.files import write_whole

if t.TYPE_CHECKING:
    from pathlib import Path

SITE: t.Final = ROOT / "playbooks" / "site.yml"
REPORTS: t.Final = ROOT / "build" / "report"
RESULT: t.Final = ROOT / "build" / "demo.json"
STARTED: t.Final = time.monotonic()


def main() -> int:
    """Run the demonstration; return the exit status."""
    try:
        return _demonstrate(lifecycle.open_lab(int(os.environ.get("LAB_ID", "0"))))
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _demonstrate(lab: topology.Lab) -> int:
    _headline("1/5  Raise the lab: a signed Internet, two mail hosts, a sender that nobody manages")
    lifecycle.up(lab, topology.chosen_hosts(None))

    _headline("2/5  ansible-playbook playbooks/site.yml")
    if not _run_site(lab, "first").succeeded:
        return _fail("The playbook failed; the reason is above.")

    _headline("3/5  The same again: nothing may change")
    second = _run_site(lab, "second")
    if not second.succeeded:
        return _fail("The second run of the playbook failed; the reason is above.")

    _headline("4/5  Real mail, in every direction")
    lifecycle.refresh(lab, topology.host("sender"))
    deliveries = mail.exchange(lab)
    fingers = mail.fingers(lab)

    _headline("5/5  What the judges say")
    endpoints = json.loads(_report("json").read_text("utf-8"))["endpoints"]
    for endpoint in endpoints:
        print("  endpoint ", _endpoint_line(endpoint))
    for finger in fingers:
        print(f"  finger    {finger.domain} {finger.family}: {finger.line}")
    for delivery in deliveries:
        print(f"  message   {delivery.sender} -> {delivery.to}\n            {delivery.tls_line or delivery.judge_line}")

    messages = [
        {"from": d.sender, "to": d.to, "judge_line": d.tls_line or d.judge_line, "verified": d.verified}
        for d in deliveries
    ]
    result = {
        "endpoints": endpoints,
        "messages": messages,
        "fingers": [{**asdict(finger), "verified": finger.verified} for finger in fingers],
        "second_run_changed": second.changed,
    }
    write_whole(RESULT, json.dumps(result, indent=2) + "\n")
    return _conclude(result)


def _run_site(lab: topology.Lab, name: str) -> Recap:
    log = ROOT / "build" / "logs" / f"demo-{name}.log"
    return run_playbook(SITE, inventory.path(lab), {"dane_verify_report_directory": str(REPORTS)}, log)


def _report(kind: str) -> Path:
    path = REPORTS / f"dane.{kind}"
    if not path.exists():
        raise LabError(f"the role dane_verify wrote no {path}")
    return path


def _endpoint_line(endpoint: dict[str, t.Any]) -> str:
    place = f"{endpoint['host']} {endpoint['address']} {endpoint['port']} {endpoint['key_algorithm'] or '-'}"
    return f"{place}: {endpoint['verdict']}  {endpoint['reason']}"


def _conclude(result: dict[str, t.Any]) -> int:
    """Say what went wrong, or how to look around; return the exit status."""
    troubles = []
    for kind, judged in (("message", result["messages"]), ("posttls-finger run", result["fingers"])):
        troubles += [f"a {kind} was not verified: {one}" for one in judged if not one["verified"]]
    troubles += [f"not verified: {_endpoint_line(e)}" for e in result["endpoints"] if e["verdict"] != "verified"]
    if not result["endpoints"]:
        troubles.append("the report names no endpoint")
    if result["second_run_changed"]:
        troubles.append(f"the second run changed {result['second_run_changed']} things")
    if troubles:
        return _fail("\n".join(troubles))
    print(
        f"""
Every message and every endpoint verified; the second run changed nothing. ({time.monotonic() - STARTED:.0f} s)

Look around:
  {REPORTS.relative_to(ROOT)}/dane.html                     the report
  {RESULT.relative_to(ROOT)}                            all of this for programs
  make lab-shell HOST=mx1                    a mail host; also mx2, sender, root, primary, secondary
  make lab-shell HOST=sender                 try: posttls-finger -c -l dane one.example
  make lab-down                              end the lab"""
    )
    return 0


def _headline(text: str) -> None:
    print(f"\n=== [{time.monotonic() - STARTED:4.0f} s]  {text}", flush=True)


def _fail(reason: str) -> int:
    print(f"\ndemo: FAILED\n{reason}", file=sys.stderr)
    return 1


sys.exit(main())
