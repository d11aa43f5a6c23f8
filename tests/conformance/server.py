# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mail servers of the cases: one address each, one process, and every habit that a case asks for."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import typing as t

from conformance.certificates import key_name, key_of, served_chain
from mail_server import server_context

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from conformance.cases import Case

__all__ = ["serve", "talk_with"]


def _context(case: Case, directory: Path) -> ssl.SSLContext | None:
    chain = served_chain(case)
    if not chain:
        return None
    place = directory / case.name
    place.mkdir(exist_ok=True)
    only = {"tls12": ssl.TLSVersion.TLSv1_2, "tls13": ssl.TLSVersion.TLSv1_3}.get(case.server)
    context = server_context(place, (key_of(key_name(case)), chain), only=only)
    if case.server == "sni":
        context.sni_callback = lambda _socket, name, _context: (
            None if name == case.base else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        )
    return context


async def _talk(
    case: Case, context: ssl.SSLContext | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if case.server == "greet-421":
        writer.write(b"421 not today\r\n")
        return
    writer.write(b"220 conformance ESMTP\r\n")
    encrypted = False
    while line := await reader.readline():
        match line[:4].upper():
            case b"EHLO":
                writer.write(_ehlo(case, encrypted=encrypted))
            case b"STAR":
                if not await _starttls(case, context, writer):
                    return
                encrypted = case.server != "starttls-454"
            case b"DATA":
                writer.write(b"354 go on\r\n")
                while await reader.readline() not in (b".\r\n", b""):
                    pass
                writer.write(b"250 taken\r\n")
            case b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            case _:
                writer.write(b"250 ok\r\n")


async def _starttls(case: Case, context: ssl.SSLContext | None, writer: asyncio.StreamWriter) -> bool:
    """Answer STARTTLS as the case wants; false where the connection ends there."""
    if case.server == "starttls-454":
        writer.write(b"454 TLS not available\r\n")
        return True
    writer.write(b"220 go ahead\r\n")
    await writer.drain()
    if context is not None:
        await writer.start_tls(context)
        return True
    if case.server == "tls-garbage":
        writer.write(b"this is no TLS record\r\n" * 20)
    return False


def _ehlo(case: Case, *, encrypted: bool) -> bytes:
    if case.server == "ehlo-502":
        return b"502 no\r\n"
    if encrypted or case.server == "nostarttls":
        return b"250 conformance\r\n"
    return b"250-conformance\r\n250 STARTTLS\r\n"


async def talk_with(
    case: Case, context: ssl.SSLContext | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve one connection as the case wants; with ``context`` None there is no TLS behind STARTTLS."""
    with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError):
        async with asyncio.timeout(120):
            await _talk(case, context, reader, writer)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@contextlib.asynccontextmanager
async def serve(cases: Iterable[Case], address: t.Callable[[Case], str], directory: Path) -> t.AsyncIterator[None]:
    """Listen on port 25 of each case's address. Cases whose server is ``dead`` have none."""
    async with contextlib.AsyncExitStack() as stack:
        for case in cases:
            if case.server == "dead":
                continue
            context = _context(case, directory)

            async def handle(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                case: Case = case,
                context: ssl.SSLContext | None = context,
            ) -> None:
                await talk_with(case, context, reader, writer)

            await stack.enter_async_context(await asyncio.start_server(handle, address(case), 25))
        yield
