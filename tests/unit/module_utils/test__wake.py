# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._wake import start_second


@pytest.mark.parametrize(
    ("moment", "now", "second"),
    [
        (100.0, 50.5, 99),
        (100.9, 50.5, 99),
        (100.9, 98.5, 100),
        (100.9, 100.5, 102),  # it must be in the future
        (10.0, 100.5, 102),
    ],
)
def test_the_agent_is_started_just_before_it_is_needed(moment: float, now: float, second: int) -> None:
    assert start_second(moment, now) == second
