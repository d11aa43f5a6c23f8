# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Where mail to each alias ends: loops, dead ends, and names that reach nobody.

Postfix's local(8) expands an alias until it comes to an address elsewhere, a file, a command, or an account of the
host. An alias that lists itself means the account of that name; any longer circle is a loop, and the mail is returned.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ._alias_syntax import Destination, Kind

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Found", "Host", "Survey", "survey"]

_ALLOWANCES: t.Final = {Kind.COMMAND: "allow_mail_to_commands", Kind.FILE: "allow_mail_to_files"}


@dataclass(frozen=True)
class Found:
    """What an alias delivers to, and where it stands: ``line 3`` of the file, or another table."""

    destinations: tuple[Destination, ...]
    place: str


@dataclass(frozen=True)
class Host:
    """What must be known of the host; the callables may ask Postfix or the disk, and raise DaneError."""

    names: tuple[str, ...]
    """The names in the file."""
    lookup: t.Callable[[str], Found | None]
    """The alias that Postfix finds for a name, in the first of its tables that has it; None where none has."""
    is_here: t.Callable[[str | None], bool]
    """Whether mail to a domain (None: an address without one) is delivered on this host, to accounts and aliases."""
    has_account: t.Callable[[str], bool]
    """Whether mail to this name reaches a mailbox where no alias has it."""
    included: t.Callable[[str], tuple[Destination, ...] | str]
    """What an :include: file lists, or why Postfix returns mail to it."""
    allows: t.Callable[[Kind, str], bool]
    """Whether local(8) delivers to a COMMAND or a FILE of an ``alias`` or of an ``include`` file."""
    swaps_bangpath: bool = True
    """Whether ``site!user`` is ``user@site`` (swap_bangpath)."""
    allows_percent: bool = True
    """Whether ``user%site`` is ``user@site`` (allow_percent_hack)."""
    delimiters: str = ""
    """Postfix's recipient_delimiter: ``admin+x`` is ``admin`` where there is no ``admin+x``."""


