# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PostfixError
from ansible_collections.mailsec.dane.plugins.module_utils._postfix import (
    Finding,
    Service,
    parse_parameters,
    parse_services,
    split_list,
    version_numbers,
)
from hypothesis import given
from hypothesis import strategies as st

from postfix_states import MASTER, postfix_state


def test_parameters_are_read_as_postconf_prints_them() -> None:
    output = "relayhost =\nmydestination = $myhostname, localhost\nsmtpd_banner = $myhostname ESMTP = x\n"
    assert parse_parameters(output) == {
        "relayhost": "",
        "mydestination": "$myhostname, localhost",
        "smtpd_banner": "$myhostname ESMTP = x",
    }


@pytest.mark.parametrize("line", ["nothing", "two words = 1", "=1"])
def test_a_line_that_is_no_setting_is_refused(line: str) -> None:
    with pytest.raises(PostfixError, match=re.escape(f"postconf printed a line that is no setting: {line!r}")):
        parse_parameters(line)


def test_services_come_with_their_overrides() -> None:
    services = parse_services(
        MASTER + "[::1]:10025 inet n - n - - smtpd -o smtpd_tls_security_level=none\n",
        "relay/unix/syslog_name = postfix/relay\n[::1]:10025/inet/smtpd_tls_security_level = none\n",
    )
    inlet = services[-1]
    assert inlet == Service("[::1]:10025", "inet", "n", "smtpd", (("smtpd_tls_security_level", "none"),))
    assert inlet.override("smtpd_tls_security_level") == "none"
    assert inlet.override("smtpd_tls_cert_file") is None
    assert inlet.setting("smtpd_tls_cert_file") == "[::1]:10025/inet/smtpd_tls_cert_file"
    assert services[3].overrides == (("syslog_name", "postfix/relay"),)


def test_a_malformed_service_is_refused() -> None:
    with pytest.raises(PostfixError, match=re.escape("no master.cf service: 'smtp inet n'")):
        parse_services("smtp inet n\n", "")
    with pytest.raises(PostfixError, match="no service/type/parameter: 'smtp'"):
        parse_services("", "smtp = 1\n")


@pytest.mark.parametrize(
    ("name", "kind", "port", "loopback_only"),
    [
        ("smtp", "inet", 25, False),
        ("25", "inet", 25, False),
        ("0.0.0.0:25", "inet", 25, False),
        ("[2001:db8::1]:submission", "inet", 587, False),
        ("submissions", "inet", 465, False),
        ("smtps", "inet", 465, False),
        ("127.0.0.1:10025", "inet", 10025, True),
        ("localhost:smtp", "inet", 25, True),
        ("[::1]:25", "inet", 25, True),
        ("amavis-in", "inet", None, False),
        ("smtp", "unix", None, False),
    ],
)
def test_where_a_service_listens(name: str, kind: str, port: int | None, loopback_only: bool) -> None:
    service = Service(name, kind, "n", "smtpd")
    assert (service.port, service.loopback_only) == (port, loopback_only)


@pytest.mark.parametrize(
    ("column", "level", "chrooted"),
    [("y", "3.9", True), ("n", "0", False), ("-", "0", True), ("-", "3.6", False), ("-", "1", False)],
)
def test_the_chroot_column(column: str, level: str, chrooted: bool) -> None:
    service = Service("smtp", "unix", column, "smtp")
    assert postfix_state({"compatibility_level": level}).chrooted(service) is chrooted


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("", []),
        ("a, b c", ["a", "b", "c"]),
        (" a ,, b ", ["a", "b"]),
        ("inline:{ {a = b}, {c = d} }, hash:/x", ["inline:{ {a = b}, {c = d} }", "hash:/x"]),
        ("{ a, b } c", ["{ a, b }", "c"]),
    ],
)
def test_lists_are_split_outside_braces_only(value: str, items: list[str]) -> None:
    assert split_list(value) == items


@given(st.lists(st.from_regex(r"[a-z0-9:/.$_]+", fullmatch=True)), st.sampled_from([", ", ",", " ", "\t"]))
def test_a_joined_list_is_split_again(items: list[str], separator: str) -> None:
    assert split_list(separator.join(items)) == items


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("3.7.11", (3, 7, 11)), ("3.10.13", (3, 10, 13)), ("3.11-20251122", (3, 11)), ("", ()), ("x", ())],
)
def test_version_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(version) == numbers


def test_the_state_after_a_plan() -> None:
    state = postfix_state({"smtpd_use_tls": "yes", "relayhost": "[relay.example.org]"})
    after = state.with_settings({"smtp_tls_security_level": "dane"}, ["smtpd_use_tls"])
    assert after.explicit == {"relayhost": "[relay.example.org]", "smtp_tls_security_level": "dane"}
    assert after.value("smtp_tls_security_level") == "dane"
    assert after.value("smtpd_use_tls") == ""
    assert after.value("relayhost") == "[relay.example.org]"
    assert state.value("smtp_tls_security_level") == ""
    assert not state.knows("no_such_parameter")


def test_a_finding_is_a_sentence_and_a_mapping() -> None:
    finding = Finding("relayhost", "notice", "It is set.", "Unset it.")
    assert finding.sentence() == "relayhost: It is set. Unset it."
    assert finding.to_mapping() == {
        "setting": "relayhost",
        "severity": "notice",
        "problem": "It is set.",
        "remedy": "Unset it.",
    }
