# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLS reports on disk: files, mails, mailbox files and maildirs, read within limits and added up."""

from __future__ import annotations

import os
import stat
import typing as t
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ._errors import InvalidInput, InvalidReport
from ._tlsrpt_mail import MAX_INPUT, MAX_MAIL, looks_like_mail, messages_of, report_of, reports_of_mail

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ._tlsrpt import PolicyReport, Report

__all__ = ["Collection", "collect", "summary"]

_MAX_FILES: t.Final = 20_000
_MAX_MAILBOX: t.Final = 512 << 20
_LINE: t.Final = 1 << 16


@dataclass
class Collection:
    """The reports that were found, each once; what was refused, with place and reason; mails without a report."""

    reports: dict[tuple[str, str, datetime], Report] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    repeated: int = 0
    without_report: int = 0

    def add(self, found: Report | InvalidReport, place: str) -> None:
        if isinstance(found, InvalidReport):
            self.refused.append((place, str(found)))
            return
        key = (found.organization, found.identifier, found.begin)
        self.repeated += key in self.reports
        self.reports.setdefault(key, found)


def collect(paths: Iterable[str]) -> Collection:
    """Read every report in files, directories of files, and maildirs. Raises InvalidInput for a path that is none."""
    found = Collection()
    files = 0
    for path in paths:
        for file in _files(Path(path)):
            files += 1
            if files > _MAX_FILES:
                found.refused.append((path, f"there are more than {_MAX_FILES} files; move old ones away"))
                return found
            try:
                _read(file, found)
            except (InvalidReport, OSError) as exc:
                found.refused.append((_shown(file), str(exc)))
    return found


def _files(path: Path) -> Iterator[Path]:
    try:
        if not path.is_dir():
            path.stat()
            yield path
            return
        maildir = [path / name for name in ("cur", "new") if (path / name).is_dir()]
        for directory in maildir or [path]:
            yield from sorted(entry for entry in directory.iterdir() if not entry.is_dir())
    except OSError as exc:
        msg = f"{path} cannot be read: {exc.strerror}"
        raise InvalidInput(msg) from exc


def _read(path: Path, found: Collection) -> None:
    # Somebody else may own the directory: no links to elsewhere, and no pipes that never end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            msg = "it is no regular file"
            raise InvalidReport(msg)
        place = _shown(path)
        if not looks_like_mail(file.read(_LINE)):
            if status.st_size > MAX_INPUT:
                msg = f"it has {status.st_size} octets, and {MAX_INPUT >> 20} MiB are read at most"
                raise InvalidReport(msg)
            file.seek(0)
            found.add(report_of(file.read(MAX_INPUT + 1)), place)
            return
        if status.st_size > _MAX_MAILBOX:
            msg = f"the mailbox has {status.st_size} octets, and {_MAX_MAILBOX >> 20} MiB are read at most"
            raise InvalidReport(msg)
        file.seek(0)
        for number, message in enumerate(messages_of(iter(lambda: file.readline(_LINE), b"")), 1):
            _read_mail(message, f"{place}, mail {number}", found)


def _read_mail(message: bytes | None, place: str, found: Collection) -> None:
    if message is None:
        found.refused.append((place, f"the mail has more than {MAX_MAIL >> 20} MiB"))
        return
    try:
        reports = reports_of_mail(message)
    except InvalidReport as refused:
        found.add(refused, place)
        return
    found.without_report += not reports
    for report in reports:
        found.add(report, place)


def _shown(path: Path) -> str:
    """A path whose name may be hostile, on one line."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(path))


def summary(reports: Iterable[Report], since: datetime | None = None) -> list[dict[str, t.Any]]:
    """What senders saw, added up for each domain and type of policy; reports that end before ``since`` are left out."""
    groups: dict[tuple[str, str], list[tuple[Report, PolicyReport]]] = {}
    for report in reports:
        if since is not None and report.end < since:
            continue
        for policy in report.policies:
            groups.setdefault((policy.domain, policy.policy_type), []).append((report, policy))
    return [_group(domain, kind, members) for (domain, kind), members in sorted(groups.items())]


def _group(domain: str, kind: str, members: list[tuple[Report, PolicyReport]]) -> dict[str, t.Any]:
    counts: Counter[tuple[str, str]] = Counter()
    informed: dict[tuple[str, str], set[str]] = {}
    for report, policy in members:
        for failure in policy.failures:
            key = (failure.result_type, failure.receiving_host)
            counts[key] += failure.count
            informed.setdefault(key, set()).add(report.organization)
    return {
        "domain": domain,
        "policy_type": kind,
        "successful": sum(policy.successful for _report, policy in members),
        "failed": sum(policy.failed for _report, policy in members),
        "organizations": sorted({report.organization for report, _policy in members}),
        "begin": min(report.begin for report, _policy in members).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": max(report.end for report, _policy in members).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "failures": [
            {"result_type": result, "host": host, "count": count, "organizations": sorted(informed[result, host])}
            for (result, host), count in counts.most_common()
        ],
    }
