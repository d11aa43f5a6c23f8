# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The key that signs messages to a name server (TSIG, RFC 8945): from the options or from a key file."""

from __future__ import annotations

import binascii
import re
import typing as t
from pathlib import Path

from .._deps import importing

with importing():
    import dns.exception
    import dns.name
    import dns.tsig

from .._errors import InvalidInput

if t.TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ALGORITHMS", "DEFAULT_ALGORITHM", "tsig_key"]

ALGORITHMS: t.Final = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
"""RFC 8945 section 6 less hmac-md5, which must not be used, and hmac-sha1, which should not."""
DEFAULT_ALGORITHM: t.Final = "hmac-sha256"

_KEY_FILE = re.compile(r'\s*key\s+"?(?P<name>[^"\s{]+)"?\s*\{(?P<body>[^}]*)\}\s*;?\s*')


def tsig_key(options: Mapping[str, t.Any]) -> dns.tsig.Key | None:
    """The key that ``key_name``, ``key_secret`` or ``key_secret_file``, and ``key_algorithm`` describe; None without.

    A key file holds the secret in base64 alone, or is what ``tsig-keygen`` writes; then it may give name and algorithm
    too. Raises InvalidInput; no message has the secret in it.
    """
    name, secret, algorithm = options.get("key_name"), options.get("key_secret"), options.get("key_algorithm")
    path = options.get("key_secret_file")
    if secret and path:
        raise InvalidInput(
            "Give the TSIG secret once: by key_secret (or the environment variable DANE_KEY_SECRET), "
            "or by key_secret_file"
        )
    if path:
        name, secret, algorithm = _from_file(str(path), name, algorithm)
    if not name and not secret:
        return None
    if not name or not secret:
        missing = (
            "key_name" if not name else "key_secret or key_secret_file (or the environment variable DANE_KEY_SECRET)"
        )
        raise InvalidInput(f"A TSIG key has a name and a secret; set {missing} too")
    return _key(str(name), str(secret).strip(), str(algorithm or DEFAULT_ALGORITHM))


def _from_file(path: str, name: str | None, algorithm: str | None) -> tuple[str | None, str, str | None]:
    try:
        text = Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise InvalidInput(f"Cannot read the TSIG key file {path}: {cause}") from error
    found = _KEY_FILE.fullmatch(re.sub(r"(?m)^\s*(//|#).*$", "", text))
    if not found:
        return name, text.strip(), algorithm
    statements = dict(re.findall(r'([a-z]+)\s+"?([^";\s]+)"?\s*;', found["body"]))
    if "secret" not in statements:
        raise InvalidInput(f"The TSIG key file {path} has no secret in its key statement")
    in_file = {"key_name": found["name"], "key_algorithm": statements.get("algorithm")}
    for option, given in (("key_name", name), ("key_algorithm", algorithm)):
        there = in_file[option]
        if given and there and given.lower().removesuffix(".") != there.lower().removesuffix("."):
            raise InvalidInput(f"The TSIG key file {path} says {there!r}, but {option} is {given!r}")
    return name or in_file["key_name"], statements["secret"], algorithm or in_file["key_algorithm"]


def _key(name: str, secret: str, algorithm: str) -> dns.tsig.Key:
    if algorithm.lower() not in ALGORITHMS:
        raise InvalidInput(
            f"TSIG algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}; older ones are broken or deprecated "
            "(RFC 8945 section 6). Make a new key: tsig-keygen -a hmac-sha256 NAME"
        )
    try:
        binascii.a2b_base64(secret, strict_mode=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"The secret of the TSIG key {name!r} is not base64") from None  # the cause shows the secret
    try:
        return dns.tsig.Key(dns.name.from_text(name), secret, dns.name.from_text(algorithm.lower()))
    except dns.exception.DNSException as error:
        raise InvalidInput(f"TSIG key name {name!r} is not a domain name: {error}") from error
