# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What every DNS provider must be able to do. Whoever adds one implements :class:`Publisher` and nothing else."""

from __future__ import annotations

import typing as t
from abc import ABC, abstractmethod

from .._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .._publication import Change, Published
    from .._records import Record

__all__ = ["Publisher"]


class Publisher(ABC):
    """A DNS provider that holds RRsets of one type.

    It touches this type only, and only at the owner names of the changes it is given. Use it as a context manager.
    """

    record: type[Record] = TlsaRecord
    """The kind of records that it reads and changes; an instance may have another one."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The provider as messages name it: ``the name server 192.0.2.53``."""

    @abstractmethod
    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        """The RRsets at `names`, aliases followed, as the provider has them now; from no cache.

        Every name is a key of the result. A name without records has a ``Published`` without them, and only if the
        provider said so: a read that fails in any way raises PublisherUnavailable or PublisherRefused, the latter also
        for a name that is in no zone of the provider.
        """

    @abstractmethod
    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        """Make `changes`, all of them in `zone`: additions never after removals, in as few steps as there can be.

        Where the provider's protocol can, it is made sure that the RRsets are as each ``before`` says; where they are
        not, PublisherConflict is raised. PublisherUnavailable means that the outcome is unknown, PublisherRefused that
        nothing was done by the step that was refused.
        """

    def yields(self, change: Change) -> bool:
        """Whether a change that is wanted again, right after this run made it, is left to whoever undid it.

        True where :meth:`apply` is sure of what was there before: then somebody else came later. Where the protocol has
        no conditions, two runs may have worked on each other's past, and what one of them wants must not be lost.
        """
        del change
        return True

    def close(self) -> None:  # noqa: B027  # most providers hold nothing open
        """Let go of connections."""

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
