# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files written whole or not at all, and the tar streams that carry files into containers."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class ContainerFile:
    """A file (or, with ``link``, a symbolic link) to be put into a container before its first start, owned by root.

    A container is made anew when its files change, except for those that are ``volatile``.
    """

    path: str
    content: str = ""
    mode: int = 0o644
    link: str = ""
    volatile: bool = False


def write_whole(path: Path, content: str, mode: int = 0o644) -> bool:
    """Write ``content`` by temporary file and rename; return whether anything changed."""
    if path.exists() and path.read_text("utf-8") == content and path.stat().st_mode & 0o777 == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(content, "utf-8")
    temporary.chmod(mode)
    temporary.replace(path)
    return True


def tar_stream(files: Iterable[ContainerFile], now: int) -> bytes:
    """Return a tar archive of ``files``, modified at ``now`` (Unix time), for ``podman cp -``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.mtime = now
            if file.link:
                entry.type = tarfile.SYMTYPE
                entry.linkname = file.link
                archive.addfile(entry)
                continue
            data = file.content.encode()
            entry.size = len(data)
            entry.mode = file.mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
