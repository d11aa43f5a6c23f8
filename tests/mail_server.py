# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers for tests, in this process: real sockets, real TLS, and every bad habit on demand."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import threading
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def new_key(kind: str) -> PrivateKey:
    """Make a private key: ``rsa``, ``ecdsa`` or ``ed25519``."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ecdsa" else ed25519.Ed25519PrivateKey.generate()


# Certificates of one run are all issued at the same second, so that the days between two dates are whole.
NOW: t.Final = dt.datetime.now(dt.UTC).replace(microsecond=0)


def certificate(
    key: PrivateKey, name: str = "mx.example", *, issuer: tuple[PrivateKey, str] | None = None, ca: bool = False
) -> x509.Certificate:
    """Make a certificate of `key` for `name`, signed by `issuer` (key and name) or by itself, valid for a month."""
    signer, signer_name = issuer or (key, name)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, signer_name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def der(cert: x509.Certificate) -> bytes:
    return cert.public_bytes(serialization.Encoding.DER)


def server_context(
    directory: Path, *chains: tuple[PrivateKey, Sequence[x509.Certificate]], only: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Make a TLS context that serves `chains`, each a key and its certificates, one for each key algorithm."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for number, (key, certificates) in enumerate(chains):
        path = directory / f"chain{number}.pem"
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pem + b"".join(cert.public_bytes(serialization.Encoding.PEM) for cert in certificates))
        context.load_cert_chain(path)
    if only is not None:
        context.minimum_version = context.maximum_version = only
    return context


@contextlib.contextmanager
def running(handler: Handler, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve `handler` on a free port of `host`, in a thread of its own; gives the port."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    port = 0

    async def serve() -> None:
        nonlocal port
        server = await asyncio.start_server(_quiet(handler), host, 0)
        port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stopped.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # aborted transports close in the loop's next rounds

    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()


def _quiet(handler: Handler) -> Handler:
    """Close the connection whatever happens; a client that goes away is no fault of the test."""

    async def wrapped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    return wrapped


# What each protocol says: (what the server sends first, then for each prefix of a client's line, the answer).
SCRIPTS: t.Final[dict[str, tuple[bytes, tuple[tuple[bytes, bytes], ...]]]] = {
    "smtp": (
        b"220-mx.example\r\n220 ESMTP\r\n",
        ((b"EHLO", b"250-mx.example\r\n250-SIZE\r\n250 STARTTLS\r\n"), (b"STARTTLS", b"220 go ahead\r\n")),
    ),
    "lmtp": (
        b"220 mx.example LMTP\r\n",
        ((b"LHLO", b"250-mx.example\r\n250 STARTTLS\r\n"), (b"STARTTLS", b"220 go\r\n")),
    ),
    "imap": (b"* OK [CAPABILITY IMAP4rev1] hello\r\n", ((b"dane1 STARTTLS", b"* NOTE\r\ndane1 OK begin\r\n"),)),
    "pop3": (b"+OK hello\r\n", ((b"STLS", b"+OK begin\r\n"),)),
    "sieve": (
        b'"IMPLEMENTATION" "x"\r\n"STARTTLS"\r\nOK "ready"\r\n',
        ((b"STARTTLS", b'OK "begin"\r\n'),),
    ),
    "xmpp-client": (
        b"",
        (
            (
                b"<?xml",
                (
                    b"<?xml version='1.0'?><stream:stream id='1'><stream:features>"
                    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
                ),
            ),
            (b"<starttls", b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        ),
    ),
    "none": (b"", ()),
}
SCRIPTS["xmpp-server"] = SCRIPTS["xmpp-client"]


def mail_handler(context: ssl.SSLContext, protocol: str = "smtp", seen: list[bytes] | None = None) -> Handler:
    """Speak `protocol` up to TLS, then take one goodbye; what the client said is added to `seen`."""
    greeting, steps = SCRIPTS[protocol]

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        for prefix, answer in steps:
            line = await (reader.readuntil(b">") if protocol.startswith("xmpp") else reader.readline())
            if protocol.startswith("xmpp") and line.startswith(b"<?xml version"):
                line += await reader.readuntil(b">")
            if seen is not None:
                seen.append(line)
            if not line.startswith(prefix):
                return
            writer.write(answer)
            await writer.drain()
        await writer.start_tls(context)
        said = await asyncio.wait_for(reader.read(100), 5)
        if seen is not None:
            seen.append(said)

    return handle
