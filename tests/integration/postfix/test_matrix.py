# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Postfix configurations as people have them: after one run mail is verified, or the run refused and says why.

In either case the second run changes nothing, and nothing that is not ours was lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from integration.postfix.world import MailHost

CHAIN_FILES = ["/etc/dane/host/deployed/*.pem"]

# Parameters that the module may set or take out; all others must be what they were.
OURS = {
    "smtp_dns_support_level",
    "smtp_host_lookup",
    "smtp_tls_security_level",
    "smtp_tls_dane_insecure_mx_policy",
    "smtp_tls_mandatory_protocols",
    "smtp_tls_loglevel",
    "smtpd_tls_chain_files",
    "smtpd_tls_security_level",
    "smtpd_tls_loglevel",
    "smtpd_tls_cert_file",
    "smtpd_tls_key_file",
    "smtpd_tls_eccert_file",
    "smtpd_tls_eckey_file",
    "smtpd_use_tls",
    "myhostname",
    "mydestination",
    "smtp_use_tls",
    "smtp_enforce_tls",
    "tls_dane_digest_agility",
    "tls_dane_trust_anchor_digest_enable",
}

# A socketmap server such as postfix-tlspol, which leaves everything to the global level.
TLSPOL = r"""
cat > /opt/tlspol.py <<'EOF'
import socketserver

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while (head := self.rfile.read(1)):
            while not head.endswith(b":"):
                head += self.rfile.read(1)
            self.rfile.read(int(head[:-1]) + 1)
            self.wfile.write(b"9:NOTFOUND ,")
            self.wfile.flush()

socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", 8642), Handler).serve_forever()
EOF
setsid python3 /opt/tlspol.py >/dev/null 2>&1 </dev/null &
echo $! > /run/tlspol.pid
postconf -e 'smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8642:QUERY' 'smtp_tls_CApath = /etc/ssl/certs'
"""

LEGACY = r"""
postconf -e smtp_use_tls=yes smtp_enforce_tls=no smtpd_use_tls=yes smtpd_tls_security_level=encrypt
postconf -e tls_dane_digest_agility=on tls_dane_trust_anchor_digest_enable=yes
postconf -e smtpd_tls_cert_file=/etc/ssl/old.pem smtpd_tls_key_file=/etc/ssl/old.key
postconf -e smtpd_tls_eccert_file=/etc/ssl/old-ec.pem smtpd_tls_eckey_file=/etc/ssl/old-ec.key
postconf -e smtp_tls_security_level=may smtp_host_lookup=native,dns
"""

UNTIDY = r"""
mkdir -p /srv/postfix; mv /etc/postfix/main.cf /srv/postfix/main.cf; ln -s /srv/postfix/main.cf /etc/postfix/main.cf
cat >> /srv/postfix/main.cf <<'EOF'
# Grüße: a comment beyond ASCII
smtpd_tls_chain_files = /old/a.pem,
# a comment amid the value
  /old/b.pem
smtp_tls_loglevel=0
smtp_tls_loglevel = 2
my_own_parameter = one, two
smtpd_banner = $myhostname ESMTP $my_own_parameter
my_level = dane
EOF
postconf -P 'smtp/unix/smtp_tls_security_level=$my_level'
"""


BARE = r"""
postconf -n | grep -E '^(my|inet|maillog|compat|alias|queue)' > /tmp/main.cf
cat /tmp/main.cf > /etc/postfix/main.cf
"""

POSTSCREEN = r"""
postconf -M smtp/inet='smtp inet n - y - 1 postscreen' smtpd/pass='smtpd pass - - y - - smtpd' \
  dnsblog/unix='dnsblog unix - - y - 0 dnsblog' tlsproxy/unix='tlsproxy unix - - y - 0 tlsproxy'
"""

CONNECTION_REUSE = r"""
postconf -e smtp_tls_connection_reuse=yes
postconf -M tlsproxy/unix='tlsproxy unix - - y - 0 tlsproxy'
"""


@dataclass(frozen=True)
class Start:
    """A configuration to begin with, the options of the run, and what is to come of it.

    `refused` is what the error must say, empty when mail must be verified.
    """

    name: str
    script: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    warnings: tuple[str, ...] = ()
    starts: bool = True


