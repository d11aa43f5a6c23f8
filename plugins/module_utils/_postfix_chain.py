# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What a file of ``smtpd_tls_chain_files`` must look like (postconf(5)): one key, directly followed by its chain.

One file per key algorithm is the only form in which a key and its chain change together, by one rename.
"""

from __future__ import annotations

import typing as t
from itertools import pairwise

from ._der import read_certificate
from ._errors import InvalidCertificate
from ._pem import CERTIFICATE_LABELS, PRIVATE_KEY_LABELS, PemBlock, read_blocks
from ._postfix import Finding

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["chain_findings", "issuer_findings", "key_algorithm"]

# Object identifiers of public key algorithms in DER, as a PKCS #8 private key begins with one (RFC 5958, RFC 8410).
_ALGORITHMS: t.Final = {
    bytes.fromhex("06092a864886f70d010101"): "RSA",
    bytes.fromhex("06072a8648ce3d0201"): "ECDSA",
    bytes.fromhex("06032b6570"): "Ed25519",
    bytes.fromhex("06032b6571"): "Ed448",
}
_TRADITIONAL: t.Final = {"RSA PRIVATE KEY": "RSA", "EC PRIVATE KEY": "ECDSA"}


def key_algorithm(text: str) -> str:
    """Return the algorithm of the one key in a chain file: ``RSA``, ``ECDSA``, ``Ed25519`` or ``Ed448``.

    Raises InvalidCertificate for whatever Postfix would refuse or misuse: no key, several keys, an encrypted key, a
    certificate before the key, no certificate. That the certificate is the key's own is for OpenSSL to say.
    """
    blocks = [block for block in read_blocks(text) if block.label in PRIVATE_KEY_LABELS | CERTIFICATE_LABELS]
    keys = [block for block in blocks if block.label in PRIVATE_KEY_LABELS]
    if len(keys) != 1:
        found = f"{len(keys)} of them" if keys else "none"
        msg = f"a chain file holds exactly one private key, and here is {found}; write one file per key"
        raise InvalidCertificate(msg)
    if blocks[0] is not keys[0]:
        msg = "the private key must come before its certificates"
        raise InvalidCertificate(msg)
    if len(blocks) == 1:
        msg = "no certificate follows the private key"
        raise InvalidCertificate(msg)
    return _algorithm(keys[0])


def _algorithm(key: PemBlock) -> str:
    if key.label == "ENCRYPTED PRIVATE KEY" or "Proc-Type: 4,ENCRYPTED" in key.text:
        msg = "the private key is encrypted, and Postfix has nobody to ask for the pass phrase"
        raise InvalidCertificate(msg)
    if key.label in _TRADITIONAL:
        return _TRADITIONAL[key.label]
    head = key.octets()[:24]
    for identifier, name in _ALGORITHMS.items():
        if identifier in head:
            return name
    msg = f"the private key in line {key.line} is of no kind that TLS servers use (RSA, ECDSA, Ed25519, Ed448)"
    raise InvalidCertificate(msg)


def chain_findings(algorithms: Mapping[str, str], modes: Mapping[str, int]) -> tuple[Finding, ...]:
    """Judge the files that are loaded together: ``algorithms`` and permission bits ``modes``, both by path.

    Raises InvalidCertificate when two files have keys of one algorithm: the last would replace the others silently.
    """
    by_algorithm: dict[str, str] = {}
    for path, algorithm in algorithms.items():
        if algorithm in by_algorithm:
            other = by_algorithm[algorithm]
            msg = f"{other} and {path} both hold an {algorithm} key; Postfix serves one key of each algorithm only"
            raise InvalidCertificate(msg)
        by_algorithm[algorithm] = path
    return (*_exposed(modes), *_foreign_directories(algorithms))


def issuer_findings(path: str, text: str) -> tuple[Finding, ...]:
    """Judge the order of a file's certificates: each must name the next one as its issuer (RFC 8446 section 4.4.2).

    DANE-TA records are of issuers that are served (RFC 7671 section 5.2.2), and clients may read a chain in its order.
    Raises InvalidCertificate.
    """
    blocks = [block for block in read_blocks(text) if block.label in CERTIFICATE_LABELS]
    parts = [read_certificate(block.octets()) for block in blocks]
    return tuple(
        Finding(
            path,
            "warning",
            f"The certificate in line {block.line} did not issue the one before it.",
            "Give the host's own certificate first, then each one's issuer, and nothing else.",
        )
        for (below, above), block in zip(pairwise(parts), blocks[1:], strict=True)
        if below.issuer != above.subject
    )


def _exposed(modes: Mapping[str, int]) -> Iterable[Finding]:
    for path, mode in modes.items():
        if mode & 0o007:
            yield Finding(
                path,
                "warning",
                "Everybody on this host can use the private key in the file.",
                f"Run: chmod 0600 {path}; and think of the key as known to others.",
            )


def _foreign_directories(paths: Iterable[str]) -> Iterable[Finding]:
    for path in paths:
        if path.startswith("/etc/letsencrypt/live/"):
            yield Finding(
                path,
                "warning",
                "smtpd reads its files at each process start, so a renewal with a new key is served at once, "
                "before its TLSA record is known to others.",
                "Use the directory of the role mail_certificate, which only a rollover changes.",
            )
