# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Judging what is looked up: TLS policy tables and services beside ours, and the resolver that Postfix asks."""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from ._postfix import Finding, PostfixState, split_list

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["DUMPABLE_TABLES", "Table", "policy_map_findings", "resolver_findings"]

# Table types that `postmap -s` lists in full.
DUMPABLE_TABLES: t.Final = frozenset({"btree", "cdb", "dbm", "hash", "lmdb", "sdbm", "texthash", "inline"})

_PATTERNS: t.Final = frozenset({"regexp", "pcre", "cidr"})

_DANE_LEVELS: t.Final = frozenset({"dane", "dane-only"})


@dataclass(frozen=True, slots=True)
class Table:
    """A policy table as far as it can be seen: its entries, None when its kind cannot be listed.

    ``problem`` is what Postfix said when it could not open the table.
    """

    entries: Mapping[str, str] | None = None
    problem: str = ""


def policy_map_findings(state: PostfixState, tables: Mapping[str, Table], own: str) -> tuple[Finding, ...]:
    """Judge the tables of ``smtp_tls_policy_maps`` in the order of their being asked; the first answer counts.

    ``tables`` maps each table of the list to its entries, ``own`` is the name of the table that the module writes.
    """
    findings: list[Finding] = []
    ours = tables.get(own, Table()).entries or {}
    before_own = own in tables
    for name in split_list(state.value("smtp_tls_policy_maps")):
        if name == own:
            before_own = False
            continue
        table = tables.get(name, Table())
        findings += _table(name, table)
        if before_own:
            findings += _shadowing(name, table.entries, ours)
        elif own in tables:
            findings += _closer(name, table.entries, ours)
    return tuple(findings)


def _table(name: str, table: Table) -> Iterator[Finding]:
    kind, _unused, rest = name.removeprefix("proxy:").partition(":")
    if table.problem:
        yield Finding(
            f"smtp_tls_policy_maps/{name}",
            "error",
            f"Postfix cannot open the table, and so defers all mail: {table.problem}.",
            "Mend the table (for example with postmap), or take it out of smtp_tls_policy_maps.",
        )
    elif kind == "static":
        level = _level(rest)
        if level not in _DANE_LEVELS:
            yield Finding(
                f"smtp_tls_policy_maps/{name}",
                "error",
                f"The table answers `{level}` for every destination, so DANE is never used.",
                "Take it out of smtp_tls_policy_maps.",
            )
    elif kind == "socketmap":
        yield from _service(name)
    elif table.entries is None:
        what = "patterns" if kind in _PATTERNS else "entries"
        yield Finding(
            f"smtp_tls_policy_maps/{name}",
            "notice",
            f"The table's {what} cannot be listed; where the level is not dane or dane-only, mail is exempt from DANE.",
            "Look through them, and move exceptions to the policies, where they have a reason and an end date.",
        )
    else:
        for key, value in table.entries.items():
            if (level := _level(value)) not in _DANE_LEVELS:
                yield Finding(
                    f"{name}/{key}",
                    "warning",
                    f"Mail to {key} has the level `{level}` and is exempt from DANE.",
                    "Take the entry out, or move it to the policies, where it has a reason and an end date.",
                )


def _service(name: str) -> Iterator[Finding]:
    """Tell the two policy services in use apart: one does DANE first, the other overrides it."""
    if re.search(r":QUERY(?:withTLSRPT)?$", name):
        # postfix-tlspol answers dane-only where DANE is possible, and MTA-STS only elsewhere.
        return
    yield Finding(
        f"smtp_tls_policy_maps/{name}",
        "warning",
        "An MTA-STS service that answers `secure` for a destination overrides DANE there, against RFC 8461 section 2; "
        "postfix-mta-sts-resolver does.",
        "Use a service that puts DANE first (postfix-tlspol), or list partners with TLSA records in the policies as "
        "`dane-only`: they are asked first.",
    )


