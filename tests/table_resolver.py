# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A resolver for tests that answers from a table."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer, Resolver, Status

if t.TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Table"]


@dataclass(frozen=True)
class Table(Resolver):
    """The table leads from name and type to records; what is not in it is a denial. Remembers what it was asked."""

    found: Mapping[tuple[str, str], tuple[str, ...] | LookupFailed] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    signer: str | None = None

    def lookup(self, name: str, rdtype: str) -> Answer:
        self.asked.append((name, rdtype))
        records = self.found.get((name, rdtype), ())
        if isinstance(records, LookupFailed):
            raise records
        status = Status.FOUND if records else Status.NODATA
        return Answer(name, rdtype, status, True, 60, records, name, (), self.signer if records else None)
