# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a command says: to the terminal or program that runs it, and to the journal, whoever runs it."""

from __future__ import annotations

import os
import sys
import syslog
import typing as t

from ._printable import printable

__all__ = ["is_journal", "log", "say", "say_error", "tell"]


def is_journal(stream: t.TextIO) -> bool:
    """Whether a stream goes to the journal itself (systemd.exec(5)).

    Whatever a service starts inherits the variable, also where it reads the output: certbot's hook, a monitor.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def log(line: str) -> None:
    """One line to the journal, whoever runs the command."""
    if is_journal(sys.stdout):
        say(line)
    else:
        _to_syslog(syslog.LOG_INFO, line)


def _to_syslog(priority: int, line: str) -> None:
    syslog.openlog("dane-rollover", 0, syslog.LOG_MAIL)
    syslog.syslog(priority, _shown(line))


def say(text: str, end: str = "\n") -> None:
    sys.stdout.write(_shown(text) + end)
    sys.stdout.flush()


def _shown(text: str) -> str:
    """What name servers, resolvers and providers say may hold anything; a terminal must not obey it."""
    return "\n".join(printable(line) for line in text.split("\n"))


def tell(line: str) -> None:
    log(line)
    if not is_journal(sys.stdout):
        say(line)


def say_error(line: str) -> None:
    sys.stderr.write(f"dane-rollover: {_shown(line)}\n")
    if not is_journal(sys.stderr):
        _to_syslog(syslog.LOG_ERR, line)
