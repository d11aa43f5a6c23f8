# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer, Resolver, Status
from ansible_collections.mailsec.dane.plugins.module_utils._zone_security import zone_problem

if t.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Scripted(Resolver):
    """What is found, by type; the AD bit of each."""

    found: Mapping[str, bool] = field(default_factory=dict)

    def lookup(self, name: str, rdtype: str) -> Answer:
        status = Status.FOUND if rdtype in self.found else Status.NODATA
        return Answer(name, rdtype, status, self.found.get(rdtype, False), 60, (), name, ())


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"SOA": True}, None),
        (
            {"SOA": False},
            "Zone example.org is not signed (no DNSKEY); sign it and have its DS record put into the parent zone",
        ),
        (
            {"SOA": False, "DNSKEY": False},
            "Zone example.org is signed, but its parent has no DS record for it; ask the registrar to add it",
        ),
        (
            {"SOA": False, "DNSKEY": False, "DS": False},
            (
                "Zone example.org has a DS record, but the resolver 127.0.0.1 does not call it secure: either it does "
                "not validate, or a zone above is not signed"
            ),
        ),
    ],
)
def test_problems(found: dict[str, bool], problem: str | None) -> None:
    assert zone_problem(Scripted(found=found), "example.org") == problem


@pytest.mark.parametrize("bogus", [True, False])
def test_a_zone_that_does_not_validate_has_a_problem_and_a_silent_resolver_none(bogus: bool) -> None:
    class Failing(Resolver):
        def lookup(self, name: str, rdtype: str) -> Answer:
            raise LookupFailed(f"{name} {rdtype} failed", bogus=bogus)

    if bogus:
        assert zone_problem(Failing(), "example.org") == ("Zone example.org does not validate: example.org SOA failed")
    else:
        with pytest.raises(LookupFailed, match=r"example\.org SOA failed"):
            zone_problem(Failing(), "example.org")