STARTS = [
    Start("debian"),
    Start("bare", BARE),
    Start("legacy", LEGACY),
    Start("untidy", UNTIDY),
    Start(
        "broken",
        "echo 'no equals sign here' >> /etc/postfix/main.cf",
        refused="missing '=' after attribute name: \"no equals sign here\"",
        starts=False,
    ),
    Start(
        "broken services",
        "echo 'no such line' >> /etc/postfix/master.cf",
        refused="/etc/postfix/master.cf: line",
        starts=False,
    ),
    Start("policy service", TLSPOL),
    Start(
        "policy service without authorities",
        f"{TLSPOL}postconf -X smtp_tls_CApath",
        warnings=("smtp_tls_CAfile",),
    ),
    Start(
        "client certificate that is gone",
        "postconf -e smtp_tls_cert_file=/etc/ssl/gone.pem",
        refused="smtp_tls_cert_file: /etc/ssl/gone.pem cannot be loaded with its key (No such file or directory)",
    ),
    Start(
        "host name that is a mail domain",
        "postconf -e myhostname=corp.example 'mydestination=$myhostname, localhost'",
        {"hostname": "mx.corp.example", "destinations": ["corp.example"]},
    ),
    Start("host names first", "postconf -e 'smtp_host_lookup = native, dns'"),
    Start(
        "transport with an override for all mail",
        "postconf -M out/unix='out unix - - y - - smtp'; postconf -P out/unix/smtp_tls_security_level=may; "
        "postconf -e default_transport=out",
        refused="out/unix/smtp_tls_security_level: `-o smtp_tls_security_level=may` takes DANE from all mail",
    ),
    Start("relayhost", "postconf -e 'relayhost = [mx.peer.example]'"),
    Start("relayhost without brackets", "postconf -e 'relayhost = peer.example'"),
    Start(
        "policy table",
        "echo 'other.example encrypt' > /etc/postfix/tls; postmap /etc/postfix/tls; "
        "postconf -e smtp_tls_policy_maps=hash:/etc/postfix/tls",
        warnings=("hash:/etc/postfix/tls/other.example",),
    ),
    Start(
        "shadowing policy table",
        "postconf -e smtp_tls_policy_maps=static:may",
        refused="smtp_tls_policy_maps/static:may: The table answers `may` for every destination",
    ),
    Start(
        "policy table without its file",
        "postconf -e smtp_tls_policy_maps=hash:/etc/postfix/none",
        refused="smtp_tls_policy_maps/hash:/etc/postfix/none: Postfix cannot open the table",
    ),
    Start(
        "client override",
        "postconf -P smtp/unix/smtp_tls_security_level=may",
        refused="smtp/unix/smtp_tls_security_level: `-o smtp_tls_security_level=may` takes DANE from all mail",
    ),
    Start(
        "MX lookup errors ignored",
        "postconf -e ignore_mx_lookup_error=yes",
        refused="ignore_mx_lookup_error: With `yes`, Postfix turns DANE off",
    ),
    Start("no chroot", "postconf -F smtp/unix/chroot=n relay/unix/chroot=n smtp/inet/chroot=n"),
    Start("postscreen", POSTSCREEN),
    Start("connection reuse", CONNECTION_REUSE),
    Start(
        "mandatory encryption",
        "postconf -e smtp_tls_security_level=encrypt",
        refused="smtp_tls_security_level: It is `encrypt`, so mail is encrypted or not sent",
    ),
    Start("dane-only", options={"security_level": "dane-only"}),
    Start("not running", "true", starts=False),
]


def _kept(before: dict[str, str], after: dict[str, str]) -> None:
    assert {name: value for name, value in after.items() if name not in OURS} == {
        name: value for name, value in before.items() if name not in OURS
    }


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.name)
def test_a_start(host: MailHost, start: Start) -> None:
    host.reset(start.script, start=start.starts)
    tree, before = host.tree(), host.explicit()
    foreseen = host.module(check=True, chain_files=CHAIN_FILES, **start.options)
    assert foreseen.tree == tree, "check mode changed something"
    outcome = host.module(chain_files=CHAIN_FILES, **start.options)
    if start.refused:
        assert outcome.failed
        assert start.refused in outcome.message
        assert outcome.message == foreseen.message
        assert outcome.tree == tree, "a run that refused changed something"
        return
    assert not outcome.failed, outcome.message
    assert outcome.changed
    assert outcome.result == foreseen.result
    assert outcome.warnings == list(start.warnings)
    assert outcome.result["reloaded"] is start.starts
    _kept(before, outcome.explicit)
    if not start.starts:
        host.run("postfix start >/dev/null 2>&1")
    delivery = host.send()
    assert delivery.verified, f"{delivery.tls_line}\n{delivery.judge_line}"
    again = host.module(chain_files=CHAIN_FILES, **start.options)
    assert not again.changed
    assert not again.result["reloaded"]
    assert again.tree == outcome.tree
    served = host.run("openssl s_client -connect 127.0.0.1:25 -starttls smtp -brief </dev/null 2>&1 || true")
    assert "ECDSA" in served or "ecdsa" in served, served
