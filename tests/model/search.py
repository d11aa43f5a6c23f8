# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Breadth first through all states that can be reached, to a depth or a number of states."""

from __future__ import annotations

import random
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .machine import Machine, State

__all__ = ["Found", "search", "wander"]


@dataclass(frozen=True)
class Found:
    """``depth``: to which every state was seen; ``whole``: there are no more. ``trace`` leads to the violation."""

    scenario: str
    depth: int
    states: int
    whole: bool
    violation: str | None = None
    trace: tuple[str, ...] = ()
    sample: tuple[State, ...] = ()


def search(machine: Machine, *, states: int, traced: bool = False, every: int = 0) -> Found:
    """Look at whole layers until there are at least so many `states`, or a violation.

    A state that was seen is known by its 64-bit hash: among a million, two are alike with a chance of 1 in 10^7.
    `traced` keeps the way to each state; `every` so many states, one goes into the sample.
    """
    start = machine.start()
    seen = {hash(start)}
    ways: dict[int, tuple[int, str]] = {}
    layer, depth = [start], 0
    sample: list[State] = []
    while layer and len(seen) < states:
        following: list[State] = []
        for state in layer:
            for name, after in machine.moves(state):
                code = hash(after)
                if code in seen:
                    continue
                seen.add(code)
                if traced:
                    ways[code] = (hash(state), name)
                if wrong := machine.violation(after):
                    return Found(machine.scenario.name, depth, len(seen), False, wrong, _trace(ways, code))
                if every and len(seen) % every == 0:
                    sample.append(after)
                following.append(after)
        layer, depth = following, depth + 1
    return Found(machine.scenario.name, depth, len(seen), not layer, sample=tuple(sample))


WEIGHTS: t.Final = (0.02, 0.3, 1, 1, 4)


def _kind(name: str) -> str:
    return ":".join(name.split(":")[:2])


def _trace(ways: dict[int, tuple[int, str]], code: int) -> tuple[str, ...]:
    names: list[str] = []
    while code in ways:
        code, name = ways[code]
        names.append(name)
    return tuple(reversed(names))


def wander(machine: Machine, *, walks: int, steps: int = 60, seed: int = 0) -> Found:
    """Take that many ways at random, far deeper than every way can be taken; ``depth`` is the length of a way.

    For each way, every kind of move is given a weight at random, so that some ways see a lot of one and none of
    another.
    """
    draw = random.Random(seed)  # noqa: S311  # repeatable ways, no secret
    seen: set[int] = set()
    for _walk in range(walks):
        state = machine.start()
        names: list[str] = []
        weights: dict[str, float] = {}
        for _step in range(steps):
            kinds: dict[str, list[tuple[str, State]]] = {}
            for name, after in machine.moves(state):
                if after != state:
                    kinds.setdefault(_kind(name), []).append((name, after))
            for kind in kinds:
                weights.setdefault(kind, draw.choice(WEIGHTS))
            name, state = draw.choice(kinds[draw.choices(list(kinds), [weights[kind] for kind in kinds])[0]])
            names.append(name)
            seen.add(hash(state))
            if wrong := machine.violation(state):
                return Found(machine.scenario.name, len(names), len(seen), False, wrong, tuple(names))
    return Found(machine.scenario.name, steps, len(seen), False)
