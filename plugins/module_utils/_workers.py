# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Many jobs by few workers, in the running event loop."""

from __future__ import annotations

import asyncio
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

__all__ = ["results_of"]

_Item = t.TypeVar("_Item")
_Result = t.TypeVar("_Result")


async def results_of(
    workers: int, work: Callable[[_Item], Coroutine[t.Any, t.Any, _Result]], items: Collection[_Item]
) -> list[_Result]:
    """Do `work` for each of `items`, never for more than `workers` at once; return the results in the items' order.

    A task for each of tens of thousands of items would cost more memory than all that is kept of them. The first
    exception ends the whole and is raised.
    """
    results: dict[int, _Result] = {}
    source = iter(enumerate(items))

    async def take() -> None:
        for number, item in source:
            results[number] = await work(item)

    tasks = [asyncio.create_task(take()) for _unused in range(min(workers, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return [results[number] for number in range(len(items))]
