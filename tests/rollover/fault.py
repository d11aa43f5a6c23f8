# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of others amid a rollover: name servers that lag, providers that fail. Nothing is risked, status says why."""

from __future__ import annotations

import time
import typing as t
from contextlib import ExitStack
from dataclasses import dataclass

from lab import lifecycle, podman, topology
from lab.errors import LabError
from rollover import agent, cases, plain, stage, tally
from rollover.traffic import Traffic

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.topology import Lab
    from results import Row
    from rollover.agent import HostAgent, Waits
    from rollover.stage import MailHost

_PATIENCE_SECONDS: t.Final = 400.0
"""How long after the fault a rollover may take: the agent looks again within five minutes at the latest."""

_CONF: t.Final = "/etc/bind/named.conf"
_OTHER_SECRET: t.Final = f"""\
test -f {_CONF}.kept || cp -p {_CONF} {_CONF}.kept
sed -i '/^key "mx[0-9]*-tlsa"/s|secret "[^"]*"|secret "c29tZWJvZHkgaGFzIGNoYW5nZWQgdGhlIHNlY3JldCE="|' {_CONF}
rndc reconfig
"""


@dataclass(frozen=True)
class Fault:
    """What fails, for how long as in the field (``full_seconds``), when it begins, and what status then must speak of.

    ``late``: when the new records have been published. Then the switch is safe, but no record can be removed.
    """

    name: str
    full_seconds: float
    says: str
    begin: Callable[[Lab], None]
    end: Callable[[Lab], None]
    late: bool = False


def _primary(lab: Lab, script: str) -> None:
    host = next(host for host in topology.HOSTS if host.kind is topology.Kind.PRIMARY)
    podman.execute(lab.container(host), ["/bin/sh", "-ec", script])


def _lag_on(lab: Lab) -> None:
    lifecycle.lag(lab, on=True)


def _lag_off(lab: Lab) -> None:
    lifecycle.lag(lab, on=False)


def _refuse_updates(lab: Lab) -> None:
    """Have the primary know another secret: it answers everybody, and refuses every change and transfer by our key."""
    _primary(lab, _OTHER_SECRET)


def _take_updates(lab: Lab) -> None:
    _primary(lab, f"if test -f {_CONF}.kept; then mv {_CONF}.kept {_CONF}; rndc reconfig; fi")


def _stop_primary(lab: Lab) -> None:
    _primary(lab, "systemctl stop named.service")


def _start_primary(lab: Lab) -> None:
    _primary(lab, "systemctl start named.service")


FAULTS: t.Final = (
    Fault("the secondary is held back", 600, "ns2.example", _lag_on, _lag_off),
    Fault("the provider refuses every change", 3600, "BADSIG", _refuse_updates, _take_updates),
    Fault(
        "the provider refuses every change once records are published",
        3600,
        "BADSIG",
        _refuse_updates,
        _take_updates,
        late=True,
    ),
    Fault("the provider's server is down", 3600, "from the name server", _stop_primary, _start_primary),
)


@dataclass
class Seen:
    """What was seen on one host while the fault lasted, and how long after it the rollover ended."""

    said: str = ""
    trouble: str = ""
    looks: int = 0
    ended_after: float = 0.0


def run(lab: Lab, hosts: Sequence[MailHost], fault: Fault, *, waits: Waits, seconds: float) -> list[Row]:
    """Begin a rollover on every host amid ``fault``, which lasts ``seconds``; return a row for each host."""
    agents = [agent.HostAgent(host) for host in hosts]
    agent.settle(dict.fromkeys(agents, "current"), waits)
    seen = {host.domain: Seen() for host in hosts}
    traffic = Traffic(lab, stage.SENDERS, [host.recipient for host in hosts], f"fault-{time.time_ns()}")
    with traffic, ExitStack() as watching:
        time.sleep(2)
        former = {one: plain.before(one) for one in agents}
        watches = {one: watching.enter_context(plain.Watch(one)) for one in agents}
        try:
            if not fault.late:
                fault.begin(lab)
            stage.side_by_side(lambda one: one.stage_new_keys(), agents)
            if fault.late:
                stage.wait_for(
                    "new records are published for every host",
                    lambda: all(len(watch.fresh()) > len(former[one].keys) for one, watch in watches.items()),
                )
                fault.begin(lab)
            _endure(agents, former, seen, fault, seconds)
        finally:
            fault.end(lab)
        ended = time.time()

        def finish(one: HostAgent) -> None:
            try:
                plain.follow(one, former[one], ended, watches[one], waits.safe + _PATIENCE_SECONDS)
                seen[one.host.domain].ended_after = time.time() - ended
            except LabError as error:
                seen[one.host.domain].trouble = str(error)

        stage.side_by_side(finish, agents)
        time.sleep(3)
        sent = traffic.stop()
    counted = tally.settle(lab, sent, hosts)
    for one in agents:
        one.pause()
    return [_row(host, fault, seconds, counted[host.domain], seen[host.domain]) for host in hosts]


def _endure(
    agents: Sequence[HostAgent],
    former: dict[HostAgent, plain.Before],
    seen: dict[str, Seen],
    fault: Fault,
    seconds: float,
) -> None:
    """See to it, while the fault lasts, that nothing is removed or deployed; then hear what status says."""
    secondary = next(host for host in topology.HOSTS if host.kind is topology.Kind.SECONDARY)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in agents:
            note = seen[one.host.domain]
            try:
                served = stage.served(one.host.lab, one.host.owner, secondary)
                generation, _moment, keys = one.deployed()
            except LabError:
                continue  # on a busy machine an answer may come late; the next look is 2 s away
            note.looks += 1
            if not former[one].keys <= served:
                note.trouble = "records of the former keys were removed"
            if not keys <= served:
                note.trouble = "keys are in use whose records the secondary does not serve"
            if generation != former[one].generation and not fault.late:
                note.trouble = "new keys were deployed"
        time.sleep(2)
    for one in agents:
        note = seen[one.host.domain]
        if note.looks < seconds / 20:
            note.trouble = note.trouble or f"only {note.looks} looks at the name server and the host succeeded"
        note.said = agent.words(one.status())
        if note.said.startswith("done") or fault.says not in note.said:
            note.trouble = note.trouble or f"status does not speak of {fault.says}"


def _row(host: MailHost, fault: Fault, seconds: float, counted: tally.Tally, seen: Seen) -> Row:
    faults = [text for text in (counted.faults(), seen.trouble) if text]
    if faults:
        outcome = f"failed: {'; '.join(faults)}"
    else:
        outcome = f"ok: it lasted {seconds:.0f} s, the rollover ended {seen.ended_after:.0f} s later"
    return cases.row(f"fault: {fault.name}", host, counted, f"{outcome}. Status said: {seen.said}")
