# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Records as publishers hold them, of whichever type: TLSA, and TXT for TLS reporting. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._errors import InvalidRecord

__all__ = ["Record", "TextRecord"]

_MAX_STRING: t.Final = 255  # octets of one string in a TXT record (RFC 1035 section 3.3)


class Record(t.Protocol):
    """One record's data. It can be compared, sorted, and put into a set."""

    RDTYPE: t.ClassVar[str]

    @classmethod
    def from_text(cls, text: str) -> t.Self:
        """Read presentation form. Raises InvalidRecord."""

    @classmethod
    def from_wire(cls, wire: bytes) -> t.Self:
        """Read RDATA. Raises InvalidRecord."""

    def to_wire(self) -> bytes:
        """RDATA."""

    def to_text(self) -> str:
        """Presentation form."""

    def __lt__(self, other: t.Any, /) -> bool:  # noqa: ANN401  # dataclasses compare with their own kind only
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, order=True, slots=True)
class TextRecord:
    """One TXT record: strings of 255 octets at most. What they say is all of them together."""

    RDTYPE: t.ClassVar[str] = "TXT"

    strings: tuple[bytes, ...]

    @classmethod
    def of(cls, text: str) -> TextRecord:
        """A record that says `text`, which is ASCII."""
        octets = text.encode("ascii")
        return cls(tuple(octets[at : at + _MAX_STRING] for at in range(0, len(octets) or 1, _MAX_STRING)))

    @classmethod
    def from_wire(cls, wire: bytes) -> TextRecord:
        """Read RDATA (RFC 1035 section 3.3.14). Raises InvalidRecord."""
        strings = []
        position = 0
        while position < len(wire):
            end = position + 1 + wire[position]
            strings.append(wire[position + 1 : end])
            position = end
        if not strings or position != len(wire):
            msg = f"The {len(wire)} octets of a TXT record are cut short"
            raise InvalidRecord(msg)
        return cls(tuple(strings))

    @classmethod
    def from_text(cls, text: str) -> TextRecord:
        r"""Read presentation form, ``"v=TLSRPTv1; " "rua=..."``, with ``\"`` and ``\065``. Raises InvalidRecord.

        Text without quotes is one string, blanks included, as providers' programs give it.
        """
        stripped = text.strip()
        if not stripped.startswith('"'):
            octets = stripped.encode()
            return cls(tuple(octets[at : at + _MAX_STRING] for at in range(0, len(octets) or 1, _MAX_STRING)))
        strings = []
        position = 0
        while position < len(stripped):
            if stripped[position] != '"':
                msg = f"The TXT record {text!r} has something between its strings"
                raise InvalidRecord(msg)
            string, position = _quoted(stripped, position + 1)
            strings.append(string)
            position += len(stripped) - position - len(stripped[position:].lstrip())
        return cls(tuple(strings))

    @property
    def text(self) -> str:
        """What it says; octets that are no ASCII are replaced."""
        return b"".join(self.strings).decode("ascii", "replace")

    def to_wire(self) -> bytes:
        return b"".join(bytes((len(string),)) + string for string in self.strings)

    def to_text(self) -> str:
        return " ".join(f'"{"".join(_escaped(octet) for octet in string)}"' for string in self.strings)


def _quoted(text: str, position: int) -> tuple[bytes, int]:
    """The string that begins at `position`, and where the text goes on after its closing quote."""
    octets = bytearray()
    while position < len(text):
        character = text[position]
        if character == '"':
            if len(octets) > _MAX_STRING:
                break
            return bytes(octets), position + 1
        if character == "\\":
            digits = text[position + 1 : position + 4]
            if digits.isascii() and digits.isdigit() and len(digits) == 3 and int(digits) < 256:
                octets.append(int(digits))
                position += 4
                continue
            position += 1
            character = text[position : position + 1]
        octets += character.encode()
        position += 1
    msg = f"The TXT record {text!r} has a string without an end, or of more than {_MAX_STRING} octets"
    raise InvalidRecord(msg)


def _escaped(octet: int) -> str:
    character = chr(octet)
    if character in '"\\':
        return f"\\{character}"
    return character if 0x20 <= octet < 0x7F else f"\\{octet:03d}"
