# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The TLSRPT record of mail domains (RFC 8460 section 3): what must change so that each has the wanted one. Pure.

A domain with more than one record that begins with ``v=TLSRPTv1`` counts as one without. Other TXT records at the name
are others' and stay.
"""

from __future__ import annotations

import re
import typing as t

from ._errors import InvalidInput
from ._names import to_ascii
from ._publication import DEFAULT_TTL, MAX_TTL, Change, Published, State, Wanted
from ._records import Record, TextRecord

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["plan_tlsrpt", "tlsrpt_owner_name", "tlsrpt_record", "wanted_tlsrpt"]

_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def tlsrpt_owner_name(domain: str) -> str:
    """Where the record of a mail domain stands: ``_smtp._tls.example.org``. Raises InvalidName."""
    return f"_smtp._tls.{to_ascii(domain)}"


def tlsrpt_record(destinations: Sequence[str]) -> str:
    """The text of the TXT record that asks for reports to mail addresses and ``https:`` addresses.

    A mail address is given with or without ``mailto:``. ``,``, ``!`` and ``;`` in an address are percent-encoded.
    Raises InvalidInput.
    """
    if not destinations:
        msg = "A TLSRPT record needs a mail address or an https: address that reports are sent to"
        raise InvalidInput(msg)
    return f"v=TLSRPTv1; rua={','.join(_address(destination) for destination in destinations)}"


def _address(destination: str) -> str:
    address = destination if destination.startswith(("mailto:", "https://")) else f"mailto:{destination}"
    if not re.fullmatch(r"mailto:[!-~]+@[!-~]+|https://[!-~]+", address):
        msg = f"TLS reports cannot be sent to {destination!r}; give a mail address or an https: address, in ASCII"
        raise InvalidInput(msg)
    if address.startswith("mailto:"):
        to_ascii(address.rpartition("@")[2].partition("?")[0])
    if _PERCENT.search(address):
        msg = (
            f"The address {destination!r} for TLS reports has a % that begins no percent-encoded octet; write it as %25"
        )
        raise InvalidInput(msg)
    # These three would end the address or the field.
    return address.replace(",", "%2C").replace("!", "%21").replace(";", "%3B")


def wanted_tlsrpt(
    domains: Iterable[Mapping[str, t.Any]], ttl: int | None, *, absent: bool = False
) -> tuple[Wanted, ...]:
    """Read the user's domains: ``{name, rua}``; without ``rua`` reports go to tls-reports@ the domain.

    Raises InvalidInput, also where a domain is there twice with different addresses, as it can have one record only.
    """
    if ttl is not None and not 1 <= ttl <= MAX_TTL:
        msg = f"TTL {ttl} is not from 1 to {MAX_TTL} seconds"
        raise InvalidInput(msg)
    found: dict[str, Wanted] = {}
    for domain in domains:
        name = tlsrpt_owner_name(domain["name"])
        rua = domain.get("rua") or [f"tls-reports@{to_ascii(domain['name'])}"]
        record = TextRecord.of(tlsrpt_record(rua))
        one = Wanted(name, () if absent else (record,), State.ABSENT if absent else State.EXACT, ttl)
        if found.setdefault(name, one) != one:
            msg = (
                f"{name} is wanted with different addresses, and a domain with more than one TLSRPT record counts as "
                "one without (RFC 8460 section 3). Give all addresses in one rua"
            )
            raise InvalidInput(msg)
    return tuple(found.values())


def plan_tlsrpt(wanted: Sequence[Wanted], published: Mapping[str, Published]) -> tuple[Change, ...]:
    """The changes that leave each name with the one TLSRPT record that is wanted, or with none.

    A record that says the same already is kept, however its text is cut into strings. At an alias's target a record
    is added and none is replaced, as others may share it. Raises InvalidInput.
    """
    changes: dict[str, Change] = {}
    for one in wanted:
        change = _change(one, published[one.name])
        if change is not None and changes.setdefault(change.owner, change) != change:
            msg = f"{change.owner} is the target of aliases that want different TLSRPT records; it can have one only"
            raise InvalidInput(msg)
    return tuple(changes.values())


def _change(one: Wanted, there: Published) -> Change | None:
    ours = [record for record in there.records if _is_tlsrpt(record)]
    others = [record for record in there.records if not _is_tlsrpt(record)]
    after: list[Record] = list(one.records)
    if len(ours) == len(after) == 1 and _text(ours[0]) == _text(after[0]):
        after = ours
    if there.owner != one.name and ours and after != ours:
        msg = (
            f"{one.name} is an alias of {there.owner}, which says {'; '.join(_text(record) for record in ours)!r}, and "
            "others may share that. Nothing was changed. Change it there, or replace the alias by a record"
        )
        raise InvalidInput(msg)
    # The TTL is that of all TXT records at the name (RFC 2181 section 5.2), so with others there it is theirs.
    ttl = there.ttl if others or one.ttl is None or not after else one.ttl
    before, wanted = tuple(sorted(there.records)), tuple(sorted([*others, *after]))
    if before == wanted and (not wanted or ttl == there.ttl):
        return None
    return Change(there.owner, there.zone, before, wanted, there.ttl, DEFAULT_TTL if ttl is None else ttl)


def _is_tlsrpt(record: Record) -> bool:
    return _text(record).partition(";")[0].rstrip() == "v=TLSRPTv1"


def _text(record: Record) -> str:
    return record.text if isinstance(record, TextRecord) else record.to_text()
