# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A program of the user's that reads and changes RRsets: JSON on its standard input and output.

docs/guides/publishing.md describes both, and the exit statuses, to whoever writes one. Whatever it does that is not
described there is a failure, and no failure is ever read as "there are no records".
"""

from __future__ import annotations

import enum
import json
import os
import typing as t
from pathlib import Path

from .._errors import (
    InvalidInput,
    InvalidName,
    InvalidRecord,
    PublisherConflict,
    PublisherError,
    PublisherPending,
    PublisherRefused,
    PublisherUnavailable,
)
from .._program import Ended, ProgramFailed, run_program
from .._publication import Published, owner_name
from .._tlsa import TlsaRecord
from .base import Publisher

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .._publication import Change
    from .._records import Record

__all__ = ["ExecPublisher", "Status"]

VERSION: t.Final = 1
"""Of what is said to the program; it grows when a program that was right would no longer be."""
MOST_OUTPUT: t.Final = 16 * 2**20  # octets; 10,000 RRsets of two records are some 3 MiB
INHERITED: t.Final = ("HOME", "LOGNAME", "TZ", "USER")
SEARCH_PATH: t.Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SAID: t.Final = 500  # characters of what it wrote to standard error that go into a message


class Status(enum.IntEnum):
    """What the program's exit status means. Every other one is a failure whose outcome is not known."""

    DONE = 0
    REFUSED = 10  # no, and trying again does not help; nothing was changed
    CONFLICT = 11  # an RRset is not as ``before`` says; nothing was changed
    PENDING = 12  # somebody was told, who has not made the change yet


_MEANING: t.Final[Mapping[int, tuple[type[PublisherError], str]]] = {
    Status.REFUSED: (PublisherRefused, "refused"),
    Status.CONFLICT: (PublisherConflict, "found the RRset changed between reading and writing"),
    Status.PENDING: (PublisherPending, "has passed the change on, and it is not made yet; run again once it is"),
}


class ExecPublisher(Publisher):
    """Whatever `command` publishes at. `seconds` is the time limit of each run, `environment` is added to its own."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        seconds: float,
        record: type[Record] = TlsaRecord,
    ) -> None:
        self.record = record
        self._command, self._seconds = tuple(command), seconds
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._environment = {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", **inherited, **environment}

    @classmethod
    def from_options(cls, options: Mapping[str, t.Any], record: type[Record] = TlsaRecord) -> ExecPublisher:
        """From a module's ``provider``. Raises InvalidInput."""
        command = [str(word) for word in options.get("command") or ()]
        if not command:
            raise InvalidInput("Provider exec needs command: a list of the program's path and its arguments")
        program = Path(command[0])
        if not program.is_absolute():
            raise InvalidInput(f"The command of provider exec begins with {command[0]!r}; give the program's full path")
        if not program.is_file() or not os.access(program, os.X_OK):
            raise InvalidInput(f"The command of provider exec, {program}, is no executable file on this host")
        environment = {str(name): str(value) for name, value in (options.get("environment") or {}).items()}
        bad = sorted(name for name in environment if not name or "=" in name or "\0" in name + environment[name])
        if bad:
            raise InvalidInput(f"The environment of provider exec has {bad[0]!r}, which no environment can hold")
        seconds = float(options.get("timeout") or 10.0)
        return cls(command, environment=environment, seconds=seconds, record=record)

    @property
    def place(self) -> str:
        return f"the program {self._command[0]}"

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        """See :meth:`Publisher.read`. The program is run once, whatever the number of names."""
        if not names:
            return {}
        answer = self._run({"action": "read", "names": sorted(names)})
        try:
            found = _read_answer(answer, self.record)
        except (KeyError, RecursionError, TypeError, ValueError) as error:
            said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise PublisherUnavailable(f"{self.place} gave an answer to read that is not as it must be: {said}") from (
                error
            )
        # A name that is not answered for must never be taken for one without records.
        missing = sorted({*names} - {*found})
        if missing:
            raise PublisherUnavailable(f"{self.place} did not say what is at {missing[0]}; every name needs an answer")
        return {name: found[name] for name in names}

    # --- changing -----------------------------------------------------------------------------------------------------

    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        """See :meth:`Publisher.apply`. One run for a zone."""
        self._run({"action": "apply", "zone": zone, "changes": [_described(change) for change in changes]})

    # --- the program --------------------------------------------------------------------------------------------------

    def _run(self, request: Mapping[str, t.Any]) -> bytes:
        given = json.dumps({"version": VERSION, "type": self.record.RDTYPE, **request}).encode() + b"\n"
        try:
            ended = run_program(
                self._command,
                given,
                environment=self._environment,
                seconds=self._seconds,
                most_output=MOST_OUTPUT,
            )
        except ProgramFailed as error:
            raise PublisherUnavailable(f"{self.place} {error} (asked to {request['action']})") from error
        if ended.status == Status.DONE:
            return ended.output
        kind, meaning = _MEANING.get(ended.status, (PublisherUnavailable, f"failed with {_status_text(ended.status)}"))
        raise kind(f"{self.place} {meaning} (asked to {request['action']}){_said(ended)}")


def _read_answer(output: bytes, record: type[Record]) -> dict[str, Published]:
    answer = json.loads(output.decode())
    found: dict[str, Published] = {}
    for one in answer["rrsets"]:
        there = _published(one, record)
        if there.name in found:
            raise InvalidInput(f"{there.name} is in it twice")
        found[there.name] = there
    return found


def _published(one: Mapping[str, t.Any], record: type[Record]) -> Published:
    name, zone = owner_name(_text(one, "name")), owner_name(_text(one, "zone"))
    owner = owner_name(_text(one, "owner")) if one.get("owner") is not None else name
    texts = one["records"]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput(f"the records of {name} are no list of texts")
    try:
        records = tuple(sorted({record.from_text(text) for text in texts}))
    except InvalidRecord as error:
        raise InvalidInput(f"{name}: {error}") from error
    ttl = one.get("ttl")
    if records and (isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl < 2**31):
        raise InvalidInput(f"the ttl of {name} is {ttl!r}, and no number of seconds")
    if not owner.endswith(f".{zone}"):
        raise InvalidName(f"{owner} is not in the zone {zone}")
    return Published(name, owner, zone, ttl if records else None, records)


def _text(one: Mapping[str, t.Any], key: str) -> str:
    value = one[key]
    if not isinstance(value, str):
        raise InvalidInput(f"{key} is {value!r}, and no text")
    return value


def _described(change: Change) -> dict[str, t.Any]:
    before = [record.to_text() for record in change.before]
    after = [record.to_text() for record in change.after]
    return {
        "name": change.owner,
        "ttl_before": change.ttl_before,
        "ttl": change.ttl if change.after else None,
        "before": before,
        "after": after,
        "add": [text for text in after if text not in before],
        "remove": [text for text in before if text not in after],
    }


def _status_text(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {-status}"


def _said(ended: Ended) -> str:
    """The end of what the program wrote to standard error, on one line."""
    text = " ".join(ended.errors.decode(errors="replace").split())
    shown = "".join(character if character.isprintable() else "?" for character in text[-_SAID:])
    return f": {shown}" if shown else ""
