# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on a managed host in place of ``dane-rollover``: the command itself, interrupted before one of its effects.

Usage: MARK LIMIT SIGNAL COMMAND ARGUMENT... Effects are counted: files opened for writing, renamed, linked or removed,
programs started, DNS updates sent. Before effect number LIMIT its name goes to the file MARK, and the signal to this
very process. Without that, MARK has the number of effects at the end. MARK.pid has the process's number.
"""

import os
import runpy
import signal
import sys
from pathlib import Path

mark, limit, how, *sys.argv = sys.argv[1:]
Path(f"{mark}.pid").write_text(str(os.getpid()))
note = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
fatal = int(limit)
effects: list[str] = []

CHANGES = {"os.rename", "os.remove", "os.symlink", "os.link", "os.mkdir", "os.rmdir", "subprocess.Popen"}
UPDATE = 5  # RFC 2136 section 1.3


def changes(event: str, arguments: tuple[object, ...]) -> bool:
    """Whether an event of Python's audit hooks is an effect that outlives the process."""
    if event == "open":
        path, _mode, flags = arguments
        return path != os.devnull and isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if event == "socket.sendto":
        # The caller of the caller: watch, and then dns.query.send_udp. Only here: to ask for a frame is an event too.
        message = sys._getframe(2).f_locals.get("what")
        return isinstance(message, bytes) and len(message) > 2 and message[2] >> 3 & 15 == UPDATE
    return event in CHANGES


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Count effects, and send the signal before the fatal one."""
    if not changes(event, arguments):
        return
    effects.append("a DNS update" if event == "socket.sendto" else f"{event} {arguments[0]}")
    if len(effects) == fatal:
        os.write(note, f"before {effects[-1]}".encode())
        os.kill(os.getpid(), getattr(signal, how))


sys.addaudithook(watch)
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    if len(effects) < fatal:
        os.write(note, str(len(effects)).encode())
