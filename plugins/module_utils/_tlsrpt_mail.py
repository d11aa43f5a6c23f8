# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLS reports taken out of what carries them: gzip, a mail, a mailbox file (RFC 8460 section 5.3). Pure.

Every step has a limit, because whoever may send mail to the reporting address chooses what is read here.
"""

from __future__ import annotations

import email
import email.header
import email.utils
import re
import typing as t
import zlib
from datetime import UTC
from email import policy

from ._errors import InvalidReport
from ._tlsrpt import MAX_JSON, Report, parse_report

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from email.message import Message

__all__ = [
    "MAX_INPUT",
    "MAX_MAIL",
    "looks_like_mail",
    "may_have_report",
    "messages_of",
    "report_of",
    "reports_of_mail",
    "sent_at",
]

MAX_INPUT: t.Final = 4 << 20
"""Octets of a report file, compressed or not."""
MAX_MAIL: t.Final = 8 << 20
"""Octets of a mail: a report of MAX_INPUT in base64, and room for the rest."""

_MAX_PARTS: t.Final = 50
_MAX_MEMBERS: t.Final = 10  # of a gzip file; each costs a copy of the rest
_GZIP: t.Final = b"\x1f\x8b"
_REPORT_TYPES: t.Final = ("application/tlsrpt+gzip", "application/tlsrpt+json")
_REPORT_NAME = re.compile(r".*\.json(\.gz)?", re.IGNORECASE | re.DOTALL)
# What carries a report where the mail says by its headers that it has one.
_CARRIER_TYPES: t.Final = ("application/gzip", "application/x-gzip", "application/json")
_CARRIER_NAME = re.compile(r".*\.gz", re.IGNORECASE | re.DOTALL)
_SIGN = re.compile(rb"tlsrpt|json|tls-report", re.IGNORECASE)
_DATE = re.compile(rb"^Date:[ \t]*([^\r\n]{1,100})", re.IGNORECASE | re.MULTILINE)
_MAX_NAME: t.Final = 255
_HEADER_LINE = re.compile(rb"From |[A-Za-z][A-Za-z0-9-]{0,75}:")


def _unlimited(_octets: int) -> None:
    """No limit beyond those for one report."""


def report_of(data: bytes, domain: str = "", *, count: t.Callable[[int], None] = _unlimited) -> Report:
    """The report in a file or attachment, gzip or plain JSON. Raises InvalidReport.

    A policy that names no domain gets `domain`. `count` is told the octets of JSON of a report that is read, and raises
    where its caller wants no more; what is refused does not count, so that bombs do not use up the room of reports.
    """
    if len(data) > MAX_INPUT:
        msg = f"it has {len(data)} octets, and {MAX_INPUT >> 20} MiB are read at most"
        raise InvalidReport(msg)
    content = _unpacked(data) if data.startswith(_GZIP) else data
    report = parse_report(content, domain)
    count(len(content))
    return report


def _unpacked(data: bytes) -> bytes:
    """What gzip packed, also in several members or with zeros behind it, as gzip(1) takes them (RFC 1952)."""
    content = b""
    for _member in range(_MAX_MEMBERS):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content += unpacker.decompress(data, MAX_JSON + 1 - len(content))
        except zlib.error as exc:
            msg = f"it is damaged gzip: {exc}"
            raise InvalidReport(msg) from None
        if len(content) > MAX_JSON:
            msg = f"it unpacks to more than {MAX_JSON >> 20} MiB"
            raise InvalidReport(msg)
        if not unpacker.eof:
            msg = "it is gzip that was cut off"
            raise InvalidReport(msg)
        data = unpacker.unused_data.lstrip(b"\0")
        if data and not data.startswith(_GZIP):
            msg = f"{len(data)} octets follow its gzip data"
            raise InvalidReport(msg)
        if not data:
            return content
    msg = f"it is gzip of more than {_MAX_MEMBERS} members"
    raise InvalidReport(msg)


def looks_like_mail(data: bytes) -> bool:
    """Whether a file begins as a mail or a mailbox does, and not as JSON or gzip."""
    return _HEADER_LINE.match(data.lstrip(b"\r\n")) is not None


def may_have_report(data: bytes) -> bool:
    """Whether a mail can have a report, told in passing: most mail in a mailbox is something else."""
    return _SIGN.search(data) is not None


def messages_of(lines: t.Iterable[bytes]) -> Iterator[bytes | None]:
    """Each mail of a mailbox file in the format of mbox(5), given line by line; None for one above MAX_MAIL.

    A single mail without a line "From " before it is one message.
    """
    message: list[bytes] = []
    size = 0
    after_blank = True
    for line in lines:
        if after_blank and line.startswith(b"From ") and size:
            yield b"".join(message) if size <= MAX_MAIL else None
            message, size = [], 0
        if not (size == 0 and line.startswith(b"From ")):
            size += len(line)
            if size <= MAX_MAIL:
                message.append(line)
            else:
                message = []
        after_blank = line in (b"\n", b"\r\n")
    if size:
        yield b"".join(message) if size <= MAX_MAIL else None


def sent_at(data: bytes) -> datetime | None:
    """When a mail says that it was sent, by its first header Date; None where that cannot be told."""
    found = _DATE.search(data)
    if found is None:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(found[1].decode("ascii"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def reports_of_mail(data: bytes, *, count: t.Callable[[int], None] = _unlimited) -> tuple[Report | InvalidReport, ...]:
    """The reports in a mail, each read or refused; none where the mail carries no report. Raises InvalidReport.

    A policy that names no domain has that of the mail's header TLS-Report-Domain (section 5.3). `count` as for
    ``report_of``.
    """
    if len(data) > MAX_MAIL:
        msg = f"the mail has {len(data)} octets, and {MAX_MAIL >> 20} MiB are read at most"
        raise InvalidReport(msg)
    try:
        message = email.message_from_bytes(data, policy=policy.compat32)
        domain = str(message.get("TLS-Report-Domain") or "").strip()
        parts = _parts(message, says_so=bool(domain))
    except InvalidReport:
        raise
    except Exception as exc:  # noqa: BLE001  # the standard library raises errors of many kinds over hostile headers
        msg = f"the mail cannot be taken apart: {type(exc).__name__}"
        raise InvalidReport(msg) from None
    found: list[Report | InvalidReport] = []
    for name, part in parts:
        try:
            _require_harmless(name)
            found.append(report_of(_content(part), domain, count=count))
        except InvalidReport as refused:
            found.append(refused)
    return tuple(found)


def _parts(message: Message, *, says_so: bool) -> list[tuple[str, Message]]:
    """The parts of a mail that are reports, by type or by file name, each with its file name.

    Where the mail's header says that it has a report, other types of gzip and JSON are taken for it too.
    """
    waiting = [message]
    found = []
    seen = 0
    while waiting:
        part = waiting.pop(0)
        seen += 1
        if seen > _MAX_PARTS:
            msg = f"the mail has more than {_MAX_PARTS} parts"
            raise InvalidReport(msg)
        content = part.get_payload()
        if isinstance(content, list):
            waiting.extend(inner for inner in content if not isinstance(inner, str))
            continue
        kind, name = part.get_content_type(), _file_name(part)
        if (
            kind in _REPORT_TYPES
            or _REPORT_NAME.fullmatch(name)
            or (says_so and (kind in _CARRIER_TYPES or _CARRIER_NAME.fullmatch(name)))
        ):
            found.append((name, part))
    return found


def _file_name(part: Message) -> str:
    """The name of an attachment, also where it is given as an encoded word, which many mailers do (RFC 2047)."""
    name = str(part.get_filename() or "")
    return str(email.header.make_header(email.header.decode_header(name))) if "=?" in name[:_MAX_NAME] else name


def _require_harmless(name: str) -> None:
    """Refuse a name that RFC 8460 section 5.1 cannot give and that could harm who saves the attachment."""
    if len(name) > _MAX_NAME or not name.isprintable() or "/" in name or "\\" in name:
        msg = f"its file name is hostile: {name[:80]!a}"
        raise InvalidReport(msg)


def _content(part: Message) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except Exception as exc:  # noqa: BLE001  # as in reports_of_mail
        msg = f"the attachment cannot be decoded: {type(exc).__name__}"
        raise InvalidReport(msg) from None
    if not isinstance(content, bytes):
        msg = "the attachment has no content"
        raise InvalidReport(msg)
    return content
