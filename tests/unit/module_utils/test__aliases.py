# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Postfix makes of each text was taken from `postalias -s` of Postfix 3.7 and 3.10."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._alias_syntax import (
    Destination,
    Kind,
    destinations,
    quoted_name,
)
from ansible_collections.mailsec.dane.plugins.module_utils._aliases import HEADING, decoded, edited, parse
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from hypothesis import assume, given
from hypothesis import strategies as st


def address(text: str, local: str | None = None, domain: str | None = None) -> Destination:
    return Destination(Kind.ADDRESS, text, text if local is None else local, domain)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("root", [address("root")]),
        ("Root", [address("Root", "root")]),
        ("a, b,c", [address("a"), address("b"), address("c")]),
        ("a b", [address("a"), address("b")]),
        ("a, a", [address("a")]),
        ("a,, b,", [address("a"), address("b")]),
        ("joe.doe", [address("joe.doe")]),
        ("Admin@Example.ORG", [address("Admin@Example.ORG", "admin", "example.org")]),
        ("a@[192.0.2.1]", [address("a@[192.0.2.1]", "a", "[192.0.2.1]")]),
        ('"joe doe"@example.org', [address("joe doe@example.org", "joe doe", "example.org")]),
        ('"a@b"@example.org', [address("a@b@example.org", "a@b", "example.org")]),
        ('"a@b"', [address("a@b")]),
        ("\\root", [address("root")]),
        ("root (the boss), admin", [address("root"), address("admin")]),
        ("root (nested (comment) \\) here)", [address("root")]),
        ("The Boss <root@example.org>", [address("root@example.org", "root", "example.org")]),
        ("friends: a, b;, c", [address("a"), address("b"), address("c")]),
        ("/var/mail/archive", [Destination(Kind.FILE, "/var/mail/archive")]),
        ('"/var/mail/the archive"', [Destination(Kind.FILE, "/var/mail/the archive")]),
        ("|/usr/bin/store", [Destination(Kind.COMMAND, "/usr/bin/store")]),
        ('"|/usr/bin/store --to \\"x y\\""', [Destination(Kind.COMMAND, '/usr/bin/store --to "x y"')]),
        ('|"/usr/bin/store x"', [Destination(Kind.COMMAND, "/usr/bin/store x")]),
        (":include:/etc/list", [Destination(Kind.INCLUDE, "/etc/list")]),
        (":Include:/etc/list, root", [Destination(Kind.INCLUDE, "/etc/list"), address("root")]),
        ("~/mbox", [Destination(Kind.HOME, "~/mbox")]),
        ("root # not a comment", [address("root"), address("#"), address("not"), address("a"), address("comment")]),
        ('""', []),
        ("", []),
    ],
)
def test_right_hand_sides_are_read_as_postfix_reads_them(value: str, expected: list[Destination]) -> None:
    assert list(destinations(value)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("root: a\n", {"root": (1,)}),
        ("ROOT: a", {"root": (1,)}),
        ("root : a", {"root": (1,)}),
        ("# c\n\n root: a\nabuse: b\n", {"abuse": (4,)}),
        ("root: a,\n  b\n", {"root": (1, 2)}),
        ("root: a,\n# comment\n\n\tb\nabuse: c\n", {"root": (1, 4), "abuse": (5,)}),
        ("root:\n  a\n", {"root": (1, 2)}),
        ('"joe doe": a\n', {"joe doe": (1,)}),
        ('"a:b": c\n', {"a:b": (1,)}),
        ("a\\:b: c\n", {"a:b": (1,)}),
        ("joe.doe: a\n", {"joe.doe": (1,)}),
        ("owner-list: a\nlist: :include:/l\n", {"owner-list": (1,), "list": (2,)}),
        ("root: a\nroot: b\n", {"root": (1,)}),
    ],
)
def test_aliases_are_found_with_their_lines(text: str, expected: dict[str, tuple[int, ...]]) -> None:
    assert {name: alias.lines for name, alias in parse(text).effective.items()} == expected


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("  root: a\n", "it continues a line, and there is none before it"),
        ("root\n", "it is no pair of name and value with a colon between them"),
        ("root:\n", "it is no pair of name and value with a colon between them"),
        (": a\n", "it is no pair of name and value with a colon between them"),
        ("a, b: c\n", "it has several names before the colon"),
        ("root@example.org: c\n", "the name before the colon has a domain, and it must have none"),
        ("x: y\nx: z\n", "x stands in line 1 already, and that one counts"),
    ],
)
def test_lines_that_postfix_passes_over_are_named(text: str, flaw: str) -> None:
    assert [reason for _line, reason in parse(text).flaws] == [flaw]


