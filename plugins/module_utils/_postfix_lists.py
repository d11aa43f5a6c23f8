# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Postfix's lists of domains, such as mydestination: names, tables, files, and exceptions (postconf(5))."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ._names import names_upwards
from ._postfix import split_list

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = ["listed_as", "lists_any", "read_list"]

_DEPTH: t.Final = 20  # of files that name files; one that names itself has no end


def lists_any(
    value: str, keys: Collection[str], contains: Callable[[str, str], bool], content: Callable[[str], str]
) -> bool:
    """Whether a list has one of the keys, which are in lower case and without a final dot.

    The first entry that matches any of them decides; with "!" before it, it decides for no. ``contains`` says whether a
    table (``type:name``) has a key, ``content`` what a file (``/name``) holds; what they raise is passed on. A file is
    read as a list of its own, in which lines that begin with "#" are comments.
    """
    for entry, wanted in _entries(value, content, wanted=True, depth=0):
        table = ":" in entry and not entry.startswith("[")
        if any(contains(entry, key) for key in keys) if table else entry.casefold() in keys:
            return wanted
    return False


def listed_as(domain: str, parameter: str, parents_match: str) -> tuple[str, ...]:
    """What may stand for a domain in the list of a parameter; the value is for ``lists_any``.

    In ``relay_domains`` alone a parent is enough, by its name where ``parents_match``
    (parent_domain_matches_subdomains) has that parameter, else with a dot before it.
    """
    key = domain.casefold().removesuffix(".")
    if parameter != "relay_domains":
        return (key,)
    dot = "" if parameter in split_list(parents_match) else "."
    return (key, *(dot + parent for parent in list(names_upwards(key))[1:]))


def _entries(value: str, content: Callable[[str], str], *, wanted: bool, depth: int) -> Iterator[tuple[str, bool]]:
    """Names and tables in order, each with whether a match means yes; files are replaced by what they hold."""
    for item in split_list(value):
        entry = item.lstrip("!")
        meant = wanted is ((len(item) - len(entry)) % 2 == 0)
        if not entry.startswith("/"):
            yield entry, meant
        elif depth < _DEPTH:
            lines = [line for line in content(entry).splitlines() if not line.lstrip().startswith("#")]
            yield from _entries("\n".join(lines), content, wanted=meant, depth=depth + 1)


def read_list(path: str) -> str:
    """What a file of such a list holds. Raises OSError."""
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")
