# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What other mail hosts reported (RFC 8460), as part of the report: merged from all hosts, as lines and as metrics.

Reports are strangers' mail. People are shown those on domains and hosts that the report is about; of others only how
many there are.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter

from ._errors import InvalidInput
from ._printable import printable
from ._tlsrpt import RESULT_TYPES

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    Policy = Mapping[str, t.Any]

__all__ = ["heading", "merged_tls_reports", "own_policies", "reasons", "tls_report_lines", "tls_report_metrics"]

_NAME: t.Final = re.compile(r"[a-z0-9._-]+")
_COUNTS: t.Final = ("reports", "repeated", "contradicting", "left_out", "mails_without_report")


def merged_tls_reports(results: Mapping[str, Mapping[str, t.Any]]) -> dict[str, t.Any] | None:
    """Add up the results of ``tlsrpt_info``, by the machine that read them; None where none did.

    A report that arrived on two machines counts twice. Raises InvalidInput when one is no such result.
    """
    if not results:
        return None
    for machine, result in results.items():
        missing = [key for key in (*_COUNTS, "refused", "missing", "policies") if key not in result]
        if missing:
            msg = f"The result of mailsec.dane.tlsrpt_info of {machine} lacks {', '.join(missing)}"
            raise InvalidInput(msg)
    policies: dict[tuple[str, str], dict[str, t.Any]] = {}
    for result in results.values():
        for policy in result["policies"]:
            key = (policy["domain"], policy["policy_type"])
            policies[key] = _together(policies[key], policy) if key in policies else dict(policy)
    return {
        **{name: sum(result[name] for result in results.values()) for name in _COUNTS},
        "refused": [
            {"machine": machine, "place": one["place"], "reason": one["reason"]}
            for machine, result in results.items()
            for one in result["refused"]
        ],
        "missing": [
            {"machine": machine, "place": place} for machine, result in results.items() for place in result["missing"]
        ],
        "policies": [policies[key] for key in sorted(policies)],
    }


def _together(one: Policy, other: Policy) -> dict[str, t.Any]:
    failures: dict[tuple[str, str], dict[str, t.Any]] = {}
    for failure in (*one["failures"], *other["failures"]):
        key = (failure["result_type"], failure["host"])
        known = failures.get(key, {**failure, "count": 0, "organizations": [], "reasons": []})
        failures[key] = {
            **known,
            "count": known["count"] + failure["count"],
            **{name: sorted({*known[name], *failure[name]}) for name in ("organizations", "reasons")},
        }
    return {
        **one,
        "successful": one["successful"] + other["successful"],
        "failed": one["failed"] + other["failed"],
        "organizations": sorted({*one["organizations"], *other["organizations"]}),
        "begin": min(one["begin"], other["begin"]),
        "end": max(one["end"], other["end"]),
        "failures": sorted(failures.values(), key=lambda failure: -failure["count"]),
    }


def own_policies(report: Mapping[str, t.Any]) -> list[Policy]:
    """The policies of domains and hosts that the report is about: with DANE, the policy may be that of a host."""
    own = {domain["domain"] for domain in report["domains"]} | {row["host"] for row in report["endpoints"]}
    return [
        policy
        for policy in report["tls_reports"]["policies"]
        if policy["domain"] in own and _NAME.fullmatch(policy["domain"])
    ]


def heading(report: Mapping[str, t.Any]) -> str:
    """One sentence on how many reports there are, and what is not shown of them."""
    section = report["tls_reports"]
    left_out = len(section["policies"]) - len(own_policies(report))
    parts = [f"{section['reports']} from other mail hosts"]
    parts += [f"{section['repeated']} came again"] * bool(section["repeated"])
    parts += [f"{section['contradicting']} contradict another of the same name"] * bool(section["contradicting"])
    parts += [f"{section['left_out']} older ones left out"] * bool(section["left_out"])
    parts += [f"{len(section['refused'])} refused"] * bool(section["refused"])
    parts += [f"{left_out} on other domains not shown"] * bool(left_out)
    return ", ".join(parts)


def tls_report_lines(report: Mapping[str, t.Any], *, only_problems: bool = False) -> list[str]:
    """Lines for a terminal; none where no reports were read."""
    section = report["tls_reports"]
    if section is None:
        return []
    lines = [f"TLS reports: {heading(report)}"]
    for policy in own_policies(report):
        if only_problems and not policy["failed"]:
            continue
        lines.append(
            f"  {policy['domain']}  {policy['policy_type']}  {policy['successful']} sessions succeeded, "
            f"{policy['failed']} failed, {policy['begin'][:10]} to {policy['end'][:10]} "
            f"({', '.join(policy['organizations'])})"
        )
        lines += [
            f"    {failure['count']} {failure['result_type']} at {failure['host'] or 'no host named'} "
            f"({', '.join(failure['organizations'])}){reasons(failure)}"
            for failure in policy["failures"]
        ]
    lines += [f"  nothing is there yet on {one['machine']}: {one['place']}" for one in section["missing"]]
    lines += [f"  refused on {one['machine']}: {one['place']}: {one['reason']}" for one in section["refused"]]
    return [printable(line) for line in lines]


def reasons(failure: Mapping[str, t.Any]) -> str:
    """What senders added in their own words, as the end of a line; empty where nothing."""
    return f": {'; '.join(failure['reasons'])}" if failure["reasons"] else ""


def tls_report_metrics(report: Mapping[str, t.Any]) -> list[str]:
    """Metrics of the report's own domains. Without hosts and unknown result types: those are named by strangers."""
    section = report["tls_reports"]
    if section is None:
        return []
    lines = [
        "# HELP dane_tls_report_sessions Sessions that other mail hosts reported on, by outcome.",
        "# TYPE dane_tls_report_sessions gauge",
    ]
    failures: Counter[str] = Counter()
    for policy in own_policies(report):
        labels = f'domain="{policy["domain"]}",policy_type="{policy["policy_type"]}"'
        lines += [
            f'dane_tls_report_sessions{{{labels},outcome="{outcome}"}} {policy[outcome]}'
            for outcome in ("successful", "failed")
        ]
        for failure in policy["failures"]:
            result = failure["result_type"] if failure["result_type"] in RESULT_TYPES else "other"
            failures[f'{labels},result_type="{result}"'] += failure["count"]
    lines += [
        "# HELP dane_tls_report_failures Sessions that other mail hosts reported as failed, by result type.",
        "# TYPE dane_tls_report_failures gauge",
        *(f"dane_tls_report_failures{{{labels}}} {count}" for labels, count in failures.items()),
        "# HELP dane_tls_reports_refused Reports that could not be read.",
        "# TYPE dane_tls_reports_refused gauge",
        f"dane_tls_reports_refused {len(section['refused'])}",
    ]
    return lines
