# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A resolver for tests: a dictionary with DNSSEC."""

from __future__ import annotations

import typing as t
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer, Status

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from ansible_collections.mailsec.dane.plugins.module_utils._lookups import Lookup


@dataclass
class DictionaryDns:
    """Answers from `records`, keyed by "name TYPE"; aliases are followed; `insecure` names answer without AD.

    A name without any record, and one in `hidden`, is NXDOMAIN. `broken` maps "name TYPE" to whether its failure is
    one of validation.
    """

    records: dict[str, Iterable[str]]
    insecure: set[str] = field(default_factory=set)
    broken: dict[str, bool] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    validates: bool = True
    address: str = "127.0.0.1"
    validates_without_signatures: bool = True
    asked: list[str] = field(default_factory=list)
    signatures: list[bool] = field(default_factory=list)

    @property
    def believable(self) -> bool:
        return self.address == "127.0.0.1"

    @asynccontextmanager
    async def lookups(self, *, signatures: bool) -> AsyncIterator[Lookup]:
        self.signatures.append(signatures)
        yield self.lookup

    async def lookup(self, name: str, rdtype: str) -> Answer:
        self.asked.append(f"{name} {rdtype}")
        if name == ".":
            secure = self.validates and (self.validates_without_signatures or self.signatures[-1])
            return Answer(".", rdtype, Status.FOUND, secure, 60, ("a.root.",), ".", ())
        chain: list[str] = []
        current, secure = name, name not in self.insecure
        while rdtype != "CNAME" and f"{current} CNAME" in self.records:
            current = next(iter(self.records[f"{current} CNAME"]))
            chain.append(current)
            secure = secure and current not in self.insecure
        question = f"{current} {rdtype}"
        if question in self.broken:
            raise LookupFailed(f"no answer to {question}", bogus=self.broken[question])
        found = tuple(sorted(self.records.get(question, ())))
        known = current not in self.hidden and any(
            key.split(" ")[0] == current or key.split(" ")[0].endswith(f".{current}") for key in self.records
        )
        status = Status.FOUND if found else Status.NODATA if known else Status.NXDOMAIN
        return Answer(name, rdtype, status, secure, 60, found, current, tuple(chain))
