# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""When systemd is to run the agent next: one timer serves every host name of the machine."""

from __future__ import annotations

import typing as t

from ._errors import DaneError
from ._rollover_config import config_of, configured_hosts
from ._rollover_files import RolloverFiles
from ._wake import wake_at

if t.TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["wake_next"]


def wake_next(moments: Iterable[float | None], now: float) -> str | None:
    """Have the agent run at the first of ``moments`` (POSIX seconds) and of what other host names wait for.

    What is past is left to the regular timer. Returns what went wrong: then that timer is all there is.
    """
    waits = [moment for moment in moments if moment is not None]
    for host in configured_hosts():
        try:
            until = RolloverFiles(config_of(host).state).notes().until
        except DaneError:
            continue  # a run for this host says so
        if until is not None and until > now:
            waits.append(until)
    return wake_at(min(waits, default=None))
