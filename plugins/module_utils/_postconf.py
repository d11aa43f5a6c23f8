# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Adapter to an installed Postfix: the only caller of postconf, postfix, postmulti and postmap.

Nothing is edited in place. ``postconf -e`` works on a copy; what it made is checked there, and one rename puts it into
the configuration directory, so that a crash at any point leaves a main.cf that was checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

from ._errors import InvalidInput, PostfixError, PostfixMissing
from ._postfix import PostfixState, parse_parameters, parse_services
from ._postfix_lookup import DUMPABLE_TABLES, Table
from ._programs import run_program, said

if t.TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

    from ._postfix_settings import Plan

__all__ = ["SEARCH_PATH", "PostfixInstance", "instance_directory", "replace_file"]

# A reload that a killed run owes: written before main.cf changes, removed after the reload.
_PENDING: t.Final = ".dane-reload-pending"

# Where Debian, and Postfix installed from source, have its programs.
SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Postfix, with nothing of our environment (MAIL_CONFIG would mislead it)."""
    missing = PostfixMissing(f"There is no {command[0]} on this host; install the Debian package postfix first")
    return run_program(*command, path=SEARCH_PATH, missing=missing, overdue=PostfixError)


def _output(*command: str) -> str:
    done = _run(*command)
    if done.returncode != 0:
        msg = f"{' '.join(command[:4])} failed: {said(done) or f'exit status {done.returncode}'}"
        raise PostfixError(msg)
    return done.stdout


def instance_directory(name: str) -> str:
    """Return the configuration directory of the instance with this ``multi_instance_name``, ``-`` for the primary."""
    instances = {}
    for line in _output("postmulti", "-l").splitlines():
        fields = line.split()
        if len(fields) == 4:
            instances[fields[0]] = fields[3]
    if name not in instances:
        msg = f"instance: Postfix has no instance {name!r} here; postmulti -l lists {', '.join(sorted(instances))}"
        raise InvalidInput(msg)
    return instances[name]


class PostfixInstance:
    """One configuration directory of an installed Postfix."""

    def __init__(self, directory: str) -> None:
        """Raises InvalidInput when ``directory`` holds no main.cf, PostfixMissing when Postfix is not installed."""
        self._directory = Path(directory)
        # A main.cf that is a symbolic link is replaced where it really is.
        self._main = (self._directory / "main.cf").resolve()
        self._pending = self._directory / _PENDING
        if not self._main.is_file():
            _run("postconf", "-h", "-d", "mail_version")  # raises PostfixMissing
            msg = (
                f"config_directory: there is no main.cf in {directory}; for Debian's own instance run "
                f"`dpkg-reconfigure postfix`, for another see postmulti(1)"
            )
            raise InvalidInput(msg)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs of ours out. Raises PostfixError when one is at work."""
        handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                msg = f"Another run is changing {self._directory}; try again when it has ended"
                raise PostfixError(msg) from None
            yield
        finally:
            os.close(handle)

    def read(self, given: Mapping[str, str] | None = None) -> PostfixState:
        """Ask postconf for everything, in four calls; what is in force as if main.cf had the `given` settings.

        Raises PostfixError when main.cf or master.cf is malformed.
        """
        return _read(str(self._directory), given or {})

    def main_cf(self) -> bytes:
        """Return main.cf as it is."""
        return self._main.read_bytes()

    def table(self, name: str) -> Table:
        """List a lookup table such as ``hash:/etc/postfix/tls_policy``."""
        bare = name.removeprefix("proxy:")
        if bare.partition(":")[0] not in DUMPABLE_TABLES:
            return Table()
        done = _run("postmap", "-c", str(self._directory), "-s", bare)
        if done.returncode != 0:
            return Table(problem=said(done).rpartition("\n")[2] or f"postmap ended with status {done.returncode}")
        entries: dict[str, str] = {}
        for line in done.stdout.splitlines():
            key, _unused, value = line.partition("\t")
            entries.setdefault(key, value)
        return Table(entries=entries)

    def contains(self, table: str, key: str) -> bool:
        """Whether a lookup table has ``key``. Raises PostfixError when the table cannot be asked."""
        done = _run("postmap", "-c", str(self._directory), "-q", key, table)
        if done.returncode != 0 and (complaint := said(done)):
            msg = f"postmap -q {key} {table} failed: {complaint}"
            raise PostfixError(msg)
        return done.returncode == 0

    def edited(self, plan: Plan, *, check: bool) -> bytes:
        """Return main.cf as ``postconf`` makes it from this plan, without touching the configuration.

        The result must parse, must have what was planned, and must have kept every other setting. With ``check``,
        it must pass ``postfix check`` too, which may repair the queue directory and so is not for a dry run.
        Raises PostfixError otherwise.
        """
        with tempfile.TemporaryDirectory(prefix="postfix-dane-") as scratch:
            for name in ("main.cf", "master.cf"):
                shutil.copyfile(self._directory / name, Path(scratch, name))
            copy = Path(scratch, "main.cf")
            _settle(copy)
            before = _explicit(scratch)
            if plan.removals:
                _output("postconf", "-c", scratch, "-X", *plan.removals)
            if plan.assignments:
                _output("postconf", "-c", scratch, "-e", *(f"{k}={v}" for k, v in plan.assignments.items()))
            _settle(copy)
            after = _explicit(scratch)
            expected = {name: value for name, value in before.items() if name not in plan.removals}
            expected.update(plan.assignments)
            if after != expected:
                odd = sorted(name for name in after.keys() | expected.keys() if after.get(name) != expected.get(name))
                msg = f"postconf did not make of main.cf what was asked: see {', '.join(odd)}; nothing was changed"
                raise PostfixError(msg)
            if check:
                _output("postfix", "-c", scratch, "check")
            return copy.read_bytes()

    def install(self, before: bytes, after: bytes) -> None:
        """Put a checked main.cf in place of the one that it was made from, and note that a reload is owed."""
        if self.main_cf() != before:
            msg = f"{self._main} was changed by somebody else in the meantime; nothing was written, run again"
            raise PostfixError(msg)
        self.owe_reload()
        replace_file(self._main, after)

    def owe_reload(self) -> None:
        """Note that Postfix must be reloaded, so that the next run does it if this one is killed before."""
        self._pending.touch()

    @property
    def reload_owed(self) -> bool:
        """Whether a run changed the configuration and did not come to the reload."""
        return self._pending.exists()

    def running(self) -> bool:
        """Whether the instance's master(8) runs."""
        return _run("postfix", "-c", str(self._directory), "status").returncode == 0

    def reload(self) -> bool:
        """Have a running Postfix read its configuration. Returns False when it does not run, and so needs none."""
        running = self.running()
        if running:
            _output("postfix", "-c", str(self._directory), "reload")
            if not self.running():
                msg = "Postfix ended when it was reloaded; its log tells why (journalctl -u 'postfix*')"
                raise PostfixError(msg)
        self._pending.unlink(missing_ok=True)
        return running


