# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""One report out of what several hosts found: docs/report-schema.md describes its form and its version.

Everything here is plain data, as `dane_info` returns it and JSON holds it. Pure: no I/O, no clock.
"""

from __future__ import annotations

import typing as t

from ._errors import InvalidInput
from ._moments import moment
from ._report_history import history_of
from ._verdicts import Verdict, worst

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = Mapping[str, t.Any]

__all__ = ["SCHEMA_VERSION", "days_left", "grouped_rows", "merged"]

SCHEMA_VERSION: t.Final = 1
"""Rises when a field changes its meaning or goes; a new field alone does not raise it."""

_NEEDED: t.Final = ("checked_at", "domains", "endpoints")


def merged(
    results: Sequence[Mapping[str, t.Any]],
    previous: Mapping[str, t.Any] | None = None,
    *,
    tls_reports: Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """Return the report on everything that `results` of ``dane_info`` say.

    Of an endpoint that several of them saw, the worst verdict is kept: trouble that one place sees is trouble.
    `previous` is the report before this one, whose history goes on; `tls_reports` is what other mail hosts reported,
    None where nobody looked. Raises InvalidInput when any is no such thing.
    """
    for result in results:
        missing = [key for key in _NEEDED if key not in result]
        if missing:
            msg = f"A result of mailsec.dane.dane_info has {', '.join(_NEEDED)}; this one lacks {', '.join(missing)}"
            raise InvalidInput(msg)
    rows = _worst_of_each(
        (row for result in results for row in result["endpoints"]),
        ("domain", "host", "address", "port", "key_algorithm"),
    )
    covered = {(row["host"], row["port"]) for row in rows if row["domain"] is not None}
    rows = [row for row in rows if row["domain"] is not None or (row["host"], row["port"]) not in covered]
    checked_at = min((result["checked_at"] for result in results), default=None)
    domains = _worst_of_each((row for result in results for row in result["domains"]), ("domain",))
    return {
        "schema": SCHEMA_VERSION,
        "checked_at": checked_at,
        "verified": bool(rows) and all(row["verdict"] == Verdict.VERIFIED for row in rows),
        "summary": {verdict.value: sum(row["verdict"] == verdict for row in rows) for verdict in Verdict},
        "domains": domains,
        "endpoints": rows,
        "history": history_of(rows, checked_at, previous),
        "tls_reports": tls_reports,
    }


def _worst_of_each(rows: Iterable[Row], keys: tuple[str, ...]) -> list[dict[str, t.Any]]:
    kept: dict[tuple[t.Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        other = kept.get(key)
        if other is None or _worse(row["verdict"], other["verdict"]):
            kept[key] = row
    return [dict(row) for row in kept.values()]


def _worse(one: str | None, other: str | None) -> bool:
    verdicts = [Verdict(verdict) for verdict in (one, other) if verdict is not None]
    return one != other and one is not None and worst(verdicts) == one


def grouped_rows(report: Mapping[str, t.Any]) -> list[tuple[str | None, list[Row]]]:
    """Return the rows by domain, in the order of the domains; other ports of an MX host stand with its domain.

    Rows of hosts that no domain of the report leads to come last, under None.
    """
    homes: dict[str, str] = {}
    groups: dict[str | None, list[Row]] = {}
    for domain in report["domains"]:
        groups[domain["domain"]] = []
        for host in domain["hosts"]:
            homes.setdefault(host, domain["domain"])
    for row in report["endpoints"]:
        groups.setdefault(row["domain"] or homes.get(row["host"]), []).append(row)
    for name, rows in groups.items():
        hosts = list(dict.fromkeys(row["host"] for row in rows))
        groups[name] = sorted(rows, key=lambda row, hosts=hosts: (hosts.index(row["host"]), row["port"]))  # type: ignore[misc]
    return sorted(((name, rows) for name, rows in groups.items()), key=lambda group: group[0] is None)


def days_left(row: Row, checked_at: str | None) -> int | None:
    """Return the days from the check to the end of the certificate, negative once it has passed."""
    if not row["not_after"] or not checked_at:
        return None
    return int((moment(row["not_after"]) - moment(checked_at)).total_seconds() / 86400)
