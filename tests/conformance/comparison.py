# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every judge said of every case, side by side, and where that is not as it should be. Pure, but for one file."""

from __future__ import annotations

import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.cases import Case

    Judged = Mapping[str, Mapping[str, tuple[str, str]]]

__all__ = ["compared", "read_exceptions"]

# What a sender does about each verdict (docs/guides/verify.md).
_DELIVERY: t.Final = {
    "verified": "authenticated",
    "insecure": "unauthenticated",
    "absent": "unauthenticated",
    "unusable": "unauthenticated",
    "none": "refused",
}
_JUDGES: t.Final = frozenset({"postfix13", "postfix12", "exim", "openssl"})


def read_exceptions(path: Path | None = None) -> dict[tuple[str, str], str]:
    """Where a judge is known to differ, with the reason: lines of `case | judge | why`. Raises ValueError."""
    text = (path or Path(__file__).with_name("exceptions.txt")).read_text("utf-8")
    found: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            case, judge, why = (field.strip() for field in line.split("|"))
            if judge not in _JUDGES:
                raise ValueError(f"exceptions.txt: there is no judge {judge!r}; there are {', '.join(sorted(_JUDGES))}")
            found[case, judge] = why
    return found


def compared(
    cases: Sequence[Case],
    ours: Mapping[str, Mapping[str, t.Any]],
    judged: Judged,
    peers: Mapping[str, Mapping[str, str]],
    exceptions: Mapping[tuple[str, str], str],
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """A row for each case, and a sentence for each trouble.

    ``ours`` and ``peers`` are by case; ``judged`` is by judge, both versions of Postfix among them, and case. Of
    `exceptions` only those of the judges that were asked count, and one that no longer holds is a trouble.
    """
    expected = {key: why for key, why in exceptions.items() if key[1] in judged}
    table, troubles, used = [], [], set[tuple[str, str]]()
    for case in cases:
        row, wrong = _own_row(case, ours[case.name])
        row["peers"] = {peer: found[case.name] for peer, found in peers.items() if case.name in found}
        for judge, found in judged.items():
            word, line = found.get(case.name, ("-", ""))
            row[judge], row[f"{judge}_line"] = word, line
            if word == case.delivery or (word == "-" and judge == "openssl"):
                continue
            if (case.name, judge) in expected:
                used.add((case.name, judge))
                row[f"{judge}_why"] = expected[case.name, judge]
            else:
                wrong.append(f"{case.name}: {judge} {word}, RFC {case.rfc} {case.delivery}: {line}")
        troubles += [*wrong, *_disagreement(case, row, expected)]
        table.append(row)
    troubles += [f"exceptions.txt: {case} {judge} no longer differs" for case, judge in sorted(set(expected) - used)]
    return table, troubles


def _own_row(case: Case, found: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    verdict, cause, reason = found["verdict"], found["cause"], found["reason"]
    troubles = []
    if verdict != case.verdict:
        troubles.append(f"{case.name}: ours {verdict}, RFC {case.rfc} {case.verdict}: {reason}")
    if cause != case.cause or (case.delivery == "waits" and ". To mend: " not in reason):
        troubles.append(f"{case.name}: the cause is {cause}, not {case.cause}: {reason}")
    row = {
        "case": case.name, "rfc": case.rfc, "expected": case.verdict, "delivery": case.delivery,
        "ours": verdict, "cause": cause, "reason": reason,
    }  # fmt: skip
    return row, troubles


def _disagreement(case: Case, row: dict[str, t.Any], expected: Mapping[tuple[str, str], str]) -> list[str]:
    """Complete the row by whether Postfix, where its two versions agree, does what our verdict says of senders."""
    row["postfix"] = row["postfix13"] if row["postfix13"] == row["postfix12"] else "differ"
    implied = _DELIVERY.get(row["ours"], "waits")
    if row["ours"] == "unreachable" and case.delivery == "refused":
        implied = "refused"
    row["agree"] = row["postfix"] in (implied, "differ")
    if row["agree"] or {(case.name, "postfix13"), (case.name, "postfix12")} & set(expected):
        return []
    return [f"{case.name}: ours means {implied}, both Postfix versions {row['postfix']}"]
