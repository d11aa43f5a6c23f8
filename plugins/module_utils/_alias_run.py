# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the module postfix_aliases does with its options, and what it tells of it."""

from __future__ import annotations

import pwd
import typing as t
from pathlib import Path

from ._alias_databases import AliasSettings, Table, in_table, read_settings
from ._alias_routes import Host, survey
from ._alias_store import AliasStore, Change, refuse_unread, text_of
from ._alias_syntax import Destination, destinations, fold
from ._aliases import edited, parse
from ._errors import InvalidInput, PostfixError, PostfixMissing
from ._module import text_diff
from ._postfix import split_list

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._aliases import Alias

__all__ = ["run"]

_INCLUDE_LIMIT: t.Final = 1 << 20


def run(options: Mapping[str, t.Any], *, check_mode: bool, backup: Callable[[str], str]) -> dict[str, t.Any]:
    """The result of the module for its ``options``. ``backup`` copies a file and returns the copy's path.

    Raises DaneError.
    """
    settings = _settings(check_mode=check_mode)
    store = AliasStore(options["path"])
    before = store.read()
    wanted = {name: _right_hand_side(name, value) for name, value in options["aliases"].items()}
    additions = dict.fromkeys(
        (name for name in options["names"] if fold(name) != fold(options["names_target"])), options["names_target"]
    )
    after = edited(_text(before), wanted, additions, options["absent"]).encode("utf-8", "surrogateescape")
    world = _World(settings, options["path"], _text(after))
    found = survey((fold(name) for name in (*additions, *wanted)), world.host())
    if found.errors:
        msg = f"Nothing was changed in {options['path']}, because mail would not arrive. {'. '.join(found.errors)}"
        raise InvalidInput(msg)
    change = store.plan(before, after, settings)
    result = _result(options["path"], change)
    result["warnings"] += [*world.warnings, *found.warnings]
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


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _right_hand_side(name: str, value: object) -> str:
    items = value if isinstance(value, list) else [value]
    texts = [item.strip() for item in items if isinstance(item, str) and item.strip()]
    if not texts or len(texts) < len(items):
        msg = f"The alias {name!r} has the value {value!r}; give an address, or a list of them"
        raise InvalidInput(msg)
    return ", ".join(texts)


def _result(path: str, change: Change) -> dict[str, t.Any]:
    diffs = [text_diff(path, _text(change.before), _text(change.after))] if change.before != change.after else []
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


class _World:
    """The host as the survey must know it; what could not be found out becomes a warning, once."""

    def __init__(self, settings: AliasSettings | None, path: str, text: str) -> None:
        self._settings = settings
        self._path = path
        self._file = parse(text)
        self._blind = False
        self.warnings: list[str] = []
        self._here: list[str] = ["localhost"]
        self._others: tuple[Table, ...] = ()
        self._built: dict[Table, dict[str, Alias]] = {}
        if settings is None:
            self.warnings.append("Postfix is not installed yet, so only the text of the aliases was checked")
            return
        refuse_unread(settings, path)
        self._here = split_list(settings.values["mydestination"])
        self._others = tuple(table for table in settings.maps if table.name != path)
        # A table that newaliases builds will hold what its text says, whatever it holds now.
        self._built = {
            table: parse(_text(text_of(table))).effective for table in self._others if table in settings.databases
        }
        if not self._is_here(None):
            self.warnings.append(
                f"myorigin is {settings.values['myorigin']}, and mydestination does not have it: names without a "
                "domain, such as root, are sent to that domain and not to this host"
            )

    def host(self) -> Host:
        return Host(
            aliases=self._file.effective,
            other_alias=self._other_alias,
            is_here=self._is_here,
            has_account=self._has_account,
            included=self._included,
            delimiters=self._settings.values["recipient_delimiter"] if self._settings else "",
        )

    def _is_here(self, domain: str | None) -> bool:
        if domain is None:
            if self._settings is None:
                return True
            domain = fold(self._settings.values["myorigin"])
        for item in self._here:
            kind, colon, name = item.partition(":")
            if (colon and self._ask(domain, Table(kind, name)) is not None) or fold(item) == domain:
                return True
        return False

    def _other_alias(self, name: str) -> tuple[Destination, ...] | None:
        for table in self._others:
            if table in self._built:
                alias = self._built[table].get(name)
                if alias is not None:
                    return alias.destinations
                continue
            value = self._ask(name, table)
            if value is not None:
                return destinations(value)
        return None

    def _ask(self, key: str, table: Table) -> str | None:
        try:
            return in_table(key, table)
        except PostfixError as exc:
            if not self._blind:
                self.warnings.append(f"{exc}; names that only this table has cannot be checked")
            self._blind = True
            return None

    def _has_account(self, name: str) -> bool:
        if self._blind or (self._settings and self._settings.delivers_unknown):
            return True
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def _included(self, path: str) -> tuple[Destination, ...] | None:
        if not path.startswith("/"):
            return None
        try:
            with Path(path).open("rb") as file:
                text = _text(file.read(_INCLUDE_LIMIT))
        except OSError:
            return None
        lines = [line for line in text.split("\n") if not line.startswith("#")]
        return tuple(dict.fromkeys(found for line in lines for found in destinations(line)))
