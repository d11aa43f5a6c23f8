# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""For which mail domains Postfix receives mail, by whatever class of domain (ADDRESS_CLASS_README)."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ._names import names_upwards
from ._postfix import PostfixState, split_list

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Contains = Callable[[str, str], bool]
    """Whether the lookup table with this name has this key."""

__all__ = ["missing_domains"]

_CLASSES: t.Final = ("mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains")


def missing_domains(state: PostfixState, domains: Iterable[str], contains: Contains) -> tuple[str, ...]:
    """Return those of `domains` that no class of domain has, each once, in the order given."""
    return tuple(
        domain
        for domain in dict.fromkeys(domains)
        if not any(_lists(state, name, domain.lower(), contains) for name in _CLASSES)
    )


def _lists(state: PostfixState, parameter: str, domain: str, contains: Contains) -> bool:
    """Whether the list of one class has the domain; of ``relay_domains`` alone a parent is enough (postconf(5))."""
    if parameter != "relay_domains":
        return bool(_matches(state.value(parameter), [domain], contains))
    parents = list(names_upwards(domain))[1:]
    if "relay_domains" not in split_list(state.value("parent_domain_matches_subdomains")):
        parents = [f".{parent}" for parent in parents]
    return bool(_matches(state.value(parameter), [domain, *parents], contains))


def _matches(value: str, keys: list[str], contains: Contains) -> bool | None:
    """What a domain list (names, ``type:table`` and /file entries, ``!`` before an exception) says of any of `keys`.

    The first entry that matches decides; None where none does.
    """
    for entry in split_list(value):
        pattern = entry.lstrip("!")
        if pattern.startswith("/"):
            found = _matches(_text(pattern), keys, contains)
        elif ":" in pattern:
            found = any(contains(pattern, key) for key in keys)
        else:
            found = pattern.lower() in keys
        if found:
            return not entry.startswith("!")
    return None


def _text(path: str) -> str:
    """The entries in a file, one a line, without comments; none where the file is not there."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))
