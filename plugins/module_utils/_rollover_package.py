# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The agent as one executable file: the core's own sources in a zip archive that Python runs (PEP 441).

The sources are those that are loaded right now, so what runs on a host without Ansible is what the collection tests.
The same sources give the same octets, so an installed agent can be compared by its content.
"""

from __future__ import annotations

import ast
import io
import typing as t
import zipfile
from pathlib import Path

from ._errors import DaneError

__all__ = ["agent_archive"]

ENTRY: t.Final = "_rollover_cli"
_PACKAGE: t.Final = "mailsec_dane"
_SHEBANG: t.Final = b"#!/usr/bin/python3 -I\n"
_MAIN: t.Final = f"import sys\n\nfrom {_PACKAGE}.{ENTRY} import main\n\nsys.exit(main())\n"
_EPOCH: t.Final = (1980, 1, 1, 0, 0, 0)


def agent_archive() -> bytes:
    """The octets of the program. Raises DaneError when a source is not there."""
    sources = _sources()
    content = io.BytesIO()
    content.write(_SHEBANG)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        packages = {f"{_PACKAGE}/__init__.py"} | {
            f"{_PACKAGE}/{name.rpartition('/')[0]}/__init__.py" for name in sources if "/" in name
        }
        files = {
            "__main__.py": _MAIN.encode(),
            **dict.fromkeys(packages, b""),
            **{f"{_PACKAGE}/{name}": source for name, source in sources.items()},
        }
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return content.getvalue()


def _sources() -> dict[str, bytes]:
    """Every file that the entry imports, directly or not, by path below the package."""
    found: dict[str, bytes] = {}
    wanted: list[tuple[str, ...]] = [(ENTRY,)]
    while wanted:
        module = wanted.pop()
        name = "/".join(module) + ".py"
        if name in found:
            continue
        source = _source(name)
        found[name] = source
        wanted += _imports(source, module)
    return found


def _source(name: str) -> bytes:
    """From wherever this file itself was loaded: a directory, or the archive that Ansible sent."""
    loader: t.Any = getattr(__spec__, "loader", None)
    try:
        return t.cast("bytes", loader.get_data(str(Path(__file__).parent / name)))
    except (AttributeError, OSError) as exc:
        msg = f"The agent's source {name} is missing in what Ansible sent to this host: {exc}"
        raise DaneError(msg) from exc


def _imports(source: bytes, module: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The modules of ours that a source imports; none of them is a package."""
    return [
        (*module[: len(module) - node.level], *node.module.split("."))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.level and node.module
    ]
