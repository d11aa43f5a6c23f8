# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong in the lab, told to a person."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot go on; the message says what, where and how to mend it."""
