# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's argument_specs and its defaults say the same: neither knows an option that the other does not."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROLES_DIRECTORY: t.Final = Path(__file__).resolve().parents[3] / "roles"
ROLES: t.Final = sorted(path.name for path in ROLES_DIRECTORY.iterdir() if path.is_dir())


def _options(role: str) -> dict[str, dict[str, t.Any]]:
    specs = yaml.safe_load((ROLES_DIRECTORY / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    return t.cast("dict[str, dict[str, t.Any]]", specs["argument_specs"]["main"]["options"])


def _defaults(role: str) -> dict[str, t.Any]:
    text = (ROLES_DIRECTORY / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    return t.cast("dict[str, t.Any]", yaml.safe_load(text) or {})


def test_there_are_roles() -> None:
    assert ROLES


def _is_computed(default: object) -> bool:
    """Whether a default is an expression; for an option of numbers the schema of role documentation takes none."""
    return isinstance(default, str) and "{{" in default


@pytest.mark.parametrize("role", ROLES)
def test_every_option_with_a_default_has_the_same_default_in_both_files(role: str) -> None:
    specified = {name: spec["default"] for name, spec in _options(role).items() if "default" in spec}
    defaults = _defaults(role)
    assert specified.items() <= defaults.items()
    assert {name for name in defaults if not _is_computed(defaults[name])} <= specified.keys()
    assert defaults.keys() <= _options(role).keys()


@pytest.mark.parametrize("role", ROLES)
def test_an_option_without_default_is_required_or_computed(role: str) -> None:
    without_default = {name for name, spec in _options(role).items() if "default" not in spec}
    required = {name for name, spec in _options(role).items() if spec.get("required")}
    assert without_default == required | {name for name in _defaults(role) if name in without_default}


@pytest.mark.parametrize("role", ROLES)
def test_every_option_has_type_and_description(role: str) -> None:
    for name, spec in _options(role).items():
        assert spec.get("type"), name
        assert spec.get("description"), name


@pytest.mark.parametrize("role", ROLES)
def test_public_names_carry_the_role_name_as_prefix(role: str) -> None:
    assert [name for name in _options(role) if not name.startswith(f"{role}_")] == []
