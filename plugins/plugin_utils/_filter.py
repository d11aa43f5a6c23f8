# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""The edge of every filter: errors of the core become errors of a template, with the filter's name before them."""

from __future__ import annotations

import typing as t
from contextlib import contextmanager

from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.module_utils._errors import DaneError, InvalidInput

if t.TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["filter_errors", "to_bool"]


@contextmanager
def filter_errors(name: str) -> Iterator[None]:
    """Translate the collection's errors. ``name`` is the filter's, without its namespace."""
    try:
        yield
    except DaneError as exc:
        msg = f"mailsec.dane.{name}: {exc}"
        raise AnsibleFilterError(msg) from exc


def to_bool(option: str, value: object) -> bool:
    """A filter's option that is true or false; text such as 'no' would be true to Python. Raises InvalidInput."""
    if not isinstance(value, bool):
        msg = f"{option} is true or false, not {value!r}"
        raise InvalidInput(msg)
    return value
