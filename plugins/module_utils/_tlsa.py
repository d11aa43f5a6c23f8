# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLSA records as values: three written forms and the wire form, all of them inverses (RFC 6698, RFC 7218, RFC 3597).

Whatever can stand in the DNS can be read, so that it can be reported; ``problems`` says why a record must not be
published. Comparison is of the numbers and the octets, never of text.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ._errors import InvalidRecord
from ._names import tlsa_owner_name
from ._tlsa_fields import (
    DIGEST_LENGTHS,
    FIELDS,
    TITLES,
    MatchingType,
    Selector,
    Usage,
    field_label,
    field_number,
    shown,
)

__all__ = [
    "DIGEST_LENGTHS",
    "MatchingType",
    "Selector",
    "TlsaRecord",
    "Usage",
    "field_label",
    "field_number",
    "tlsa_owner_name",
]


_EMPTY_DIGESTS: t.Final = {hashlib.sha256(b"").digest(): "SHA2-256", hashlib.sha512(b"").digest(): "SHA2-512"}
_MAX_DATA: t.Final = 65535 - 3  # RDLENGTH has 16 bits, three octets of which are taken


def _octets(text: str, whole: object) -> bytes:
    """Hexadecimal, in any case and with white space anywhere (RFC 6698 section 2.2), as octets."""
    digits = "".join(text.split())
    if not re.fullmatch(r"[0-9A-Fa-f]*", digits):
        msg = f"Certificate association data must be hexadecimal digits, in {shown(whole)}"
        raise InvalidRecord(msg)
    if len(digits) % 2:
        msg = f"Certificate association data has an odd number of hexadecimal digits ({len(digits)}), in {shown(whole)}"
        raise InvalidRecord(msg)
    return binascii.unhexlify(digits)


