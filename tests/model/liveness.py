# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""That a rollover ends: from any state, once nothing goes wrong any more, within the time that the rule asks for."""

from __future__ import annotations

import typing as t

from .machine import DECIDED, IDLE, READ, Machine

if t.TYPE_CHECKING:
    from .machine import State

__all__ = ["BOUND", "end"]

BOUND: t.Final = 14
"""Ticks: an unknown version is held for 5, an RRset for 4, a transfer or a doubt lasts 2; all may follow each other."""


def end(machine: Machine, state: State) -> tuple[str, int]:
    """The last decision of an agent that runs at every tick while servers are quick and services obey; and the tick."""
    state = state._replace(place=IDLE, action=0, lagging=0)
    if not machine.scenario.stranger:
        state = state._replace(far=state.far if state.owed else 1 << state.deployed)
    if not state.owed:
        own = 1 << state.deployed
        state = state._replace(near=own)
    told = ""
    for tick in range(BOUND + 1):
        for _action in range(12):
            near, far = (bits.bit_length() - 1 for bits in (state.near, state.far))
            told, state = machine.decide(state._replace(place=READ, action=state.first), state.second, near, far)
            if told.startswith(("decided: done", "decided: refuse")):
                return told, tick
            if state.place == IDLE:
                break
            while state.place != IDLE:
                moves = (
                    [after for name, after in machine.moves(state) if name in QUIET] if state.place > DECIDED else None
                )
                state = moves[0] if moves else _whole(machine, state)
            state = _settled(machine, state)
        state = machine.tick(_settled(machine, state))
    return told, BOUND + 1


QUIET: t.Final = frozenset({"services reload", "every address is proved", "the deployment is noted"})


def _whole(machine: Machine, state: State) -> State:
    """Through a publication, or a switch, to its end."""
    return [after for name, after in machine.moves(state) if "noted" in name or name.endswith("switched to")][-1]


def _settled(machine: Machine, state: State) -> State:
    if state.transfer:
        state = machine.serve(state, second=state.transfer)
    state = machine.serve(state, first=state.provider)
    return machine.serve(state, second=state.provider)
