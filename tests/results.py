# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results of long runs: lists of rows in build/NAME.json, one row for each case, merged so that a run can go on."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, fields

from lab.files import write_whole

if t.TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Row:
    """What became of the messages of one case; numbers are counts of messages.

    ``sent`` is ``verified + leaked``; ``deferred`` counts messages that were put off at least once; what is neither
    sent nor bounced was still in the queue at the end. ``outcome`` begins with ``ok`` when the case went as it must,
    and with ``noticed`` when the traffic noticed what a wrong order does.
    """

    case: str
    tried: int
    sent: int
    verified: int
    deferred: int
    bounced: int
    leaked: int
    outcome: str

    @property
    def good(self) -> bool:
        """Whether the case went as it must."""
        return self.outcome.startswith(("ok", "noticed"))

    def line(self) -> str:
        """One line for a person."""
        counts = ", ".join(f"{f.name} {getattr(self, f.name)}" for f in fields(self) if f.type == "int")
        return f"{self.case}: {self.outcome} ({counts})"


def load(path: Path) -> list[Row]:
    """Return the rows of a result file; none when there is no file."""
    if not path.exists():
        return []
    return [Row(**row) for row in json.loads(path.read_text("utf-8"))]


def store(path: Path, row: Row) -> None:
    """Put a row into a result file, in place of one of the same case. The file is written whole."""
    rows = {known.case: known for known in load(path)} | {row.case: row}
    write_whole(path, json.dumps([asdict(known) for known in rows.values()], indent=2) + "\n")
