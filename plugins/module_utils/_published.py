# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The TLSA records that are published for a host now, as its resolver has them."""

from __future__ import annotations

import typing as t

from ._resolver import Status
from ._tlsa import TlsaRecord, tlsa_owner_name

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._resolver import Resolver

__all__ = ["published_records"]


def published_records(resolver: Resolver, host: str, ports: Iterable[int]) -> dict[str, tuple[TlsaRecord, ...]]:
    """Owner name to records, for the ports that have any. Whether they are signed is not looked at.

    Raises LookupFailed, InvalidName, and InvalidRecord where what is published is malformed.
    """
    answers = (resolver.lookup(tlsa_owner_name(host, port), "TLSA") for port in ports)
    return {
        answer.name: tuple(TlsaRecord.from_text(text) for text in answer.records)
        for answer in answers
        if answer.status is Status.FOUND
    }
