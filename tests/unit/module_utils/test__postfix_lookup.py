# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_lookup import (
    Table,
    policy_map_findings,
    resolver_findings,
)

from postfix_states import MASTER, postfix_state

OWN: t.Final = "texthash:/etc/postfix/dane_policy"


def found(maps: str, tables: dict[str, Table]) -> list[tuple[str, str]]:
    state = postfix_state({"smtp_tls_policy_maps": maps})
    return [(finding.setting, finding.severity) for finding in policy_map_findings(state, tables, OWN)]


def test_our_own_table_is_no_finding() -> None:
    assert found(OWN, {OWN: Table({"example.org": "may"})}) == []


def test_each_exemption_in_another_table_is_named() -> None:
    table = Table({"example.org": "may", "example.net": "dane-only", "example.com": "secure match=nexthop"})
    assert found("hash:/x", {"hash:/x": table}) == [
        ("hash:/x/example.org", "warning"),
        ("hash:/x/example.com", "warning"),
    ]


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("static:may", "error"),
        ("static:{encrypt ciphers=high}", "error"),
        ("regexp:/x", "notice"),
        ("pcre:/x", "notice"),
        ("mysql:/x", "notice"),
        ("socketmap:inet:127.0.0.1:8461:postfix", "warning"),
    ],
)
def test_tables_that_shadow_dane(name: str, severity: str) -> None:
    assert found(name, {name: Table()}) == [(f"smtp_tls_policy_maps/{name}", severity)]


@pytest.mark.parametrize(
    "name",
    [
        "static:dane",
        "static:dane-only",
        "socketmap:inet:127.0.0.1:8642:QUERY",
        "socketmap:unix:tlspol/socket:QUERYwithTLSRPT",
    ],
)
def test_tables_that_put_dane_first(name: str) -> None:
    assert found(name, {name: Table()}) == []


def test_a_table_that_cannot_be_opened_stops_all_mail() -> None:
    table = Table(problem="open database /x.db: No such file or directory")
    assert found("hash:/x", {"hash:/x": table}) == [("smtp_tls_policy_maps/hash:/x", "error")]


def test_tables_asked_before_ours_may_hide_it() -> None:
    tables = {"hash:/x": Table({"example.org": "dane"}), OWN: Table({"example.org": "dane-only", "example.net": "may"})}
    assert found(f"hash:/x {OWN}", tables) == [("hash:/x/example.org", "warning")]
    assert found(f"{OWN} hash:/x", tables) == []
    service = "socketmap:inet:127.0.0.1:8642:QUERY"
    assert found(f"{service} {OWN}", {service: Table(), **tables}) == [(f"smtp_tls_policy_maps/{service}", "warning")]


def test_a_whole_name_in_a_later_table_is_found_before_a_parent_in_ours() -> None:
    ours = Table({".example.net": "may", "mx.example.net": "may"})
    later = Table({"sub.example.net": "dane", "mx.example.net": "dane", "example.net": "dane"})
    assert found(f"{OWN} hash:/x", {OWN: ours, "hash:/x": later}) == [("hash:/x/sub.example.net", "warning")]
    service = "socketmap:inet:127.0.0.1:8642:QUERY"
    assert found(f"{OWN} {service}", {OWN: ours, service: Table()}) == [(f"smtp_tls_policy_maps/{service}", "notice")]
    assert found(f"{OWN} {service}", {OWN: Table({"example.net": "may"}), service: Table()}) == []


# --- the resolver ---

COPY: t.Final = "/var/spool/postfix/etc/resolv.conf"
LOCAL: t.Final = "# ours\nnameserver 127.0.0.1\nnameserver ::1\noptions edns0 trust-ad\n"
REMOTE: t.Final = "nameserver 192.0.2.53\n"


def asked(system: str | None, chroot: str | None, *, master: str = MASTER) -> list[str]:
    return [finding.setting for finding in resolver_findings(postfix_state(master=master), system, chroot)]


@pytest.mark.parametrize(
    ("system", "chroot", "settings"),
    [
        (LOCAL, LOCAL, []),
        (LOCAL, LOCAL.replace("# ours", "# a copy"), []),
        (None, None, []),
        ("nameserver 127.0.0.1\n", None, []),
        (LOCAL, None, []),
        (REMOTE, REMOTE, ["/etc/resolv.conf"]),
        (REMOTE, None, [COPY, "/etc/resolv.conf"]),
        ("nameserver 127.0.0.53\n", None, [COPY]),
        (LOCAL, REMOTE, [COPY, COPY]),
        (REMOTE, LOCAL, [COPY, "/etc/resolv.conf"]),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.53\n", None, ["/etc/resolv.conf"]),
        ("nameserver fe80::1%eth0\n", None, [COPY, "/etc/resolv.conf"]),
        ("nameserver 127.0.0.1\n" * 3 + REMOTE, None, []),
        ("# nameserver 192.0.2.53\nnameserver 127.0.0.1\n", None, []),
    ],
)
def test_the_resolver_that_postfix_asks(system: str | None, chroot: str | None, settings: list[str]) -> None:
    assert asked(system, chroot) == settings


@pytest.mark.parametrize(
    ("system", "chroot", "severity"),
    [
        (LOCAL, REMOTE, "error"),
        (LOCAL, "nameserver 127.0.0.53\n", "warning"),
        (REMOTE, "nameserver 192.0.2.54\n", "warning"),
    ],
)
def test_a_copy_that_turns_dane_off_in_silence_is_an_error(system: str, chroot: str, severity: str) -> None:
    (first, *_others) = resolver_findings(postfix_state(), system, chroot)
    assert (first.setting, first.severity) == (COPY, severity)


def test_without_chroot_its_copy_does_not_count() -> None:
    master = MASTER.replace(
        "-       -       y       -       -       smtp", "-       -       n       -       -       smtp"
    )
    master = master.replace(
        "-       -       y       -       -       lmtp", "-       -       n       -       -       lmtp"
    )
    assert asked(LOCAL, REMOTE, master=master) == []
