# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared options are described in doc fragments and checked by argument specs; here the two are held equal."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from ansible_collections.mailsec.dane.plugins.doc_fragments._provider import ModuleDocFragment as ProviderFragment
from ansible_collections.mailsec.dane.plugins.doc_fragments._resolver import ModuleDocFragment as ResolverFragment
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import PROVIDER_OPTIONS, RESOLVER_OPTIONS

COMPARED: t.Final = ("type", "required", "default", "choices", "elements")


def options(fragment: str) -> dict[str, dict[str, t.Any]]:
    return t.cast("dict[str, dict[str, t.Any]]", yaml.safe_load(fragment)["options"])


PROVIDER: t.Final = options(ProviderFragment.DOCUMENTATION)["provider"]


@pytest.mark.parametrize(
    ("documented", "checked"),
    [
        (PROVIDER["suboptions"], PROVIDER_OPTIONS),
        (options(ResolverFragment.DOCUMENTATION), RESOLVER_OPTIONS),
    ],
    ids=["provider", "resolver"],
)
def test_documentation_and_argument_spec_agree(
    documented: dict[str, dict[str, t.Any]], checked: dict[str, dict[str, t.Any]]
) -> None:
    def compared(all_options: dict[str, dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
        return {name: {key: one[key] for key in COMPARED if key in one} for name, one in all_options.items()}

    assert compared(documented) == compared(checked)


def test_the_provider_is_a_required_dictionary() -> None:
    assert (PROVIDER["type"], PROVIDER["required"]) == ("dict", True)


def test_no_secret_is_shown() -> None:
    assert PROVIDER_OPTIONS["key_secret"]["no_log"] is True
    assert PROVIDER_OPTIONS["api_token"]["no_log"] is True


def test_every_key_like_option_says_whether_it_is_secret() -> None:
    undecided = [
        name for name, one in PROVIDER_OPTIONS.items() if ("secret" in name or "token" in name) and "no_log" not in one
    ]
    assert undecided == []