def _shadowing(name: str, entries: Mapping[str, str] | None, ours: Mapping[str, str]) -> Iterator[Finding]:
    for key in sorted(ours.keys() & (entries or {}).keys()):
        yield Finding(
            f"{name}/{key}",
            "warning",
            "The table is asked before the policies, and this entry hides theirs.",
            "Take the entry out of it.",
        )
    if entries is None and ours:
        yield Finding(
            f"smtp_tls_policy_maps/{name}",
            "warning",
            "The table is asked before the policies, and what it answers hides them.",
            "Put the table of the policies first in smtp_tls_policy_maps.",
        )


def _closer(name: str, entries: Mapping[str, str] | None, ours: Mapping[str, str]) -> Iterator[Finding]:
    """Postfix asks every table for the whole name before it asks any for a parent of it (smtp_tls_policy.c)."""
    parents = [key for key in ours if key.startswith(".")]
    for key in sorted(entries or {}):
        if key not in ours and (parent := next((one for one in parents if key.endswith(one)), "")):
            yield Finding(
                f"{name}/{key}",
                "warning",
                f"The entry is of the whole name, so it is found before {parent} of the policies.",
                "Take the entry out of it, or name the host itself in the policies.",
            )
    if entries is None and parents:
        yield Finding(
            f"smtp_tls_policy_maps/{name}",
            "notice",
            f"The table is asked for each name below {', '.join(parents)} before the policies are.",
            "Name the hosts themselves in the policies where the table may answer for them.",
        )


def _level(value: str) -> str:
    return next(iter(split_list(value)), "").lower()


def resolver_findings(state: PostfixState, system: str | None, chroot: str | None) -> tuple[Finding, ...]:
    """Judge the resolver that smtp(8) asks: ``system`` is /etc/resolv.conf, ``chroot`` the copy in the queue directory.

    None means that there is no such file; glibc then asks 127.0.0.1.
    """
    chrooted = [
        s.name for s in state.services if s.command in {"smtp", "lmtp"} and s.kind == "unix" and state.chrooted(s)
    ]
    copy = f"{state.value('queue_directory')}/etc/resolv.conf"
    findings: list[Finding] = []
    system_asked, copy_asked = _asked(system or ""), _asked(chroot or "")
    differs = copy_asked != system_asked if chroot is not None else copy_asked[0] not in system_asked
    if chrooted and differs:
        # A server elsewhere whose AD flag glibc does not trust: DANE is off, and nothing in the log tells.
        silent = all(map(_loopback, system_asked)) and not all(map(_loopback, copy_asked))
        findings.append(
            Finding(
                copy,
                "error" if silent else "warning",
                f"{', '.join(chrooted)} run chrooted and ask {', '.join(copy_asked)}, "
                f"while /etc/resolv.conf says {', '.join(system_asked)}.",
                f"Copy /etc/resolv.conf there and reload Postfix (role unbound_resolver does both), "
                f"or let {', '.join(chrooted)} run without chroot.",
            )
        )
    asked = {"/etc/resolv.conf": system_asked}
    if chrooted and chroot is not None and differs and copy_asked not in asked.values():
        asked[copy] = copy_asked
    for path, addresses in asked.items():
        foreign = [address for address in addresses if not _loopback(address)]
        if foreign:
            findings.append(
                Finding(
                    path,
                    "warning",
                    f"Postfix asks {', '.join(foreign)}. An answer over the network can be forged, AD flag and all, "
                    f"and then DANE protects nothing (RFC 7672 section 2.1.1).",
                    "Run a validating resolver on this host and name it alone (role unbound_resolver).",
                )
            )
    return tuple(findings)


def _asked(text: str) -> list[str]:
    servers = re.findall(r"^nameserver[ \t]+(\S+)", text, re.MULTILINE)
    return servers[:3] or ["127.0.0.1"]  # glibc asks three at most (resolv.conf(5), MAXNS)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
