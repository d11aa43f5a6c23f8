# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PostfixError
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_settings import Plan, check_version, plan_settings
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_wishes import Wishes

from postfix_states import BOOKWORM_DEFAULTS, TRIXIE_DEFAULTS, postfix_state

OUTBOUND: t.Final = {
    "smtp_dns_support_level": "dnssec",
    "smtp_host_lookup": "dns",
    "smtp_tls_dane_insecure_mx_policy": "dane",
    "smtp_tls_loglevel": "1",
    "smtp_tls_mandatory_protocols": ">=TLSv1.2",
    "smtp_tls_security_level": "dane",
}


def plan(main: dict[str, str], **wishes: t.Any) -> Plan:  # noqa: ANN401  # any field of Wishes
    return plan_settings(postfix_state(main), Wishes(**wishes))


@pytest.mark.parametrize("defaults", [BOOKWORM_DEFAULTS, TRIXIE_DEFAULTS])
def test_a_bare_main_cf_gets_every_outbound_setting_explicitly(defaults: dict[str, str]) -> None:
    assert plan_settings(postfix_state({}, defaults=defaults), Wishes()) == Plan(OUTBOUND, ())


def test_what_is_right_is_left_alone() -> None:
    assert not plan(OUTBOUND)


def test_a_default_that_is_right_is_still_written() -> None:
    kept = {name: value for name, value in OUTBOUND.items() if name != "smtp_tls_dane_insecure_mx_policy"}
    assert plan(kept).assignments == {"smtp_tls_dane_insecure_mx_policy": "dane"}


@pytest.mark.parametrize(
    ("lookup", "written"),
    [
        ("dns", None),
        ("dns, native", None),
        ("dns native", None),
        ("native", "dns, native"),
        ("native, dns", "dns, native"),
        ("", "dns"),
    ],
)
def test_dns_comes_first_in_host_lookup(lookup: str, written: str | None) -> None:
    assert plan(OUTBOUND | {"smtp_host_lookup": lookup}).assignments.get("smtp_host_lookup") == written


def test_lmtp_twins_on_request() -> None:
    assignments = plan(OUTBOUND | {"lmtp_use_tls": "yes"}, lmtp=True)
    assert assignments == Plan(
        {
            "lmtp_dns_support_level": "dnssec",
            "lmtp_host_lookup": "dns",
            "lmtp_tls_loglevel": "1",
            "lmtp_tls_mandatory_protocols": ">=TLSv1.2",
            "lmtp_tls_security_level": "dane",
        },
        ("lmtp_use_tls",),
    )


def test_withdrawn_and_superseded_parameters_go() -> None:
    main = OUTBOUND | {"tls_dane_digest_agility": "on", "smtp_use_tls": "yes", "smtp_enforce_tls": "no"}
    assert plan(main) == Plan({}, ("tls_dane_digest_agility", "smtp_use_tls", "smtp_enforce_tls"))


def test_inbound_settings_replace_key_and_certificate_parameters() -> None:
    main = OUTBOUND | {
        "smtpd_tls_cert_file": "/etc/ssl/certs/ssl-cert-snakeoil.pem",
        "smtpd_tls_key_file": "/etc/ssl/private/ssl-cert-snakeoil.key",
        "smtpd_tls_security_level": "encrypt",
        "smtpd_use_tls": "yes",
    }
    assert plan(main, chain_files=("/etc/dane/h/ecdsa.pem", "/etc/dane/h/rsa.pem")) == Plan(
        {
            "smtpd_tls_chain_files": "/etc/dane/h/ecdsa.pem, /etc/dane/h/rsa.pem",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_loglevel": "1",
        },
        ("smtpd_use_tls", "smtpd_tls_cert_file", "smtpd_tls_key_file"),
    )


def test_without_chain_files_the_keys_stay_as_they_are() -> None:
    assert not plan(OUTBOUND | {"smtpd_tls_cert_file": "/x.pem", "smtpd_use_tls": "yes"})


def test_white_space_and_commas_in_lists_are_no_difference() -> None:
    inbound = {
        "smtpd_tls_chain_files": "/a.pem /b.pem",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_loglevel": "1",
    }
    assert not plan(OUTBOUND | inbound, chain_files=("/a.pem", "/b.pem"))


def test_further_settings() -> None:
    assert plan(
        OUTBOUND,
        protocols=">=TLSv1.2",
        server_protocols="!TLSv1, !TLSv1.1",
        ca_file="/etc/ssl/ca.pem",
        raw_public_keys=True,
        tlsrpt=True,
        tlsrpt_socket="/var/spool/postfix/run/tlsrpt/tlsrpt.sock",
        hostname="mx1.example.org",
        security_level="dane-only",
        log_level=2,
    ).assignments == {
        "smtp_tls_protocols": ">=TLSv1.2",
        "smtpd_tls_protocols": "!TLSv1, !TLSv1.1",
        "smtpd_tls_CAfile": "/etc/ssl/ca.pem",
        "smtpd_tls_enable_rpk": "yes",
        "smtp_tlsrpt_enable": "yes",
        "smtp_tlsrpt_socket_name": "/var/spool/postfix/run/tlsrpt/tlsrpt.sock",
        "myhostname": "mx1.example.org",
        "smtp_tls_security_level": "dane-only",
        "smtp_tls_loglevel": "2",
    }


