# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_lookup import Table
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_outbound import outbound_findings

from postfix_states import BOOKWORM_DEFAULTS, MASTER, TRIXIE_DEFAULTS, postfix_state

DANE: t.Final = {
    "smtp_dns_support_level": "dnssec",
    "smtp_tls_security_level": "dane",
    "smtp_host_lookup": "dns",
}


def found(
    main: dict[str, str], *, master: str = MASTER, overrides: str = "", transports: dict[str, Table] | None = None
) -> list[tuple[str, str]]:
    state = postfix_state(DANE | main, master=master, overrides=overrides)
    return [(finding.setting, finding.severity) for finding in outbound_findings(state, transports or {})]


def test_a_plain_configuration_has_nothing_in_the_way() -> None:
    assert found({}) == []


@pytest.mark.parametrize(
    ("main", "severity"),
    [
        ({"ignore_mx_lookup_error": "yes"}, "error"),
        ({"disable_dns_lookups": "yes"}, "error"),
        ({"smtp_dns_resolver_options": "res_defnames"}, "error"),
        ({"smtp_dns_resolver_options": "RES_DNSRCH, res_x"}, "error"),
        ({"smtp_discard_ehlo_keywords": "pipelining, STARTTLS"}, "error"),
        ({"tls_dane_digests": "sha512"}, "error"),
        ({"tls_dane_digests": "sha512 sha256 sha3-256"}, "error"),
        ({"smtp_tls_per_site": "hash:/etc/postfix/tls_per_site"}, "warning"),
        ({"smtp_tls_wrappermode": "yes"}, "error"),
        ({"smtp_dns_reply_filter": "pcre:/etc/postfix/reply"}, "notice"),
        ({"relayhost": "[relay.example.org]:587"}, "notice"),
        ({"relayhost": "example.org"}, "notice"),
        ({"relayhost": "[192.0.2.1]"}, "warning"),
        ({"relayhost": "[192.0.2.1]:587", "smtp_tls_security_level": "dane-only"}, "error"),
        ({"relayhost": "[ipv6:2001:db8::1]"}, "warning"),
        ({"relayhost": "[2001:db8::1]:25"}, "warning"),
        ({"default_transport": "smtp:[relay.example.org]"}, "notice"),
        ({"default_transport": "uucp"}, "warning"),
        ({"smtp_fallback_relay": "[relay.example.org]"}, "notice"),
        ({"sender_dependent_relayhost_maps": "hash:/x"}, "notice"),
        ({"sender_dependent_default_transport_maps": "hash:/x"}, "notice"),
    ],
)
def test_parameters_in_the_way(main: dict[str, str], severity: str) -> None:
    assert found(main) == [(next(iter(main)), severity)]


@pytest.mark.parametrize(
    "main",
    [
        {"tls_dane_digests": "SHA512, sha256"},
        {"smtp_tls_per_site": "hash:/x", "smtp_tls_policy_maps": "hash:/y"},
        {"smtp_discard_ehlo_keywords": "pipelining"},
        {"smtp_dns_resolver_options": ""},
        {"ignore_mx_lookup_error": "no"},
    ],
)
def test_parameters_not_in_the_way(main: dict[str, str]) -> None:
    assert found(main) == []


@pytest.mark.parametrize(
    ("override", "severity"),
    [
        ("smtp/unix/smtp_tls_security_level = may", "error"),
        ("smtp/unix/smtp_tls_security_level = none", "error"),
        ("smtp/unix/smtp_dns_support_level = enabled", "error"),
        ("smtp/unix/smtp_host_lookup = native", "error"),
        ("smtp/unix/smtp_dns_resolver_options = res_dnsrch", "error"),
        ("smtp/unix/ignore_mx_lookup_error = yes", "error"),
        ("smtp/unix/disable_dns_lookups = yes", "error"),
        ("smtp/unix/smtp_tls_wrappermode = yes", "error"),
        ("relay/unix/smtp_discard_ehlo_keywords = dsn, STARTTLS", "warning"),
        ("smtp/unix/smtp_use_tls = no", "notice"),
        ("smtp/unix/smtp_enforce_tls = yes", "notice"),
        ("relay/unix/smtp_tls_security_level = may", "warning"),
        ("smtp/unix/smtp_tls_policy_maps = static:may", "error"),
        ("smtp/unix/smtp_tls_policy_maps = hash:/x static:{ none }", "error"),
        ("smtp/unix/smtp_tls_policy_maps = static:dane-only", "warning"),
        ("smtp/unix/smtp_tls_policy_maps = hash:/x", "warning"),
        ("relay/unix/smtp_tls_policy_maps = hash:/x", "notice"),
    ],
)
def test_overrides_that_take_dane_away(override: str, severity: str) -> None:
    assert found({}, overrides=override) == [(override.partition(" = ")[0], severity)]


