# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m rollover``: rollovers in the lab under traffic, plain ones, amid faults, and the orders of others.

Writes build/rollover.json. Exit status 0 only if every case went as it must: no message of ours was put off, refused
or sent unverified, and the traffic noticed each of the other orders.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import typing as t

from demo.playbook import ROOT
from lab import lifecycle
from lab.errors import LabError
from reliability import kills
from rollover import cases, fault, naive, plain, stage
from rollover.agent import SCHEMES, Waits
from rollover.cases import Case

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.topology import Lab
    from rollover.stage import MailHost

RESULT: t.Final = ROOT / "build" / "rollover.json"
QUICK_RESULT: t.Final = ROOT / "build" / "rollover-quick.json"
QUICK_ALLOWANCE_SECONDS: t.Final = 120.0
"""The quick run is in `make test`, which keeps the machine busy; how long rollovers take is judged by the whole run."""


def main(arguments: list[str] | None = None) -> int:
    """Run the cases; return the exit status."""
    options = _parser().parse_args(arguments)
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    hosts = stage.mail_hosts(lab, ["mx1", "mx2"])
    result = QUICK_RESULT if options.quick else RESULT
    if not options.resume and options.only == "*":
        result.unlink(missing_ok=True)
    try:
        stage.prepare(lab, hosts)
        with stage.strict_senders(lab):
            good = cases.run(_quick(lab, hosts) if options.quick else _cases(lab, hosts, options), result, options)
    except LabError as error:
        print(f"rollover: {error}", file=sys.stderr)
        return 1
    print(f"{result.relative_to(ROOT)}: {'every case went as it must' if good else 'NOT every case went as it must'}")
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rollover", description="Rollovers in the lab, under traffic.")
    parser.add_argument("--times", type=int, default=10, help="plain rollovers in each scheme (10)")
    parser.add_argument("--repeats", type=int, default=3, help="times that each of the other orders is run (3)")
    parser.add_argument("--ttl", type=int, default=10, help="TTL of the TLSA records in seconds (10)")
    parser.add_argument("--fault-seconds", type=float, default=60.0, help="how long a fault lasts (60)")
    parser.add_argument(
        "--full-time", action="store_true", help="let faults last as long as in the field: 10 minutes, an hour"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a rollover in each scheme, two kills and one other order: some 3 minutes"
    )
    cases.add_options(parser)
    return parser


def _cases(lab: Lab, hosts: Sequence[MailHost], options: argparse.Namespace) -> Iterator[Case]:
    waits = Waits(options.ttl)
    for scheme in SCHEMES:
        work = functools.partial(plain.run, lab, dict.fromkeys(hosts, scheme), waits=waits, times=options.times)
        yield Case(f"plain: {scheme}", hosts, work)
    for number, order in enumerate(naive.ORDERS):
        work = functools.partial(naive.run, lab, hosts, order, ttl=options.ttl, repeats=options.repeats, seed=number)
        yield Case(f"naive: {order.name}", hosts, work)
    for one in fault.FAULTS:
        seconds = one.full_seconds if options.full_time else options.fault_seconds
        work = functools.partial(fault.run, lab, hosts, one, waits=waits, seconds=seconds)
        yield Case(f"fault: {one.name}", hosts, work)


def _quick(lab: Lab, hosts: Sequence[MailHost]) -> Iterator[Case]:
    """Each scheme on one release, the third of them killed; and the proof that the traffic would notice."""
    waits = Waits(3)
    schemes = dict(zip(hosts, ("current+next", "current+issuer"), strict=True))
    one = functools.partial(plain.run, lab, schemes, waits=waits, times=1, allowance=QUICK_ALLOWANCE_SECONDS)
    yield Case("plain: one rollover", hosts, one)
    title = "fault: the agent killed at 2 random moments (scheme current)"
    moments = {host: kills.at_random(None, 1, seed=turn) for turn, host in enumerate(hosts)}
    yield Case(title, hosts, functools.partial(kills.run, lab, hosts, title, moments, waits))
    (order,) = [order for order in naive.ORDERS if order.name == "replace at deployment"]
    work = functools.partial(naive.run, lab, hosts, order, ttl=10, repeats=2, seed=0)
    yield Case(f"naive: {order.name}", hosts, work)


if __name__ == "__main__":
    sys.exit(main())
