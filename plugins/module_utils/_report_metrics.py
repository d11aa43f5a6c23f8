# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The report as metrics in Prometheus' text format, for the node exporter's textfile collector."""

from __future__ import annotations

import typing as t

from ._moments import moment
from ._report_tlsrpt import tls_report_metrics
from ._verdicts import Verdict

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, t.Any]

__all__ = ["metrics"]

_LABELS: t.Final = ("domain", "host", "address", "port", "key_algorithm")


def metrics(report: Mapping[str, t.Any]) -> str:
    """Return the metrics. A time stamp is among them: an alert on its age finds a check that no longer runs."""
    rows = report["endpoints"]
    lines = [
        "# HELP dane_endpoint_verified Whether a DANE sender can authenticate the endpoint; verdict says why not.",
        "# TYPE dane_endpoint_verified gauge",
    ]
    lines += [
        f"dane_endpoint_verified{{{_labels(row, verdict=row['verdict'])}}} {int(row['verdict'] == Verdict.VERIFIED)}"
        for row in rows
    ]
    lines += [
        "# HELP dane_certificate_expiry_seconds When the served certificate expires, in Unix time.",
        "# TYPE dane_certificate_expiry_seconds gauge",
    ]
    lines += [
        f"dane_certificate_expiry_seconds{{{_labels(row)}}} {moment(row['not_after']).timestamp():.0f}"
        for row in rows
        if row["not_after"]
    ]
    lines += [
        "# HELP dane_rfc7671_section8_breaches Combinations of usage, selector and matching type without a match.",
        "# TYPE dane_rfc7671_section8_breaches gauge",
    ]
    lines += [f"dane_rfc7671_section8_breaches{{{_labels(row)}}} {len(row['breaches'])}" for row in rows]
    lines += ["# HELP dane_endpoints Endpoints by verdict.", "# TYPE dane_endpoints gauge"]
    lines += [f'dane_endpoints{{verdict="{verdict}"}} {count}' for verdict, count in report["summary"].items()]
    if report["checked_at"]:
        lines += [
            "# HELP dane_checked_seconds When the check began, in Unix time.",
            "# TYPE dane_checked_seconds gauge",
            f"dane_checked_seconds {moment(report['checked_at']).timestamp():.0f}",
        ]
    return "\n".join([*lines, *tls_report_metrics(report)]) + "\n"


def _labels(row: Row, **more: str) -> str:
    values = {**{name: row[name] for name in _LABELS}, **more}
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
