# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The deployments of the cases, raised in the lab: servers, DNS records, and senders that know nothing of them yet."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import typing as t
from pathlib import Path

from conformance.deployment import zone_updates
from conformance.server import serve
from conformance.stage import addresses_on_bridge, publish, serving
from lab import lifecycle, topology

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conformance.cases import Case

__all__ = ["raised"]

_FIRST: t.Final = 100


@contextlib.contextmanager
def raised(lab: topology.Lab, cases: Sequence[Case]) -> Iterator[tuple[dict[str, str], Callable[[Case], str]]]:
    """Raise `cases`; gives the senders' containers, by ``sender`` and ``sender12``, and the address of each case."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of each client that closes after TLS
    lifecycle.up(lab, topology.chosen_hosts(["sender12"]))
    senders = {name: lab.container(topology.host(name)) for name in ("sender", "sender12")}

    def address(case: Case) -> str:
        return f"10.53.{lab.number}.{_FIRST + case.number}"

    with (
        tempfile.TemporaryDirectory() as directory,
        addresses_on_bridge(lab, [address(case) for case in cases]),
        serving(lambda: serve(cases, address, Path(directory))),
    ):
        publish(lab, zone_updates(cases, address), list(senders))
        yield senders, address
