# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""For which mail domains Postfix receives mail, by whatever class of domain (ADDRESS_CLASS_README)."""

from __future__ import annotations

import typing as t

from ._errors import PostfixError
from ._postfix_lists import listed_as, lists_any, read_list

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._postfix import PostfixState

__all__ = ["missing_domains"]

_CLASSES: t.Final = ("mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains")


def missing_domains(
    state: PostfixState, domains: Iterable[str], contains: Callable[[str, str], bool]
) -> tuple[str, ...]:
    """Return those of `domains` that no class of domain has, each once, in the order given.

    `contains` says whether the lookup table with a name (``type:name``) has a key. Raises PostfixError for a file of
    domains that cannot be read.
    """
    return tuple(
        domain
        for domain in dict.fromkeys(domains)
        if not any(_lists(state, parameter, domain, contains) for parameter in _CLASSES)
    )


def _lists(state: PostfixState, parameter: str, domain: str, contains: Callable[[str, str], bool]) -> bool:
    keys = listed_as(domain, parameter, state.value("parent_domain_matches_subdomains"))
    try:
        return lists_any(state.value(parameter), keys, contains, read_list)
    except OSError as error:
        raise PostfixError(
            f"{parameter} names {error.filename}, which cannot be read: {error.strerror}. "
            "Postfix defers all mail meanwhile: put the file back, or take it out of the parameter"
        ) from error
