# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The alias file and the tables that are built from it change together, or not at all."""

from __future__ import annotations

import fcntl
import os
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ._alias_databases import judge, rebuild
from ._alias_settings import SUFFIXES, AliasSettings, Table
from ._durable import Access, replace_file
from ._errors import InvalidInput, PostfixError
from ._saved_files import SavedFiles

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["AliasStore", "Change", "refuse_unread", "text_of"]

_NEW_FILE: t.Final = Access(0o644)


@dataclass(frozen=True)
class Change:
    """What has to be done, or was."""

    before: bytes
    after: bytes
    outdated: tuple[tuple[Table, str], ...]
    """The tables that newaliases must build, each with the reason."""
    complaints: tuple[str, ...]

    @property
    def needed(self) -> bool:
        return self.before != self.after or bool(self.outdated)


def refuse_unread(settings: AliasSettings, path: str) -> None:
    """Raise InvalidInput unless newaliases builds a table of ``path`` and local(8) looks names up in it."""
    if unfit := [table for table in settings.databases if table.type not in SUFFIXES]:
        msg = (
            f"alias_database names {unfit[0]}, and {unfit[0].type} is no type of table that newaliases builds; "
            f"use one of {', '.join(SUFFIXES)}"
        )
        raise InvalidInput(msg)
    read = [table for table in settings.maps if table.name == path]
    built = [table for table in settings.databases if table.name == path]
    if not read:
        msg = (
            f"Postfix does not look for aliases in {path}: alias_maps is {settings.values['alias_maps'] or '(empty)'}. "
            f"Set alias_maps = {settings.values['default_database_type']}:{path}, or give the path that is in use"
        )
        raise InvalidInput(msg)
    if stale := [table for table in read if table not in built]:
        msg = (
            f"newaliases does not build what Postfix reads: alias_maps has {stale[0]}, and alias_database is "
            f"{settings.values['alias_database'] or '(empty)'}. Add {stale[0]} to alias_database"
        )
        raise InvalidInput(msg)


class AliasStore:
    """One alias file with its tables."""

    def __init__(self, path: str) -> None:
        self._path = path
        # A symbolic link is kept: what it points to is replaced.
        self._file = Path(path).resolve()

    def read(self) -> bytes:
        """The text; empty where there is no file yet. Raises InvalidInput."""
        try:
            return self._file.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as exc:
            msg = f"{self._path} cannot be read: {exc}"
            raise InvalidInput(msg) from exc

    def plan(self, before: bytes, after: bytes, settings: AliasSettings | None, names: Iterable[str]) -> Change:
        """What must be done for ``after``, in which Postfix must find ``names`` (in folded form).

        Without ``settings`` (no Postfix yet) tables are not looked at. Raises InvalidInput, PostfixError.
        """
        wanted = tuple(names)
        outdated = []
        complaints: list[str] = []
        for table in settings.databases if settings else ():
            own = table.name == self._path
            verdict = judge(table, after, wanted) if own else judge(table, text_of(table))
            complaints.extend(verdict.complaints)
            if verdict.reason:
                outdated.append((table, verdict.reason))
            elif own and before != after:
                outdated.append((table, "the text changes"))
        return Change(before, after, tuple(outdated), tuple(complaints))

    def apply(self, change: Change, settings: AliasSettings) -> None:
        """Write the text and have newaliases build the tables; where that fails, put all back. Raises PostfixError."""
        tables = (file.resolve() for table in settings.databases for file in table.files)
        try:
            with self._lock(), SavedFiles((self._file, *tables)) as saved:
                self._apply(change, settings, saved)
        except OSError as exc:
            msg = f"{exc.filename} cannot be copied, so it could not be put back; nothing was changed: {exc.strerror}"
            raise PostfixError(msg) from exc

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep other runs of ours out."""
        try:
            handle = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            msg = f"The directory of {self._path} cannot be opened; nothing was changed: {exc}"
            raise PostfixError(msg) from exc
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                msg = (
                    f"{self._file.parent} cannot be locked, so another run may be changing {self._path}: {exc.strerror}"
                )
                raise PostfixError(msg) from exc
            yield
        finally:
            os.close(handle)

    def _apply(self, change: Change, settings: AliasSettings, saved: SavedFiles) -> None:
        if self.read() != change.before:
            msg = f"{self._path} was changed by somebody else in the meantime; nothing was written, run again"
            raise PostfixError(msg)
        try:
            if change.before != change.after:
                replace_file(self._file, change.after, self._access())
            rebuild()
            _confirm(settings)
        except (OSError, PostfixError) as exc:
            failures = saved.put_back()
            outcome = (
                f"Not everything could be put back as it was: {', '.join(failures)}. Mend that, and run newaliases"
                if failures
                else "The aliases and their tables were put back as they were"
            )
            file = getattr(exc, "filename", None) or self._path
            cause = f"{file} cannot be written: {exc.strerror}" if isinstance(exc, OSError) else str(exc)
            msg = f"{cause}. {outcome}"
            raise PostfixError(msg) from exc
        except BaseException:
            saved.put_back()
            raise

    def _access(self) -> Access:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return _NEW_FILE
        return Access(status.st_mode & 0o7777, status.st_uid, status.st_gid)


def _confirm(settings: AliasSettings) -> None:
    for table in settings.databases:
        # By its clock, a disk elsewhere may date a new table before the text.
        if (verdict := judge(table, text_of(table))).wrong:
            msg = f"newaliases ran, and {table} is still not right: {verdict.reason}"
            raise PostfixError(msg)


def text_of(table: Table) -> bytes:
    """The text that a table of alias_database is built from. Raises PostfixError."""
    try:
        return Path(table.name).read_bytes()
    except OSError as exc:
        msg = f"alias_database names {table}, and its text cannot be read: {exc}"
        raise PostfixError(msg) from exc
