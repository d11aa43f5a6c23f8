# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts on served chains and TLSA RRsets: ours beside that of OpenSSL's client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.mailsec.dane.plugins.module_utils._dane import match

from certificates import NOW
from dane_cases import Case, cases

if TYPE_CHECKING:
    from conformance.judge_container import Judge


def run(judge: Judge) -> list[dict[str, Any]]:
    """A row for each case of ``dane_cases``, without OpenSSL's verdict where its command cannot be asked."""
    everything = list(cases())
    asked = [case for case in everything if case.openssl]
    answers = judge.ask("verdict_program.py", [_question(case) for case in asked], timeout=600)
    said = {case.name: answer for case, answer in zip(asked, answers, strict=True)}
    return [_row(case, said.get(case.name), judge) for case in everything]


def _question(case: Case) -> dict[str, object]:
    return {
        "key": case.served[0].key_pem,
        "leaf": case.served[0].pem,
        "chain": "".join(holder.pem for holder in case.served[1:]),
        "records": [record.to_text() for record in case.records],
        "host": case.host,
    }


def _row(case: Case, answer: dict[str, Any] | None, judge: Judge) -> dict[str, Any]:
    result = match(case.records, [holder.certificate for holder in case.served], [case.host], NOW)
    openssl = None if answer is None else answer["verified"]
    row: dict[str, Any] = {
        "case": f"verdict: {case.name} ({judge.suite})",
        "rfc": case.rfc,
        "ours": result.verified,
        "postfix": None,
        "openssl": openssl,
        "agree": result.verified is case.verified and openssl in {None, case.verified},
    }
    if case.why:
        row["why"] = case.why
    return row
