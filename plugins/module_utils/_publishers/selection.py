# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""From a module's option ``provider`` to the publisher it describes."""

from __future__ import annotations

import typing as t

from .._errors import InvalidInput
from .._tlsa import TlsaRecord
from .cloudflare import CloudflarePublisher
from .exec import ExecPublisher
from .octodns import OctodnsPublisher
from .rfc2136 import Rfc2136Publisher

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .._records import Record
    from .base import Publisher

__all__ = ["publisher_from_options"]


_PUBLISHERS: t.Final[Mapping[str, t.Callable[[Mapping[str, t.Any], type[Record]], Publisher]]] = {
    "cloudflare": CloudflarePublisher.from_options,
    "exec": ExecPublisher.from_options,
    "octodns": OctodnsPublisher.from_options,
    "rfc2136": Rfc2136Publisher.from_options,
}


def publisher_from_options(options: Mapping[str, t.Any], record: type[Record] = TlsaRecord) -> Publisher:
    """The publisher, for records of one type; no zone is asked for yet.

    Raises InvalidInput when options are missing or wrong.
    """
    if options["type"] not in _PUBLISHERS:
        raise InvalidInput(f"Provider type {options['type']!r} is unknown")
    return _PUBLISHERS[options["type"]](options, record)
