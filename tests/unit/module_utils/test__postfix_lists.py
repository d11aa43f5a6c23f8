# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_lists import listed_as, lists_any

FILES: t.Final = {
    "/list": "# not.example\nHere.example, two.example\n  # nor this.example\n hash:/table\n",
    "/nested": "/list\n",
    "/self": "/self here.example\n",
}
TABLES: t.Final = {"hash:/table": ["table.example"], "proxy:hash:/table": ["proxy.example"]}


@pytest.mark.parametrize(
    ("value", "domain", "expected"),
    [
        ("here.example, localhost", "here.example", True),
        ("here.example localhost", "HERE.example", True),
        ("Here.example", "here.example.", True),
        ("here.example", "sub.here.example", False),
        ("here.example", "here.example..", False),
        ("", "here.example", False),
        ("hash:/table", "table.example", True),
        ("hash:/table", "table.example.", True),
        ("hash:/table", "here.example", False),
        ("proxy:hash:/table", "proxy.example", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("/list", "here.example", True),
        ("/list", "two.example", True),
        ("/list", "table.example", True),
        ("/list", "not.example", False),
        ("/list", "this.example", False),
        ("/nested", "here.example", True),
        ("/self", "here.example", True),
        ("!here.example here.example", "here.example", False),
        ("!!here.example", "here.example", True),
        ("!/list here.example", "here.example", False),
        ("!/list other.example", "other.example", True),
        ("!hash:/table table.example", "table.example", False),
    ],
)
def test_lists_are_read_as_postfix_reads_them(value: str, domain: str, *, expected: bool) -> None:
    keys = listed_as(domain, "mydestination", "")
    found = lists_any(value, keys, lambda table, key: key in TABLES[table], FILES.__getitem__)
    assert found is expected


def test_a_parent_stands_for_a_domain_in_relay_domains_alone() -> None:
    assert listed_as("A.b.example.", "mydestination", "relay_domains") == ("a.b.example",)
    assert listed_as("A.b.example.", "relay_domains", "debug_peer_list, relay_domains") == (
        "a.b.example",
        "b.example",
        "example",
    )
    assert listed_as("a.b.example", "relay_domains", "") == ("a.b.example", ".b.example", ".example")


def test_the_first_entry_that_matches_any_of_the_keys_decides() -> None:
    keys = ("a.example", "example")
    assert not lists_any("!example a.example", keys, lambda _table, _key: False, str)
    assert lists_any("a.example !example", keys, lambda _table, _key: False, str)
