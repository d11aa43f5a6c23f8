# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What one authoritative server has at owner names: zones, aliases and RRsets of one type, asked one by one or by
transfer.

A message is read here; who sends it, and what the result is for, is decided elsewhere.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._deps import importing

with importing():
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

from .._errors import PublisherRefused, PublisherUnavailable

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from dns.rdataset import Rdataset
    from dns.rrset import RRset

    from .._records import Record

__all__ = ["Node", "ZoneContent", "node_from_answer", "zone_from_answer"]


@dataclass(frozen=True, slots=True)
class Node:
    """What stands at an owner name: an alias to follow, or records, or neither. ``ttl`` is that of the records."""

    alias: dns.name.Name | None = None
    ttl: int | None = None
    records: tuple[Record, ...] = ()


def zone_from_answer(answer: dns.message.Message, name: dns.name.Name) -> dns.name.Name | None:
    """The zone that holds `name`, from an authoritative answer to `name` SOA; None where an alias stands in the way.

    Raises PublisherRefused when the server has no such zone, PublisherUnavailable when it cannot say.
    """
    _require_authority(answer, name)
    if _alias(answer, name) is not None:
        return None
    for rrset in [*answer.answer, *answer.authority]:
        if rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name):
            return rrset.name
    raise PublisherUnavailable(f"it does not say in which zone {_text(name)} is")


def node_from_answer(answer: dns.message.Message, name: dns.name.Name, record: type[Record]) -> Node:
    """What an authoritative answer to `name` and the type of `record` says.

    What comes from a wildcard does not stand at the name. Raises as :func:`zone_from_answer`.
    """
    _require_authority(answer, name)
    alias = _alias(answer, name)
    if alias is not None:
        return Node(alias=alias)
    rrset = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.from_text(record.RDTYPE))
    if rrset is None or _from_wildcard(answer, rrset):
        return Node()
    return Node(ttl=rrset.ttl, records=_records(rrset, record))


def _require_authority(answer: dns.message.Message, name: dns.name.Name) -> None:
    rcode = answer.rcode()
    if rcode in (dns.rcode.REFUSED, dns.rcode.NOTAUTH):
        raise PublisherRefused(f"{_text(name)} is in no zone that it answers for ({dns.rcode.to_text(rcode)})")
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise PublisherUnavailable(f"it answered {dns.rcode.to_text(rcode)} when asked for {_text(name)}")
    if not answer.flags & dns.flags.AA:
        raise PublisherRefused(f"{_text(name)} is in no zone that it is authoritative for")


def _alias(answer: dns.message.Message, name: dns.name.Name) -> dns.name.Name | None:
    """The target of a CNAME at `name`, be it written there or synthesised from a DNAME (RFC 6672 section 3.1)."""
    cname = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
    if cname is None or _from_wildcard(answer, cname):
        return None
    target: dns.name.Name = cname[0].target
    return target


def _from_wildcard(answer: dns.message.Message, rrset: RRset) -> bool:
    """A signature that counts fewer labels than the name has was made for a wildcard (RFC 4035 section 5.3.2)."""
    signatures = answer.get_rrset(
        answer.answer, rrset.name, dns.rdataclass.IN, dns.rdatatype.RRSIG, covers=rrset.rdtype
    )
    return signatures is not None and signatures[0].labels < len(rrset.name.labels) - 1


def _records(rdataset: Rdataset, record: type[Record]) -> tuple[Record, ...]:
    return tuple(sorted(record.from_wire(one.to_wire()) for one in rdataset))


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)


@dataclass(slots=True)
class ZoneContent:
    """What matters of a transferred zone, filled message by message so that a large zone is never held whole."""

    zone: dns.name.Name
    record: type[Record]
    _nodes: dict[dns.name.Name, Node] = field(default_factory=dict)
    _dnames: dict[dns.name.Name, dns.name.Name] = field(default_factory=dict)
    _cuts: set[dns.name.Name] = field(default_factory=set)

    def add(self, rrsets: Iterable[RRset]) -> None:
        """Take in the answer section of one message; an RRset may come in parts (RFC 5936 section 2.2)."""
        rdtype = dns.rdatatype.from_text(self.record.RDTYPE)
        for rrset in rrsets:
            if rrset.rdtype == rdtype:
                known = self._nodes.get(rrset.name, Node())
                records = {*known.records, *_records(rrset, self.record)}
                self._nodes[rrset.name] = Node(ttl=rrset.ttl, records=tuple(sorted(records)))
            elif rrset.rdtype == dns.rdatatype.CNAME:
                self._nodes[rrset.name] = Node(alias=rrset[0].target)
            elif rrset.rdtype == dns.rdatatype.DNAME:
                self._dnames[rrset.name] = rrset[0].target
            elif rrset.rdtype == dns.rdatatype.NS and rrset.name != self.zone:
                self._cuts.add(rrset.name)

    def node(self, name: dns.name.Name) -> Node | None:
        """What stands at `name`; None when the name is in another zone, above, beside or delegated below this one."""
        if not name.is_subdomain(self.zone):
            return None
        ancestor = name if self._cuts or self._dnames else self.zone
        while ancestor != self.zone:
            if ancestor in self._cuts:
                return None
            ancestor = ancestor.parent()
            if ancestor in self._dnames:
                target = name.relativize(ancestor).concatenate(self._dnames[ancestor])
                return Node(alias=target)
        return self._nodes.get(name, Node())
