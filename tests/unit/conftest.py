# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Property tests are the same in every run: what fails here fails everywhere. Chance has its place in tests/fuzz."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from hypothesis import settings

_LONGEST_NAME: t.Final = 40

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, max_examples=100)
settings.load_profile("repeatable")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name octets and long messages by their argument: those about keys differ in each process, and parallel runs
    compare the tests' names."""
    del config
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > _LONGEST_NAME) else None


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings of modules that run in this test.

    Where controller code was imported into the same process, Ansible shows warnings instead of returning them.
    """
    warnings: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, warning: warnings.append(warning))
    return warnings
