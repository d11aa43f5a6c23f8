# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLS contexts that ask a server for its RSA chain, its ECDSA chain, or whichever it likes best.

A server with several keys picks the chain by what the client can verify. Up to TLS 1.2 the cipher says it, and
``SSLContext.set_ciphers`` sets that. In TLS 1.3 only the signature algorithms say it (RFC 8446 section 4.2.3), and
Python's ssl module can set those from 3.15 on; Debian 12 has 3.11 and Debian 13 has 3.13. What was weighed:

* ``openssl s_client -sigalgs`` as a process for each handshake: 15 ms of CPU time each, and its output must be parsed.
* TLS 1.2 only: blind to servers that speak TLS 1.3 alone, and more of them appear each year.
* A whole TLS client by ctypes on libssl: every mistake in it is a crash, and hostile servers would look for them.
* One call by ctypes on a context that Python made and owns: `SSL_CTX_ctrl`, part of libssl's stable interface, found
  in the very library that the ssl module is linked with. Everything else stays in the ssl module. This is done here.

Where that call is impossible (another Python, a static build), the context is held to TLS 1.2 and says so.
"""

from __future__ import annotations

import enum
import functools
import ssl
import sys
import typing as t

__all__ = ["KeyAlgorithm", "client_context", "served_chain"]


class KeyAlgorithm(enum.StrEnum):
    """Key algorithm of a server's certificate; the value is what reports show."""

    RSA = "RSA"
    ECDSA = "ECDSA"
    EDDSA = "EdDSA"


# Everything that each kind of key can sign with, SHA-1 included: a weak signature must be seen to be reported.
_SIGNATURE_ALGORITHMS: t.Final = {
    KeyAlgorithm.RSA: (
        "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:"
        "rsa_pss_pss_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA224:RSA+SHA1"
    ),
    KeyAlgorithm.ECDSA: "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA224:ECDSA+SHA1",
    KeyAlgorithm.EDDSA: "ed25519:ed448",
}
# TLS 1.2 knows no cipher of its own for EdDSA: it goes by the ECDSA ones (RFC 8422 section 5.1.1).
_CIPHERS: t.Final = {KeyAlgorithm.RSA: "aRSA", KeyAlgorithm.ECDSA: "aECDSA", KeyAlgorithm.EDDSA: "aECDSA"}

_SSL_CTRL_SET_SIGALGS_LIST: t.Final = 98  # openssl/ssl.h, unchanged since 1.0.2


@functools.cache
def client_context(algorithm: KeyAlgorithm | None = None) -> ssl.SSLContext:
    """Return the context for a handshake in which the server can only present a key of `algorithm`, or any.

    It verifies no certificate: RFC 7671 does that by the TLSA records, from the chain. The handshake itself still
    proves that the peer holds the key of the first certificate. Versions and strengths are as permissive as those of
    an opportunistic Postfix, because a verifier must see what senders see.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if algorithm is None:
        context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
        return context
    context.set_ciphers(f"{_CIPHERS[algorithm]}:!aNULL:!eNULL:@SECLEVEL=0")
    if not _restrict_signatures(context, _SIGNATURE_ALGORITHMS[algorithm]):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _restrict_signatures(context: ssl.SSLContext, algorithms: str) -> bool:
    """Limit the signature algorithms that the client offers; false where this Python has no way to."""
    official = getattr(context, "set_server_sigalgs", None)  # Python 3.15
    if official is not None:
        official(algorithms)
        return True
    if sys.implementation.name != "cpython":
        return False
    try:
        import _ssl  # noqa: PLC0415  # only for its file name, and only here
        import ctypes  # noqa: PLC0415  # a Python may be built without

        library = ctypes.CDLL(_ssl.__file__)  # dlsym() also searches the libssl that this is linked with
        control = library.SSL_CTX_ctrl
        options = library.SSL_CTX_get_options
    except (ImportError, OSError, AttributeError):
        return False
    # CPython's struct PySSLContext is PyObject_HEAD and then `SSL_CTX *ctx`, from 3.2 to 3.14.
    address = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    options.argtypes, options.restype = [ctypes.c_void_p], ctypes.c_uint64
    if not address or options(address) != int(context.options):
        return False
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    return bool(control(address, _SSL_CTRL_SET_SIGALGS_LIST, 0, algorithms.encode("ascii")))


def served_chain(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the server sent, as DER, the end entity's first; empty if it sent none."""
    if hasattr(session, "get_unverified_chain"):
        return tuple(session.get_unverified_chain())
    import _ssl  # noqa: PLC0415  # private, and only needed before 3.13

    certificates = session._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]
    return tuple(certificate.public_bytes(_ssl.ENCODING_DER) for certificate in certificates)
