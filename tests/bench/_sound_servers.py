# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mail servers of this process, in the lab's network, that do everything right."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import typing as t
from pathlib import Path

from conformance.cases import Case
from conformance.server import talk_with
from conformance.stage import addresses_on_bridge, serving
from mail_server import server_context

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

    from lab.topology import Lab
    from mail_server import PrivateKey

__all__ = ["sound_servers"]

_FIRST: t.Final = 230
_SOUND: t.Final = Case(0, "bench", "", (), (), "", "ok", "verified", "authenticated", "matched")


@contextlib.contextmanager
def sound_servers(lab: Lab, count: int, *chains: tuple[PrivateKey, list[x509.Certificate]]) -> Iterator[list[str]]:
    """Listen on port 25 of `count` addresses, with these keys and chains; gives the addresses."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each client that closes after TLS
    addresses = [f"10.53.{lab.number}.{_FIRST + number}" for number in range(count)]
    with tempfile.TemporaryDirectory() as directory, addresses_on_bridge(lab, addresses):
        context = server_context(Path(directory), *chains)

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talk_with(_SOUND, context, reader, writer)

        @contextlib.asynccontextmanager
        async def servers() -> t.AsyncIterator[None]:
            async with contextlib.AsyncExitStack() as stack:
                for address in addresses:
                    await stack.enter_async_context(await asyncio.start_server(handle, address, 25, backlog=1024))
                yield

        with serving(servers):
            yield addresses
