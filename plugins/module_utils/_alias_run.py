# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the module postfix_aliases does with its options, and what it tells of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ._alias_addresses import AddressCheck
from ._alias_databases import in_table, read_settings
from ._alias_host import AliasHost
from ._alias_routes import survey
from ._alias_store import AliasStore
from ._alias_syntax import fold
from ._aliases import decoded, edited, encoded, parse, shown
from ._errors import InvalidInput, PostfixMissing
from ._module import text_diff

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._alias_settings import AliasSettings
    from ._alias_store import Change

__all__ = ["run"]


def run(options: Mapping[str, t.Any], *, check_mode: bool, backup: Callable[[str], str]) -> dict[str, t.Any]:
    """The result of the module for its ``options``. ``backup`` copies a file and returns the copy's path.

    Raises DaneError.
    """
    settings = _settings(check_mode=check_mode)
    store = AliasStore(options["path"])
    before = store.read()
    wanted = {name: _right_hand_side(name, value) for name, value in options["aliases"].items()}
    world = AliasHost(settings, options["path"])
    utf8_only = settings is None or settings.utf8_only
    present = parse(decoded(before), utf8_only=utf8_only).effective
    additions = {
        name: options["names_target"]
        for name in options["names"]
        if fold(name) != fold(options["names_target"])
        # What another table has is the user's own, and a line in the file might hide it.
        and (fold(name) in present or not world.elsewhere(fold(name)))
    }
    after = encoded(edited(decoded(before), wanted, additions, options["absent"], utf8_only=utf8_only))
    host = world.with_text(decoded(after))
    found = survey((fold(name) for name in (*options["names"], *wanted)), host)
    if found.errors:
        msg = f"Nothing was changed in {options['path']}, because mail would not arrive. {'. '.join(found.errors)}"
        raise InvalidInput(shown(msg))
    change = store.plan(before, after, settings, (fold(name) for name in (*additions, *wanted)))
    result = _result(options["path"], change)
    told = [*world.warnings, *found.warnings, *world.hidden(fold(name) for name in wanted)]
    if settings is not None:
        told += AddressCheck(settings, host, in_table).warnings(options["addresses"])
    result["warnings"] += map(shown, told)
    if change.needed and not check_mode and settings is not None:
        if options["backup"] and change.before != change.after and Path(options["path"]).exists():
            result["backup_file"] = backup(options["path"])
        store.apply(change, settings)
    return result


def _settings(*, check_mode: bool) -> AliasSettings | None:
    try:
        return read_settings()
    except PostfixMissing:
        if check_mode:
            return None
        raise


def _right_hand_side(name: str, value: object) -> str:
    items = value if isinstance(value, list) else [value]
    texts = [item.strip() for item in items if isinstance(item, str) and item.strip()]
    if not texts or len(texts) < len(items):
        msg = f"The alias {name!r} has the value {value!r}; give an address, or a list of them"
        raise InvalidInput(msg)
    return ", ".join(texts)


def _result(path: str, change: Change) -> dict[str, t.Any]:
    texts = (shown(decoded(content)) for content in (change.before, change.after))
    diffs = [text_diff(path, *texts)] if change.before != change.after else []
    if change.outdated:
        before = "".join(f"{table}: {reason}\n" for table, reason in change.outdated)
        diffs.append(
            text_diff("newaliases", before, "".join(f"{table}: built\n" for table, _reason in change.outdated))
        )
    return {
        "changed": change.needed,
        "file_changed": change.before != change.after,
        "rebuilt": [{"database": str(table), "reason": reason} for table, reason in change.outdated],
        "diff": diffs,
        "warnings": list(change.complaints),
    }
