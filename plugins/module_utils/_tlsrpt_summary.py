# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What TLS reports of other mail hosts say, added up by domain and type of policy. Pure.

Reports are strangers' mail, so everything that is kept of them is bounded: what goes beyond is still counted, under
the name OTHERS.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from datetime import datetime

    from ._tlsrpt import PolicyReport, Report

__all__ = ["OTHERS", "Summary"]

OTHERS: t.Final = "(others)"
"""Stands for domains, hosts and organizations beyond those that are kept apart."""

_MAX_GROUPS: t.Final = 500
_MAX_FAILURES: t.Final = 100  # for each domain and type of policy
_MAX_ORGANIZATIONS: t.Final = 50
_MAX_REASONS: t.Final = 5  # for each kind of failure


@dataclass
class _Group:
    """What was seen under one type of policy for one domain."""

    begin: datetime
    end: datetime
    successful: int = 0
    failed: int = 0
    organizations: set[str] = field(default_factory=set)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    informed: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    reasons: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def add(self, report: Report, policy: PolicyReport) -> None:
        self.begin, self.end = min(self.begin, report.begin), max(self.end, report.end)
        self.successful += policy.successful
        self.failed += policy.failed
        _note(self.organizations, report.organization, _MAX_ORGANIZATIONS)
        for failure in policy.failures:
            key = (failure.result_type, failure.host)
            if key not in self.failures and len(self.failures) >= _MAX_FAILURES:
                key = (OTHERS, OTHERS)
            self.failures[key] += failure.count
            _note(self.informed.setdefault(key, set()), report.organization, _MAX_ORGANIZATIONS)
            if failure.reason:
                _note(self.reasons.setdefault(key, set()), failure.reason, _MAX_REASONS)


class Summary:
    """Adds up reports."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}

    def add(self, report: Report) -> None:
        for policy in report.policies:
            key = (policy.domain, policy.policy_type)
            if key not in self._groups and len(self._groups) >= _MAX_GROUPS:
                key = (OTHERS, policy.policy_type)
            self._groups.setdefault(key, _Group(report.begin, report.end)).add(report, policy)

    def policies(self) -> list[dict[str, t.Any]]:
        """As data, in the order of domains; see the documentation of the module tlsrpt_info."""
        return [_described(domain, kind, group) for (domain, kind), group in sorted(self._groups.items())]


def _note(texts: set[str], text: str, limit: int) -> None:
    texts.add(text if len(texts) < limit else OTHERS)


def _described(domain: str, kind: str, group: _Group) -> dict[str, t.Any]:
    return {
        "domain": domain,
        "policy_type": kind,
        "successful": group.successful,
        "failed": group.failed,
        "organizations": sorted(group.organizations),
        "begin": group.begin.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "end": group.end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "failures": [
            {
                "result_type": result,
                "host": host,
                "count": count,
                "organizations": sorted(group.informed[result, host]),
                "reasons": sorted(group.reasons.get((result, host), ())),
            }
            for (result, host), count in group.failures.most_common()
        ],
    }
