# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The three numbers of a TLSA record and their names (RFC 6698 section 2.1, RFC 7218 section 2)."""

from __future__ import annotations

import enum
import re
import typing as t

from ._errors import InvalidRecord

if t.TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DIGEST_LENGTHS",
    "FIELDS",
    "TITLES",
    "MatchingType",
    "Selector",
    "Usage",
    "field_label",
    "field_number",
    "shown",
]


class _Field(enum.IntEnum):
    """A TLSA field whose values have the acronyms of RFC 7218; ``label`` is ours, in lower case."""

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


class Usage(_Field):
    """Certificate usage (RFC 6698 section 2.1.1, acronyms of RFC 7218 section 2.1)."""

    PKIX_TA = 0
    PKIX_EE = 1
    DANE_TA = 2
    DANE_EE = 3
    PRIV_CERT = 255


class Selector(_Field):
    """Selector (RFC 6698 section 2.1.2, acronyms of RFC 7218 section 2.2)."""

    CERT = 0
    SPKI = 1
    PRIV_SEL = 255


class MatchingType(_Field):
    """Matching type (RFC 6698 section 2.1.3, acronyms of RFC 7218 section 2.3)."""

    FULL = 0
    SHA2_256 = 1
    SHA2_512 = 2
    PRIV_MATCH = 255


DIGEST_LENGTHS: t.Final[Mapping[int, int]] = {MatchingType.SHA2_256: 32, MatchingType.SHA2_512: 64}
"""Octets of association data, for each matching type that is a digest."""

FIELDS: t.Final[Mapping[str, type[_Field]]] = {"usage": Usage, "selector": Selector, "matching_type": MatchingType}
TITLES: t.Final[Mapping[str, str]] = {
    "usage": "certificate usage",
    "selector": "selector",
    "matching_type": "matching type",
}
# RFC 7218 writes PrivCert, our labels priv-cert: hyphens do not count when a name is read.
_NUMBERS: t.Final[Mapping[str, Mapping[str, int]]] = {
    field: {member.name.lower().replace("_", ""): int(member) for member in members}
    for field, members in FIELDS.items()
}


def shown(value: object) -> str:
    """The value as a message shows it: never pages of hexadecimal."""
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:120]}... ({len(text)} characters)"


def field_number(field: str, value: object) -> int:
    """The number of a usage, selector or matching type, given as number, digits or name in any case.

    ``field`` is ``usage``, ``selector`` or ``matching_type``. Numbers without a name are kept as they are: private and
    future values must survive. Raises InvalidRecord.
    """
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = int(value)
    elif isinstance(value, str):
        text = value.strip()
        digits = re.fullmatch(r"[0-9]{1,3}", text)
        number = int(text) if digits else _NUMBERS[field].get(text.lower().replace("-", ""))
    if number is None or not 0 <= number <= 255:
        names = ", ".join(f"{member.label} ({int(member)})" for member in FIELDS[field])
        msg = f"{shown(value)} is no {TITLES[field]}: expected a number from 0 to 255 or one of {names}"
        raise InvalidRecord(msg)
    return number


def field_label(field: str, number: int) -> str | int:
    """The name of a usage, selector or matching type in lower case; the number itself where it has none."""
    try:
        return FIELDS[field](number).label
    except ValueError:
        return number
