# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollovers that are killed: the agent before each of its effects and at random moments, and everybody around it."""

from __future__ import annotations

import calendar
import random
import re
import subprocess
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.machine import podman_environment
from reliability import victims
from rollover import agent, cases, plain, stage, tally
from rollover.traffic import Traffic

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.topology import Lab
    from reliability.victims import Victim
    from results import Row
    from rollover.agent import HostAgent, Waits
    from rollover.stage import MailHost

_PROGRAM: t.Final = (Path(__file__).with_name("interrupted_agent.py")).read_text("utf-8")
_UNIT: t.Final = "dane-lab-step.service"
_MARK: t.Final = "/run/dane-interrupted"
_PATIENCE_SECONDS: t.Final = 150.0
"""How long a rollover may take beside the safe wait, after a kill: a host that boots begins after a minute and more."""

_MAX_STEPS: t.Final = 12
_DOWN: t.Final = re.compile(
    r"Connection (refused|timed out|reset)|No route to host|Host is down|Network is unreachable|lost connection"
    r"|timed out while|delivery temporarily suspended"
)
_SLACK_SECONDS: t.Final = 15.0
"""How long after its return a host's messages may still be put off: the senders pause up to 4 s, and log in seconds."""


@dataclass
class Log:
    """What was done to one host: how many rollovers were interrupted and ended well, when the host was down."""

    kills: int = 0
    survived: int = 0
    missed: int = 0
    whole_seconds: float = 0.0
    effects: list[str] = field(default_factory=list)
    down: list[tuple[float, float]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


class Interrupted(t.Protocol):
    """Carries out one rollover of a host and interrupts it; returns whether there was something to interrupt."""

    def __call__(self, host: HostAgent, log: Log) -> bool: ...


def run(
    lab: Lab, hosts: Sequence[MailHost], case: str, plans: Mapping[MailHost, Iterator[Interrupted]], waits: Waits
) -> list[Row]:
    """Carry out the rollovers of each host's plan under traffic; return a row for each host.

    A plan ends early at an interruption that found nothing left to interrupt.
    """
    agents = [agent.HostAgent(host) for host in hosts]
    agent.settle(dict.fromkeys(agents, "current"), waits)
    logs = {host.domain: Log() for host in hosts}

    def go(one: HostAgent) -> None:
        log = logs[one.host.domain]
        with plain.Watch(one) as watch:
            for interrupted in plans[one.host]:
                started = time.time()
                try:
                    if not _survives(one, interrupted, log, watch, waits):
                        break
                    traffic.check()
                except LabError as error:
                    log.trouble.append(f"rollover {log.kills}, {time.time() - started:.0f} s after its start: {error}")
                    return
        one.resume()
        one.rest(waits.safe + 60)

    with Traffic(lab, stage.SENDERS, [host.recipient for host in hosts], f"kills-{time.time_ns()}") as traffic:
        time.sleep(2)
        stage.side_by_side(go, agents)
        time.sleep(3)
        sent = traffic.stop()
    counted = tally.settle(lab, sent, hosts)
    return [_row(case, host, counted[host.domain], logs[host.domain]) for host in hosts]


def _survives(host: HostAgent, interrupted: Interrupted, log: Log, watch: plain.Watch, waits: Waits) -> bool:
    """Carry out one interrupted rollover to its end; return whether there was something to interrupt."""
    former = plain.before(host)
    found = interrupted(host, log)
    plain.follow(host, former, time.time(), watch, waits.safe + _PATIENCE_SECONDS)
    host.pause()
    log.survived += found
    return found


def at_each_effect(victim: Victim | None, first: int, stride: int, most: int) -> Iterator[Interrupted]:
    """Interrupt before effect number ``first``, then ``first + stride`` and so on, ``most`` times at most.

    The agent is killed itself where ``victim`` is None; otherwise it is held until the victim is dead and back.
    """
    for number in range(first, first + stride * most, stride):
        yield lambda host, log, number=number: _interrupt_at(host, log, number, victim)


def at_random(victim: Victim | None, times: int, seed: int) -> Iterator[Interrupted]:
    """Interrupt at ``times`` random moments between the staging and the end of a rollover that is left alone."""
    moments = random.Random(seed)  # noqa: S311  # the same parts of that time in every run, and no secret
    for _time in range(times):
        part = moments.random()
        yield lambda host, log, part=part: _interrupt_after(host, log, part, victim)


def _interrupt_at(host: HostAgent, log: Log, number: int, victim: Victim | None) -> bool:
    staging = host.make_keys()
    used = 0
    for turn in range(_MAX_STEPS):
        command = staging if turn == 0 else ["step", "--patience", "60"]
        mark = _run_interrupted(host, number - used, command, victim, log)
        if mark.startswith("before "):
            log.kills += 1
            log.effects.append(mark)
            if turn == 0 and (victim is None or victim.boots):
                host.pause()
                host.command(*staging)  # as an ACME client's hook, or a person, would do
            _go_on(host, victim)
            return True
        host.pause()  # what the command has timed must not come between
        used += int(mark)
        if turn > 0 and host.status().get("decision") == "done":
            return False
    raise LabError(f"{host.host.host.fqdn}: no end after {_MAX_STEPS} steps: {agent.words(host.status())}")


def _go_on(host: HostAgent, victim: Victim | None) -> None:
    """Have the agent's timers go on, unless the host has booted: then it must have started them itself."""
    if victim is None or not victim.boots:
        host.resume()


def _run_interrupted(host: HostAgent, limit: int, command: Sequence[str], victim: Victim | None, log: Log) -> str:
    """Run the agent up to effect number ``limit``; return what it left in its mark."""
    fqdn = host.host.host.fqdn
    how = "SIGKILL" if victim is None else "SIGSTOP"
    host.host.run(f"rm -f {_MARK} {_MARK}.pid")
    arguments = ["exec", host.host.container, "python3", "-I", "-c", _PROGRAM, _MARK, str(limit), how]
    with subprocess.Popen(
        ["podman", *arguments, agent.COMMAND, "--host", fqdn, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=podman_environment(),
        text=True,
    ) as process:
        try:
            mark = "" if victim is None else _strike_when_held(host, process, victim, log)
            _output, errors = process.communicate(timeout=180)
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{fqdn}: {' '.join(command)} did not end within 180 s") from late
        finally:
            if process.poll() is None:
                process.kill()
    mark = mark or _mark(host)
    if not mark or (not mark.startswith("before ") and process.returncode not in {0, 3, 4}):
        raise LabError(f"{fqdn}: {' '.join(command)} ended with status {process.returncode}: {errors[-300:]}")
    return mark


def _mark(host: HostAgent) -> str:
    return host.host.attempt("cat", _MARK).stdout.decode("utf-8", "replace")


def _strike_when_held(host: HostAgent, process: subprocess.Popen[str], victim: Victim, log: Log) -> str:
    """Wait until the agent has stopped before an effect, strike, and let it go on; return its mark, or nothing."""
    deadline = time.monotonic() + 180
    while process.poll() is None and time.monotonic() < deadline:
        if (mark := _mark(host)).startswith("before "):
            _strike(host, victim, log)
            host.host.attempt("/bin/sh", "-c", f"kill -CONT $(cat {_MARK}.pid)")
            return mark
        time.sleep(0.2)
    return ""


def _strike(host: HostAgent, victim: Victim, log: Log) -> None:
    down = victims.strike(host.host, victim)
    if victim.receives:
        log.down.append(down)


def _interrupt_after(host: HostAgent, log: Log, part: float, victim: Victim | None) -> bool:
    """Interrupt when ``part`` of a rollover's time has passed. How long one takes here is found with the first."""
    if not log.whole_seconds:
        host.command(*host.make_keys())
        host.pause()
        started = time.monotonic()
        host.command("step", "--patience", "120")
        log.whole_seconds = time.monotonic() - started
    host.command(*host.make_keys())
    host.pause()
    host.host.run(
        # The step of the rollover before may just be ending.
        f"timeout 50 sh -c 'while systemctl --quiet is-active {_UNIT}; do sleep 0.5; done' || systemctl stop {_UNIT}\n"
        f"systemctl reset-failed {_UNIT} 2>/dev/null || true\n"
        f"systemd-run --quiet --collect --unit={_UNIT} {agent.COMMAND} --host {host.host.host.fqdn} step --patience 120"
    )
    time.sleep(part * log.whole_seconds)
    if host.host.attempt("systemctl", "--quiet", "is-active", _UNIT).returncode != 0:
        log.missed += 1
        log.whole_seconds *= part  # the first took longer than they do now, as on a machine that was busy
    if victim is None:
        host.host.attempt("systemctl", "kill", "--signal=KILL", _UNIT)
    else:
        _strike(host, victim, log)
    log.kills += 1
    _go_on(host, victim)
    return True


def _row(case: str, host: MailHost, counted: tally.Tally, log: Log) -> Row:
    unexplained = [attempt for attempt in counted.deferrals if not host_was_down(attempt.line, log.down)]
    faults = list(log.trouble)
    counts = {
        "bounced": counted.bounced,
        "unverified": counted.leaked,
        "still queued": counted.unfinished,
        "not in the log": counted.unlogged,
        "TLS connections not verified": counted.refused_handshakes,
        "put off although the host was up": len(unexplained),
        "taken over and lost": counted.lost,
    }
    faults += [f"{count} {what}" for what, count in counts.items() if count]
    if unexplained:
        faults.append(f"first: {unexplained[0].line[-200:]}")
    if log.missed > log.kills / 4:
        faults.append(f"{log.missed} of {log.kills} kills came after the end")
    done = f"{log.survived} of {log.kills} interrupted rollovers went on to their end"
    return cases.row(
        case, host, counted, f"failed: {'; '.join(faults)}; {done}" if faults or not log.kills else f"ok: {done}"
    )


def host_was_down(line: str, down: Sequence[tuple[float, float]]) -> bool:
    """Whether a deferral says that the host did not answer, and comes from a time at which it was down."""
    year = time.gmtime().tm_year
    moment = calendar.timegm(time.strptime(f"{year} {line[:15]}", "%Y %b %d %H:%M:%S"))
    in_time = any(begin - 1 <= moment <= end + _SLACK_SECONDS for begin, end in down)
    return in_time and _DOWN.search(line) is not None