@dataclass(frozen=True, order=True, slots=True)
class TlsaRecord:
    """One TLSA record's data: three numbers from 0 to 255 and the octets that they speak of."""

    RDTYPE: t.ClassVar[str] = "TLSA"

    usage: int
    selector: int
    matching_type: int
    data: bytes

    def __post_init__(self) -> None:
        for field, value in (
            ("usage", self.usage),
            ("selector", self.selector),
            ("matching_type", self.matching_type),
        ):
            if value.__class__ is not int or not 0 <= value <= 255:
                # A member of an enumeration becomes a plain number: it would show as itself in what Ansible returns.
                object.__setattr__(self, field, field_number(field, value))
        if len(self.data) > _MAX_DATA:
            msg = (
                f"Certificate association data of {len(self.data)} octets does not fit into a DNS record ({_MAX_DATA})"
            )
            raise InvalidRecord(msg)

    # --- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_text(cls, text: str) -> TlsaRecord:
        """Read presentation form, ``3 1 1 8a9f...`` or ``DANE-EE SPKI SHA2-256 8A9F ...`` (RFC 6698 section 2.2).

        The parentheses of a zone file are allowed around it. Raises InvalidRecord.
        """
        words = text.split()
        if len(words) > 1 and words[0].startswith("(") and words[-1].endswith(")"):
            words = text.strip()[1:-1].split()
        if len(words) < 3:
            msg = f"A TLSA record is written as usage, selector, matching type and data; got {shown(text)}"
            raise InvalidRecord(msg)
        return cls(
            field_number("usage", words[0]),
            field_number("selector", words[1]),
            field_number("matching_type", words[2]),
            _octets("".join(words[3:]), text),
        )

    @classmethod
    def from_generic(cls, text: str) -> TlsaRecord:
        r"""Read the form for unknown types, ``\# 35 030101...`` (RFC 3597 section 5). Raises InvalidRecord."""
        found = re.fullmatch(r"\s*\\#\s+([0-9]{1,5})(?:\s+([0-9A-Fa-f\s]*))?", text)
        if not found:
            msg = rf"The generic form of a record is \#, a length and hexadecimal digits; got {shown(text)}"
            raise InvalidRecord(msg)
        wire = _octets(found[2] or "", text)
        if len(wire) != int(found[1]):
            msg = f"The length says {int(found[1])} octets but {len(wire)} follow, in {shown(text)}"
            raise InvalidRecord(msg)
        return cls.from_wire(wire)

    @classmethod
    def from_mapping(cls, fields: Mapping[str, object]) -> TlsaRecord:
        """Read ``{usage, selector, matching_type, data}``: numbers or names, and hexadecimal text or bytes.

        Raises InvalidRecord; a key that is missing or unknown is one.
        """
        expected = [*FIELDS, "data"]
        if set(fields) != set(expected):
            msg = f"A TLSA record has the keys {', '.join(expected)}; got {shown(dict(fields))}"
            raise InvalidRecord(msg)
        data = fields["data"]
        if isinstance(data, str):
            data = _octets(data, data)
        elif not isinstance(data, bytes):
            # An unquoted run of digits is a number to YAML, and its leading zeros are gone.
            msg = f"Certificate association data must be text; put {shown(data)} into quotes"
            raise InvalidRecord(msg)
        usage, selector, matching_type = (field_number(field, fields[field]) for field in FIELDS)
        return cls(usage, selector, matching_type, data)

    @classmethod
    def from_wire(cls, wire: bytes) -> TlsaRecord:
        """Read RDATA as it is on the wire (RFC 6698 section 2.1). Raises InvalidRecord."""
        if len(wire) < 3:
            msg = f"The data of a TLSA record has 3 octets at least; got {len(wire)}"
            raise InvalidRecord(msg)
        return cls(wire[0], wire[1], wire[2], bytes(wire[3:]))

    @classmethod
    def parse(cls, value: object) -> TlsaRecord:
        """Read a string or mapping in whichever of the three written forms it is; a record is passed through.

        Raises InvalidRecord.
        """
        if isinstance(value, TlsaRecord):
            return value
        if isinstance(value, Mapping):
            return cls.from_mapping(value)
        if not isinstance(value, str):
            msg = f"A TLSA record is text or a mapping, not {type(value).__name__}: {shown(value)}"
            raise InvalidRecord(msg)
        return cls.from_generic(value) if value.lstrip().startswith("\\#") else cls.from_text(value)

    # --- writing ------------------------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """``3 1 1 8a9f...``: numbers and lower-case hexadecimal."""
        return f"{self.usage} {self.selector} {self.matching_type} {self.data.hex()}".rstrip()

    def to_generic(self) -> str:
        r"""``\# 35 030101...`` for servers that do not know the type (RFC 3597 section 5)."""
        wire = self.to_wire()
        return rf"\# {len(wire)} {wire.hex()}"

    def to_mapping(self) -> dict[str, str | int]:
        """``{usage: dane-ee, selector: spki, matching_type: sha2-256, data: 8a9f...}``; a number where no name is."""
        fields: dict[str, str | int] = {field: field_label(field, getattr(self, field)) for field in FIELDS}
        return {**fields, "data": self.data.hex()}

    def to_wire(self) -> bytes:
        return bytes((self.usage, self.selector, self.matching_type)) + self.data

    # --- judging ------------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> tuple[int, int, int]:
        """Usage, selector and matching type: what RFC 7671 section 8 and the digest agility rule group by."""
        return (self.usage, self.selector, self.matching_type)

    def problems(self) -> tuple[str, ...]:
        """Why this record must not be published; empty when it may. One sentence for each reason.

        Whether a usage suits a port is not judged here: that depends on the endpoint, not on the record.
        """
        found = [
            f"{TITLES[field]} {getattr(self, field)} is unknown, so no client can use the record"
            for field in FIELDS
            if isinstance(field_label(field, getattr(self, field)), int)
        ]
        length = DIGEST_LENGTHS.get(self.matching_type)
        if not self.data:
            found.append("the certificate association data is empty")
        elif length is not None and len(self.data) != length:
            found.append(
                f"a {MatchingType(self.matching_type).name.replace('_', '-')} digest has {length} octets, "
                f"this one has {len(self.data)}"
            )
        if self.data in _EMPTY_DIGESTS:
            found.append(
                f"this is the {_EMPTY_DIGESTS[self.data]} digest of no input at all; the certificate was not read"
            )
        return tuple(found)

    def require_publishable(self) -> TlsaRecord:
        """The record itself. Raises InvalidRecord, with every reason, when ``problems`` has any."""
        if problems := self.problems():
            msg = f"TLSA record {shown(self.to_text())} must not be published: {'; '.join(problems)}"
            raise InvalidRecord(msg)
        return self
