# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""DNS UPDATE (RFC 2136) with TSIG (RFC 8945): BIND, Knot DNS, PowerDNS and all others that speak it."""

from __future__ import annotations

import typing as t
from contextlib import contextmanager
from itertools import takewhile
from operator import methodcaller

from .._deps import built_of_libraries, importing

with importing():
    import dns.message
    import dns.name
    import dns.rcode

from .._dns_stream import Stream
from .._errors import (
    InvalidInput,
    LookupFailed,
    PublisherConflict,
    PublisherError,
    PublisherRefused,
    PublisherUnavailable,
)
from .._exchange import addresses_of, exchange
from .._publication import Change, Published
from .._question import question
from .._resolver import absolute_name, name_text
from .._tlsa import TlsaRecord
from .._transaction import TransactionRejected
from .base import Publisher
from .tsig import tsig_key
from .update_messages import update_messages
from .zone_reading import Node, ZoneContent, node_from_answer, zone_from_answer

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from dns.tsig import Key

    from .._records import Record

__all__ = ["Rfc2136Publisher"]

BULK: t.Final = 24
"""From so many names in one zone on, the zone is read by one transfer if the server allows it."""
MAX_ALIASES: t.Final = 8
UDP_RECORDS: t.Final = 16  # more are not worth measuring
UDP_SIZE: t.Final = 512  # what a server without EDNS in updates is sure to take (RFC 2136 section 2)

with built_of_libraries():
    _LOST_RACE: t.Final = frozenset({dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN})
    _REFUSALS: t.Final[Mapping[int, str]] = {
        dns.rcode.REFUSED: "this key may not change {} records at these names; see the server's update policy or ACL",
        dns.rcode.NOTAUTH: "it is not the primary of this zone, or does not accept the key for it, or Knot DNS's ACL "
        "does not allow this change",
        dns.rcode.NOTZONE: "a name is outside the zone",
        dns.rcode.NOTIMP: "it does not take dynamic updates",
        dns.rcode.FORMERR: "it does not understand the update",
    }


