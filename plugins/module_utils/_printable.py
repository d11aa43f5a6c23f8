# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Text that is fit to be shown, whoever wrote it."""

from __future__ import annotations

import re

__all__ = ["printable"]


def printable(text: object) -> str:
    """Text for people: what comes from others' servers may hold no control character, nor turn the writing around."""
    return re.sub(r"[^\x20-\x7e\u00a1-\u00ac\u00ae-\u058f\u0900-\u167f]", "?", str(text))
