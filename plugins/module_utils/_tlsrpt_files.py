# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLS reports on disk: files, mails, mailbox files and maildirs, read within limits and added up.

What is read, unpacked and kept is bounded for all paths together, whatever strangers sent: see the limits below.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import typing as t
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ._errors import InvalidInput, InvalidReport
from ._tlsrpt_mail import (
    MAX_INPUT,
    MAX_MAIL,
    looks_like_mail,
    may_have_report,
    messages_of,
    report_of,
    reports_of_mail,
    sent_at,
)
from ._tlsrpt_summary import Summary

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ._tlsrpt import Report

__all__ = ["Collection", "collect"]

_MAX_FILES: t.Final = 20_000
_MAX_MAILBOX: t.Final = 512 << 20
_MAX_READ: t.Final = 1 << 30  # octets of all files together
_MAX_SECONDS: t.Final = 30.0  # of processor time; a mail can be made so that taking it apart is slow
_MAX_JSON: t.Final = 256 << 20  # octets of JSON, once unpacked, of all reports together that were read
_MAX_REPORTS: t.Final = 50_000
_MAX_REFUSED: t.Final = 1_000
_LINE: t.Final = 1 << 16
_CLOCKS_DIFFER: t.Final = timedelta(days=1)  # how much the sender's clock may be behind


class _Enough(Exception):  # noqa: N818  # ends the reading, and is no error
    """A limit for all paths together was reached."""


@dataclass
class Collection:
    """What the reports say, each counted once; what was refused, with place and reason; mails without a report."""

    since: datetime | None = None
    summary: Summary = field(default_factory=Summary)
    refused: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repeated: int = 0
    contradicting: int = 0
    left_out: int = 0
    without_report: int = 0
    _known: set[bytes] = field(default_factory=set)
    _named: set[tuple[str, str, datetime]] = field(default_factory=set)
    _refused_more: int = 0
    _files: int = 0
    _read: int = 0
    _began: float = field(default_factory=time.process_time)
    _json: int = 0

    @property
    def reports(self) -> int:
        """How many there were, each counted once."""
        return len(self._known)

    def add(self, found: Report | InvalidReport, place: str) -> None:
        if isinstance(found, InvalidReport):
            self.refuse(place, str(found))
            return
        if self.since is not None and found.end < self.since:
            self.left_out += 1
            return
        # Anybody can send a report under another's name, so only the same words are the same report.
        content = hashlib.sha256(repr(found).encode("utf-8", "surrogatepass")).digest()
        if content in self._known:
            self.repeated += 1
            return
        if len(self._known) >= _MAX_REPORTS:
            raise _Enough(f"there are more than {_MAX_REPORTS} reports")
        self._known.add(content)
        name = (found.organization, found.identifier, found.begin)
        self.contradicting += name in self._named
        self._named.add(name)
        self.summary.add(found)

    def is_old(self, message: bytes) -> bool:
        """Whether a mail was sent so long ago that no report in it can be of a time that is asked for."""
        if self.since is None:
            return False
        sent = sent_at(message)
        return sent is not None and sent < self.since - _CLOCKS_DIFFER

    def refuse(self, place: str, reason: str) -> None:
        if len(self.refused) < _MAX_REFUSED:
            self.refused.append((place, reason))
        else:
            self._refused_more += 1

    def open(self) -> None:
        """Note that one more file is looked at."""
        self._files += 1
        if self._files > _MAX_FILES:
            raise _Enough(f"there are more than {_MAX_FILES} files")
        self.go_on()

    def read(self, octets: int) -> None:
        """Note that so much is read from files now."""
        self._read += octets
        if self._read > _MAX_READ:
            raise _Enough(f"there is more than {_MAX_READ >> 30} GiB to read")

    def go_on(self) -> None:
        """Note that a file, or a mail that may have a report, will be taken apart."""
        if time.process_time() - self._began > _MAX_SECONDS:
            raise _Enough(f"reading took more than {_MAX_SECONDS:.0f} s")

    def count(self, octets: int) -> None:
        """Note that a report has so much JSON."""
        self._json += octets
        if self._json > _MAX_JSON:
            raise _Enough(f"the reports unpack to more than {_MAX_JSON >> 20} MiB together")

    def finish(self) -> None:
        if self._refused_more:
            self.refused.append(("all of it", f"{self._refused_more} more were refused, which are not listed"))


def collect(paths: Iterable[str], since: datetime | None = None) -> Collection:
    """Read every report in files, directories of files, and maildirs. Raises InvalidInput for an unreadable path.

    A path where nothing is yet, as a mailbox before its first mail, is listed by itself. Reports on a time that ended
    before `since`, and mails that may have a report and were sent before it, are counted as left out. The newest files
    of a directory are read first, so that limits meet the old ones.
    """
    found = Collection(since)
    for path in paths:
        try:
            for file in _files(Path(path)):
                found.open()
                try:
                    _read(file, found)
                except (InvalidReport, OSError) as exc:
                    found.refuse(_shown(file), str(exc))
        except FileNotFoundError:
            found.missing.append(_shown(Path(path)))
        except _Enough as exc:
            found.refuse(_shown(Path(path)), f"{exc}; the rest was not read. Move old ones away")
            break
    found.finish()
    return found


def _files(path: Path) -> Iterator[Path]:
    try:
        if not path.is_dir():
            path.stat()
            yield path
            return
        maildir = [path / name for name in ("cur", "new") if (path / name).is_dir()]
        for directory in maildir or [path]:
            entries = [entry for entry in directory.iterdir() if not entry.is_dir()]
            yield from sorted(entries, key=lambda entry: (-_modified(entry), entry.name))
    except FileNotFoundError:
        raise
    except OSError as exc:
        msg = f"{path} cannot be read: {exc.strerror}"
        raise InvalidInput(msg) from exc


def _modified(path: Path) -> int:
    """In nanoseconds; 0 where a mail client has just moved the file."""
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return 0


def _read(path: Path, found: Collection) -> None:
    # Somebody else may own the directory: no links to elsewhere, and no pipes that never end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            msg = "it is no regular file"
            raise InvalidReport(msg)
        place = _shown(path)
        begin = file.read(_LINE)
        if not begin:
            return  # a mailbox whose mails were all taken away
        if not looks_like_mail(begin):
            if status.st_size > MAX_INPUT:
                msg = f"it has {status.st_size} octets, and {MAX_INPUT >> 20} MiB are read at most"
                raise InvalidReport(msg)
            found.read(status.st_size)
            file.seek(0)
            found.add(report_of(file.read(MAX_INPUT + 1), count=found.count), place)
            return
        if status.st_size > _MAX_MAILBOX:
            msg = f"the mailbox has {status.st_size} octets, and {_MAX_MAILBOX >> 20} MiB are read at most"
            raise InvalidReport(msg)
        found.read(status.st_size)
        file.seek(0)
        for number, message in enumerate(messages_of(iter(lambda: file.readline(_LINE), b"")), 1):
            _read_mail(message, f"{place}, mail {number}", found)


def _read_mail(message: bytes | None, place: str, found: Collection) -> None:
    if message is None:
        found.refuse(place, f"the mail has more than {MAX_MAIL >> 20} MiB")
        return
    if not may_have_report(message):
        found.without_report += 1
        return
    if found.is_old(message):
        found.left_out += 1
        return
    found.go_on()
    try:
        reports = reports_of_mail(message, count=found.count)
    except InvalidReport as refused:
        found.add(refused, place)
        return
    found.without_report += not reports
    for report in reports:
        found.add(report, place)


def _shown(path: Path) -> str:
    """A path whose name may be hostile, on one line."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(path))
