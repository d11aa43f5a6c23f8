# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PostfixError
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_domains import missing_domains

from postfix_states import postfix_state

if t.TYPE_CHECKING:
    from pathlib import Path

PARENTS: t.Final = {"parent_domain_matches_subdomains": "debug_peer_list,relay_domains"}
TABLE: t.Final = {"example.net", ".example.org"}


def missing(main: dict[str, str], *domains: str) -> tuple[str, ...]:
    state = postfix_state({"parent_domain_matches_subdomains": "", **main})
    return missing_domains(state, domains, lambda _table, key: key in TABLE)


@pytest.mark.parametrize(
    "parameter", ["mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains"]
)
def test_each_class_of_domain_counts(parameter: str) -> None:
    assert missing({parameter: "Example.NET, other.example"}, "example.net", "a.example", "a.example") == ("a.example",)
    assert missing({parameter: "hash:/etc/postfix/domains"}, "example.net", "a.example") == ("a.example",)


def test_a_parent_is_enough_for_relay_domains_alone() -> None:
    assert missing({"mydestination": "example.net", **PARENTS}, "lists.example.net") == ("lists.example.net",)
    assert missing({"relay_domains": "example.net", **PARENTS}, "lists.example.net", "notexample.net") == (
        "notexample.net",
    )
    assert missing({"relay_domains": "hash:x", **PARENTS}, "a.lists.example.net") == ()
    assert missing({"relay_domains": "example.net"}, "lists.example.net") == ("lists.example.net",)
    assert missing({"relay_domains": ".example.net hash:x"}, "lists.example.net", "lists.example.org") == ()


def test_a_file_lists_domains_and_an_exclamation_mark_excepts_one(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("# example.org is elsewhere\nexample.net\n\nexample.com\n")
    names = {"mydestination": f"!example.com {tmp_path}/names"}
    assert missing(names, "example.net", "example.com", "example.org") == ("example.com", "example.org")


def test_a_file_of_domains_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PostfixError, match=f"names {tmp_path}/none, which cannot be read: No such"):
        missing({"virtual_alias_domains": f"{tmp_path}/none"}, "example.net")
