# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.
"""Since when each TLSA record and each certificate has been seen, from one report to the next: for the time line.

Everything here is plain data, as in :mod:`_report`. Pure: the time is that of the reports.
"""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ._errors import InvalidInput
from ._moments import moment

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Entry = Mapping[str, t.Any]

__all__ = ["KEPT_FOR", "history_of"]

KEPT_FOR: t.Final = timedelta(days=400)
"""How long something is remembered after it was last seen."""
_KEPT_OF_ONE: t.Final = 40
"""Entries for one owner, or one host and port: nobody's records may fill the file."""

_RECORD: t.Final = ("owner", "record")
_CERTIFICATE: t.Final = ("host", "port", "cert_sha256")
_FACTS: t.Final = ("key_algorithm", "spki_sha256", "not_before", "not_after")


def history_of(
    rows: Sequence[Entry], checked_at: str | None, previous: Mapping[str, t.Any] | None
) -> dict[str, list[dict[str, t.Any]]]:
    """Return what has been seen up to `checked_at`, in `rows` and in the ``history`` of the report before.

    What the rows do not show is kept as it was: it is gone, or it could not be seen. Raises InvalidInput when
    `previous` is no such report.
    """
    if checked_at is None:
        return _checked(previous)
    before = _checked(previous)
    records = [{"owner": row["owner"], "record": record} for row in rows for record in row["tlsa"]]
    certificates = [
        {
            "host": row["host"],
            "port": row["port"],
            "cert_sha256": row["chain"][0]["cert_sha256"],
            **{name: row["chain"][0][name] for name in _FACTS},
        }
        for row in rows
        if row["chain"]
    ]
    return {
        "records": _continued(records, before["records"], _RECORD, checked_at),
        "certificates": _continued(certificates, before["certificates"], _CERTIFICATE, checked_at),
    }


def _continued(
    seen: Iterable[Entry], before: Iterable[Entry], keys: tuple[str, ...], checked_at: str
) -> list[dict[str, t.Any]]:
    entries = {tuple(entry[key] for key in keys): dict(entry) for entry in before}
    for entry in seen:
        known = entries.get(key := tuple(entry[name] for name in keys), {})
        first = min(known.get("first_seen", checked_at), checked_at)
        last = max(known.get("last_seen", checked_at), checked_at)
        entries[key] = {**entry, "first_seen": first, "last_seen": last}
    oldest = moment(checked_at) - KEPT_FOR
    kept = sorted(
        (entry for entry in entries.values() if moment(entry["last_seen"]) >= oldest),
        key=lambda entry: entry["last_seen"],
        reverse=True,
    )
    counts: dict[tuple[t.Any, ...], int] = {}
    result = []
    for entry in kept:
        of = tuple(entry[key] for key in keys[:-1])
        counts[of] = counts.get(of, 0) + 1
        if counts[of] <= _KEPT_OF_ONE:
            result.append(entry)
    return sorted(result, key=lambda entry: (*(str(entry[key]) for key in keys[:-1]), entry["first_seen"]))


def _checked(previous: Mapping[str, t.Any] | None) -> dict[str, list[dict[str, t.Any]]]:
    """The history in a report, once it is seen to be one."""
    if previous is None:
        return {"records": [], "certificates": []}
    try:
        history = previous["history"]
        return {
            "records": [_entry(entry, _RECORD) for entry in history["records"]],
            "certificates": [_entry(entry, (*_CERTIFICATE, *_FACTS)) for entry in history["certificates"]],
        }
    except (KeyError, TypeError, ValueError) as error:
        msg = (
            "The report before this one has no history that can be read "
            f"({type(error).__name__}: {error}). Move it away to begin a new history; nothing was written"
        )
        raise InvalidInput(msg) from error


def _entry(entry: Entry, names: tuple[str, ...]) -> dict[str, t.Any]:
    for name in ("first_seen", "last_seen"):
        moment(entry[name])
    return {name: entry[name] for name in (*names, "first_seen", "last_seen")}
