# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""An alias file: its aliases and their lines, and the file with some aliases set, added or removed.

Whatever is not asked for stays as it is: other aliases, comments, blank lines, order and spacing.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ._alias_syntax import Destination, destinations, fold, internal_form, quoted_name, scan
from ._errors import InvalidInput

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["HEADING", "Alias", "AliasFile", "decoded", "edited", "encoded", "parse", "shown"]

HEADING: t.Final = "# Names that must exist (RFC 2142, RFC 5321, RFC 8460), added by Ansible (mailsec.dane):"

_BLANK: t.Final = " \t\n\v\f\r"
_NOT_UTF_8: t.Final = "it is not UTF-8, and smtputf8_enable is on"
_SURROGATE = re.compile("[\udc80-\udcff]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class Alias:
    """One alias; ``lines`` are the numbers (from 1) of the lines that it stands on, without comments in between."""

    name: str
    destinations: tuple[Destination, ...]
    lines: tuple[int, ...]


@dataclass(frozen=True)
class AliasFile:
    """Every alias in order, and the lines that Postfix passes over, each with the reason."""

    aliases: tuple[Alias, ...]
    flaws: tuple[tuple[int, str], ...]

    @property
    def effective(self) -> dict[str, Alias]:
        """Name to alias; of several with one name Postfix keeps the first."""
        found: dict[str, Alias] = {}
        for alias in self.aliases:
            found.setdefault(alias.name, alias)
        return found


def decoded(content: bytes) -> str:
    """An alias file's text; octets that are not UTF-8 come as surrogates, and :func:`encoded` gives them back."""
    return content.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """The octets of a text, as :func:`decoded` took them."""
    return text.encode("utf-8", "surrogateescape")


def shown(text: str) -> str:
    r"""A text fit to be shown: an octet that is not UTF-8 is written as ``\xf6``."""
    return encoded(text).decode("utf-8", "backslashreplace")


def parse(text: str, *, utf8_only: bool = True) -> AliasFile:
    """Read an alias file as postalias(1) does.

    ``utf8_only``: whether smtputf8_enable is on, as it is by default; lines that are not UTF-8 are then passed over.
    """
    aliases: list[Alias] = []
    flaws: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    for numbers, line in _logical_lines(text):
        if line[0] in _BLANK:
            flaws.append((numbers[0], "it continues a line, and there is none before it"))
            continue
        found = _NOT_UTF_8 if utf8_only and _SURROGATE.search(line) else _alias(line, numbers)
        if isinstance(found, str):
            flaws.append((numbers[0], found))
            continue
        if found.name in seen:
            flaws.append((numbers[0], f"{found.name} stands in line {seen[found.name]} already, and that one counts"))
        seen.setdefault(found.name, numbers[0])
        aliases.append(found)
    return AliasFile(tuple(aliases), tuple(flaws))


def _logical_lines(text: str) -> list[tuple[tuple[int, ...], str]]:
    """The numbers of the lines that make up a logical line, and its text. Comments and blank lines end none."""
    found: list[tuple[list[int], list[str]]] = []
    for number, line in enumerate(_LINE.findall(text), 1):
        body = line.removesuffix("\n")
        stripped = body.lstrip(_BLANK)
        if not stripped or stripped.startswith("#"):
            continue
        if body[0] in _BLANK and found:
            found[-1][0].append(number)
            found[-1][1].append(body)
        else:
            found.append(([number], [body]))
    return [(tuple(numbers), "".join(bodies)) for numbers, bodies in found]


def _alias(line: str, numbers: tuple[int, ...]) -> Alias | str:
    """The alias, or why Postfix does not take the line for one."""
    tokens = scan(line)
    colon = next((number for number, token in enumerate(tokens) if token.kind == ":"), None)
    if colon is None or not tokens[:colon] or not tokens[colon + 1 :]:
        return "it is no pair of name and value with a colon between them"
    key = tokens[:colon]
    if any(token.kind == "," for token in key):
        return "it has several names before the colon"
    if any(token.kind in "@%" for token in key):
        return "the name before the colon has a domain, and it must have none"
    return Alias(fold(internal_form(key)), destinations(line[tokens[colon].position + 1 :]), numbers)


def edited(
    text: str,
    settings: Mapping[str, str],
    additions: Mapping[str, str],
    removals: Iterable[str],
    *,
    utf8_only: bool = True,
) -> str:
    """The file with ``settings`` as they are given, ``additions`` where the name is missing, and without ``removals``.

    Each maps a name to a right-hand side. An alias that is set stays where it stands; one that delivers to the same
    places already is not touched. Raises InvalidInput for a name or a right-hand side that Postfix would not take.
    """
    for name, value in (*settings.items(), *additions.items()):
        _refuse_unreadable(name, value)
    wanted = {fold(name): value for name, value in settings.items()}
    removed = {fold(name) for name in removals}
    lines = _LINE.findall(text)
    file = parse(text, utf8_only=utf8_only)
    present = set()
    for alias in file.aliases:
        if alias.name in removed:
            _replace(lines, alias, "")
        elif alias.name in wanted and alias.name not in present:
            present.add(alias.name)
            if alias.destinations != destinations(wanted[alias.name]):
                bodies = [lines[number - 1].removesuffix("\n") for number in alias.lines]
                _replace(lines, alias, _with_value(bodies, wanted[alias.name]))
        else:
            present.add(alias.name)
    missing = {
        fold(name): f"{quoted_name(name)}: {value}\n"
        for name, value in (*additions.items(), *settings.items())
        if fold(name) not in present | removed
    }
    return _appended("".join(lines), list(missing.values()))


def _refuse_unreadable(name: str, value: str) -> None:
    if "@" in name:
        msg = f"{name!r} cannot be an alias: an alias has no domain, it is for every domain in mydestination"
        raise InvalidInput(msg)
    line = f"{quoted_name(name)}: {value}"
    found = None if "\n" in line or "\0" in line else _alias(line, (1,))
    if not isinstance(found, Alias) or found.name != fold(name) or not found.destinations:
        why = found if isinstance(found, str) else "it delivers to nothing, or has a line break"
        msg = f"The alias {line!r} is none that Postfix would take: {why}"
        raise InvalidInput(msg)


def _replace(lines: list[str], alias: Alias, replacement: str) -> None:
    """Put a line in the place of an alias's first one and empty its others; comments between them stay."""
    for number in alias.lines:
        lines[number - 1] = ""
    lines[alias.lines[0] - 1] = replacement


def _with_value(bodies: list[str], value: str) -> str:
    """An alias of these lines with another value, on one line; the name and the spacing around its colon are kept."""
    line = ""
    for body in bodies:
        line += body
        colon = next((token.position for token in scan(line) if token.kind == ":"), None)
        if colon is not None:
            rest = line[colon + 1 :].rstrip(_BLANK)
            spacing = rest[: len(rest) - len(rest.lstrip(_BLANK))] or " "
            return f"{line[: colon + 1]}{spacing}{value}\n"
    msg = f"an alias without a colon: {bodies}"
    raise AssertionError(msg)


def _appended(text: str, entries: list[str]) -> str:
    if not entries:
        return text
    lines = text if text.endswith("\n") or not text else f"{text}\n"
    _before, found, since = lines.rpartition(f"{HEADING}\n")
    ours = bool(found) and not any(not line.strip() or line.startswith("#") for line in since.splitlines())
    return lines + ("" if ours else f"{HEADING}\n") + "".join(entries)
