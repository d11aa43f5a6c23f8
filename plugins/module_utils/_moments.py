# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.
"""Time stamps of a report: texts such as ``2026-11-22T12:00:00Z``, which also sort by time."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["moment"]


def moment(text: str) -> datetime:
    """Read a time stamp of a report. Raises ValueError, or TypeError for what is no text."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
