# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._secrets import all_values, secret_values


@pytest.mark.parametrize(
    "key",
    ["token", "API_TOKEN", "api_key", "key_secret", "password", "passphrase", "auth", "client_secret", "credentials"],
)
def test_keys_that_hold_secrets(key: str) -> None:
    assert secret_values({key: "hunter2", "host": "ns1"}) == {"hunter2"}


@pytest.mark.parametrize("key", ["host", "port", "key_name", "key_algorithm", "account_id", "directory", "timeout"])
def test_keys_that_hold_none(key: str) -> None:
    assert secret_values({key: "value"}) == frozenset()


def test_secrets_are_found_at_any_depth() -> None:
    settings = {"a": {"tokens": {"one": "first", "more": ["second", 12345]}}, "port": 53, "flag": True, "none": None}
    assert secret_values(settings) == {"first", "second", "12345"}
    assert all_values(settings) == {"first", "second", "12345", "53"}


def test_what_is_too_short_is_not_hidden() -> None:
    """A key of 1 would make stars of every `3 1 1`."""
    assert secret_values({"key": "1"}) == frozenset()
