# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which values of a dictionary of settings, whose keys others have chosen, are secrets."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["all_values", "secret_values"]

_SECRET: t.Final = re.compile(
    r"auth|cookie|credential|key|pass|private|pin\b|pwd|secret|session|sign|token", re.IGNORECASE
)
_HARMLESS: t.Final = re.compile(r"(algorithm|file|name|path)$", re.IGNORECASE)  # key_name is not the key
_SHORT: t.Final = 4
"""Characters. What is shorter keeps no secret, and hiding it would mutilate all that is printed."""


def secret_values(settings: Mapping[str, t.Any]) -> frozenset[str]:
    """The values, as text, that stand under a key whose name calls for it, at any depth."""
    return frozenset(text for secret, text in _leaves(settings, secret=False) if secret and len(text) >= _SHORT)


def all_values(settings: Mapping[str, t.Any]) -> frozenset[str]:
    """Every value, as text, at any depth."""
    return frozenset(text for _secret, text in _leaves(settings, secret=False))


def _leaves(value: object, *, secret: bool) -> Iterator[tuple[bool, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, secret=secret or _keeps_secret(str(key)))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner, secret=secret)
    elif value is not None and not isinstance(value, bool):
        yield secret, str(value)


def _keeps_secret(key: str) -> bool:
    return bool(_SECRET.search(key)) and not _HARMLESS.search(key)
