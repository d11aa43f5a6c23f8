# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a TLS report says (RFC 8460 section 4). Pure.

A report is written by a stranger. What it says is taken strictly, its texts are cut and freed of control characters,
and nothing in it is a proof: a forged one is as easy to send as any mail.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass
from datetime import UTC, datetime

from ._errors import InvalidReport

__all__ = [
    "MAX_JSON",
    "RESULT_TYPES",
    "Failure",
    "PolicyReport",
    "Report",
    "parse_report",
]

MAX_JSON: t.Final = 4 << 20
"""Octets of JSON that are read; reports of large senders have some ten thousand."""

RESULT_TYPES: t.Final = frozenset(
    {
        "starttls-not-supported",
        "certificate-host-mismatch",
        "certificate-expired",
        "certificate-not-trusted",
        "validation-failure",
        "tlsa-invalid",
        "dnssec-invalid",
        "dane-required",
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
    }
)
"""The result types of RFC 8460 section 4.3; a sender may use others that IANA has registered since."""

_POLICY_TYPES: t.Final = ("tlsa", "sts", "no-policy-found")
_MAX_POLICIES: t.Final = 1_000
_MAX_FAILURES: t.Final = 10_000
_MAX_TEXT: t.Final = 255
_MAX_COUNT: t.Final = 1 << 53
_TOKEN = re.compile(r"[a-z0-9-]{1,64}")
# RFC 3339 section 5.6. The offset may be missing, as some senders write it; it can only be UTC then.
_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<minute>[0-9]{2}:[0-9]{2}):(?P<second>[0-9]{2})"
    r"(?P<fraction>\.[0-9]{1,6})?[0-9]{0,9}(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Sessions that failed for one reason. Texts are as the sender gave them, cut to 255 printable characters."""

    result_type: str
    count: int
    receiving_host: str = ""
    receiving_address: str = ""
    sending_address: str = ""
    reason_code: str = ""
    information: str = ""

    @property
    def host(self) -> str:
        """The receiving host by its name, else by its address; empty where the sender gave neither."""
        return self.receiving_host or self.receiving_address

    @property
    def reason(self) -> str:
        """What the sender adds to the result type, empty where nothing."""
        return ": ".join(text for text in (self.reason_code, self.information) if text)


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """What a sender saw under one policy for one domain."""

    policy_type: str
    domain: str
    successful: int
    failed: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One report: who sent it, for which time, and its policies."""

    organization: str
    identifier: str
    contact: str
    begin: datetime
    end: datetime
    policies: tuple[PolicyReport, ...]


def parse_report(data: bytes, domain: str = "") -> Report:
    """Read the JSON of a report (section 4.4). A policy that names no domain gets `domain`. Raises InvalidReport."""
    if len(data) > MAX_JSON:
        msg = f"it is larger than {MAX_JSON >> 20} MiB"
        raise InvalidReport(msg)
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_each_once)
    except UnicodeDecodeError as exc:
        msg = f"it is not UTF-8: octet {exc.start} is {data[exc.start]:#04x}"
        raise InvalidReport(msg) from None
    except (ValueError, RecursionError) as exc:
        msg = f"it is not JSON: {_clean(str(exc))}"
        raise InvalidReport(msg) from None
    document = _object(document, "the report")
    dates = _object(document.get("date-range"), "date-range")
    policies = _array(document.get("policies"), "policies", _MAX_POLICIES)
    report = Report(
        organization=_text(document, "organization-name") or "(unnamed)",
        identifier=_text(document, "report-id"),
        contact=_text(document, "contact-info"),
        begin=_moment(dates, "start-datetime"),
        end=_moment(dates, "end-datetime"),
        policies=tuple(_policy(policy, _clean(domain)) for policy in policies),
    )
    if report.end < report.begin:
        msg = f"its date-range ends ({report.end.isoformat()}) before it begins ({report.begin.isoformat()})"
        raise InvalidReport(msg)
    return report


def _policy(value: object, default_domain: str) -> PolicyReport:
    entry = _object(value, "an entry of policies")
    policy = _object(entry.get("policy"), "policy")
    summary = _object(entry.get("summary"), "summary")
    kind = _text(policy, "policy-type")
    if kind not in _POLICY_TYPES:
        msg = f"its policy-type is {kind!r}, and must be one of {', '.join(_POLICY_TYPES)}"
        raise InvalidReport(msg)
    # Some senders give null, or nothing, where there was no failure.
    details = _array(entry.get("failure-details") or [], "failure-details", _MAX_FAILURES)
    return PolicyReport(
        policy_type=kind,
        # Senders leave it out where they found no policy.
        domain=(_text(policy, "policy-domain") or default_domain).lower().rstrip("."),
        successful=_count(summary, "total-successful-session-count"),
        failed=_count(summary, "total-failure-session-count"),
        failures=tuple(_failure(detail) for detail in details),
    )


def _failure(value: object) -> Failure:
    detail = _object(value, "an entry of failure-details")
    kind = _text(detail, "result-type")
    if not _TOKEN.fullmatch(kind):
        msg = f"its result-type is {kind!r}, and must be a word such as certificate-expired"
        raise InvalidReport(msg)
    return Failure(
        result_type=kind,
        count=_count(detail, "failed-session-count"),
        receiving_host=_text(detail, "receiving-mx-hostname").lower().rstrip("."),
        receiving_address=_text(detail, "receiving-ip"),
        sending_address=_text(detail, "sending-mta-ip"),
        reason_code=_text(detail, "failure-reason-code"),
        information=_text(detail, "additional-information"),
    )


def _no_constant(name: str) -> t.NoReturn:
    msg = f"{name} is no JSON value"
    raise ValueError(msg)


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object. Which of two values under one name holds is left open by RFC 8259 section 4."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in members if names.count(name) > 1)
        msg = f"{_clean(twice)!r} stands twice in one object"
        raise ValueError(msg)
    return members


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        msg = f"{what} is missing, or is no JSON object"
        raise InvalidReport(msg)
    return value


def _array(value: object, what: str, limit: int) -> list[object]:
    if not isinstance(value, list):
        msg = f"{what} is missing, or is no JSON array"
        raise InvalidReport(msg)
    if len(value) > limit:
        msg = f"{what} has {len(value)} entries, and {limit} are read at most"
        raise InvalidReport(msg)
    return value


def _text(source: t.Mapping[str, object], key: str) -> str:
    """A text, empty where it is missing or null."""
    value = source.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        msg = f"{key} is no text"
        raise InvalidReport(msg)
    return _clean(value)


def _clean(text: str) -> str:
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:1024])
    return shown if len(shown) <= _MAX_TEXT else f"{shown[: _MAX_TEXT - 1]}\N{HORIZONTAL ELLIPSIS}"


def _count(source: t.Mapping[str, object], key: str) -> int:
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        msg = f"{key} is missing, or is no whole number from 0"
        raise InvalidReport(msg)
    return value


def _moment(source: t.Mapping[str, object], key: str) -> datetime:
    text = _text(source, key)
    msg = f"{key} is {text!r}, and must be a date and time such as 2026-11-22T00:00:00Z"
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise InvalidReport(msg)
    # A leap second is the last one of its minute here.
    second = "59" if found["second"] == "60" else found["second"]
    offset = (found["offset"] or "Z").upper()
    try:
        moment = datetime.fromisoformat(f"{found['day']}T{found['minute']}:{second}{found['fraction'] or ''}{offset}")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidReport(msg) from None
