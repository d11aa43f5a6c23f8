# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""How messages of a rollover name records, servers and times."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._rollover_state import Answer
    from ._tlsa import TlsaRecord

__all__ = ["moment", "named", "place_of", "shown"]


def shown(record: TlsaRecord) -> str:
    """A record: its numbers and the beginning of its data."""
    return f"{record.usage} {record.selector} {record.matching_type} {record.data.hex()[:8]}.."


def named(records: Iterable[TlsaRecord]) -> str:
    """Records, sorted."""
    return ", ".join(shown(record) for record in sorted(records)) or "(no record)"


def moment(time: float | None) -> str:
    """A time, UTC, to the second."""
    if time is None:
        return "nobody can tell when"
    try:
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return "the end of time"


def place_of(answer: Answer) -> str:
    """A server, with its address where that says more."""
    return answer.server if answer.address in ("", answer.server) else f"{answer.server} ({answer.address})"
