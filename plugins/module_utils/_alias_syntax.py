# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The text of one alias, read as Postfix reads it: its words, and where its right-hand side delivers (aliases(5)).

Postfix takes both sides of an alias for addresses of RFC 822. So quoting, comments in parentheses and backslashes
count, a "#" inside a line does not begin a comment, and words without a comma between them are separate addresses. A
backslash only quotes the next character: ``\\root`` is ``root``, unlike with Sendmail.
"""

from __future__ import annotations

import enum
import typing as t
from dataclasses import dataclass

__all__ = ["Destination", "Kind", "Token", "destinations", "fold", "internal_form", "quoted_name", "scan"]

_SPACE: t.Final = " \t\r\n"
_OPERATORS: t.Final = '|%!()<>@,;:\\".[]'
_INCLUDE: t.Final = ":include:"


class Kind(enum.Enum):
    """What a destination is."""

    ADDRESS = "address"
    COMMAND = "command"
    FILE = "file"
    INCLUDE = "include"
    HOME = "home"  # ~/file: has a meaning in .forward files only; in an alias Postfix returns the mail


class Token(t.NamedTuple):
    """A word ("w"), a domain literal ("["), a comment ("("), or an operator (the character itself)."""

    kind: str
    text: str
    position: int

    @property
    def is_word(self) -> bool:
        return self.kind in {"w", "["}


@dataclass(frozen=True, slots=True)
class Destination:
    """One place that mail is delivered to.

    ``text`` is the address, the command, or the path; quoting is undone. For an address, ``local`` is its local part
    in the form in which names are compared, and ``domain`` is what follows the "@", None where there is none.
    """

    kind: Kind
    text: str
    local: str = ""
    domain: str | None = None


def fold(name: str) -> str:
    """A name as Postfix compares names: without regard to case."""
    return name.casefold()


def quoted_name(name: str) -> str:
    """A name as it is written left of the colon."""
    if name and not any(character in _OPERATORS.replace(".", "") + _SPACE + "#" for character in name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def scan(text: str) -> list[Token]:
    """The words and operators of a logical line."""
    tokens = []
    position = 0
    while position < len(text):
        start = position
        character = text[position]
        position += 1
        if character in _SPACE:
            continue
        if character == "(":
            position = _end_of_comment(text, position)
            tokens.append(Token("(", text[start:position], start))
        elif character == '"':
            word, position = _collect(text, position, '"')
            tokens.append(Token("w", word, start))
            position += 1
        elif character == "[":
            word, position = _collect(text, position, "]")
            tokens.append(Token("[", f"[{word}]", start))
            position += 1
        elif character != "\\" and character in _OPERATORS:
            tokens.append(Token(character, character, start))
        else:
            word, position = _collect(text, start, _OPERATORS + _SPACE)
            tokens.append(Token("w", word, start))
    return tokens


def _collect(text: str, position: int, stops: str) -> tuple[str, int]:
    """Characters up to one of ``stops``, which a backslash makes an ordinary one, and where they end."""
    word = []
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
            if position == len(text):
                break
            character = text[position]
        elif character in stops:
            break
        word.append(" " if character in _SPACE else character)
        position += 1
    return "".join(word), position


def _end_of_comment(text: str, position: int) -> int:
    level = 1
    while position < len(text) and level:
        if text[position] == "\\":
            position += 1
        elif text[position] == "(":
            level += 1
        elif text[position] == ")":
            level -= 1
        position += 1
    return min(position, len(text))


def internal_form(tokens: t.Iterable[Token]) -> str:
    """Tokens as one string without quoting, the form in which Postfix stores and looks up names."""
    pieces: list[str] = []
    previous: Token | None = None
    for token in tokens:
        plain = previous is not None and (previous.is_word or previous.kind == "(")
        if previous is not None and (
            previous.kind == "," or token.kind == "<" or (plain and (token.is_word or token.kind == "("))
        ):
            pieces.append(" ")
        pieces.append(token.text)
        previous = token
    return "".join(pieces)


def destinations(value: str) -> tuple[Destination, ...]:
    """Where the right-hand side of an alias, or a line of an :include: file, delivers; none twice, and none empty."""
    found = dict.fromkeys(_destination(address) for address in _addresses(scan(value)))
    return tuple(destination for destination in found if destination.text)


def _addresses(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each address: split at commas and between words, freed of comments, phrases and group names."""
    found: list[list[Token]] = []
    for item in _items(tokens):
        if any(token.kind == "<" for token in item) and any(token.kind == ">" for token in item):
            first = max(number for number, token in enumerate(item) if token.kind == "<")
            last = max(number for number, token in enumerate(item) if token.kind == ">")
            found.append(item[first + 1 : last])
            continue
        address: list[Token] = []
        for token in item:
            if token.is_word and address and address[-1].is_word:
                found.append(address)
                address = []
            address.append(token)
        found.append(address)
    return [address for address in found if address]


def _items(tokens: list[Token]) -> list[list[Token]]:
    """What stands between commas, and the members of a group (``name: a, b;``) without its name."""
    items: list[list[Token]] = [[]]
    group_start = 0
    for token in tokens:
        if token.kind == "(":
            continue
        if token.kind == ";":
            _drop_group_name(items, group_start)
            items.append([])
            group_start = len(items) - 1
        elif token.kind == ",":
            items.append([])
        else:
            items[-1].append(token)
    return items


def _drop_group_name(items: list[list[Token]], start: int) -> None:
    for number in range(start, len(items)):
        colons = [place for place, token in enumerate(items[number]) if token.kind == ":"]
        if colons:
            items[number] = items[number][colons[-1] + 1 :]
            return


def _destination(tokens: list[Token]) -> Destination:
    text = internal_form(tokens)
    if text.startswith("/"):
        return Destination(Kind.FILE, text)
    if text.startswith("~"):
        return Destination(Kind.HOME, text)
    if text.startswith("|"):
        return Destination(Kind.COMMAND, text[1:].lstrip())
    if text.casefold().startswith(_INCLUDE):
        return Destination(Kind.INCLUDE, text[len(_INCLUDE) :])
    signs = [number for number, token in enumerate(tokens) if token.kind == "@"]
    if not signs:
        return Destination(Kind.ADDRESS, text, fold(text))
    local, domain = internal_form(tokens[: signs[-1]]), internal_form(tokens[signs[-1] + 1 :])
    return Destination(Kind.ADDRESS, text, fold(local), fold(domain))