def test_a_line_that_is_not_utf_8_is_passed_over_unless_smtputf8_enable_is_off() -> None:
    text = decoded(b"a: b,\n# caf\xe9\n c (\xe9)\nd: e\n")
    assert parse(text).flaws == ((1, "it is not UTF-8, and smtputf8_enable is on"),)
    assert list(parse(text).effective) == ["d"]
    assert list(parse(text, utf8_only=False).effective) == ["a", "d"]
    assert list(parse(decoded("a: b\n# caf\u00e9\n c (\u00e9)\n".encode())).effective) == ["a"]


# --- edits ------------------------------------------------------------------------------------------------------------

USERS_OWN: t.Final = """\
# See man 5 aliases for format
postmaster:    root

# our people
joe.doe:\tjoe   (on holiday)
list:   a,
# c is new
        b, c
"who needs quotes": "|/bin/store it"
broken line
"""


def edit(text: str, additions: dict[str, str] | None = None, removals: tuple[str, ...] = (), **settings: str) -> str:
    return edited(text, settings, additions or {}, removals)


def test_nothing_asked_is_nothing_changed() -> None:
    assert edit(USERS_OWN) == USERS_OWN


def test_new_aliases_are_appended_under_one_heading() -> None:
    once = edit(USERS_OWN, {"abuse": "root"}, root="admin@example.org")
    assert once == f"{USERS_OWN}{HEADING}\nabuse: root\nroot: admin@example.org\n"
    assert edit(once, {"abuse": "root"}, root="admin@example.org") == once
    assert edit(once, {"noc": "root"}) == f"{once}noc: root\n"


def test_a_second_heading_is_written_where_something_of_the_users_came_between() -> None:
    once = edit("", {"abuse": "root"}) + "\n# mine\nx: y\n"
    assert edit(once, {"noc": "root"}) == f"{once}{HEADING}\nnoc: root\n"


def test_a_name_that_must_exist_is_left_as_it_is_where_it_does() -> None:
    text = "Abuse: bob, carol\n"
    assert edit(text, {"abuse": "root"}) == text


def test_an_alias_that_is_set_changes_in_its_place_and_keeps_its_name_and_spacing() -> None:
    assert edit("a: b\nPostmaster:\t  root\nc: d\n", postmaster="x@y.example") == (
        "a: b\nPostmaster:\t  x@y.example\nc: d\n"
    )


def test_an_alias_that_delivers_to_the_same_already_is_not_touched() -> None:
    text = "root: admin@example.org (Admin),\n   bob\n"
    assert edit(text, root="admin@example.org, bob") == text


def test_setting_an_alias_on_several_lines_keeps_the_comments_between_them() -> None:
    assert edit(USERS_OWN, list="d").splitlines()[5:8] == [
        "list:   d",
        "# c is new",
        '"who needs quotes": "|/bin/store it"',
    ]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("root\n : bob\n", "root : x\n"),
        ("root\n# note\n\t:\tbob,\n\n carol\n", "root\t:\tx\n# note\n\n"),
        ('"joe\n doe": bob\n', '"joe doe": x\n'),
        ("root:\n  bob", "root: x\n"),
        ('"a:\n b"\n (:) :  c\n', '"a: b" (:) :  x\n'),
    ],
)
def test_an_alias_is_set_wherever_its_colon_stands(text: str, after: str) -> None:
    name = next(iter(parse(text).effective))
    assert edited(text, {name: "x"}, {}, ()) == after


def test_removing_an_alias_takes_all_its_lines_and_all_of_its_name() -> None:
    text = "a: b,\n c\n# stays\n d\nx: y\nA: z\n"
    assert edit(text, removals=("a",)) == "# stays\nx: y\n"


def test_a_file_without_a_line_break_at_its_end_is_not_glued_to() -> None:
    assert edit("a: b", root="c") == f"a: b\n{HEADING}\nroot: c\n"


