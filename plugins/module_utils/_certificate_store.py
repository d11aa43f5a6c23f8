# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Where a host's services load their keys and chains from, and the only code that writes there.

::

    /etc/dane/mx1.example.org/
        generations/000001-5d9c3a61f0e2/   ecdsa.pem ecdsa.crt rsa.pem rsa.crt, never changed once they stand here
        generations/000002-b81f07c44d10/
        deployed -> generations/000002-b81f07c44d10
        staged -> generations/000003-0c1d2e3f4a5b     optional: what a rollover deploys next
        next -> generations/000004-9a8b7c6d5e4f       optional: keys whose records are published in advance

A generation is written whole beside its place, synced to disk and renamed; ``deployed`` is switched by one rename. So
whoever opens ``deployed/rsa.pem``, at any moment and after any crash, finds a whole key and chain that belong together.
The store knows files and no cryptography; what may be deployed is decided above it.
"""

from __future__ import annotations

import enum
import fcntl
import hashlib
import os
import re
import shutil
import time
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ._durable import Access, make_directory, sync_directory, write_new_file
from ._errors import StoreError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["CertificateStore", "Generation", "Slot"]

_IDENTIFIER = re.compile(r"(\d{6})-[0-9a-f]{12}")
_FILE_NAME = re.compile(r"[a-z0-9]+\.(pem|crt)")
_LEFTOVERS: t.Final = (".new-", ".old-", ".deployed-", ".staged-", ".next-")


class Slot(enum.StrEnum):
    """The links that name a generation beside the deployed one; a missing one names none."""

    STAGED = "staged"
    NEXT = "next"


@dataclass(frozen=True, order=True)
class Generation:
    """One set of keys and chains that were staged together; a later one sorts after an earlier one."""

    identifier: str
    directory: Path

    def files(self) -> dict[str, bytes]:
        """File name to content. Raises StoreError when it cannot be read."""
        try:
            return {
                entry.name: entry.read_bytes()
                for entry in sorted(self.directory.iterdir())
                if _FILE_NAME.fullmatch(entry.name)
            }
        except OSError as exc:
            msg = f"The certificate store's {self.directory} cannot be read: {exc}"
            raise StoreError(msg) from exc


class CertificateStore:
    """The store of one host. Reading needs no lock; everything that writes is called under :meth:`locked`."""

    def __init__(self, root: Path, *, group: int | None = None) -> None:
        """``root`` is ``/etc/dane/HOST``; members of ``group`` (a gid) may read the keys beside root."""
        self.root = root
        self.link = root / "deployed"
        self._generations = root / "generations"
        self._owed = root / ".reload-owed"
        self._group = group

    def deployed(self) -> Generation | None:
        """What services load now; None before the first deployment. Raises StoreError when the link is not ours."""
        return self._linked(self.link)

    def slot(self, slot: Slot) -> Generation | None:
        """What a slot names; None where it names nothing. Raises StoreError when the link is not ours."""
        return self._linked(self.root / slot)

    def fill(self, slot: Slot, generation: Generation) -> None:
        """Have a slot name a generation, by one rename. Raises StoreError; then it names what it named before."""
        self._point(self.root / slot, generation)

    def clear(self, slot: Slot) -> None:
        """Have a slot name nothing. Raises StoreError."""
        if self.slot(slot) is None:
            return
        try:
            (self.root / slot).unlink()
            sync_directory(self.root)
        except OSError as exc:
            msg = f"{self.root / slot} could not be removed: {exc}"
            raise StoreError(msg) from exc

    def generations(self) -> tuple[Generation, ...]:
        """Every whole generation, oldest first."""
        try:
            names = [entry.name for entry in self._generations.iterdir()]
        except FileNotFoundError:
            return ()
        except OSError as exc:
            msg = f"The certificate store's {self._generations} cannot be read: {exc}"
            raise StoreError(msg) from exc
        return tuple(sorted(generation for name in names if (generation := self._generation(name))))

    @contextmanager
    def locked(self, patience: float = 30.0) -> Iterator[None]:
        """Hold the store for writing, and clear away what a killed writer left. Creates the store's directories.

        Raises StoreError when another process holds it for longer than ``patience`` seconds, or nothing can be written.
        """
        try:
            make_directory(self.root)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            msg = f"The certificate store {self.root} cannot be written: {exc}"
            raise StoreError(msg) from exc
        try:
            self._wait_for_lock(descriptor, patience)
            self._clear_leftovers()
            yield
        finally:
            os.close(descriptor)

    def stage(self, files: Mapping[str, bytes]) -> Generation:
        """Write a generation with exactly these files, or find the one that has them. Services do not see it yet.

        Raises StoreError; then no generation was added.
        """
        for existing in reversed(self.generations()):
            if existing.files() == dict(files):
                return existing
        if unfit := [name for name in files if not _FILE_NAME.fullmatch(name)]:
            msg = f"The certificate store holds NAME.pem and NAME.crt, not {', '.join(unfit)}"
            raise StoreError(msg)
        numbers = [int(generation.identifier.partition("-")[0]) for generation in self.generations()]
        # The name must tell nothing of a key, so only the public files go into it.
        public = hashlib.sha256(b"".join(files[name] for name in sorted(files) if name.endswith(".crt")))
        identifier = f"{max(numbers, default=0) + 1:06d}-{public.hexdigest()[:12]}"
        unfinished = self._generations / f".new-{identifier}"
        final = self._generations / identifier
        try:
            make_directory(self._generations)
            unfinished.mkdir(mode=0o700)
            for name, content in files.items():
                write_new_file(unfinished / name, content, self._access(name))
            unfinished.chmod(0o755)
            sync_directory(unfinished)
            unfinished.rename(final)
            sync_directory(self._generations)
        except OSError as exc:
            with suppress(OSError):
                shutil.rmtree(unfinished)
            msg = f"A new generation could not be written to {self._generations}: {exc}"
            raise StoreError(msg) from exc
        return Generation(identifier, final)

    def deploy(self, generation: Generation) -> None:
        """Switch services to a generation by one rename. Raises StoreError; then the former one is still deployed."""
        self._point(self.link, generation)

    @property
    def reload_owed(self) -> bool:
        """Whether services may hold what was deployed before, because a writer was killed before they reloaded."""
        return self._owed.exists()

    def owe_reload(self) -> None:
        """Note, before a switch, that services must load anew after it. Raises StoreError."""
        try:
            with self._owed.open("wb") as file:
                os.fsync(file.fileno())
            sync_directory(self.root)
        except OSError as exc:
            msg = f"{self._owed} could not be written: {exc}"
            raise StoreError(msg) from exc

    def settle_reload(self) -> None:
        """Note that services have loaded what is deployed."""
        self._owed.unlink(missing_ok=True)

    def superseded(self, keep: int) -> tuple[Generation, ...]:
        """All but the youngest ``keep`` generations and those that a link names."""
        named = self._named()
        generations = self.generations()
        return tuple(found for found in generations[: max(len(generations) - keep, 0)] if found not in named)

    def remove(self, generations: Iterable[Generation]) -> None:
        """Remove generations and their keys. Raises StoreError, also when a link names one of them."""
        named = self._named()
        for generation in generations:
            if generation in named:
                msg = f"{generation.directory} is {named[generation]} and cannot be removed"
                raise StoreError(msg)
            # Out of sight first, so that a half removed generation is never taken for a whole one.
            hidden = self._generations / f".old-{generation.identifier}"
            try:
                generation.directory.rename(hidden)
                shutil.rmtree(hidden)
            except OSError as exc:
                msg = f"The old generation {generation.directory} could not be removed: {exc}"
                raise StoreError(msg) from exc

    def wrong_modes(self, generation: Generation) -> tuple[str, ...]:
        """The names of files whose mode or owner differs from what the store gives them."""
        found = []
        for name in generation.files():
            status = (generation.directory / name).stat()
            if Access(status.st_mode & 0o7777, status.st_uid, status.st_gid) != self._access(name):
                found.append(name)
        return tuple(found)

    def mend_modes(self, generation: Generation) -> None:
        """Give every file the mode and the owner that the store gives it. Raises StoreError."""
        try:
            for name in generation.files():
                with (generation.directory / name).open("rb") as file:
                    self._access(name).apply(file.fileno())
        except OSError as exc:
            msg = f"The mode of a file in {generation.directory} could not be mended: {exc}"
            raise StoreError(msg) from exc

    def _named(self) -> dict[Generation, str]:
        """Every generation that a link names, with the name of a link that does."""
        links = {self.slot(Slot.NEXT): "next", self.slot(Slot.STAGED): "staged", self.deployed(): "deployed"}
        return {generation: name for generation, name in links.items() if generation is not None}

    def _linked(self, link: Path) -> Generation | None:
        try:
            target = link.readlink()
        except FileNotFoundError:
            return None
        except OSError as exc:
            msg = (
                f"{link} is no symbolic link ({exc.strerror}). Only the store may write it: move it out of the "
                "way, with what is in it, and see that no service loads from there meanwhile"
            )
            raise StoreError(msg) from exc
        generation = self._generation(target.name)
        if target != Path("generations", target.name) or generation is None:
            msg = (
                f"{link} points to {target}, which is no generation of this store. Point it back to one of "
                f"{self._generations}, or remove the link if no service loads from it"
            )
            raise StoreError(msg)
        return generation

    def _point(self, link: Path, generation: Generation) -> None:
        if self._generation(generation.identifier) != generation:
            msg = f"{generation.directory} is no generation of the store {self.root}"
            raise StoreError(msg)
        self._linked(link)  # what is not ours is not replaced
        fresh = self.root / f".{link.name}-{generation.identifier}"
        try:
            fresh.symlink_to(Path("generations", generation.identifier))
            fresh.rename(link)
            sync_directory(self.root)
        except OSError as exc:
            with suppress(OSError):
                fresh.unlink()
            msg = f"{link} could not be switched to {generation.identifier}: {exc}"
            raise StoreError(msg) from exc

    def _generation(self, name: str) -> Generation | None:
        directory = self._generations / name
        return Generation(name, directory) if _IDENTIFIER.fullmatch(name) and directory.is_dir() else None

    def _access(self, name: str) -> Access:
        """Keys are for root and the group that was asked for, chains for everybody."""
        if name.endswith(".crt"):
            return Access(0o644, os.geteuid(), os.getegid())
        if self._group is None:
            return Access(0o600, os.geteuid(), os.getegid())
        return Access(0o640, os.geteuid(), self._group)

    def _wait_for_lock(self, descriptor: int, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    msg = (
                        f"The certificate store {self.root} has been in use by another process for {patience:.0f} s; "
                        f"`fuser {self.root / '.lock'}` names it"
                    )
                    raise StoreError(msg) from None
                time.sleep(0.1)
            else:
                return

    def _clear_leftovers(self) -> None:
        for directory in (self.root, self._generations):
            for entry in directory.glob(".*"):
                if not entry.name.startswith(_LEFTOVERS):
                    continue
                if entry.is_symlink():
                    entry.unlink()
                else:
                    shutil.rmtree(entry)
