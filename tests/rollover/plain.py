# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plain rollovers: nothing goes wrong, and no message notices."""

from __future__ import annotations

import os
import threading
import time
import typing as t
from contextlib import suppress
from dataclasses import dataclass

from lab import topology
from lab.errors import LabError
from rollover import agent, cases, stage, tally
from rollover.traffic import Traffic

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.topology import Host, Lab
    from results import Row
    from rollover.agent import HostAgent, Waits
    from rollover.stage import MailHost

ALLOWANCE_SECONDS: t.Final = 10.0
"""How much longer than the safe wait a whole rollover may take."""

_LOOK_SECONDS: t.Final = 0.5
_PRECISION_SECONDS: t.Final = 1.5
"""How late, at most, this program sees what a name server serves."""
_SERVERS: t.Final = tuple(
    host for host in topology.HOSTS if host.kind in {topology.Kind.PRIMARY, topology.Kind.SECONDARY}
)


@dataclass(frozen=True)
class Rollover:
    """One rollover as it was seen from outside. Times in seconds; ``waited`` from all servers to the switch."""

    seconds: float
    waited: float


class Watch:
    """Looks at the name servers all the time, from outside the host: since when each of them serves which record.

    A context manager. A server that does not answer is taken to serve what it served last.
    """

    def __init__(self, host: HostAgent) -> None:
        """Look at the records of ``host``."""
        self._lab, self._owner = host.host.lab, host.host.owner
        self._seen: dict[Host, frozenset[str]] = dict.fromkeys(_SERVERS, frozenset())
        self._since: dict[str, float] = {}
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._looks = 0
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> t.Self:
        """Begin to look."""
        self._thread.start()
        self.fresh()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Look no longer."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for server in _SERVERS:
                with suppress(LabError):
                    self._seen[server] = stage.served(self._lab, self._owner, server)
            now = time.time()
            everywhere = frozenset.intersection(*self._seen.values())
            with self._changed:
                self._since = {record: self._since.get(record, now) for record in everywhere}
                self._looks += 1
                self._changed.notify_all()

    def fresh(self) -> frozenset[str]:
        """Wait for a look that begins from now on; return the records that at least one server serves."""
        with self._changed:
            wanted = self._looks + 2
            if not self._changed.wait_for(lambda: self._looks >= wanted, timeout=30):
                raise LabError(f"{self._owner}: the name servers could not be looked at within 30 s")
            return frozenset().union(*self._seen.values())

    def since(self, records: frozenset[str]) -> float:
        """Return since when all of ``records`` have been served everywhere. Raises LabError when they are not."""
        with self._changed:
            if missing := records - self._since.keys():
                raise LabError(f"{self._owner}: {', '.join(sorted(missing))} is not served everywhere")
            return max(self._since[record] for record in records)


@dataclass(frozen=True)
class Before:
    """What a host had in use before a rollover."""

    generation: str
    keys: frozenset[str]


def before(host: HostAgent) -> Before:
    """Return what is in use now."""
    generation, _moment, keys = host.deployed()
    return Before(generation, keys)


def roll(host: HostAgent, scheme: str, waits: Waits, watch: Watch, patience: float) -> Rollover:
    """Begin one rollover and follow it to its end."""
    former = before(host)
    started = host.begin(scheme)
    return follow(host, former, started, watch, waits.safe + patience)


def follow(host: HostAgent, former: Before, started: float, watch: Watch, patience: float) -> Rollover:
    """Follow a rollover to its end: new keys in use, no record of the former ones left on any server.

    Raises LabError when it has not ended ``patience`` seconds after its start. A host or server that does not answer
    is asked again.
    """
    published = 0.0
    trouble = ""
    while time.time() - started < patience:
        try:
            served = watch.fresh()
            generation, switched, new = host.deployed()
        except LabError as error:
            trouble = f"; {error}"
            time.sleep(_LOOK_SECONDS)
            continue
        replaced = generation != former.generation and not new & former.keys
        if replaced and not published:
            published = watch.since(new)
        if replaced and new <= served and not former.keys & served:
            return Rollover(time.time() - started, switched - published)
        time.sleep(_LOOK_SECONDS)
    raise LabError(f"{host.host.host.fqdn}: the rollover did not end: {agent.words(host.status())}{trouble}")


def run(
    lab: Lab, schemes: Mapping[MailHost, str], *, waits: Waits, times: int, allowance: float = ALLOWANCE_SECONDS
) -> list[Row]:
    """Roll every host over ``times`` times in its scheme under traffic; return a row for each host.

    A rollover that takes longer than the safe wait and ``allowance`` seconds is a failure.
    """
    hosts = list(schemes)
    agents = [agent.HostAgent(host) for host in hosts]
    agent.settle({one: schemes[one.host] for one in agents}, waits)
    done: dict[str, list[Rollover]] = {host.domain: [] for host in hosts}
    trouble: dict[str, str] = {}

    def roll_over(one: HostAgent) -> None:
        try:
            with Watch(one) as watch:
                time.sleep(waits.safe)  # what is published already has been seen for so long then
                for _time in range(times):
                    done[one.host.domain].append(roll(one, schemes[one.host], waits, watch, patience=180))
                    traffic.check()
            one.rest(waits.safe + 60)
        except LabError as error:
            trouble[one.host.domain] = str(error)

    with Traffic(lab, stage.SENDERS, [host.recipient for host in hosts], f"plain-{time.time_ns()}") as traffic:
        time.sleep(2)
        stage.side_by_side(roll_over, agents)
        time.sleep(3)
        sent = traffic.stop()
    counted = tally.settle(lab, sent, hosts)
    for one in agents:
        one.pause()
    return [
        _row(
            host,
            schemes[host],
            waits,
            counted[host.domain],
            done[host.domain],
            [
                fault
                for fault in (trouble.get(host.domain), *_time_faults(waits, done[host.domain], allowance))
                if fault
            ],
        )
        for host in hosts
    ]


def _row(
    host: MailHost, scheme: str, waits: Waits, counted: tally.Tally, done: Sequence[Rollover], trouble: Sequence[str]
) -> Row:
    faults = [fault for fault in (counted.faults(), *trouble) if fault]
    if faults:
        outcome = f"failed after {len(done)} rollovers: {'; '.join(faults)}"
    else:
        quickest, slowest = min(one.seconds for one in done), max(one.seconds for one in done)
        outcome = (
            f"ok: {len(done)} rollovers in {quickest:.1f} to {slowest:.1f} s each, of which {waits.safe:.0f} s are the "
            "safe wait"
        )
    return cases.row(f"plain: {scheme}", host, counted, outcome)


def _time_faults(waits: Waits, done: Sequence[Rollover], allowance: float) -> list[str]:
    faults = []
    bound = waits.safe + allowance
    if late := [one.seconds for one in done if one.seconds > bound]:
        load = f"load {os.getloadavg()[1]:.0f} on {os.cpu_count()} processors"
        faults.append(f"{len(late)} took longer than {bound:.0f} s: up to {max(late):.1f} s ({load})")
    if early := [one.waited for one in done if one.waited < waits.safe - _PRECISION_SECONDS]:
        faults.append(f"{len(early)} switched before {waits.safe:.0f} s had passed: after {min(early):.1f} s")
    return faults