def test_names_are_quoted_where_they_must_be() -> None:
    assert edited("", {"joe doe": "root"}, {}, ()) == f'{HEADING}\n"joe doe": root\n'
    assert [quoted_name(name) for name in ("joe.doe", "a:b", 'a"b', "", "a b")] == [
        "joe.doe",
        '"a:b"',
        '"a\\"b"',
        '""',
        '"a b"',
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("a", ""), ("a", "b\nc: d"), ("a\nb", "c"), ("a", "(only a comment)"), ("a", '""'), ("a\0", "b")],
)
def test_what_would_not_be_an_alias_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match="is none that Postfix would take"):
        edited("", {name: value}, {}, ())


def test_a_name_with_a_domain_is_refused_in_words() -> None:
    # Quoted, "@" is a part of the name; Postfix would never look such a name up for mail to that domain.
    with pytest.raises(InvalidInput, match="an alias has no domain"):
        edited("", {"abuse@example.org": "root"}, {}, ())


def test_octets_that_are_no_utf_8_survive() -> None:
    raw = b"# caf\xe9\nx: y\n"
    text = raw.decode("utf-8", "surrogateescape")
    assert edit(text, root="a").encode("utf-8", "surrogateescape") == raw + f"{HEADING}\nroot: a\n".encode()


ANY_FILE: t.Final = st.text(st.sampled_from('ab:,# \t\n"\\()@|/<>;.é\r\v'), max_size=60)


@given(ANY_FILE)
def test_every_alias_outlives_an_edit_of_another(text: str) -> None:
    after = edit(text, {"added": "root"}, set="x@y.example")
    before_aliases = {name: a.destinations for name, a in parse(text).effective.items()}
    after_aliases = {name: a.destinations for name, a in parse(after).effective.items()}
    assert after_aliases == {
        **before_aliases,
        "added": before_aliases.get("added", destinations("root")),
        "set": destinations("x@y.example"),
    }
    assert edit(after, {"added": "root"}, set="x@y.example") == after


GAP: t.Final = st.sampled_from(["", " ", "\n ", "\n# c\n\t", "\n\n (:) "])


@given(ANY_FILE, st.sampled_from(["ab", '"a:b"', '"a\n b"', "a.b"]), GAP, GAP, ANY_FILE, st.data())
def test_an_alias_that_is_there_is_set_and_the_others_outlive_it(
    start: str, name: str, before_colon: str, after_colon: str, end: str, data: st.DataObject
) -> None:
    text = f"{start}\n{name}{before_colon}:{after_colon}x{end}"
    before = {name: a.destinations for name, a in parse(text).effective.items()}
    assume(before)
    chosen = data.draw(st.sampled_from(sorted(before)))
    after = edited(text, {chosen: "x@y.example"}, {}, ())
    expected = before | {chosen: destinations("x@y.example")}
    assert {name: a.destinations for name, a in parse(after).effective.items()} == expected
    assert edited(after, {chosen: "x@y.example"}, {}, ()) == after


@given(ANY_FILE)
def test_comments_and_blank_lines_outlive_any_edit(text: str) -> None:
    def kept(content: str) -> list[str]:
        return [line for line in content.split("\n") if line.lstrip().startswith("#")]

    after = edit(text, removals=("a", "b", "ab"), root="x")
    assert kept(after)[: len(kept(text))] == kept(text)


@given(st.text(min_size=1, max_size=12).filter(lambda name: not set(name) & set("\n\r\t\0@%,\v\f")))
def test_any_quoted_name_is_read_as_itself(name: str) -> None:
    line = f"{quoted_name(name)}: x\n"
    assert list(parse(line).effective) == [name.casefold()]


# --- beside Postfix ---------------------------------------------------------------------------------------------------

SCENARIO: t.Final = Path(__file__).parents[3] / "molecule" / "mail_aliases"


def test_aliases_are_read_as_postalias_lists_them() -> None:
    """The listing is what the scenario sees postalias make of the file, on Debian 12 and 13."""
    found = parse((SCENARIO / "torture.aliases").read_text())
    listed = dict(line.split(":\t", 1) for line in (SCENARIO / "torture.listing").read_text().splitlines())
    assert {name: alias.destinations for name, alias in found.effective.items()} == {
        name: destinations(value) for name, value in listed.items()
    }
    assert [line for line, _flaw in found.flaws] == [28, 29, 30, 31, 32, 34]
