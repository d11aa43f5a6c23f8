# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Adapter to Postfix's alias tables: what is configured, what they hold, and building them anew.

The only caller of postalias and newaliases. Whether a table agrees with its text is judged by Postfix itself: it builds
a second one from the text, in a scratch directory, and the two are listed and compared.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ._alias_settings import PARAMETERS, AliasSettings, Table
from ._alias_syntax import fold
from ._errors import PostfixError, PostfixMissing
from ._postfix import parse_parameters
from ._programs import run_program, said

if t.TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable

__all__ = ["Verdict", "in_table", "judge", "read_settings", "rebuild"]

# postalias adds these by itself; they change with each build, or with the host's name.
_OWN_KEYS: t.Final = ("YP_LAST_MODIFIED:", "YP_MASTER_NAME:", "@:")
_DATE: t.Final = re.compile(rb"(?<=YP_LAST_MODIFIED)\0?[0-9]{10}")
_OLDER: t.Final = "it is older than the text"
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Verdict:
    """Why a table must be built anew (None: it need not), and what postalias says of the text."""

    reason: str | None
    complaints: tuple[str, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether the table, whatever its age, does not hold what the text says."""
        return self.reason is not None and self.reason != _OLDER


def read_settings() -> AliasSettings:
    """Ask postconf. Raises PostfixMissing, PostfixError."""
    values = parse_parameters(_output("postconf", "-x", *PARAMETERS))
    if values["myorigin"].startswith("/"):
        try:
            values["myorigin"] = Path(values["myorigin"]).read_text(encoding="utf-8").split("\n", 1)[0].strip()
        except (OSError, UnicodeDecodeError) as exc:
            msg = f"myorigin names the file {values['myorigin']}, which cannot be read: {exc}"
            raise PostfixError(msg) from exc
    service = values["local_transport"].partition(":")[0]
    return AliasSettings(values, "local" if service == "local" else _program(service))


def _program(service: str) -> str:
    """The program of a delivery service, without its options; empty where master.cf has no such service."""
    command = parse_parameters(_output("postconf", "-F", f"{service}/unix/command"))
    return next(iter(command.values()), "").partition(" ")[0]


def in_table(key: str, table: Table) -> str | None:
    """The value of a key, as ``postmap -q`` finds it; None where it is not there. Raises PostfixError."""
    done = _run("postmap", "-q", key, str(table))
    if done.returncode != 0 and (complaint := said(done)):
        msg = f"{table} cannot be asked for {key}: {complaint.splitlines()[-1]}"
        raise PostfixError(msg)
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def judge(table: Table, text: bytes, names: Iterable[str] = ()) -> Verdict:
    """Whether a table is what Postfix would build of ``text``, the content of its text file.

    The type of the table is one of SUFFIXES. Raises PostfixError where Postfix cannot build it, or would not find one
    of ``names`` in it.
    """
    with tempfile.TemporaryDirectory(prefix="dane-aliases-") as directory:
        scratch = Table(table.type, str(Path(directory, "aliases")))
        Path(scratch.name).write_bytes(text)
        done = _run("postalias", str(scratch))
        complaints = tuple(line.replace(scratch.name, table.name) for line in said(done).splitlines() if line)
        if done.returncode != 0:
            msg = f"Postfix cannot build {table}: {'; '.join(complaints)}"
            raise PostfixError(msg)
        if absent := _absent(names, scratch):
            msg = f"Postfix would not find {', '.join(absent)} in {table}, though {table.name} would have it"
            raise PostfixError(". ".join((msg, *complaints)))
        return Verdict(_reason(table, scratch), complaints)


def _reason(table: Table, scratch: Table) -> str | None:
    if not all(file.is_file() for file in table.files):
        return "it is missing"
    if _content(table) != _content(scratch):
        return "it does not hold what the text says"
    try:
        text_time = Path(table.name).stat().st_mtime_ns
    except FileNotFoundError:
        return None
    # No table is younger than a text of the future, and what it holds was compared already.
    if min(file.stat().st_mtime_ns for file in table.files) < text_time <= time.time_ns():
        return _OLDER
    return None


def _absent(names: Iterable[str], table: Table) -> list[str]:
    """Those of ``names``, in folded form, that a table does not have."""
    listing = _listing(table)
    if listing is None:
        return [name for name in names if in_table(name, table) is None]
    keys = {fold(line.partition(":\t")[0]) for line in listing}
    return [name for name in names if name not in keys]


def _content(table: Table) -> list[str] | list[bytes]:
    """Every key and value of a table or, of a type that cannot be listed (cdb), its files less the date in them."""
    listing = _listing(table)
    return [_DATE.sub(b"", file.read_bytes()) for file in table.files] if listing is None else listing


def _listing(table: Table) -> list[str] | None:
    """Every key and value of a table, sorted; None of a type that cannot be listed, and of a table that is damaged."""
    done = _run("postalias", "-s", str(table))
    if done.returncode != 0:
        return None
    return sorted(line for line in done.stdout.split("\n") if line and not line.startswith(_OWN_KEYS))


def rebuild() -> None:
    """Run newaliases. Raises PostfixError with what it said."""
    done = _run("newaliases")
    if done.returncode != 0:
        msg = f"newaliases failed: {said(done) or f'exit status {done.returncode}'}"
        raise PostfixError(msg)


def _output(*command: str) -> str:
    done = _run(*command)
    if done.returncode != 0:
        msg = f"{' '.join(command[:3])} failed: {said(done) or f'exit status {done.returncode}'}"
        raise PostfixError(msg)
    return done.stdout


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    # Debian's other mail servers have a newaliases of their own, so Postfix is known by postconf.
    if not shutil.which("postconf", path=path):
        msg = (
            "Postfix is not installed on this host: there is no postconf. Run the role mailsec.dane.postfix_dane "
            "first, or install the Debian package postfix"
        )
        raise PostfixMissing(msg)
    missing = PostfixError(
        f"There is no {command[0]} on this host, though Postfix is installed; reinstall the Debian package postfix"
    )
    return run_program(*command, path=path, missing=missing, overdue=PostfixError)
