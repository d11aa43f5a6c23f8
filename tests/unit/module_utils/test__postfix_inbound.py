# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_inbound import inbound_findings

from postfix_states import MASTER, postfix_state

DANE: t.Final = {"smtpd_tls_chain_files": "/a.pem", "smtpd_tls_security_level": "may"}
SUBMISSION: t.Final = "submission inet n - y - - smtpd\n"
SUBMISSIONS: t.Final = "submissions inet n - y - - smtpd\n"


def found(
    main: dict[str, str], *, master: str = MASTER, overrides: str = "", ports: tuple[int, ...] = (25,)
) -> list[tuple[str, str]]:
    state = postfix_state(DANE | main, master=master, overrides=overrides)
    return [(finding.setting, finding.severity) for finding in inbound_findings(state, ports)]


def test_a_plain_configuration_has_nothing_in_the_way() -> None:
    assert found({}) == []


@pytest.mark.parametrize(
    ("main", "severity"),
    [
        ({"smtpd_tls_wrappermode": "yes"}, "error"),
        ({"smtpd_tls_security_level": "encrypt"}, "error"),
        ({"smtpd_tls_security_level": "none"}, "error"),
        ({"smtpd_discard_ehlo_keywords": "starttls"}, "error"),
        ({"postscreen_discard_ehlo_keywords": "silent-discard, STARTTLS"}, "error"),
        ({"smtpd_discard_ehlo_keyword_address_maps": "cidr:/x"}, "notice"),
        ({"tls_server_sni_maps": "hash:/x"}, "notice"),
        ({"inet_interfaces": "loopback-only"}, "warning"),
        ({"inet_interfaces": "127.0.0.1, [::1]"}, "warning"),
    ],
)
def test_parameters_in_the_way(main: dict[str, str], severity: str) -> None:
    assert found(main) == [(next(iter(main)), severity)]


@pytest.mark.parametrize("main", [{"inet_interfaces": "127.0.0.1, 192.0.2.1"}, {"inet_interfaces": "all"}])
def test_parameters_not_in_the_way(main: dict[str, str]) -> None:
    assert found(main) == []


@pytest.mark.parametrize(
    ("override", "severity"),
    [
        ("smtp/inet/smtpd_tls_security_level = none", "error"),
        ("smtp/inet/smtpd_tls_security_level = encrypt", "error"),
        ("smtp/inet/smtpd_tls_cert_file = /x", "error"),
        ("smtp/inet/smtpd_tls_chain_files = /x", "error"),
        ("smtp/inet/smtpd_tls_wrappermode = yes", "error"),
        ("smtp/inet/smtpd_use_tls = yes", "notice"),
    ],
)
def test_overrides_of_port_25(override: str, severity: str) -> None:
    assert found({}, overrides=override) == [(override.partition(" = ")[0], severity)]


def test_overrides_that_agree() -> None:
    assert found({}, overrides="smtp/inet/smtpd_tls_security_level = may\nsmtp/inet/smtpd_tls_wrappermode = no") == []


def test_a_content_filters_inlet_is_none_of_ours() -> None:
    master = MASTER + "127.0.0.1:25 inet n - y - - smtpd\n"
    assert found({}, master=master, overrides="127.0.0.1:25/inet/smtpd_tls_security_level = none") == []


def test_ports_that_postfix_does_not_listen_on() -> None:
    assert found({}, ports=(25, 465, 587, 993)) == [("submissions/inet", "warning"), ("submission/inet", "warning")]
    assert found({}, master="", ports=(25,)) == [("smtp/inet", "warning")]
    assert found({}, master="127.0.0.1:smtp inet n - y - - smtpd\n", ports=(25,)) == [("smtp/inet", "warning")]


def test_submission() -> None:
    good = "submission/inet/smtpd_tls_security_level = encrypt"
    assert found({}, master=MASTER + SUBMISSION, overrides=good, ports=(25, 587)) == []
    assert found({}, master=MASTER + SUBMISSION) == [("submission/inet/smtpd_tls_security_level", "notice")]
    bad = f"{good}\nsubmission/inet/smtpd_tls_wrappermode = yes\nsubmission/inet/smtpd_tls_eccert_file = /x"
    assert found({}, master=MASTER + SUBMISSION, overrides=bad) == [
        ("submission/inet/smtpd_tls_eccert_file", "warning"),
        ("submission/inet/smtpd_tls_wrappermode", "warning"),
    ]


@pytest.mark.parametrize(
    ("service", "severity"), [("smtp", "error"), ("submission", "warning"), ("submissions", "warning")]
)
def test_starttls_hidden_on_one_port(service: str, severity: str) -> None:
    master = MASTER + SUBMISSION + SUBMISSIONS
    good = (
        "submission/inet/smtpd_tls_security_level = encrypt\nsubmissions/inet/smtpd_tls_wrappermode = yes\n"
        f"{service}/inet/smtpd_discard_ehlo_keywords"
    )
    assert found({}, master=master, overrides=f"{good} = dsn, ETRN") == []
    assert found({}, master=master, overrides=f"{good} = dsn, StartTLS") == [
        (f"{service}/inet/smtpd_discard_ehlo_keywords", severity)
    ]


def test_submissions() -> None:
    good = "submissions/inet/smtpd_tls_wrappermode = yes"
    assert found({}, master=MASTER + SUBMISSIONS, overrides=good, ports=(25, 465)) == []
    assert found({}, master=MASTER + SUBMISSIONS) == [("submissions/inet/smtpd_tls_wrappermode", "warning")]
    bad = f"{good}\nsubmissions/inet/smtpd_tls_security_level = none"
    assert found({}, master=MASTER + SUBMISSIONS, overrides=bad) == [
        ("submissions/inet/smtpd_tls_security_level", "warning")
    ]


POSTSCREEN: t.Final = """\
smtp inet n - y - 1 postscreen
smtpd pass - - y - - smtpd
dnsblog unix - - y - 0 dnsblog
tlsproxy unix - - y - 0 tlsproxy
"""


def test_postscreen() -> None:
    assert found({}, master=POSTSCREEN) == []
    without = POSTSCREEN.replace("tlsproxy unix", "#")
    assert found({}, master="".join(line for line in without.splitlines(keepends=True) if line[0] != "#")) == [
        ("tlsproxy/unix", "error")
    ]
    assert found({"postscreen_tls_security_level": "none"}, master=POSTSCREEN) == [
        ("postscreen_tls_security_level", "error")
    ]
    assert found({"tlsproxy_tls_cert_file": "/x"}, master=POSTSCREEN) == [("tlsproxy_tls_cert_file", "error")]
    assert found({"tlsproxy_tls_cert_file": "/x"}) == []


@pytest.mark.parametrize(
    "override",
    [
        "smtpd/pass/smtpd_tls_security_level = none",
        "smtpd/pass/smtpd_tls_cert_file = /x",
        "smtpd/pass/smtpd_discard_ehlo_keywords = starttls",
    ],
)
def test_what_postscreen_passes_on_is_port_25(override: str) -> None:
    assert found({}, master=POSTSCREEN, overrides=override) == [(override.partition(" = ")[0], "error")]
    state = postfix_state(DANE, master=POSTSCREEN, overrides=override)
    assert inbound_findings(state, (25,))[0].problem.startswith("What postscreen passes on ")


def test_dnsblog_is_needed_for_lists_alone() -> None:
    without = POSTSCREEN.replace("dnsblog unix - - y - 0 dnsblog\n", "")
    assert found({}, master=without) == []
    assert found({"postscreen_dnsbl_sites": "zen.example"}, master=without) == [("dnsblog/unix", "error")]
