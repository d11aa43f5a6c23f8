# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._alias_routes import Found, Host, Survey, survey
from ansible_collections.mailsec.dane.plugins.module_utils._alias_syntax import Kind, destinations
from ansible_collections.mailsec.dane.plugins.module_utils._aliases import parse

ACCOUNTS: t.Final = ("root", "bob")
FILES: t.Final = {
    "/list": "bob\na@elsewhere.example\n",
    "/empty": "",
    "/self": ":include:/self\nbob",
    "/loop": "list",
    "/run": "|/bin/store",
    "/keep": "/var/mail/kept",
}


def look(
    text: str,
    *required: str,
    others: t.Mapping[str, str] | None = None,
    here: tuple[str | None, ...] = (None, "here.example"),
    delimiters: str = "",
    swaps_bangpath: bool = True,
    allows_percent: bool = True,
    allowed: t.Collection[tuple[Kind, str]] = ((Kind.COMMAND, "alias"), (Kind.FILE, "alias")),
) -> Survey:
    file = parse(text).effective
    tables = {name: Found(destinations(value), "hash:/others") for name, value in (others or {}).items()}
    tables |= {name: Found(alias.destinations, f"line {alias.lines[0]}") for name, alias in file.items()}
    host = Host(
        names=tuple(file),
        lookup=tables.get,
        is_here=lambda domain: domain in here,
        has_account=lambda name: name in ACCOUNTS,
        included=lambda path: destinations(FILES[path]) if path in FILES else "that file cannot be read",
        allows=lambda kind, origin: (kind, origin) in allowed,
        swaps_bangpath=swaps_bangpath,
        allows_percent=allows_percent,
        delimiters=delimiters,
    )
    return survey(required, host)


@pytest.mark.parametrize(
    "text",
    [
        "root: a@elsewhere.example\npostmaster: root\n",
        "root: bob\npostmaster: ROOT@Here.Example\n",
        "root: bob\npostmaster: root, a@elsewhere.example\n",
        "root: |/bin/store\npostmaster: root\n",
        "root: /var/mail/archive\npostmaster: root\n",
        "root: :include:/list\npostmaster: root\n",
        "root: :include:/self\npostmaster: root\n",
        "root: bob, /dev/null\npostmaster: root\n",
        "root: a@elsewhere.example\npostmaster: root\nbob: bob, b@elsewhere.example\n",
        "root: a@elsewhere.example\npostmaster: root\nbob: \\bob\n",
    ],
)
def test_names_that_reach_somebody_are_fine(text: str) -> None:
    assert look(text, "postmaster", "root") == Survey((), ())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "a: b\nb: a\n",
            "a (line 1), which leads to b (line 2), which leads to a again: that is a loop, and such mail is returned",
        ),
        (
            "x: y@here.example\n# c\ny:\n z\nz: x, a@elsewhere.example\n",
            (
                "x (line 1), which leads to y (line 3), which leads to z (line 5), which leads to x again: "
                "that is a loop, and such mail is returned"
            ),
        ),
        ("list: :include:/list\n", ""),
    ],
)
def test_loops_are_found_wherever_they_are(text: str, error: str) -> None:
    assert look(text).errors == ((error,) if error else ())


def test_an_include_file_takes_part_in_loops() -> None:
    assert look("list: other\nother: :include:/loop\n").errors == (
        (
            "list (line 1), which leads to other (line 2), which leads to list again: "
            "that is a loop, and such mail is returned"
        ),
    )


def test_two_loops_are_two_errors_and_each_is_told_once() -> None:
    assert len(look("a: b\nb: a\nc: d, a\nd: c, b\n").errors) == 2


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("", ["root ends in root's own mailbox on this host, which nobody reads"]),
        ("root: root\n", ["root (line 1) ends in root's own mailbox on this host, which nobody reads"]),
        ("root: \\root\n", ["root (line 1) ends in root's own mailbox on this host, which nobody reads"]),
        ("root: alice\n", ["alice is neither an alias nor an account on this host, and mail to root goes there"]),
        (
            "root: bob, alice@here.example\n",
            ["alice is neither an alias nor an account on this host, and mail to root goes there"],
        ),
        ("root: ~/mbox\n", ["root (line 1) leads to ~/mbox, and an alias has no home directory"]),
        ("root: :include:/none\n", ["root (line 1) leads to :include:/none, and that file cannot be read"]),
        ("root: :include:/empty\n", ["root (line 1) leads to :include:/empty, and that file lists nobody"]),
        ('root: ""\n', ["root (line 1) leads to nothing at all"]),
        ("root: /dev/null\n", ["root (line 1) leads to /dev/null only, and mail to it must reach somebody"]),
    ],
)
def test_a_required_name_must_reach_somebody(text: str, errors: list[str]) -> None:
    assert list(look(text, "root").errors) == errors


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("alice%elsewhere.example", None),
        ("elsewhere.example!alice", None),
        ("alice%elsewhere.example@here.example", None),
        ('"alice@elsewhere.example"@here.example', None),
        ("alice%here.example@elsewhere.example", None),
        ("alice%here.example", "alice"),
        ("here.example!alice@here.example", "alice"),
        ("here.example!elsewhere.example!alice", None),
        ("here.example!alice%elsewhere.example", None),
        ("elsewhere.example!alice%here.example", None),
        ("alice%elsewhere.example%here.example", None),
        ("alice%here.example%here.example", "alice"),
    ],
)
def test_addresses_within_local_parts_are_followed(address: str, name: str | None) -> None:
    error = f"{name} is neither an alias nor an account on this host, and mail to root goes there"
    assert look(f"root: {address}\n", "root").errors == ((error,) if name else ())


