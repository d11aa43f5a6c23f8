# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a module that publishes returns: each RRset before and after, errors by zone, and diffs as zone-file lines."""

from __future__ import annotations

import typing as t

from ._module import text_diff
from ._publication import Published, zone_file_lines

if t.TYPE_CHECKING:
    from ._convergence import Outcome

__all__ = ["publication_result"]


def publication_result(outcome: Outcome, place: str) -> dict[str, t.Any]:
    """The module's result; `place` is the provider as messages name it."""
    rrsets = [_described(there, outcome.after[name]) for name, there in outcome.before.items()]
    result: dict[str, t.Any] = {
        "changed": any(rrset["changed"] for rrset in rrsets),
        "rrsets": rrsets,
        "diff": _diffs(outcome, place),
        "warnings": outcome.warnings,
    }
    if outcome.errors:
        result |= {"errors": outcome.errors, "failed_msg": "\n".join(outcome.errors.values())}
    return result


def _described(before: Published, after: Published) -> dict[str, t.Any]:
    return {
        "name": before.name,
        "owner": after.owner,
        "zone": after.zone,
        "ttl": after.ttl,
        "ttl_before": before.ttl,
        "before": [record.to_text() for record in before.records],
        "after": [record.to_text() for record in after.records],
        "changed": (before.ttl, before.records) != (after.ttl, after.records),
    }


def _diffs(outcome: Outcome, place: str) -> list[dict[str, str]]:
    """One diff for each zone, of its RRsets that changed, as lines of a zone file."""
    by_zone: dict[str, dict[str, tuple[Published, Published]]] = {}
    for name, before in outcome.before.items():
        after = outcome.after[name]
        if (before.ttl, before.records) != (after.ttl, after.records):
            by_zone.setdefault(after.zone, {})[after.owner] = (before, after)
    return [
        text_diff(
            f"zone {zone} at {place}",
            "".join(zone_file_lines(before.owner, before.ttl, before.records) for before, _after in pairs.values()),
            "".join(zone_file_lines(after.owner, after.ttl, after.records) for _before, after in pairs.values()),
        )
        for zone, pairs in sorted(by_zone.items())
    ]