@dataclass(frozen=True)
class Survey:
    """``errors`` make mail come back, or let a required name reach nobody; ``warnings`` are of other names."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass
class _Ends:
    """What the expansion of one name and all below it comes to."""

    good: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    thrown_away: set[str] = field(default_factory=set)
    next: set[str] = field(default_factory=set)


def survey(required: Iterable[str], host: Host) -> Survey:
    """Follow every alias, and every required name, to its ends. Names are in folded form."""
    wanted = tuple(dict.fromkeys(required))
    graph: dict[str, _Ends] = {}
    waiting = [*wanted, *host.names]
    while waiting:
        name = waiting.pop()
        if name not in graph:
            graph[name] = _expand(name, host)
            waiting.extend(graph[name].next)
    reached = {name: _reached(name, graph) for name in wanted}
    errors = [_loop_message(loop, host) for loop in _loops(graph)]
    warnings: list[str] = []
    for step, ends in graph.items():
        concerned = [name for name in wanted if step in reached[name]]
        others = [name for name in concerned if name != step]
        consequence = f", and mail to {', '.join(others)} goes there" if others else ""
        (errors if concerned else warnings).extend(f"{dead}{consequence}" for dead in sorted(ends.dead))
    for name in wanted:
        ends_of_all = [graph[step] for step in reached[name]]
        if any(ends.thrown_away for ends in ends_of_all) and not any(ends.good or ends.dead for ends in ends_of_all):
            errors.append(f"{_where(name, host)} leads to /dev/null only, and mail to it must reach somebody")
    return Survey(tuple(errors), tuple(warnings))


def _reached(name: str, graph: Mapping[str, _Ends]) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        step = waiting.pop()
        if step not in reached:
            reached.add(step)
            waiting.extend(graph[step].next)
    return reached


def _expand(name: str, host: Host) -> _Ends:
    """The ends of one name alone, and the names that it leads to."""
    ends = _Ends()
    found = host.lookup(name)
    if found is None:
        _end_at_account(name, ends, host)
        return ends
    if not found.destinations:
        ends.dead.add(f"{_where(name, host)} leads to nothing at all")
    waiting = [(destination, "") for destination in found.destinations]
    seen_files: set[str] = set()
    while waiting:
        destination, file = waiting.pop()
        if destination.kind is Kind.INCLUDE:
            if destination.text in seen_files:
                continue
            seen_files.add(destination.text)
            listed = host.included(destination.text)
            if isinstance(listed, str):
                ends.dead.add(f"{_where(name, host)} leads to :include:{destination.text}, and {listed}")
            elif not listed:
                ends.dead.add(f"{_where(name, host)} leads to :include:{destination.text}, and that file lists nobody")
            else:
                waiting.extend((item, destination.text) for item in listed)
        elif destination.kind is not Kind.ADDRESS or (local := _local_name(destination, host)) is None:
            _end_elsewhere(name, destination, file, ends, host)
        elif (known := _known_name(local, host)) == name:
            _end_at_account(name, ends, host)
        else:
            ends.next.add(known)
    return ends


def _local_name(destination: Destination, host: Host) -> str | None:
    """The name on this host that an address is for, None where it leaves the host.

    Without a domain, or once that of this host is taken off, ``user@site``, ``site!user`` and ``user%site`` are
    addresses in their turn (trivial-rewrite(8); swap_bangpath, allow_percent_hack, resolve_dequoted_address).
    """
    local, domain = destination.local, destination.domain
    while domain is None or host.is_here(domain):
        if "@" in local:
            local, _sign, domain = local.rpartition("@")
        elif host.swaps_bangpath and "!" in local:
            domain, _sign, local = local.partition("!")
        elif host.allows_percent and "%" in local:
            local, _sign, domain = local.rpartition("%")
        else:
            return local if host.is_here(domain) else None
    return None


def _known_name(name: str, host: Host) -> str:
    """The name that Postfix finds: itself or, without its extension, the part before the delimiter."""
    if host.delimiters and host.lookup(name) is None and not host.has_account(name):
        places = [place for delimiter in host.delimiters if (place := name.find(delimiter, 1)) > 0]
        if places:
            return name[: min(places)]
    return name


def _end_at_account(name: str, ends: _Ends, host: Host) -> None:
    if not host.has_account(name):
        itself = f"{_where(name, host)} leads to itself, and there is no account {name} on this host"
        ends.dead.add(itself if host.lookup(name) else f"{name} is neither an alias nor an account on this host")
    elif name == "root":
        ends.dead.add(f"{_where(name, host)} ends in root's own mailbox on this host, which nobody reads")
    else:
        ends.good.add(name)


def _end_elsewhere(name: str, destination: Destination, file: str, ends: _Ends, host: Host) -> None:
    """``file`` is the :include: file that lists the destination; empty where the alias itself does."""
    if parameter := _ALLOWANCES.get(destination.kind):
        origin = "include" if file else "alias"
        if not host.allows(destination.kind, origin):
            sign = "|" if destination.kind is Kind.COMMAND else ""
            ends.dead.add(
                f"{_where(name, host)} leads to {sign}{destination.text}{f' by :include:{file}' if file else ''}, and "
                f"{parameter} does not have {origin}, so Postfix returns the mail"
            )
            return
    if destination.kind is Kind.HOME:
        ends.dead.add(f"{_where(name, host)} leads to {destination.text}, and an alias has no home directory")
    elif destination.kind is Kind.FILE and destination.text == "/dev/null":
        ends.thrown_away.add(destination.text)
    else:
        ends.good.add(destination.text)


def _loops(graph: Mapping[str, _Ends]) -> list[tuple[str, ...]]:
    """Every circle of names, each once, found by a depth-first walk without recursion."""
    loops = []
    finished: set[str] = set()
    for start in sorted(graph):
        path: list[str] = []
        trail = [(start, iter(sorted(graph[start].next)))] if start not in finished else []
        if trail:
            path.append(start)
        while trail:
            name, following = trail[-1]
            step = next(following, None)
            if step is None:
                trail.pop()
                path.pop()
                finished.add(name)
            elif step in path:
                loops.append(tuple(path[path.index(step) :]))
            elif step not in finished:
                trail.append((step, iter(sorted(graph[step].next))))
                path.append(step)
    return loops


def _loop_message(loop: tuple[str, ...], host: Host) -> str:
    steps = ", which leads to ".join([*(_where(name, host) for name in loop), loop[0]])
    return f"{steps} again: that is a loop, and such mail is returned"


def _where(name: str, host: Host) -> str:
    found = host.lookup(name)
    return f"{name} ({found.place})" if found is not None else name