@pytest.mark.parametrize(
    ("address", "swaps_bangpath", "allows_percent", "name"),
    [
        ("a%elsewhere.example", True, False, "a%elsewhere.example"),
        ("elsewhere.example!a", False, True, "elsewhere.example!a"),
        ("b!a%elsewhere.example", False, True, None),
        ("elsewhere.example!a%b", True, False, None),
    ],
)
def test_local_parts_are_taken_as_they_are_where_postfix_is_told_so(
    address: str, *, swaps_bangpath: bool, allows_percent: bool, name: str | None
) -> None:
    found = look(f"root: {address}\n", "root", swaps_bangpath=swaps_bangpath, allows_percent=allows_percent)
    error = f"{name} is neither an alias nor an account on this host, and mail to root goes there"
    assert found.errors == ((error,) if name else ())


@pytest.mark.parametrize(
    ("text", "needs", "error"),
    [
        (
            "root: |/bin/store\n",
            (Kind.COMMAND, "alias"),
            "root (line 1) leads to |/bin/store, and allow_mail_to_commands does not have alias",
        ),
        (
            "root: /var/mail/kept\n",
            (Kind.FILE, "alias"),
            "root (line 1) leads to /var/mail/kept, and allow_mail_to_files does not have alias",
        ),
        (
            "root: :include:/run\n",
            (Kind.COMMAND, "include"),
            "root (line 1) leads to |/bin/store by :include:/run, and allow_mail_to_commands does not have include",
        ),
        (
            "root: :include:/keep\n",
            (Kind.FILE, "include"),
            "root (line 1) leads to /var/mail/kept by :include:/keep, and allow_mail_to_files does not have include",
        ),
    ],
)
def test_commands_and_files_count_where_local_delivers_to_them(text: str, needs: tuple[Kind, str], error: str) -> None:
    everything = {(kind, origin) for kind in (Kind.COMMAND, Kind.FILE) for origin in ("alias", "include")}
    assert look(text, "root", allowed={needs}) == Survey((), ())
    assert look(text, "root", allowed=everything - {needs}).errors == (f"{error}, so Postfix returns the mail",)


def test_an_alias_to_itself_means_the_account_and_there_must_be_one() -> None:
    assert look("noc: noc\n", "noc").errors == (
        "noc (line 1) leads to itself, and there is no account noc on this host",
    )


def test_one_dead_end_is_told_once_with_all_names_that_end_there() -> None:
    found = look("root: alice\nabuse: root\npostmaster: root\n", "postmaster", "abuse", "root")
    assert found.errors == (
        "alice is neither an alias nor an account on this host, and mail to postmaster, abuse, root goes there",
    )


def test_other_names_that_reach_nobody_are_warnings() -> None:
    found = look("root: bob\nold: gone\n", "root")
    assert found == Survey((), ("gone is neither an alias nor an account on this host",))


def test_aliases_of_other_tables_count() -> None:
    assert look("root: lists\n", "root", others={"lists": "bob"}) == Survey((), ())
    assert look("root: lists\n", "root", others={"lists": "root"}).errors == (
        (
            "lists (hash:/others), which leads to root (line 1), which leads to lists again: "
            "that is a loop, and such mail is returned"
        ),
    )


def test_where_names_without_a_domain_leave_the_host_they_end_there() -> None:
    assert look("postmaster: root\n", "postmaster", here=("here.example",)) == Survey((), ())


def test_an_extension_leads_to_the_name_before_it() -> None:
    assert look("root: bob+root@here.example\n", "root", delimiters="+-") == Survey((), ())
    assert look("root: bob+root@here.example\n", "root").errors != ()
    assert look("root: x+y\nx+y: bob\nx: alice\n", "root", delimiters="+") == Survey(
        (), ("alice is neither an alias nor an account on this host",)
    )


def test_aliases_that_fan_out_are_followed_without_taking_forever() -> None:
    layers = "".join(f"a{n}: a{n + 1}, b{n + 1}\nb{n}: a{n + 1}, b{n + 1}\n" for n in range(2000))
    assert look(f"{layers}a2000: bob\nb2000: bob\n", "a0") == Survey((), ())
