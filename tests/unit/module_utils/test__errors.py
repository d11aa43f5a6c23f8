# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import inspect
import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _errors
from ansible_collections.mailsec.dane.plugins.module_utils._errors import DaneError, InvalidInput, LookupFailed

CLASSES = [value for value in vars(_errors).values() if inspect.isclass(value)]


def test_everything_stands_under_one_root() -> None:
    assert [kind for kind in CLASSES if not issubclass(kind, DaneError)] == []


def test_all_lists_every_class() -> None:
    assert set(_errors.__all__) == {kind.__name__ for kind in CLASSES}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    for line in (_errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)([A-Z]\w+)", line)
        if not found:
            continue
        depth = len(found[1])
        parents = [(other, name) for other, name in parents if other < depth]
        if parents:
            drawn[found[2]] = parents[-1][1]
        parents.append((depth, found[2]))
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in CLASSES if kind is not DaneError}


def test_invalid_input_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no"):
        raise InvalidInput("no")


@pytest.mark.parametrize("bogus", [True, False])
def test_a_failed_look_up_says_whether_validation_failed(bogus: bool) -> None:
    assert LookupFailed("no answer", bogus=bogus).bogus is bogus


def test_a_failed_look_up_is_not_bogus_unless_said_so() -> None:
    assert LookupFailed("no answer").bogus is False


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if "__init__" in vars(kind) and kind is not LookupFailed])
def test_details_go_beside_the_message(kind: type[DaneError]) -> None:
    details = {"finding": "one"}
    error = kind("refused", details=details)  # type: ignore[call-arg]  # not every class takes them
    assert (str(error), getattr(error, "details", None)) == ("refused", details)
    assert not getattr(kind("refused"), "details", None)
