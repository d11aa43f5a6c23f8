# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What is served at an owner name, aliases followed, over all servers together: in step or not, and what is missing."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ._authoritative import Server, ServerAnswer, ask_servers, host_of, servers_of, zone_of
from ._errors import LookupFailed
from ._parent_servers import parent_servers_of
from ._publication import State
from ._resolver import Resolver, Status

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ._publication import Wanted
    from ._tlsa import TlsaRecord

__all__ = ["Observer", "Served", "newest_serial", "problems", "shortfalls"]

MAX_ALIASES: t.Final = 8


@dataclass(frozen=True, slots=True)
class Served:
    """What the servers say at one owner name. ``answers`` has every server's; ``zone`` is empty for given servers."""

    name: str
    zone: str
    answers: tuple[ServerAnswer, ...]

    @property
    def alias(self) -> str | None:
        """The target that the name is an alias of, if any server says so."""
        return next((answer.alias for answer in self.answers if answer.alias is not None), None)

    @property
    def in_step(self) -> bool:
        """Whether all servers answered, and all the same."""
        if any(answer.error is not None for answer in self.answers):
            return False
        return len({_substance(answer) for answer in self.answers}) == 1

    def is_in_step(self, answer: ServerAnswer) -> bool:
        """Whether one server says what the servers with the newest serial of the zone say, who all say the same."""
        newest = newest_serial(self.answers)
        good = [one for one in self.answers if one.error is None]
        latest = {_substance(one) for one in good if one.serial == newest}
        return answer.error is None and latest == {_substance(answer)}


@dataclass(slots=True)
class Observer:
    """Asks the authoritative servers of whatever name it is given; which ones they are is found out once per zone.

    `servers`, if given, are asked instead of those that the DNS names. `timeout` is in seconds, for each question. A
    server that did not answer in time is not asked again before ``look_again``, so that one dead server costs its time
    once, however many names there are.
    """

    resolver: Resolver
    timeout: float = 5.0
    port: int = 53
    servers: tuple[str, ...] = ()
    _known: dict[str, tuple[Server, ...]] = field(default_factory=dict)
    _zones: dict[str, str] = field(default_factory=dict)
    _silent: dict[Server, str] = field(default_factory=dict)

    def look_again(self) -> None:
        """Forget what failed: silent servers, and zones for which the servers or their addresses were not all found."""
        self._silent.clear()
        self._known = {
            zone: servers for zone, servers in self._known.items() if not any(server.problem for server in servers)
        }

    def look(self, name: str) -> tuple[Served, ...]:
        """What is served at `name`, then at the target of its alias, and so on: the last has the records.

        Raises LookupFailed when it cannot be found out which servers to ask, or when aliases do not end.
        """
        seen: list[Served] = []
        target: str | None = name
        while target is not None:
            if len(seen) > MAX_ALIASES or target in {served.name for served in seen}:
                raise LookupFailed(f"The aliases from {name} on do not end: {' -> '.join(one.name for one in seen)}")
            seen.append(self._look_once(target))
            target = seen[-1].alias
        return tuple(seen)

    def _look_once(self, name: str) -> Served:
        if self.servers:
            given = tuple(Server(address, address, self.port) for address in self.servers)
            return Served(name, "", ask_servers(given, name, self.timeout, self._silent))
        zone = self._zone(name)
        while True:
            asked = ask_servers(self._servers(zone), name, self.timeout, self._silent)
            # Whoever follows a delegation that nobody serves any more gets no records there, old or new.
            answers = tuple(answer for answer in asked if not (answer.lame and answer.server.parent_only))
            below = next((answer.delegated for answer in answers if answer.delegated), None)
            if below is None:
                return Served(name, zone, answers)
            if not below.endswith(f".{zone}"):
                raise LookupFailed(f"The servers of {zone} refer {name} to {below}, which is not below")
            zone = below

    def _zone(self, name: str) -> str:
        host = host_of(name)
        if host not in self._zones:
            self._zones[host] = zone_of(self.resolver, name)
        return self._zones[host]

    def _servers(self, zone: str) -> tuple[Server, ...]:
        if zone not in self._known:
            own = servers_of(self.resolver, zone, port=self.port)
            names = {server.name for server in own}
            above = parent_servers_of(self.resolver, zone, names, port=self.port, timeout=self.timeout)
            self._known[zone] = (*own, *above)
        return self._known[zone]


