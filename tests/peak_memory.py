# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The most memory that this process held. `getrusage` would count that of the process that started it (proc(5))."""

from __future__ import annotations

from pathlib import Path


def peak_memory() -> int:
    """In octets, of this process alone."""
    (line,) = (line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