@pytest.mark.parametrize(
    "override",
    [
        "smtp/unix/smtp_tls_security_level = dane-only",
        "smtp/unix/smtp_host_lookup = dns, native",
        "smtp/unix/smtp_helo_timeout = 5",
        "smtp/unix/smtp_discard_ehlo_keywords = chunking",
        "smtp/unix/disable_dns_lookups = no",
    ],
)
def test_overrides_that_do_not(override: str) -> None:
    assert found({}, overrides=override) == []


def test_a_transport_of_ones_own_is_worth_a_notice() -> None:
    master = MASTER + "plain unix - - y - - smtp\n"
    assert found({}, master=master, overrides="plain/unix/smtp_tls_security_level = none") == [
        ("plain/unix/smtp_tls_security_level", "notice")
    ]


@pytest.mark.parametrize("service", ["smtp", "tlsmgr"])
def test_services_that_must_be_there(service: str) -> None:
    master = "".join(
        line for line in MASTER.splitlines(keepends=True) if not line.startswith(f"{service} ") or "inet" in line
    )
    assert found({}, master=master) == [(f"{service}/unix", "error")]


def test_a_content_filter_behind_smtp_must_not_need_dane() -> None:
    main = {"content_filter": "scan:[127.0.0.1]:10024"}
    master = MASTER + "scan unix - - n - 2 smtp\n"
    assert found(main, master=master) == []
    assert found({"content_filter": "smtp:[127.0.0.1]:10024"}) == [("content_filter", "notice")]
    strict = main | {"smtp_tls_security_level": "dane-only"}
    assert found(strict, master=master) == [("content_filter", "error")]
    assert found(strict, master=master, overrides="scan/unix/smtp_tls_security_level = none") == [
        ("scan/unix/smtp_tls_security_level", "notice")
    ]
    assert found({"content_filter": "lmtp:unix:/x", "smtp_tls_security_level": "dane-only"}) == []


def test_a_content_filter_of_one_service_is_seen_too() -> None:
    master = MASTER + "scan unix - - n - 2 smtp\n"
    override = "smtp/inet/content_filter = scan:[127.0.0.1]:10024"
    strict = {"smtp_tls_security_level": "dane-only"}
    assert found(strict, master=master, overrides=override) == [("smtp/inet/content_filter", "error")]
    exempt = f"{override}\nscan/unix/smtp_tls_security_level = none"
    assert found(strict, master=master, overrides=exempt) == [("scan/unix/smtp_tls_security_level", "notice")]
    assert found({}, master=master, overrides="smtp/inet/content_filter =") == []


@pytest.mark.parametrize(
    ("main", "overrides", "settings"),
    [
        ({"mailbox_transport": "lmtp:unix:private/dovecot-lmtp"}, "", ["mailbox_transport"]),
        ({"virtual_transport": "lmtp:unix:private/dovecot-lmtp"}, "", ["virtual_transport"]),
        ({"virtual_transport": "lmtp:[192.0.2.9]:24"}, "", []),
        ({"virtual_transport": "lmtp:inet:dovecot.example.org:24"}, "", []),
        ({"virtual_transport": "virtual"}, "", []),
        ({"virtual_transport": "lmtp:unix:x"}, "lmtp/unix/lmtp_tls_security_level = none", []),
        ({"virtual_transport": "lmtp:unix:x"}, "lmtp/unix/lmtp_tls_security_level = dane", ["virtual_transport"]),
    ],
)
def test_lmtp_sockets_cannot_have_dane(main: dict[str, str], overrides: str, settings: list[str]) -> None:
    lmtp = main | {"lmtp_tls_security_level": "dane"}
    assert found(lmtp, overrides=overrides) == [(setting, "error") for setting in settings]
    assert found(main, overrides=overrides) == []


