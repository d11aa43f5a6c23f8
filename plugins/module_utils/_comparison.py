# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What no row shows by itself, only all rows of a host together. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ._verdicts import Cause

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ._endpoint_report import EndpointReport

__all__ = ["compared"]

_WITHOUT_TLS: t.Final = frozenset({Cause.NO_STARTTLS.word, Cause.NO_RECORDS_NO_TLS.word})


def compared(rows: Sequence[EndpointReport]) -> list[EndpointReport]:
    """Add to each row what follows from the others: records that stand for no chain, and TLS at some addresses only."""
    return _with_spare_records(_with_uneven_tls(rows))


def _with_spare_records(rows: Sequence[EndpointReport]) -> list[EndpointReport]:
    """Name the records of each owner that match no chain seen anywhere: keys to come, or forgotten ones."""
    used: dict[str | None, set[str]] = {}
    for row in rows:
        if row.chain:
            used.setdefault(row.owner, set()).update(row.covered_by)
    return [
        replace(row, spare=tuple(text for text in row.tlsa if text not in used[row.owner])) if row.chain else row
        for row in rows
    ]


def _with_uneven_tls(rows: Sequence[EndpointReport]) -> list[EndpointReport]:
    lacking = {(row.host, row.port) for row in rows if row.cause in _WITHOUT_TLS}
    if not lacking:
        return list(rows)
    offering: dict[tuple[str | None, int], dict[str, None]] = {}
    for row in rows:
        if row.chain and row.address and (row.host, row.port) in lacking:
            offering.setdefault((row.host, row.port), {})[row.address] = None
    return [
        replace(row, advice=(*row.advice, _uneven(list(offering[row.host, row.port]))))
        if row.cause in _WITHOUT_TLS and (row.host, row.port) in offering
        else row
        for row in rows
    ]


def _uneven(addresses: list[str]) -> str:
    named = ", ".join(addresses[:3]) + (", ..." if len(addresses) > 3 else "")
    return f"TLS is offered at {named} and not here, so it depends on the address that a sender takes"
