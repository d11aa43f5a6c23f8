# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m demo.interrupted``: kill the demo while the lab rises and amid each playbook run; then run it whole.

Adds to build/reliability.json. Exit status 0 only if the demo after the kills verified every message.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t

from demo.playbook import ROOT
from results import Row, store

RESULT: t.Final = ROOT / "build" / "reliability.json"
PATIENCE_SECONDS: t.Final = 1800.0

# What the demo prints shortly before it is killed, and how many seconds later that happens.
MOMENTS: t.Final = (
    ("1/5  Raise the lab", 2.0),
    ("mail_certificate : Self-signed", 0.5),
    ("3/5  The same again", 15.0),
)


def main() -> int:
    """Kill the demo at each moment, then run it to its end."""
    for sign, later in MOMENTS:
        if not _killed(sign, later):
            print(f"the demo ended before it said {sign!r}", file=sys.stderr)
            return 1
    status = subprocess.run([sys.executable, "-m", "demo"], check=False, timeout=PATIENCE_SECONDS).returncode
    messages = json.loads((ROOT / "build" / "demo.json").read_text("utf-8"))["messages"] if status == 0 else []
    verified = sum(message["verified"] for message in messages)
    row = Row(
        case=f"fault: make demo killed {len(MOMENTS)} times, then run whole",
        tried=len(messages),
        sent=len(messages),
        verified=verified,
        deferred=0,
        bounced=0,
        leaked=len(messages) - verified,
        outcome="ok: all verified" if status == 0 else f"the demo ended with status {status}",
    )
    store(RESULT, row)
    print(row.line())
    return status


def _killed(sign: str, later: float) -> bool:
    """Start the demo, and kill it with all its children `later` seconds after it printed `sign`."""
    command = [sys.executable, "-m", "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        for line in process.stdout or ():
            if sign in line:
                time.sleep(later)
                os.killpg(process.pid, signal.SIGKILL)
                print(f"killed the demo {later} s after {sign!r}", flush=True)
                return True
            if time.monotonic() > deadline:
                break
        return False


sys.exit(main())