def _substance(answer: ServerAnswer) -> tuple[object, ...]:
    return (answer.status, answer.records, answer.ttl, answer.alias)


def newest_serial(answers: Iterable[ServerAnswer]) -> int | None:
    """The newest SOA serial among `answers`, in the circular order of RFC 1982."""
    newest: int | None = None
    for answer in answers:
        serial = answer.serial
        if serial is not None and (newest is None or 0 < (serial - newest) % 2**32 < 2**31):
            newest = serial
    return newest


def problems(look: Iterable[Served]) -> tuple[str, ...]:
    """What is wrong at the servers whatever is wanted: no answer, disagreement, a denied parent. One sentence each."""
    found: list[str] = []
    for served in look:
        newest = newest_serial(served.answers)
        answers = [answer for answer in served.answers if answer.error is None]
        differ = len({_substance(answer) for answer in answers}) > 1
        for answer in served.answers:
            if answer.error is not None or answer.parent_denied:
                found.append(_trouble(served, answer))
            elif differ:
                found.append(f"{_place(served, answer)}: {_said(answer)}{_lag(served, answer, newest)}")
    return tuple(found)


def shortfalls(wanted: Wanted, look: Sequence[Served]) -> tuple[str, ...]:
    """What keeps `wanted` from being served everywhere, one sentence for each server that is short of it."""
    found: list[str] = []
    for served in look:
        newest = newest_serial(served.answers)
        for answer in served.answers:
            if answer.error is not None or answer.parent_denied:
                found.append(_trouble(served, answer))
            elif answer.alias is not None:
                if answer.alias != served.alias:
                    found.append(f"{_place(served, answer)}: {_said(answer)}, not of {served.alias}")
            elif not _satisfied(wanted, answer):
                found.append(f"{_place(served, answer)}: {_said(answer)}{_lag(served, answer, newest)}")
    return tuple(found)


def _place(served: Served, answer: ServerAnswer) -> str:
    server = answer.server
    address = f" ({server.address})" if server.address not in ("", server.name) else ""
    return f"{served.name} at {server.title}{address}"


def _trouble(served: Served, answer: ServerAnswer) -> str:
    if answer.error is not None:
        return f"{_place(served, answer)}: {answer.error}"
    return (
        f"{_place(served, answer)}: the name above it is denied (NXDOMAIN) although there are names below it, so that "
        "resolvers that minimise names never see the records (RFC 8020); this server must be mended"
    )


def _satisfied(wanted: Wanted, answer: ServerAnswer) -> bool:
    served, asked = set(answer.records), set(wanted.records)
    if wanted.state is State.EXACT:
        return served == asked
    if wanted.state is State.PRESENT:
        return asked <= served
    return not (served & asked) if asked else not served


def _said(answer: ServerAnswer) -> str:
    if answer.alias is not None:
        return f"an alias of {answer.alias}"
    if answer.status is Status.FOUND:
        return f"{_shortened(answer.records)}"
    denial = answer.status.value.upper() if answer.status is not None else "no answer"
    remembered = f", may be remembered {answer.negative_ttl} s" if answer.negative_ttl else ""
    return f"no TLSA record ({denial}{remembered})"


def _shortened(records: Iterable[TlsaRecord]) -> str:
    return "serves " + ", ".join(
        f"{record.usage} {record.selector} {record.matching_type} {record.data.hex()[:12]}..." for record in records
    )


def _lag(served: Served, answer: ServerAnswer, newest: int | None) -> str:
    if answer.serial is None or newest is None or answer.serial == newest:
        return ""
    behind = (newest - answer.serial) % 2**32
    return f"; its serial of zone {served.zone or 'here'} is {answer.serial}, {behind} behind {newest}"
