# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._authoritative import Server, ServerAnswer
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, Wanted
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver, Status
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer, Served
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._waiting import WaitResult, wait_until_served

NAME: t.Final = "_25._tcp.mx1.example.org"
OTHER: t.Final = "_465._tcp.mx1.example.org"
A: t.Final = TlsaRecord(3, 1, 1, b"a" * 32)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class From(Observer):
    """Serves each name from a moment on; before it, nothing."""

    def __init__(self, clock: Clock, since: dict[str, float], failing_until: float = 0) -> None:
        super().__init__(Resolver())
        self.clock, self.since, self.failing_until = clock, since, failing_until
        self.looks: list[str] = []

    def look(self, name: str) -> tuple[Served, ...]:
        self.looks.append(name)
        if self.clock.now < self.failing_until:
            raise LookupFailed("no servers known")
        records = (A,) if self.clock.now >= self.since[name] else ()
        status = Status.FOUND if records else Status.NXDOMAIN
        return (Served(name, "example.org", (ServerAnswer(Server("ns1", "192.0.2.1"), name, status, records),)),)


def wait(observer: From, *names: str, seconds: float = 10, interval: float = 2) -> WaitResult:
    wanted = [Wanted(name, (A,), State.PRESENT) for name in names]
    return wait_until_served(
        observer, wanted, seconds=seconds, interval=interval, clock=observer.clock, sleep=observer.clock.sleep
    )


def test_what_is_there_needs_no_wait() -> None:
    result = wait(From(Clock(), {NAME: 0}), NAME)
    assert (result.looks, result.elapsed, result.rrsets[0].since) == (1, 0, 0)


def test_waiting_ends_when_all_is_there_and_asks_no_more_for_what_was() -> None:
    observer = From(Clock(), {NAME: 0, OTHER: 103})
    result = wait(observer, NAME, OTHER)
    assert (result.looks, result.elapsed) == (3, 4)
    assert [one.since for one in result.rrsets] == [0, 4]
    assert observer.looks == [NAME, OTHER, OTHER, OTHER]


def test_waiting_ends_with_the_time() -> None:
    result = wait(From(Clock(), {NAME: 1000}), NAME)
    assert (result.looks, result.elapsed, result.rrsets[0].everywhere) == (6, 10, False)
    assert result.rrsets[0].problems == (f"{NAME} at ns1 (192.0.2.1): no TLSA record (NXDOMAIN)",)


class Slow(From):
    """Takes its time to look at each name."""

    def look(self, name: str) -> tuple[Served, ...]:
        self.clock.now += 5
        return super().look(name)


def test_a_look_that_is_not_the_first_ends_with_the_time() -> None:
    names = [f"_25._tcp.mx{number}.example.org" for number in range(4)]
    observer = Slow(Clock(), dict.fromkeys(names, 1000.0))
    result = wait(observer, *names, seconds=25)
    assert observer.looks == [*names, *names[:1]]
    assert all(one.problems for one in result.rrsets)
    assert result.elapsed == 27


def test_what_failed_is_forgotten_before_each_look() -> None:
    class Forgetful(From):
        forgot = 0

        def look_again(self) -> None:
            self.forgot += 1

    observer = Forgetful(Clock(), {NAME: 103})
    assert (wait(observer, NAME).looks, observer.forgot) == (3, 3)


@pytest.mark.parametrize("seconds", [0, 1])
def test_it_looks_once_at_least(seconds: float) -> None:
    assert wait(From(Clock(), {NAME: 1000}), NAME, seconds=seconds).looks == 1


def test_a_look_that_fails_is_made_again() -> None:
    result = wait(From(Clock(), {NAME: 0}, failing_until=103), NAME)
    assert (result.looks, result.rrsets[0].everywhere) == (3, True)
    failed = wait(From(Clock(), {NAME: 0}, failing_until=1000), NAME)
    assert failed.rrsets[0].problems == ("no servers known",)
