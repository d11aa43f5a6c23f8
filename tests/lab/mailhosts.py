# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the mail hosts are given. The sender is the judge: configured by hand, never by the roles under test. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.files import ContainerFile
from lab.nameservers import enabled
from lab.topology import HOSTS, Kind

if TYPE_CHECKING:
    from lab.state import Secrets
    from lab.topology import Host, Lab

_LOCALHOST = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
# Without PAM: its session modules want privileges that containers lack. Without DNS: the lab breaks it on purpose.
_SSHD = "HostKey /etc/ssh/lab_host_key\nPermitRootLogin prohibit-password\nUsePAM no\nUseDNS no\nMaxStartups 100\n"
VALIDATING = "nameserver 127.0.0.1\noptions edns0 trust-ad\n"


def root_hints(lab: Lab) -> list[dict[str, object]]:
    """Return the lab's root servers: name and addresses."""
    return [
        {"name": f"{host.fqdn}.", "addresses": [lab.ipv4(host), lab.ipv6(host)]}
        for host in HOSTS
        if host.kind is Kind.ROOT
    ]


def trust_anchor(secrets: Secrets) -> str:
    """Return the lab's trust anchor, the DS of the root key, in presentation form."""
    return f". IN DS {secrets.zone_keys['.'].ds}"


def common_files() -> list[ContainerFile]:
    """Return the files of every host."""
    return [ContainerFile("/etc/hosts", _LOCALHOST)]


def managed_files(secrets: Secrets, outer_resolvers: list[str], *, bare: bool) -> list[ContainerFile]:
    """Return the files of a managed host: the administrator's access, the outer resolver until the roles take over.

    The stamp says that the image's apt lists are fresh; a bare image has none.
    """
    resolv_conf = "".join(f"nameserver {address}\n" for address in outer_resolvers)
    files = [
        ContainerFile("/etc/resolv.conf", resolv_conf, volatile=True),
        ContainerFile("/root/.ssh/authorized_keys", f"{secrets.administrator.public}\n", mode=0o600),
        ContainerFile("/etc/ssh/lab_host_key", secrets.ssh_host.private, mode=0o600),
        ContainerFile("/etc/ssh/sshd_config.d/lab.conf", _SSHD),
    ]
    if not bare:
        files.append(ContainerFile("/var/lib/apt/periodic/update-success-stamp"))
    return files


def sender_files(lab: Lab, host: Host, secrets: Secrets) -> list[ContainerFile]:
    """Return the files of a judge: validating unbound on loopback, Postfix at level ``dane``."""
    return [
        ContainerFile("/etc/resolv.conf", VALIDATING),
        ContainerFile("/var/spool/postfix/etc/resolv.conf", VALIDATING),
        ContainerFile("/etc/unbound/unbound.conf.d/lab.conf", validating_unbound(secrets)),
        ContainerFile("/etc/unbound/lab-root.hints", hints_file(lab)),
        ContainerFile("/etc/bind/lab.keys", _delv_anchor(secrets)),
        ContainerFile("/etc/postfix/main.cf", _main_cf(host)),
        ContainerFile("/etc/postfix/server.pem", secrets.certificates[host.fqdn].chain, mode=0o600),
        ContainerFile("/etc/mailname", f"{host.mail_domain}\n"),
        enabled("unbound.service"),
        enabled("postfix.service"),
    ]


def hints_file(lab: Lab) -> str:
    """Return the root hints of a resolver in the lab."""
    root = next(host for host in HOSTS if host.kind is Kind.ROOT)
    return f". 3600 NS {root.fqdn}.\n{root.fqdn}. 3600 A {lab.ipv4(root)}\n{root.fqdn}. 3600 AAAA {lab.ipv6(root)}\n"


def validating_unbound(secrets: Secrets) -> str:
    """Return the settings of an unbound that validates from the lab's root and listens on loopback."""
    return f"""\
server:
    interface: 127.0.0.1
    interface: ::1
    root-hints: "/etc/unbound/lab-root.hints"
    trust-anchor: "{trust_anchor(secrets)}"
    val-log-level: 2
    infra-host-ttl: 10
"""


def _delv_anchor(secrets: Secrets) -> str:
    """Return the anchor in the form of `delv -a` (BIND 9.20 has no default file for it)."""
    tag, algorithm, digest_type, digest = secrets.zone_keys["."].ds.split()
    return f'trust-anchors {{ . static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n'


def _main_cf(host: Host) -> str:
    return f"""\
compatibility_level = 3.6
myhostname = {host.fqdn}
myorigin = {host.mail_domain}
mydestination = {host.mail_domain}, {host.fqdn}, localhost
mynetworks = 127.0.0.0/8 [::1]/128
inet_interfaces = all
inet_protocols = all
maillog_file = /var/log/mail.log

smtp_dns_support_level = dnssec
smtp_host_lookup = dns
smtp_tls_security_level = dane
smtp_tls_dane_insecure_mx_policy = dane
smtp_tls_loglevel = 1
# Every message shows its own handshake.
smtp_connection_cache_on_demand = no
smtp_connect_timeout = 5s

# Deferred mail is tried again within seconds.
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s

smtpd_tls_chain_files = /etc/postfix/server.pem
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination

# Whoever is written to: all mail ends in /var/mail/inbox.
alias_maps =
alias_database =
local_recipient_maps =
luser_relay = inbox
"""
