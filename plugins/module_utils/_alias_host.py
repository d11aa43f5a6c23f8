# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The host as its mail sees it: the aliases of all tables in Postfix's order, its domains, accounts and lists."""

from __future__ import annotations

import pwd
import stat
import typing as t
from pathlib import Path

from ._alias_databases import in_table
from ._alias_routes import Found, Host
from ._alias_settings import AliasSettings, Table, tables
from ._alias_store import refuse_unread, text_of
from ._alias_syntax import Destination, Kind, destinations, fold
from ._aliases import decoded, parse
from ._errors import PostfixError
from ._postfix_lists import listed_as, lists_any, read_list

if t.TYPE_CHECKING:
    from ._aliases import Alias

__all__ = ["AliasHost"]

_INCLUDE_LIMIT: t.Final = 1 << 20


class AliasHost:
    """A host with an alias file; what could not be found out becomes one of ``warnings``, once.

    Without ``settings`` there is no Postfix yet, and only the file itself is known. Raises DaneError.
    """

    def __init__(self, settings: AliasSettings | None, path: str) -> None:
        self._settings = settings
        self._path = path
        self._blind = False
        self.warnings: list[str] = []
        self._here = "localhost"
        self._file: dict[str, Alias] = {}
        self._built: dict[Table, dict[str, Alias]] = {}
        self._asked: dict[tuple[str, Table], str | None] = {}
        if settings is None:
            self.warnings.append("Postfix is not installed yet, so only the text of the aliases was checked")
            return
        refuse_unread(settings, path)
        self._here = settings.values["mydestination"]
        # A table that newaliases builds will hold what its text says, whatever it holds now.
        self._built = {
            table: self._parsed(decoded(text_of(table)))
            for table in settings.maps
            if table.name != path and table in settings.databases
        }
        if not settings.uses_aliases:
            self.warnings.append(
                f"Postfix does not use aliases with this local_transport, {settings.values['local_transport']}, and "
                "whether these names reach somebody was not checked. Set local_transport = local:$myhostname, or see "
                "that each of them has a mailbox there"
            )
        if not self._is_here(None) and not self._blind:
            self.warnings.append(
                f"myorigin is {settings.values['myorigin']}, and mydestination does not have it: names without a "
                "domain, such as root, are sent to that domain and not to this host"
            )

    def elsewhere(self, name: str) -> Found | None:
        """The alias that the other tables of alias_maps have for a name in folded form."""
        return self._first(name, (table for table in self._maps if table.name != self._path))

    def with_text(self, text: str) -> Host:
        """The host as the survey must know it, with ``text`` in the alias file."""
        self._file = self._parsed(text)
        return Host(
            names=tuple(self._file),
            lookup=lambda name: self._first(name, self._maps),
            is_here=self._is_here,
            has_account=self._has_account,
            included=_included,
            allows=self._allows,
            swaps_bangpath=self._settings is None or self._settings.yes("swap_bangpath"),
            allows_percent=self._settings is None or self._settings.yes("allow_percent_hack"),
            delimiters=self._settings.values["recipient_delimiter"] if self._settings else "",
        )

    def hidden(self, names: t.Iterable[str]) -> list[str]:
        """A warning for each of these names, of the file, for which Postfix finds another table's alias."""
        found = {name: self._first(name, self._maps) for name in names if name in self._file}
        return [
            f"{name} (line {self._file[name].lines[0]}) has no effect: {alias.place} has {name} too, and stands before "
            f"{self._path} in alias_maps. Take {name} out of {alias.place}, or change the order"
            for name, alias in found.items()
            if alias is not None and alias.place != f"line {self._file[name].lines[0]}"
        ]

    def _parsed(self, text: str) -> dict[str, Alias]:
        return parse(text, utf8_only=self._settings is None or self._settings.utf8_only).effective

    @property
    def _maps(self) -> tuple[Table, ...]:
        return self._settings.maps if self._settings else (Table("hash", self._path),)

    def _first(self, name: str, maps: t.Iterable[Table]) -> Found | None:
        """What local(8) finds: the answer of the first table that has the name (postconf(5), alias_maps)."""
        for table in maps:
            if table.name == self._path:
                alias = self._file.get(name)
                if alias is not None:
                    return Found(alias.destinations, f"line {alias.lines[0]}")
            elif table in self._built:
                alias = self._built[table].get(name)
                if alias is not None:
                    return Found(alias.destinations, str(table))
            elif (value := self._ask(name, table)) is not None:
                return Found(destinations(value), str(table))
        return None

    def _is_here(self, domain: str | None) -> bool:
        if domain is None:
            if self._settings is None:
                return True
            domain = fold(self._settings.values["myorigin"])
        try:
            return lists_any(self._here, listed_as(domain, "mydestination", ""), self._contains, read_list)
        except OSError as exc:
            self._go_blind(f"mydestination names the file {exc.filename}, which cannot be read: {exc.strerror}")
            return False

    def _contains(self, table: str, domain: str) -> bool:
        return self._ask(domain, tables(table, "")[0]) is not None

    def _ask(self, key: str, table: Table) -> str | None:
        if (key, table) not in self._asked:
            self._asked[key, table] = self._asked_now(key, table)
        return self._asked[key, table]

    def _asked_now(self, key: str, table: Table) -> str | None:
        try:
            return in_table(key, table)
        except PostfixError as exc:
            self._go_blind(f"{exc}; names that only this table has cannot be checked")
            return None

    def _go_blind(self, warning: str) -> None:
        """From now on no name is taken for a dead end."""
        if not self._blind:
            self.warnings.append(warning)
        self._blind = True

    def _has_account(self, name: str) -> bool:
        if self._blind or (self._settings and self._settings.delivers_unknown):
            return True
        try:
            pwd.getpwnam(name)
        except KeyError:
            return False
        return True

    def _allows(self, kind: Kind, origin: str) -> bool:
        if self._settings is None:
            return origin == "alias"
        return self._settings.allows("commands" if kind is Kind.COMMAND else "files", origin)


def _included(path: str) -> tuple[Destination, ...] | str:
    """What an :include: file lists, or why local(8) does not take it; of a very long one, what its beginning lists."""
    if not path.startswith("/"):
        return "its path does not begin with /"
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):
            return "that is no regular file"
        if mode & stat.S_IWOTH:
            return "everybody may write to that file, so Postfix returns the mail"
        with Path(path).open("rb") as file:
            content = file.read(_INCLUDE_LIMIT)
            if file.read(1):
                content = content[: max(content.rfind(b"\n"), content.rfind(b",")) + 1]
    except OSError:
        return "that file cannot be read"
    lines = [line for line in decoded(content).split("\n") if not line.startswith("#")]
    return tuple(dict.fromkeys(found for line in lines for found in destinations(line)))