def test_lmtp_sockets_of_a_transport_table_cannot_have_dane_either() -> None:
    tables = {"hash:/x": Table({"a.example": "lmtp:unix:private/dovecot", "b.example": "lmtp:[192.0.2.9]:24"})}
    lmtp = {"lmtp_tls_security_level": "dane"}
    assert found(lmtp, transports=tables) == [("hash:/x/a.example", "error")]


OUT: t.Final = MASTER + "out unix - - y - - smtp\nerror unix - - y - - error\n"
MAY: t.Final = "out/unix/smtp_tls_security_level = may"


@pytest.mark.parametrize(
    ("main", "tables"),
    [
        ({"default_transport": "out"}, {}),
        ({"sender_dependent_default_transport_maps": "static:out"}, {}),
        ({}, {"hash:/x": Table({"*": "out:"})}),
        ({}, {"static:out": Table()}),
    ],
)
def test_a_transport_that_all_mail_takes_must_do_dane(main: dict[str, str], tables: dict[str, Table]) -> None:
    assert ("out/unix/smtp_tls_security_level", "error") in found(main, master=OUT, overrides=MAY, transports=tables)
    assert [severity for _setting, severity in found(main, master=OUT, transports=tables)] in ([], ["notice"])


def test_a_relay_beside_such_a_transport_hides_nothing() -> None:
    assert found({"default_transport": "out:[relay.example.org]"}, master=OUT, overrides=MAY) == [
        ("out/unix/smtp_tls_security_level", "error"),
        ("default_transport", "notice"),
    ]


def test_what_is_sent_nowhere_needs_no_dane() -> None:
    assert found({"default_transport": "error:outside mail is off"}, master=OUT) == [("default_transport", "notice")]


def test_transport_tables_are_looked_through() -> None:
    star = {"hash:/x": Table({"*": "smtp:[relay.example.org]"})}
    assert found({}, transports=star) == [("transport_maps/hash:/x", "notice")]
    assert found({"smtp_tls_security_level": "dane-only"}, transports={"hash:/x": Table({"*": ":[192.0.2.1]"})}) == [
        ("transport_maps/hash:/x", "error")
    ]
    some = {"hash:/x": Table({f"{number}.example": "smtp:[relay.example]" for number in range(7)})}
    state = postfix_state(DANE)
    (finding,) = outbound_findings(state, some)
    assert "0.example, 1.example, 2.example, 3.example, 4.example and 2 more goes" in finding.problem
    assert found({}, transports={"pcre:/x": Table()}) == [("transport_maps/pcre:/x", "notice")]
    assert found({}, transports={"hash:/x": Table({"a.example": "local:", "b.example": "smtp:"})}) == []


def test_a_collectors_socket_must_be_within_reach() -> None:
    on = {"smtp_tlsrpt_enable": "yes", "smtp_tlsrpt_socket_name": "/run/tlsrpt.sock"}
    assert found(on) == [("smtp_tlsrpt_socket_name", "warning")]
    assert found(on | {"smtp_tlsrpt_socket_name": "run/tlsrpt/tlsrpt.sock"}) == []
    assert found(on | {"smtp_tlsrpt_enable": "no"}) == []
    assert found(on, master=MASTER.replace("y       -       -       smtp", "n       -       -       smtp")) == []


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("3.6.0", True),
        ("3.7.11", True),
        ("3.8.6", True),
        ("3.10.12", True),
        ("3.10.13", False),
        ("3.10.14", False),
        ("3.11.0", False),
    ],
)
def test_builds_with_the_short_tlsa_crash(version: str, affected: bool) -> None:
    for defaults in (BOOKWORM_DEFAULTS, TRIXIE_DEFAULTS):
        state = postfix_state(DANE, defaults=defaults | {"mail_version": version})
        findings = [(finding.setting, finding.severity) for finding in outbound_findings(state, {})]
        assert findings == [("mail_version", "warning")] * affected
