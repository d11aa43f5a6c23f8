# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Look again and again until every server serves what is wanted, or the time is up."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import LookupFailed
from ._serving import shortfalls

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._publication import Wanted
    from ._serving import Observer, Served

__all__ = ["WaitResult", "Waited", "wait_until_served"]


@dataclass(slots=True)
class Waited:
    """One RRset at the last look. ``since`` is in seconds from the first look; None as long as something is short."""

    wanted: Wanted
    look: tuple[Served, ...] = ()
    problems: tuple[str, ...] = ()
    since: float | None = None

    @property
    def everywhere(self) -> bool:
        """Whether every server serves what is wanted."""
        return self.since is not None


@dataclass(frozen=True, slots=True)
class WaitResult:
    """``elapsed`` is in seconds; ``looks`` counts how often the servers were asked."""

    rrsets: tuple[Waited, ...]
    elapsed: float
    looks: int


def wait_until_served(
    observer: Observer,
    wanted: Sequence[Wanted],
    *,
    seconds: float,
    interval: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> WaitResult:
    """Look at least once, and for at most `seconds`, with `interval` seconds between looks.

    An RRset that is served everywhere is not asked for again. A look that fails is looked at again, and a look that is
    not the first ends with the time; nothing is raised.
    """
    start = clock()
    rrsets = tuple(Waited(one) for one in wanted)
    looks = 0
    while True:
        looks += 1
        observer.look_again()
        for one in rrsets:
            if one.everywhere:
                continue
            if looks > 1 and clock() - start > seconds:
                break
            try:
                one.look = observer.look(one.wanted.name)
                one.problems = shortfalls(one.wanted, one.look)
            except LookupFailed as error:
                one.look, one.problems = (), (str(error),)
            if not one.problems:
                one.since = clock() - start
        elapsed = clock() - start
        if all(one.everywhere for one in rrsets) or elapsed + interval > seconds:
            return WaitResult(rrsets, elapsed, looks)
        sleep(interval)
