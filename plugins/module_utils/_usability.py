# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which TLSA records of an RRset a DANE client for mail uses (RFC 7671 sections 4.1 and 9, RFC 7672 section 3.1)."""

from __future__ import annotations

import typing as t

from ._certificate import load_der_certificate
from ._der import check_public_key
from ._errors import InvalidCertificate
from ._tlsa import DIGEST_LENGTHS, MatchingType, Selector, TlsaRecord, Usage

if t.TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["data_problem", "passed_over", "unusable_reason"]


def unusable_reason(record: TlsaRecord) -> str | None:
    """Why a DANE client for mail cannot use a record; None when it can."""
    return _parameter_problem(record) or data_problem(record)


def _parameter_problem(record: TlsaRecord) -> str | None:
    if record.usage in (Usage.PKIX_TA, Usage.PKIX_EE):
        return (
            f"certificate usage {Usage(record.usage).label} ({record.usage}) is not for mail (RFC 7672 section 3.1.3)"
        )
    if record.usage not in (Usage.DANE_TA, Usage.DANE_EE):
        return f"certificate usage {record.usage} is private or unknown"
    if record.selector not in (Selector.CERT, Selector.SPKI):
        return f"selector {record.selector} is private or unknown"
    if record.matching_type not in (MatchingType.FULL, *DIGEST_LENGTHS):
        return f"matching type {record.matching_type} is private or unknown"
    return None


def data_problem(record: TlsaRecord) -> str | None:
    """Why a record's data cannot be what its selector and matching type say; None when it can."""
    length = DIGEST_LENGTHS.get(record.matching_type)
    if length is not None:
        return None if len(record.data) == length else f"its digest has {len(record.data)} octets instead of {length}"
    try:
        if record.selector == Selector.CERT:
            load_der_certificate(record.data)
        else:
            check_public_key(record.data)
    except InvalidCertificate as exc:
        return f"its data cannot be read: {exc}"
    return None


def passed_over(usable: Sequence[TlsaRecord]) -> dict[TlsaRecord, str]:
    """The usable records that digest agility passes over, each with the reason.

    Of one usage and selector, a client uses the strongest digest that is there, and every full certificate or key.
    """
    strongest: dict[tuple[int, int], int] = {}
    for record in usable:
        pair = (record.usage, record.selector)
        strongest[pair] = max(strongest.get(pair, 0), record.matching_type)
    return {
        record: f"passed over, as {MatchingType(best).label} is there with its usage and selector (RFC 7671 section 9)"
        for record in usable
        if 0 < record.matching_type < (best := strongest[record.usage, record.selector])
    }
