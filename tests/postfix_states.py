# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of Postfix to take decisions on, as postconf of Debian 12 and 13 would tell of them.

Only what the collection looks at is in the tables of defaults; a test that the tables are right runs against real
Postfix (tests/integration/postfix).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ansible_collections.mailsec.dane.plugins.module_utils._postfix import PostfixState, parse_services

if TYPE_CHECKING:
    from collections.abc import Mapping

# Debian 12: `postconf -d`, expanded.
BOOKWORM_DEFAULTS: Final = {
    "mail_version": "3.7.11",
    "compatibility_level": "0",
    "queue_directory": "/var/spool/postfix",
    "content_filter": "",
    "default_transport": "smtp",
    "disable_dns_lookups": "no",
    "ignore_mx_lookup_error": "no",
    "inet_interfaces": "all",
    "lmtp_dns_support_level": "",
    "lmtp_host_lookup": "dns",
    "lmtp_tls_enforce_peername": "yes",
    "lmtp_enforce_tls": "no",
    "lmtp_use_tls": "no",
    "lmtp_tls_loglevel": "0",
    "lmtp_tls_mandatory_protocols": ">=TLSv1",
    "lmtp_tls_protocols": ">=TLSv1",
    "lmtp_tls_security_level": "",
    "local_transport": "local:mx1.example.org",
    "mailbox_transport": "",
    "mydestination": "mx1.example.org, localhost.example.org, localhost",
    "myhostname": "mx1.example.org",
    "parent_domain_matches_subdomains": (
        "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,"
        "relay_domains,smtpd_access_maps"
    ),
    "postscreen_discard_ehlo_keywords": "",
    "postscreen_tls_security_level": "",
    "relay_domains": "",
    "relay_transport": "relay",
    "relayhost": "",
    "sender_dependent_default_transport_maps": "",
    "sender_dependent_relayhost_maps": "",
    "postscreen_dnsbl_sites": "",
    "smtp_discard_ehlo_keywords": "",
    "smtp_dns_reply_filter": "",
    "smtp_dns_resolver_options": "",
    "smtp_dns_support_level": "",
    "smtp_enforce_tls": "no",
    "smtp_fallback_relay": "",
    "smtp_host_lookup": "dns",
    "smtp_tls_dane_insecure_mx_policy": "may",
    "smtp_tls_enforce_peername": "yes",
    "smtp_tls_fingerprint_digest": "sha256",
    "smtp_tls_loglevel": "0",
    "smtp_tls_mandatory_protocols": ">=TLSv1",
    "smtp_tls_per_site": "",
    "smtp_tls_policy_maps": "",
    "smtp_tls_protocols": ">=TLSv1",
    "smtp_tls_security_level": "",
    "smtp_tls_wrappermode": "no",
    "smtp_use_tls": "no",
    "smtpd_discard_ehlo_keyword_address_maps": "",
    "smtpd_discard_ehlo_keywords": "",
    "smtpd_enforce_tls": "no",
    "smtpd_tls_CAfile": "",
    "smtpd_tls_cert_file": "",
    "smtpd_tls_chain_files": "",
    "smtpd_tls_key_file": "",
    "smtpd_tls_loglevel": "0",
    "smtpd_tls_protocols": ">=TLSv1",
    "smtpd_tls_security_level": "",
    "smtpd_tls_wrappermode": "no",
    "smtpd_use_tls": "no",
    "tls_dane_digests": "sha512 sha256",
    "tls_server_sni_maps": "",
    "virtual_alias_domains": "",
    "virtual_mailbox_domains": "",
    "smtp_tls_CAfile": "",
    "smtp_tls_CApath": "",
    "smtp_tls_cert_file": "",
    "smtp_tls_chain_files": "",
    "smtp_tls_ciphers": "medium",
    "smtp_tls_connection_reuse": "no",
    "smtp_tls_dcert_file": "",
    "smtp_tls_dkey_file": "",
    "smtp_tls_eccert_file": "",
    "smtp_tls_eckey_file": "",
    "smtp_tls_key_file": "",
    "smtp_tls_mandatory_ciphers": "medium",
    "smtpd_tls_ciphers": "medium",
    "smtpd_tls_mandatory_ciphers": "medium",
    "smtpd_tls_mandatory_protocols": ">=TLSv1",
    "tls_append_default_CA": "no",
    "transport_maps": "",
    "virtual_transport": "virtual",
}

# What Debian 13 has beside, and otherwise.
TRIXIE_DEFAULTS: Final = BOOKWORM_DEFAULTS | {
    "mail_version": "3.10.13",
    "smtp_tls_dane_insecure_mx_policy": "dane",
    "smtp_tls_enable_rpk": "no",
    "smtp_tlsrpt_enable": "no",
    "smtp_tlsrpt_socket_name": "",
    "smtpd_tls_enable_rpk": "no",
}

# Debian's master.cf, as far as DANE is concerned.
MASTER: Final = """\
smtp       inet  n       -       y       -       -       smtpd
tlsmgr     unix  -       -       y       1000?   1       tlsmgr
smtp       unix  -       -       y       -       -       smtp
relay      unix  -       -       y       -       -       smtp -o syslog_name=postfix/relay
local      unix  -       n       n       -       -       local
lmtp       unix  -       -       y       -       -       lmtp
"""


def postfix_state(
    main: Mapping[str, str] | None = None,
    *,
    master: str = MASTER,
    overrides: str = "",
    defaults: Mapping[str, str] = TRIXIE_DEFAULTS,
) -> PostfixState:
    """Return the state of a Postfix whose main.cf sets `main`, with these services and ``-o`` overrides."""
    explicit = dict(main or {})
    effective = {name: explicit.get(name, value) for name, value in defaults.items()}
    return PostfixState("/etc/postfix", explicit, effective, parse_services(master, overrides))
