# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Adapter to the disk: files that other programs are about to change, and that can be put back as they were.

Postfix writes most types of tables in place, so a second name of a file (link(2)) would change with it: copies are
needed. They are whole before anything is changed, and are put back by renames, which need no space on the disk.
"""

from __future__ import annotations

import typing as t
from contextlib import suppress

from ._durable import clear_unfinished, copy_beside, sync_directory

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["SavedFiles"]


class SavedFiles:
    """The files of ``paths`` as they are, or that they are not there; a context whose end removes the copies.

    Entering raises OSError, whose ``filename`` is the path that could not be copied; nothing is left then.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(dict.fromkeys(paths))
        self._copies: dict[Path, Path | None] = {}
        self._kept: set[Path] = set()

    def __enter__(self) -> t.Self:
        for path in self._paths:
            try:
                clear_unfinished(path)
                self._copies[path] = _copy(path)
            except OSError as exc:
                self._remove_copies()
                raise OSError(exc.errno, exc.strerror, str(path)) from exc
        return self

    def __exit__(self, *_exception: object) -> None:
        self._remove_copies()

    def put_back(self) -> tuple[str, ...]:
        """Put every file back; return for each that could not be: which, why, and where its former content is."""
        failures = []
        for path, copy in self._copies.items():
            try:
                if copy is None:
                    path.unlink(missing_ok=True)
                else:
                    copy.rename(path)
                sync_directory(path.parent)
            except OSError as exc:
                failures.append(f"{path} ({exc.strerror}; {self._former(copy)})")
        return tuple(failures)

    def _former(self, copy: Path | None) -> str:
        if copy is None:
            return "it was not there before"
        if not copy.exists():
            return "it is there again, but may be lost if the machine crashes now"
        self._kept.add(copy)
        return f"its former content is in {copy}"

    def _remove_copies(self) -> None:
        for copy in self._copies.values():
            if copy is not None and copy not in self._kept:
                with suppress(OSError):  # the next run removes it
                    copy.unlink(missing_ok=True)


def _copy(path: Path) -> Path | None:
    try:
        return copy_beside(path)
    except FileNotFoundError:
        return None
