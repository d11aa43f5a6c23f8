# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Host names, TLSA owner names, and the match of a certificate's names against reference identifiers.

Everything here is text: lower case, A-labels, no trailing dot.
"""

from __future__ import annotations

import functools
import re
import typing as t
import unicodedata

from ._errors import InvalidName

__all__ = ["TRANSPORTS", "matches_reference", "names_upwards", "tlsa_owner_name", "to_ascii"]

TRANSPORTS: t.Final = ("tcp", "udp", "sctp")

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_MAX_NAME = 253  # RFC 1035 section 2.3.4: 255 octets on the wire are 253 characters of text


def _label_to_ascii(label: str, name: str) -> str:
    """The A-label of a U-label (RFC 5890).

    Python and Debian's dnspython share one IDNA codec, that of 2003. It silently maps characters that the rules of
    2008 keep ("ß", final sigma, joiners), which would give another host's name. So the result must decode to what was
    written; where it does not, the user is asked for the A-label.
    """
    wanted = unicodedata.normalize("NFC", label.lower())
    if unknown := [character for character in wanted if unicodedata.category(character) == "Cn"]:
        msg = f"Label {label!r} of host name {name!r} has U+{ord(unknown[0]):04X}, which Unicode does not assign"
        raise InvalidName(msg)
    try:
        encoded = wanted.encode("idna")
        same = encoded.decode("idna") == wanted
    except UnicodeError as exc:
        msg = f"Label {label!r} of host name {name!r} is no valid internationalised label: {exc}"
        raise InvalidName(msg) from exc
    if not same:
        msg = (
            f"Label {label!r} of host name {name!r} has characters that IDNA 2003 and IDNA 2008 encode differently; "
            "write this label in its A-label form (xn--...)"
        )
        raise InvalidName(msg)
    return encoded.decode("ascii")


@functools.lru_cache(maxsize=1024)
def to_ascii(name: str) -> str:
    """A host name as it stands in the DNS: lower-case A-labels without the trailing dot.

    Raises InvalidName when it is empty, an address, too long (RFC 1035 section 2.3.4), or has a label that is no host
    name label (RFC 1123 section 2.1), such as a wildcard or one with an underscore.
    """
    stripped = name.strip().removesuffix(".")
    if not stripped:
        msg = f"Host name {name!r} is empty"
        raise InvalidName(msg)
    labels = []
    for label in stripped.split("."):
        ascii_label = label.lower() if label.isascii() else _label_to_ascii(label, name)
        if not label:
            msg = f"Host name {name!r} has an empty label"
            raise InvalidName(msg)
        if len(ascii_label) > 63:
            msg = f"Label {label!r} of host name {name!r} is longer than 63 characters"
            raise InvalidName(msg)
        if not _LABEL.fullmatch(ascii_label):
            msg = (
                f"Label {label!r} of host name {name!r} may hold letters, digits and inner hyphens only; "
                "give a host name such as mx1.example.org"
            )
            raise InvalidName(msg)
        labels.append(ascii_label)
    if labels[-1].isdigit():
        msg = f"{name!r} is an address, not a host name; TLSA records belong to names"
        raise InvalidName(msg)
    result = ".".join(labels)
    if len(result) > _MAX_NAME:
        msg = f"Host name {name!r} is longer than {_MAX_NAME} characters"
        raise InvalidName(msg)
    return result


def tlsa_owner_name(host: str, port: int, transport: str = "tcp") -> str:
    """The owner name of an endpoint's TLSA RRset, ``_25._tcp.mx1.example.org`` (RFC 6698 section 3).

    ``host`` is the TLSA base domain, for mail the MX host (RFC 7672 section 2.2.3), never the mail domain.
    Raises InvalidName.
    """
    if not 1 <= port <= 65535:
        msg = f"Port {port!r} is no number from 1 to 65535"
        raise InvalidName(msg)
    if transport not in TRANSPORTS:
        msg = f"Transport {transport!r} is none of {', '.join(TRANSPORTS)}"
        raise InvalidName(msg)
    name = f"_{port}._{transport}.{to_ascii(host)}"
    if len(name) > _MAX_NAME:
        msg = f"Owner name {name!r} is longer than {_MAX_NAME} characters"
        raise InvalidName(msg)
    return name


def names_upwards(name: str) -> list[str]:
    """``name`` and every name above it, the closest first, without the root."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def matches_reference(presented: str, reference: str) -> bool:
    """Does a DNS-ID of a certificate cover a reference identifier (RFC 7672 section 3.2.3, RFC 9525 section 6.3)?

    A wildcard is the whole left-most label and stands for exactly one label. A presented name that is no host name
    (a partial wildcard, a name with an underscore) covers nothing. ``reference`` is as ``to_ascii`` gives it.
    """
    candidate = presented.lower().removesuffix(".")
    if not candidate.startswith("*."):
        return candidate == reference
    _first, dot, parent = reference.partition(".")
    # "*.org" would stand for every domain of a registry; a wildcard wants two labels of its own.
    return bool(dot) and "." in parent and candidate[2:] == parent
