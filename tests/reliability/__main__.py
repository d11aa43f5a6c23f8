# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m reliability``: kill -9 during rollovers in the lab, under traffic. Adds to build/reliability.json.

Exit status 0 only if every rollover went on to its end, no message was bounced or sent unverified, and none was put off
but while the receiving host itself was down.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import typing as t
from dataclasses import replace

from demo.playbook import ROOT
from lab import lifecycle
from lab.errors import LabError
from reliability import kills
from reliability.victims import OTHERS
from rollover import cases, naive, stage
from rollover.agent import Waits
from rollover.cases import Case

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.topology import Lab
    from results import Row
    from rollover.stage import MailHost

RESULT: t.Final = ROOT / "build" / "reliability.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the cases; return the exit status."""
    options = _parser().parse_args(arguments)
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    hosts = stage.mail_hosts(lab, ["mx1", "mx2"])
    try:
        stage.prepare(lab, hosts)
        with stage.strict_senders(lab):
            good = cases.run(_cases(lab, hosts, options), RESULT, options)
    except LabError as error:
        print(f"reliability: {error}", file=sys.stderr)
        return 1
    print(f"{RESULT.relative_to(ROOT)}: {'every case went as it must' if good else 'NOT every case went as it must'}")
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reliability", description="kill -9 during rollovers.")
    parser.add_argument("--moments", type=int, default=50, help="random moments at which the agent is killed (50)")
    parser.add_argument("--others", type=int, default=50, help="random moments at which each other part is killed (50)")
    parser.add_argument("--most", type=int, default=400, help="effects of the agent before which it is killed (400)")
    parser.add_argument("--stride", type=int, default=8, help="others are killed before every so many effects (8)")
    parser.add_argument("--ttl", type=int, default=3, help="TTL of the TLSA records in seconds (3)")
    cases.add_options(parser)
    return parser


def _cases(lab: Lab, hosts: Sequence[MailHost], options: argparse.Namespace) -> Iterator[Case]:
    """The hosts share the work: each takes every other effect, or half of the moments."""
    waits = Waits(options.ttl)
    count = len(hosts)
    for victim in (None, *OTHERS):
        name = "the agent" if victim is None else victim.name
        stride = 1 if victim is None else options.stride
        title = f"fault: {name} killed before each effect of the agent"
        if stride > 1:
            title = f"fault: {name} killed before every {stride}th effect of the agent"
        plans = {
            host: kills.at_each_effect(victim, 1 + turn * stride, stride * count, options.most // stride // count)
            for turn, host in enumerate(hosts)
        }
        yield Case(title, hosts, functools.partial(kills.run, lab, hosts, title, plans, waits))
        times = options.moments if victim is None else options.others
        title = f"fault: {name} killed at {times} random moments"
        moments = {
            host: kills.at_random(victim, len(range(turn, times, count)), seed=turn) for turn, host in enumerate(hosts)
        }
        yield Case(title, hosts, functools.partial(kills.run, lab, hosts, title, moments, waits))
    title = "counter: the traffic notices a replacement at deployment"
    yield Case(title, hosts, functools.partial(_counter_proof, lab, hosts, title))


def _counter_proof(lab: Lab, hosts: Sequence[MailHost], title: str) -> list[Row]:
    """A wrong order under the same traffic: were nothing noticed, the other cases would prove nothing."""
    order = next(order for order in naive.ORDERS if order.name == "replace at deployment")
    rows = naive.run(lab, hosts, order, ttl=10, repeats=1, seed=0)
    return [replace(row, case=cases.row_name(title, host)) for row, host in zip(rows, hosts, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
