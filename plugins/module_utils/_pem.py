# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""PEM files: which blocks they hold, in which order (RFC 7468).

Text before, between and after the blocks is allowed, as ``openssl x509 -text`` and Let's Encrypt bundles have it.
"""

from __future__ import annotations

import binascii
import re
import typing as t

from ._errors import InvalidCertificate

__all__ = ["CERTIFICATE_LABELS", "PRIVATE_KEY_LABELS", "PUBLIC_KEY_LABEL", "PemBlock", "read_blocks"]

CERTIFICATE_LABELS: t.Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
PUBLIC_KEY_LABEL: t.Final = "PUBLIC KEY"
PRIVATE_KEY_LABELS: t.Final = frozenset(
    {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"}
)

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*+(?:-(?!----)[^-]*+)*+)-----END \1-----")
_EDGE = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}-----")
_EDGE_CUT_OFF = re.compile(r"-----(BEGIN|END)?[^\n]{0,60}\Z")


class PemBlock(t.NamedTuple):
    """One block of a file: its label, its text from BEGIN to END, and the line that it begins in."""

    label: str
    text: str
    line: int

    def octets(self) -> bytes:
        """What the block holds. Raises InvalidCertificate when it is not base64."""
        marker = len(self.label) + 16  # -----BEGIN and five hyphens, with spaces and label
        try:
            data = binascii.a2b_base64("".join(self.text[marker : 2 - marker].split()), strict_mode=True)
        except ValueError as exc:  # binascii.Error, and characters outside ASCII
            msg = f"Damaged PEM: the {self.label} block in line {self.line} is not base64: {exc}"
            raise InvalidCertificate(msg) from None
        if not data:
            msg = f"Damaged PEM: the {self.label} block in line {self.line} is empty"
            raise InvalidCertificate(msg)
        return data


def read_blocks(text: str) -> list[PemBlock]:
    """Every PEM block of ``text``, in order; an empty list means that there is no PEM in it.

    Raises InvalidCertificate when a block is cut off: a chain file half written must not pass for a shorter one.
    """
    blocks = []
    position = 0
    for found in _BLOCK.finditer(text):
        _refuse_edges(text, position, found.start())
        position = found.end()
        blocks.append(PemBlock(found[1], found[0], _line(text, found.start())))
    _refuse_edges(text, position, len(text))
    _refuse_edges(text.rstrip(), position, len(text), _EDGE_CUT_OFF)
    return blocks


def _refuse_edges(text: str, start: int, end: int, pattern: re.Pattern[str] = _EDGE) -> None:
    """No line that begins or ends a block may stand outside a whole block, and the file not end within such a line."""
    if (edge := pattern.search(text, start, end)) is None:
        return
    missing = "no matching BEGIN line comes before" if edge[1] == "END" else "no matching END line follows"
    msg = f"Truncated PEM: {edge[0]} in line {_line(text, edge.start())}, and {missing}"
    raise InvalidCertificate(msg)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
