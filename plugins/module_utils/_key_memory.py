# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which keys a host served once: remembered by their TLSA records, so that none of them is served again by mistake.

::

    /etc/dane/mx1.example.org/keys.json    {"former": ["3 1 1 8a9f..."], "retired": ["3 1 1 17c0..."]}

``former`` are records that were once published for a deployed chain; a rollover may remove them. ``retired`` are
those of keys that will not be deployed again: their records were removed, or the key is compromised. The file has no
secrets, and what is lost with it is only the memory: records that nobody remembers are left alone.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ._durable import Access, clear_unfinished, make_directory, replace_file
from ._errors import InvalidInput, StoreError
from ._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["KeyMemory", "Remembered"]

_LIMIT: t.Final = 4000
"""Records of each kind, the youngest last: two new keys every day for five years.

A key that is forgotten is a stranger again: the role mail_certificate takes its own first key, which a rollover
replaced, for a change that somebody wants, and refuses it; and what was retired could be staged once more.
"""


@dataclass(frozen=True)
class Remembered:
    former: tuple[TlsaRecord, ...] = ()
    retired: tuple[TlsaRecord, ...] = ()


class KeyMemory:
    """The file in a store's directory. Whoever writes holds the store's lock."""

    def __init__(self, root: Path) -> None:
        """``root`` is the directory of a :class:`CertificateStore`."""
        self.path = root / "keys.json"

    def read(self) -> Remembered:
        """What is remembered. Raises StoreError: a file that cannot be read is not the same as none."""
        try:
            content = json.loads(self.path.read_bytes())
            return Remembered(*(tuple(TlsaRecord.from_text(one) for one in content[kind]) for kind in _KINDS))
        except FileNotFoundError:
            return Remembered()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidInput) as exc:
            msg = (
                f"{self.path} remembers which keys were served before, and cannot be read: {exc}. Restore it from a "
                "backup, or remove it: then records of former keys must be removed from the DNS by hand"
            )
            raise StoreError(msg) from exc

    def add(self, *, former: Iterable[TlsaRecord] = (), retired: Iterable[TlsaRecord] = ()) -> bool:
        """Remember more; return whether that was new. Raises StoreError; then the file is as it was."""
        known = self.read()
        now = Remembered(_joined(known.former, former), _joined(known.retired, retired))
        if now == known:
            return False
        content = {kind: [record.to_text() for record in getattr(now, kind)] for kind in _KINDS}
        try:
            make_directory(self.path.parent)
            clear_unfinished(self.path)
            replace_file(self.path, json.dumps(content, indent=1).encode() + b"\n", Access(0o644))
        except OSError as exc:
            msg = f"{self.path} could not be written: {exc}"
            raise StoreError(msg) from exc
        return True


_KINDS: t.Final = ("former", "retired")


def _joined(known: tuple[TlsaRecord, ...], more: Iterable[TlsaRecord]) -> tuple[TlsaRecord, ...]:
    return tuple(dict.fromkeys((*known, *sorted(more))))[-_LIMIT:]
