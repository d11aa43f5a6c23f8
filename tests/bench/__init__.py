# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measurements beside what people use today, in one run on one machine: ``python -m bench [NAME ...]``."""

import sys
from pathlib import Path

sys.path.append(
    str(Path(__file__).resolve().parents[2] / "build" / "collections")
)  # measurements import the collection
