# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the agent remembers between two runs: the ledger and its notes, each written whole or not at all.

::

    /var/lib/dane/mx1.example.org/ledger.json    what resolvers may still hold; for its owner the core
    /var/lib/dane/mx1.example.org/notes.json     what the agent was asked for, and what failed

A ledger that is missing or damaged begins anew, which makes the rule wait longer and never less; so does one from
before the clock was set, whose times mean nothing any more. Damaged notes are an error: that a key is compromised must
not be forgotten in silence.
"""

from __future__ import annotations

import json
import time
import typing as t
from dataclasses import asdict, dataclass, fields

from ._durable import Access, clear_unfinished, make_directory, replace_file
from ._errors import InvalidInput, StoreError
from ._rollover_ledger import from_json, to_json
from ._rollover_state import Ledger
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Clock", "Failure", "Notes", "RolloverFiles"]

FIRST_RETRY: t.Final = 30.0
LAST_RETRY: t.Final = 3600.0


@dataclass(frozen=True)
class Clock:
    """The clock beside one that nobody sets: the machine began ``uptime`` seconds ago, at ``booted``, POSIX seconds."""

    booted: float
    uptime: float

    def set_since(self, before: Clock) -> float:
        """By how many seconds the clock was set; 0 when that cannot be told, as the machine was started meanwhile."""
        return self.booted - before.booted if self.uptime >= before.uptime else 0.0


@dataclass(frozen=True)
class Failure:
    """A generation that could not be deployed: services did not load it, or the live proof failed."""

    generation: str
    at: float
    why: str
    tries: int = 1

    @property
    def again(self) -> float:
        """When it may be tried again: each try reloads services twice, and what failed may take long to mend."""
        return self.at + min(FIRST_RETRY * 2.0 ** min(self.tries - 1, 20), LAST_RETRY)


@dataclass(frozen=True)
class Notes:
    """``compromised`` are keys (``3 1 1``) that an emergency rollover was asked for; ``previous`` is the generation
    that was deployed before; ``idle`` counts runs in a row that waited for nothing that has a time; ``error`` is that
    of the last run, ``ran`` its time (POSIX seconds), ``refused`` whether it refused, ``alarms`` how many it had."""

    compromised: tuple[str, ...] = ()
    previous: str | None = None
    failure: Failure | None = None
    idle: int = 0
    error: str | None = None
    ran: float | None = None
    until: float | None = None
    refused: bool = False
    alarms: int = 0

    @property
    def compromised_records(self) -> frozenset[TlsaRecord]:
        return frozenset(TlsaRecord.from_text(text) for text in self.compromised)


class RolloverFiles:
    """The directory of one host below ``/var/lib/dane``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ledger = directory / "ledger.json"
        self._notes = directory / "notes.json"

    def ledger(self, margin: float) -> tuple[Ledger, str | None]:
        """The ledger, and why it begins anew if it does and was there before.

        It does when the clock was set by more than ``margin`` seconds since it was written.
        """
        try:
            text = self._ledger.read_text("utf-8")
            ledger, before = from_json(text), _written(text)
        except FileNotFoundError:
            return Ledger(), None
        except (OSError, ValueError) as exc:
            trouble = str(exc)
        else:
            moved = 0.0 if before is None else _clock().set_since(before)
            if abs(moved) <= max(margin, _JITTER):
                return ledger, None
            told = f"As far as this machine can tell, its clock was set by {moved:+.0f} s since the last look"
            return Ledger(), f"{told}; the ledger {self._ledger} begins anew, so waits are longer"
        return Ledger(), f"The ledger {self._ledger} cannot be read and begins anew, so waits are longer: {trouble}"

    def write_ledger(self, ledger: Ledger) -> None:
        """Raises StoreError; then the old one stands."""
        content = {**json.loads(to_json(ledger)), "clock": asdict(_clock())}
        self._write(self._ledger, json.dumps(content, indent=1))

    def notes(self) -> Notes:
        """Raises StoreError when they cannot be read."""
        try:
            values = json.loads(self._notes.read_bytes())
            known = {one.name for one in fields(Notes)}
            values = {name: value for name, value in values.items() if name in known}
            values["compromised"] = tuple(TlsaRecord.from_text(one).to_text() for one in values["compromised"])
            values["failure"] = Failure(**values["failure"]) if values.get("failure") else None
            return Notes(**values)
        except FileNotFoundError:
            return Notes()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidInput) as exc:
            msg = (
                f"{self._notes} remembers whether a key is compromised, and cannot be read: {exc}. Restore it, or "
                "remove it and, if the deployed key is compromised, say so again: dane-rollover now --emergency"
            )
            raise StoreError(msg) from exc

    def write_notes(self, notes: Notes) -> None:
        """Raises StoreError; then the old ones stand."""
        self._write(self._notes, json.dumps(asdict(notes), indent=1) + "\n")

    def _write(self, path: Path, text: str) -> None:
        try:
            make_directory(self.directory)
            clear_unfinished(path)
            replace_file(path, text.encode(), Access(0o600))
        except OSError as exc:
            msg = f"{path} could not be written: {exc}"
            raise StoreError(msg) from exc


_JITTER: t.Final = 1.0
"""Seconds that may pass between two looks at clocks on a busy machine."""


def _clock() -> Clock:
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Clock(time.time() - uptime, uptime)


def _written(text: str) -> Clock | None:
    """The clock when a ledger was written; None where it does not say. Raises ValueError."""
    clock = json.loads(text).get("clock")
    try:
        return None if clock is None else Clock(float(clock["booted"]), float(clock["uptime"]))
    except (TypeError, KeyError, OverflowError) as error:
        msg = f"Its clock is {clock!r}"
        raise ValueError(msg) from error
