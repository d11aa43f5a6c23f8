# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import StoreError
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory, Remembered
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = (TlsaRecord(3, 1, 1, bytes([number]) * 32) for number in (1, 2))


def test_what_was_added_is_remembered_once(tmp_path: Path) -> None:
    memory = KeyMemory(tmp_path / "mx1.example.org")
    assert memory.read() == Remembered()
    assert memory.add(former=[ONE], retired=[TWO])
    assert memory.add(former=[TWO, ONE])
    assert not memory.add(former=[ONE, TWO])
    assert memory.read() == Remembered((ONE, TWO), (TWO,))


def test_only_so_much_is_remembered_and_the_youngest_stay(tmp_path: Path) -> None:
    memory = KeyMemory(tmp_path)
    records = [TlsaRecord(3, 1, 1, number.to_bytes(32, "big")) for number in range(4001)]
    memory.add(former=records[:4000])
    memory.add(former=records[4000:])
    assert memory.read().former == tuple(records[1:])


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"former": ["3 1"], "retired": []}', '{"former": 7, "retired": []}', "null"]
)
def test_a_damaged_memory_is_an_error_and_is_not_written_over(tmp_path: Path, content: str) -> None:
    memory = KeyMemory(tmp_path)
    memory.path.write_text(content)
    with pytest.raises(StoreError, match=r"keys\.json remembers which keys were served before, and cannot be read"):
        memory.add(former=[ONE])
    assert memory.path.read_text() == content