@pytest.mark.parametrize(
    ("wishes", "parameter"),
    [
        ({"raw_public_keys": True}, "smtpd_tls_enable_rpk = yes"),
        ({"tlsrpt": True, "tlsrpt_socket": "/x"}, "smtp_tlsrpt_enable = yes"),
    ],
)
def test_what_the_version_lacks_is_an_error(wishes: dict[str, t.Any], parameter: str) -> None:
    name = parameter.split(maxsplit=1)[0]
    message = f"Postfix 3.7.11 has no parameter {name}, so {parameter} cannot be set"
    with pytest.raises(PostfixError, match=re.escape(message)):
        plan_settings(postfix_state({}, defaults=BOOKWORM_DEFAULTS), Wishes(**wishes))


def test_switching_off_what_the_version_lacks_is_done_already() -> None:
    state = postfix_state(OUTBOUND, defaults=BOOKWORM_DEFAULTS)
    assert not plan_settings(state, Wishes(raw_public_keys=False, tlsrpt=False))


# --- mydestination ---


def test_domains_are_added_to_mydestination() -> None:
    main = OUTBOUND | {"mydestination": "$myhostname, localhost, "}
    assert plan(main, destinations=("example.org", "example.net")).assignments == {
        "mydestination": "$myhostname, localhost, example.org, example.net"
    }


def test_a_default_mydestination_is_kept_when_domains_are_added() -> None:
    assert plan(OUTBOUND, destinations=("example.org",)).assignments == {
        "mydestination": "$myhostname, localhost.$mydomain, localhost, example.org"
    }


def test_an_empty_mydestination_stays_empty_but_for_what_is_added() -> None:
    assert plan(OUTBOUND | {"mydestination": ""}, destinations=("example.org",)).assignments == {
        "mydestination": "example.org"
    }


# --- the policy table ---

OWN: t.Final = "texthash:/etc/postfix/dane_policy"


def test_our_table_is_asked_first_and_others_are_kept() -> None:
    main = OUTBOUND | {"smtp_tls_policy_maps": "hash:/etc/postfix/tls, socketmap:inet:127.0.0.1:8642:QUERY"}
    assert plan(main, policy_map=OWN, own_policy_map=OWN).assignments == {
        "smtp_tls_policy_maps": f"{OWN}, hash:/etc/postfix/tls, socketmap:inet:127.0.0.1:8642:QUERY"
    }


def test_our_table_stays_where_somebody_put_it() -> None:
    main = OUTBOUND | {"smtp_tls_policy_maps": f"hash:/etc/postfix/tls {OWN}"}
    assert not plan(main, policy_map=OWN, own_policy_map=OWN)


def test_our_table_alone_goes_when_there_are_no_policies() -> None:
    main = OUTBOUND | {"smtp_tls_policy_maps": f"{OWN}, hash:/etc/postfix/tls"}
    assert plan(main, policy_map="", own_policy_map=OWN) == Plan({"smtp_tls_policy_maps": "hash:/etc/postfix/tls"}, ())
    assert plan(OUTBOUND | {"smtp_tls_policy_maps": OWN}, policy_map="", own_policy_map=OWN) == Plan(
        {}, ("smtp_tls_policy_maps",)
    )


def test_without_policies_other_tables_are_not_touched() -> None:
    assert not plan(OUTBOUND | {"smtp_tls_policy_maps": "hash:/x  texthash:/y"}, policy_map="", own_policy_map=OWN)
    assert not plan(OUTBOUND | {"smtp_tls_policy_maps": OWN}, own_policy_map=OWN)


# --- version ---


@pytest.mark.parametrize("version", ["3.6.0", "3.7.11", "3.10.13", "3.11-20251122", "4.0.0"])
def test_versions_that_are_recent_enough(version: str) -> None:
    check_version(postfix_state(defaults=TRIXIE_DEFAULTS | {"mail_version": version}))


@pytest.mark.parametrize(("version", "shown"), [("3.5.25", "3.5.25"), ("", "of unknown version")])
def test_versions_that_are_not(version: str, shown: str) -> None:
    message = f"Postfix {shown} is too old: 3.6 or later is needed (Debian 12 has 3.7)"
    with pytest.raises(PostfixError, match=re.escape(message)):
        check_version(postfix_state(defaults=TRIXIE_DEFAULTS | {"mail_version": version}))
