# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Files that are whole on disk, or not there: what is written survives a crash of the machine in one piece."""

from __future__ import annotations

import os
import tempfile
import typing as t
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Access",
    "clear_unfinished",
    "copy_beside",
    "make_directory",
    "replace_file",
    "sync_directory",
    "write_new_file",
]

_DIRECTORY_MODE: t.Final = 0o755


@dataclass(frozen=True)
class Access:
    """Who may read and write a file; -1 leaves an owner as it is."""

    mode: int
    uid: int = -1
    gid: int = -1

    def apply(self, descriptor: int) -> None:
        os.fchown(descriptor, self.uid, self.gid)
        os.fchmod(descriptor, self.mode)


def write_new_file(path: Path, content: bytes, access: Access) -> None:
    """Create ``path`` and see its content on disk; nobody but its owner could read it meanwhile. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    _fill(os.open(path, flags, 0o600), content, access)


def replace_file(path: Path, content: bytes, access: Access) -> None:
    """Put a new file in the place of ``path`` by one rename. Raises OSError; then the old one stands."""
    descriptor, name = tempfile.mkstemp(prefix=_unfinished(path), dir=path.parent)  # of mode 0600
    temporary = Path(name)
    try:
        _fill(descriptor, content, access)
        temporary.rename(path)
        sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def copy_beside(path: Path) -> Path:
    """Copy a file, with its access and times, to a new one in its directory, and return that. Raises OSError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        content = file.read()
    descriptor, name = tempfile.mkstemp(prefix=_unfinished(path), dir=path.parent)
    copy = Path(name)
    try:
        _fill(descriptor, content, Access(status.st_mode & 0o7777, status.st_uid, status.st_gid))
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    except BaseException:
        copy.unlink(missing_ok=True)
        raise
    return copy


def clear_unfinished(path: Path) -> None:
    """Remove what a killed run left of :func:`replace_file` or :func:`copy_beside` beside ``path``. Raises OSError.

    Nobody else may be writing there.
    """
    for leftover in path.parent.iterdir():
        if leftover.name.startswith(_unfinished(path)):
            leftover.unlink(missing_ok=True)


def _unfinished(path: Path) -> str:
    """How the names of unfinished files begin; an editor's, such as .aliases.swp of vim, do not."""
    return f".{path.name}.unfinished-"


def make_directory(path: Path) -> None:
    """Create a directory and its parents, open for reading whatever the umask. Raises OSError."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=_DIRECTORY_MODE)
        path.chmod(_DIRECTORY_MODE)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """See a directory's entries on disk: creations and renames in it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(descriptor: int, content: bytes, access: Access) -> None:
    with os.fdopen(descriptor, "wb") as file:
        access.apply(descriptor)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
