# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._workers import results_of


def test_no_more_jobs_or_tasks_than_workers_and_results_in_order() -> None:
    under_way: set[int] = set()
    seen: list[tuple[int, int]] = []

    async def work(number: int) -> int:
        under_way.add(number)
        seen.append((len(under_way), len(asyncio.all_tasks())))
        await asyncio.sleep(0.001 if number % 2 else 0)
        under_way.remove(number)
        return number * number

    assert asyncio.run(results_of(3, work, range(50))) == [number * number for number in range(50)]
    assert max(at_once for at_once, _tasks in seen) == 3
    assert max(tasks for _at_once, tasks in seen) == 4  # and the one that waits


def test_nothing_to_do() -> None:
    async def work(_item: object) -> None:
        raise AssertionError

    assert asyncio.run(results_of(3, work, ())) == []


def test_the_first_failure_ends_the_others() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 2:
            raise LookupError("two")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)

    with pytest.raises(LookupError, match="two"):
        asyncio.run(results_of(3, work, range(9)))
    assert sorted(ended) == [0, 1]