def _read(directory: str, given: Mapping[str, str]) -> PostfixState:
    overrides = [word for name, value in given.items() for word in ("-o", f"{name}={value}")]
    return PostfixState(
        directory=directory,
        explicit=_explicit(directory),
        effective=parse_parameters(_output("postconf", "-c", directory, "-x", *overrides, "-C", "builtin")),
        services=parse_services(
            _output("postconf", "-c", directory, "-M"), _output("postconf", "-c", directory, "-P", "-x")
        ),
    )


def _explicit(directory: str) -> dict[str, str]:
    """Return what main.cf sets."""
    parameters = parse_parameters(_output("postconf", "-c", directory, "-n"))
    # Owed to -c, and not listed when main.cf changed within the last second.
    parameters.pop("config_directory", None)
    return parameters


def _settle(copy: Path) -> None:
    """Date a copy back: Postfix's programs wait over a main.cf of the last second, lest somebody still writes it."""
    hour = copy.stat().st_mtime - 3600
    os.utime(copy, (hour, hour))


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file whole by a rename within its directory; an existing file's owner and mode are kept."""
    temporary = path.with_name(f"{path.name}.dane-new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        if path.exists():
            shutil.copystat(path, temporary)
            status = path.stat()
            os.fchown(stream.fileno(), status.st_uid, status.st_gid)
            os.utime(temporary)
        else:
            os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