class Rfc2136Publisher(Publisher):
    """A name server that takes dynamic updates.

    Reads go to the same server as the updates, without recursion, signed with the same key so that they see the view
    that the updates change. `timeout` is in seconds, for each message.
    """

    def __init__(
        self,
        server: str,
        *,
        port: int = 53,
        key: Key | None = None,
        tcp: bool = False,
        timeout: float = 10.0,
        record: type[Record] = TlsaRecord,
    ) -> None:
        self.record = record
        self._server, self._port, self._key, self._tcp, self._timeout = server, port, key, tcp, timeout
        self._address = ""
        self._without_transfer: set[dns.name.Name] = set()

    @classmethod
    def from_options(cls, options: Mapping[str, t.Any], record: type[Record] = TlsaRecord) -> Rfc2136Publisher:
        """From a module's ``provider``. Raises InvalidInput."""
        if not options.get("server"):
            raise InvalidInput("Provider rfc2136 needs server: the primary name server's address or name")
        return cls(
            str(options["server"]),
            port=int(options.get("port") or 53),
            key=tsig_key(options),
            tcp=options.get("transport") == "tcp",
            timeout=float(options.get("timeout") or 10.0),
            record=record,
        )

    @property
    def place(self) -> str:
        return f"the name server {self._server}" + (f" port {self._port}" if self._port != 53 else "")

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        """See :meth:`Publisher.read`. All questions about one round of aliases travel together."""
        found: dict[str, Published] = {}
        owners = {name: absolute_name(name) for name in names}
        with self._errors():
            for _unused in range(MAX_ALIASES + 1):
                places = self._places(sorted(set(owners.values())))
                following: dict[str, dns.name.Name] = {}
                for name, owner in owners.items():
                    zone, node = places[owner]
                    if node.alias is not None:
                        following[name] = node.alias
                    else:
                        found[name] = Published(name, name_text(owner), name_text(zone), node.ttl, node.records)
                owners = following
                if not owners:
                    return found
        raise PublisherRefused(
            f"{self.place}: {', '.join(sorted(owners))}: more than {MAX_ALIASES} aliases in a row, or a loop of them"
        )

    def _places(self, owners: Sequence[dns.name.Name]) -> dict[dns.name.Name, tuple[dns.name.Name, Node]]:
        """Zone and content of every owner name; the zone of an alias means nothing."""
        places: dict[dns.name.Name, tuple[dns.name.Name, Node]] = {}
        singly: list[dns.name.Name] = []
        left = list(owners)  # in canonical order (RFC 4034 section 6.1), so the names of one zone are neighbours
        while len(left) >= BULK:
            zone = self._zone(left[0])
            here = list(takewhile(methodcaller("is_subdomain", zone), left)) if zone else left[:1]
            content = self._transfer(zone) if zone and len(here) >= BULK else None
            for owner in here:
                node = content.node(owner) if content else None
                if zone and node:
                    places[owner] = (zone, node)
                else:
                    singly.append(owner)
            left = left[len(here) :]
        return places | self._one_by_one([*singly, *left])

    def _zone(self, name: dns.name.Name) -> dns.name.Name | None:
        return zone_from_answer(self._ask([self._question(name, "SOA")])[0], name)

    def _one_by_one(self, owners: Sequence[dns.name.Name]) -> dict[dns.name.Name, tuple[dns.name.Name, Node]]:
        answers = self._ask(
            [self._question(owner, rdtype) for owner in owners for rdtype in ("SOA", self.record.RDTYPE)]
        )
        places = {}
        for index, owner in enumerate(owners):
            zone = zone_from_answer(answers[2 * index], owner)
            places[owner] = (zone or dns.name.root, node_from_answer(answers[2 * index + 1], owner, self.record))
        return places

    def _transfer(self, zone: dns.name.Name) -> ZoneContent | None:
        """The zone by AXFR; None where the server does not allow that, which is common and no fault."""
        if zone in self._without_transfer:
            return None
        content = ZoneContent(zone, self.record)
        query = self._question(zone, "AXFR")
        try:
            with Stream(self._reached(), self._port, self._timeout) as stream:
                for message in stream.transfer(query):
                    if message.rcode() != dns.rcode.NOERROR or not message.answer:
                        self._without_transfer.add(zone)
                        return None
                    content.add(message.answer)
        except LookupFailed:  # some say no with BADKEY, others by closing the connection
            self._without_transfer.add(zone)
            return None
        return content

    # --- changing -----------------------------------------------------------------------------------------------------

    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        """See :meth:`Publisher.apply`."""
        with self._errors():
            for message in update_messages(zone, changes, self._key):
                self._send(message)

    def _send(self, message: dns.message.Message) -> None:
        records = sum(max(1, len(rrset)) for section in message.sections for rrset in section)
        tcp = self._tcp or records > UDP_RECORDS or len(message.to_wire()) > UDP_SIZE
        answer = exchange(message, self._reached(), self._port, self._timeout, tcp=tcp)
        rcode = answer.rcode()
        if rcode == dns.rcode.NOERROR:
            return
        said = dns.rcode.to_text(rcode)
        if rcode in _LOST_RACE:
            raise PublisherConflict(f"the RRset changed between reading and writing ({said})")
        if rcode in _REFUSALS:
            raise PublisherRefused(f"the update was refused ({said}): {_REFUSALS[rcode].format(self.record.RDTYPE)}")
        raise PublisherUnavailable(f"the update failed with {said}; the server's log says why")

    # --- talking ------------------------------------------------------------------------------------------------------

    def _question(self, name: dns.name.Name, rdtype: str) -> dns.message.Message:
        query = question(name, rdtype, recursion=False)
        if self._key is not None:
            query.use_tsig(self._key)
        return query

    def _ask(self, queries: Sequence[dns.message.Message]) -> list[dns.message.Message]:
        if not self._tcp and len(queries) <= 8:  # a handful is quicker without a connection
            return [exchange(query, self._reached(), self._port, self._timeout) for query in queries]
        if not queries:
            return []
        with Stream(self._reached(), self._port, self._timeout) as stream:
            return stream.ask(queries)

    def _reached(self) -> str:
        """The address that answers, chosen once: all reads and updates of a run go to the same server."""
        if not self._address:
            candidates = addresses_of(self._server)
            for candidate in candidates[:-1]:
                try:
                    exchange(question(dns.name.root, "SOA", recursion=False), candidate, self._port, self._timeout)
                except LookupFailed:
                    continue
                self._address = candidate
                break
            else:
                self._address = candidates[-1]
        return self._address

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say which server it was, in the publisher's own errors."""
        try:
            yield
        except TransactionRejected as error:
            raise PublisherRefused(str(error)) from error
        except LookupFailed as error:
            raise PublisherUnavailable(str(error)) from error
        except PublisherError as error:
            raise type(error)(f"{self.place}: {error}") from error
