# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""A strict reader for the few DER structures that must be taken octet by octet.

TLSA digests are of octets as the certificate has them (RFC 6698 section 2.1.2). A library that decodes a key and
encodes it again may give others (RSA-PSS parameters, explicit curves), and none knows every key type. This reader
copies the octets, knows no key types, and works where no library is installed.
"""

from __future__ import annotations

import functools
import typing as t

from ._errors import InvalidCertificate

__all__ = [
    "BIT_STRING",
    "INTEGER",
    "OID",
    "SEQUENCE",
    "CertificateParts",
    "check_public_key",
    "elements",
    "oid_text",
    "read_certificate",
]

INTEGER: t.Final = 0x02
BIT_STRING: t.Final = 0x03
OID: t.Final = 0x06
SEQUENCE: t.Final = 0x30
_VERSION: t.Final = 0xA0
_MAX_LENGTH_OCTETS: t.Final = 3  # 16 MiB; a TLS handshake carries a chain of less


class _MalformedError(Exception):
    """Not DER; the caller knows what was being read and says so."""


def _element(data: bytes, start: int, end: int) -> tuple[int, int, int]:
    """The element at ``start``: its tag, where its content begins and where it ends, all within ``data[:end]``."""
    if end - start < 2:
        raise _MalformedError(f"data ends at octet {start}, where another element should begin")
    tag = data[start]
    length = data[start + 1]
    content = start + 2
    if length >= 0x80:
        count = length & 0x7F
        content += count
        if not 1 <= count <= _MAX_LENGTH_OCTETS or content > end:
            raise _MalformedError(f"length at octet {start + 1} is indefinite, too large or cut off")
        length = int.from_bytes(data[start + 2 : content], "big")
        if length < 0x80 or length >> (8 * (count - 1)) == 0:
            raise _MalformedError(f"length at octet {start + 1} is not in its shortest form")
    if content + length > end:
        raise _MalformedError(f"element at octet {start} wants {length} octets, {end - content} are left")
    return tag, content, content + length


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that ``data`` is a run of, as (tag, content). Raises InvalidCertificate."""
    found = []
    position = 0
    try:
        while position < len(data):
            tag, content, stop = _element(data, position, len(data))
            found.append((tag, data[content:stop]))
            position = stop
    except _MalformedError as exc:
        msg = f"Malformed DER: {exc}"
        raise InvalidCertificate(msg) from None
    return found


def oid_text(content: bytes) -> str:
    """An object identifier's content octets as ``1.2.840.113549.1.1.11``. Raises InvalidCertificate."""
    arcs = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    if not content or content[-1] & 0x80:
        msg = f"Malformed DER: object identifier {content.hex() or '(empty)'} is cut off"
        raise InvalidCertificate(msg)
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


class CertificateParts(t.NamedTuple):
    """The parts of a certificate that DANE looks at, each as the octets that stand in it (RFC 5280 section 4.1)."""

    der: bytes
    tbs: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    signature_algorithm: bytes
    signature: bytes


@functools.lru_cache(maxsize=32)  # one judgement asks a handful of times for each certificate of a chain
def read_certificate(der: bytes) -> CertificateParts:
    """Take a DER certificate apart. Raises InvalidCertificate when it is anything else, trailing octets included."""
    try:
        return _read_certificate(der)
    except _MalformedError as exc:
        msg = f"Not a DER certificate: {exc}"
        raise InvalidCertificate(msg) from None


def _expect(data: bytes, start: int, end: int, tag: int, what: str) -> tuple[int, int]:
    """Where the content of the element at ``start`` begins and ends, once its tag is the one expected."""
    if start < end - 1 and data[start] == tag and (length := data[start + 1]) < 0x80:
        content, stop = start + 2, start + 2 + length  # the common case, worth its lines: there are 13 in a certificate
        if stop <= end:
            return content, stop
    found, content, stop = _element(data, start, end)
    if found != tag:
        raise _MalformedError(f"{what} has tag 0x{found:02x} instead of 0x{tag:02x}")
    return content, stop


def _read_certificate(der: bytes) -> CertificateParts:
    inner, end = _expect(der, 0, len(der), SEQUENCE, "the certificate")
    if end != len(der):
        raise _MalformedError(f"{len(der) - end} octets follow the certificate")
    tbs_start = inner
    position, tbs_end = _expect(der, inner, end, SEQUENCE, "its signed part")
    outer_start = tbs_end
    _content, outer_end = _expect(der, outer_start, end, SEQUENCE, "its signature algorithm")
    signature, signature_end = _expect(der, outer_end, end, BIT_STRING, "its signature")
    if signature_end != end or signature == signature_end or der[signature] != 0:
        raise _MalformedError("its signature is not a string of whole octets at the end")

    if der[position : position + 1] == bytes((_VERSION,)):
        _content, position = _expect(der, position, tbs_end, _VERSION, "its version")
    _content, position = _expect(der, position, tbs_end, INTEGER, "its serial number")
    inner_algorithm = position
    _content, position = _expect(der, position, tbs_end, SEQUENCE, "its inner signature algorithm")
    if der[inner_algorithm:position] != der[outer_start:outer_end]:
        raise _MalformedError("its two signature algorithms differ (RFC 5280 section 4.1.1.2)")
    issuer = position
    _content, issuer_end = _expect(der, issuer, tbs_end, SEQUENCE, "its issuer")
    _content, subject = _expect(der, issuer_end, tbs_end, SEQUENCE, "its validity")
    _content, spki = _expect(der, subject, tbs_end, SEQUENCE, "its subject")
    _content, spki_end = _expect(der, spki, tbs_end, SEQUENCE, "its public key")
    _check_public_key(der, spki, spki_end)
    return CertificateParts(
        der=der,
        tbs=der[tbs_start:tbs_end],
        issuer=der[issuer:issuer_end],
        subject=der[subject:spki],
        spki=der[spki:spki_end],
        signature_algorithm=der[outer_start:outer_end],
        signature=der[signature + 1 : signature_end],
    )


def _check_public_key(data: bytes, start: int, end: int) -> None:
    inner, stop = _expect(data, start, end, SEQUENCE, "the public key")
    if stop != end:
        raise _MalformedError(f"{end - stop} octets follow the public key")
    algorithm, bits = _expect(data, inner, end, SEQUENCE, "the public key's algorithm")
    _expect(data, algorithm, bits, OID, "the public key's algorithm identifier")
    _content, stop = _expect(data, bits, end, BIT_STRING, "the public key's value")
    if stop != end:
        raise _MalformedError("something follows the public key's value")


def check_public_key(spki: bytes) -> bytes:
    """``spki`` itself, once it is seen to be one DER SubjectPublicKeyInfo. Raises InvalidCertificate."""
    try:
        _check_public_key(spki, 0, len(spki))
    except _MalformedError as exc:
        msg = f"Not a DER public key: {exc}"
        raise InvalidCertificate(msg) from None
    return spki
