# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLSA digests of certificates of every key kind that OpenSSL makes: ours, and three other programs'."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.mailsec.dane.plugins.filter.tlsa_rdata import tlsa_rdata

if TYPE_CHECKING:
    from conformance.judge_container import Judge

FEWEST = 200


def run(judge: Judge) -> list[dict[str, Any]]:
    """A row for each certificate; it agrees when every program that can read it has each digest like ours."""
    answers = judge.ask("digest_program.py", None, timeout=1800)
    if len(answers) < FEWEST:
        msg = f"only {len(answers)} certificates could be made on {judge.suite}, of {FEWEST} that are wanted"
        raise RuntimeError(msg)
    return [_row(answer, judge) for answer in answers]


def _row(answer: dict[str, Any], judge: Judge) -> dict[str, Any]:
    pem: str = answer["pem"]
    ours = {f"3 {selector} {kind}": _ours(pem, selector, kind) for selector in (0, 1) for kind in (1, 2)}
    others = [*answer["openssl"].items(), ("3 1 1", answer["postfix"]), *answer["hash_slinger"].items()]
    der = base64.b64decode("".join(re.findall(r"(?m)^[^-].*$", pem)))
    whole = _ours(pem, 0, 0) == der.hex()
    return {
        "case": f"digests: {answer['kind']} ({judge.suite})",
        "rfc": "6698 2.1",
        "ours": ours["3 1 1"],
        "postfix": answer["postfix"],
        "openssl": answer["openssl"].get("3 1 1"),
        "hash_slinger": answer["hash_slinger"].get("3 1 1"),
        "agree": whole and all(ours[parameters] == data for parameters, data in others if data is not None),
    }


def _ours(pem: str, selector: int, matching_type: int) -> str:
    return str(tlsa_rdata(pem, 3, selector, matching_type)).split()[3]
