# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLS reports taken out of what carries them: gzip, a mail, a mailbox file (RFC 8460 section 5.3). Pure.

Every step has a limit, because whoever may send mail to the reporting address chooses what is read here.
"""

from __future__ import annotations

import email
import email.errors
import re
import typing as t
import zlib
from email import policy

from ._errors import InvalidReport
from ._tlsrpt import MAX_JSON, Report, parse_report

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

__all__ = ["MAX_INPUT", "MAX_MAIL", "looks_like_mail", "may_have_report", "messages_of", "report_of", "reports_of_mail"]

MAX_INPUT: t.Final = 4 << 20
"""Octets of a report file, compressed or not."""
MAX_MAIL: t.Final = 8 << 20
"""Octets of a mail: a report of MAX_INPUT in base64, and room for the rest."""

_MAX_PARTS: t.Final = 50
_GZIP: t.Final = b"\x1f\x8b"
_REPORT_TYPES: t.Final = ("application/tlsrpt+gzip", "application/tlsrpt+json")
_REPORT_NAME = re.compile(r".*\.json(\.gz)?", re.IGNORECASE | re.DOTALL)
_SIGN = re.compile(rb"tlsrpt|json", re.IGNORECASE)
_HEADER_LINE = re.compile(rb"From |[A-Za-z][A-Za-z0-9-]{0,75}:")


def _unlimited(_octets: int) -> None:
    """No limit beyond those for one report."""


def report_of(data: bytes, domain: str = "", *, may_unpack: t.Callable[[int], None] = _unlimited) -> Report:
    """The report in a file or attachment, gzip or plain JSON. Raises InvalidReport.

    A policy that names no domain gets `domain`. `may_unpack` is told the octets of JSON, and raises where that is more
    than its caller wants to read.
    """
    if len(data) > MAX_INPUT:
        msg = f"it has {len(data)} octets, and {MAX_INPUT >> 20} MiB are read at most"
        raise InvalidReport(msg)
    if data.startswith(_GZIP):
        return parse_report(_unpacked(data, may_unpack), domain)
    may_unpack(len(data))
    return parse_report(data, domain)


def _unpacked(data: bytes, may_unpack: t.Callable[[int], None]) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, MAX_JSON + 1)
    except zlib.error as exc:
        msg = f"it is damaged gzip: {exc}"
        raise InvalidReport(msg) from None
    may_unpack(len(content))
    if len(content) > MAX_JSON:
        msg = f"it unpacks to more than {MAX_JSON >> 20} MiB"
        raise InvalidReport(msg)
    if not unpacker.eof:
        msg = "it is gzip that was cut off"
        raise InvalidReport(msg)
    if unpacker.unused_data:
        msg = f"{len(unpacker.unused_data)} octets follow its gzip data"
        raise InvalidReport(msg)
    return content


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


def reports_of_mail(
    data: bytes, *, may_unpack: t.Callable[[int], None] = _unlimited
) -> tuple[Report | InvalidReport, ...]:
    """The reports in a mail, each read or refused; none where the mail carries no report. Raises InvalidReport.

    A policy that names no domain has that of the mail's header TLS-Report-Domain (section 5.3).
    """
    if len(data) > MAX_MAIL:
        msg = f"the mail has {len(data)} octets, and {MAX_MAIL >> 20} MiB are read at most"
        raise InvalidReport(msg)
    try:
        message = email.message_from_bytes(data, policy=policy.compat32)
        parts = _parts(message)
        domain = str(message.get("TLS-Report-Domain") or "").strip()
    except InvalidReport:
        raise
    except (RecursionError, ValueError, LookupError, email.errors.MessageError) as exc:
        msg = f"the mail cannot be taken apart: {type(exc).__name__}"
        raise InvalidReport(msg) from None
    found: list[Report | InvalidReport] = []
    for part in parts:
        try:
            found.append(report_of(_content(part), domain, may_unpack=may_unpack))
        except InvalidReport as refused:
            found.append(refused)
    return tuple(found)


def _parts(message: Message) -> list[Message]:
    """The parts of a mail that are reports, by type or by file name."""
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
        elif part.get_content_type() in _REPORT_TYPES or _REPORT_NAME.fullmatch(str(part.get_filename() or "")):
            found.append(part)
    return found


def _content(part: Message) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError) as exc:
        msg = f"the attachment cannot be decoded: {type(exc).__name__}"
        raise InvalidReport(msg) from None
    if not isinstance(content, bytes):
        msg = "the attachment has no content"
        raise InvalidReport(msg)
    return content
