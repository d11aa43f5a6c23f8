# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lab.topology import Suite
from postfix_states import BOOKWORM_DEFAULTS, TRIXIE_DEFAULTS

if TYPE_CHECKING:
    from integration.postfix.world import MailHost

# What postconf expands from the host's name, and what depends on what main.cf says.
OF_THE_HOST = {"compatibility_level", "local_transport", "mydestination", "myhostname", "relay_domains"}
OF_MAIN_CF = {"smtp_tls_dane_insecure_mx_policy", "smtp_tls_fingerprint_digest"}


def test_the_defaults_that_unit_tests_build_on_are_postfixs_own(host: MailHost) -> None:
    table = BOOKWORM_DEFAULTS if host.suite is Suite.BOOKWORM else TRIXIE_DEFAULTS
    lines = host.run("postconf -d -x").splitlines()
    real = {name: value.strip() for name, _unused, value in (line.partition(" =") for line in lines)}
    unlike = OF_THE_HOST | OF_MAIN_CF | {"mail_version"}
    assert {name: real.get(name) for name in table if name not in unlike} == {
        name: value for name, value in table.items() if name not in unlike
    }
    assert {"smtpd_tls_enable_rpk", "smtp_tlsrpt_enable"} <= real.keys() or host.suite is Suite.BOOKWORM


def test_policies_come_before_a_failing_destination_and_go_again(host: MailHost) -> None:
    host.module()
    waiting = host.send("inbox@stale.peer.example")
    assert (waiting.status, waiting.dsn) == ("deferred", "4.7.5")
    policies = [{"destination": "stale.peer.example", "level": "encrypt", "comment": "stale", "until": "2000-01-31"}]
    outcome = host.module(policies=policies)
    assert outcome.warnings == ["policies/stale.peer.example"]
    assert host.send("inbox@stale.peer.example").status == "sent"
    assert host.send().verified
    assert not host.module(policies=policies).changed
    host.module(policies=[])
    assert host.send("inbox@stale.peer.example").status == "deferred"
    assert host.run("ls /etc/postfix").split().count("dane_policy") == 0


def test_an_instance_of_its_own(host: MailHost) -> None:
    host.run(
        "postmulti -e init && postmulti -I postfix-out -e create && "
        "postconf -c /etc/postfix-out -X master_service_disable && "
        "postconf -c /etc/postfix-out -e maillog_file=/var/log/mail-out.log inet_interfaces=127.0.0.1 "
        "myhostname=out.here.example smtp_host_lookup=native authorized_submit_users=static:anyone && "
        "postconf -c /etc/postfix-out -MX smtp/inet && "
        "mkdir -p /var/spool/postfix-out/etc && cp --recursive /var/spool/postfix/etc/* /var/spool/postfix-out/etc/ && "
        "postmulti -i postfix-out -e enable"
    )
    # A reload of the primary instance must not depend on another one that is down.
    first = host.module()
    assert not first.failed, first.message
    assert first.result["reloaded"] is True
    host.run("postmulti -i postfix-out -p start")
    primary = host.tree()
    outcome = host.module(instance="postfix-out")
    assert not outcome.failed, outcome.message
    assert outcome.result["config_directory"] == "/etc/postfix-out"
    assert outcome.result["reloaded"] is True
    assert host.tree() == primary
    assert host.explicit("/etc/postfix-out")["smtp_tls_security_level"] == "dane"
    assert host.send(directory="/etc/postfix-out", log="/var/log/mail-out.log").verified
    assert not host.module(config_directory="/etc/postfix-out").changed
    unknown = host.module(instance="postfix-in")
    assert unknown.message == "instance: Postfix has no instance 'postfix-in' here; postmulti -l lists -, postfix-out"


def test_what_debian_12_lacks_is_refused_by_name(host: MailHost) -> None:
    before = host.tree()
    options: dict[str, Any] = {"tlsrpt": True, "tlsrpt_socket": "run/tlsrpt/tlsrpt.sock"}
    outcome = host.module(**options)
    if host.suite is Suite.BOOKWORM:
        assert "Postfix 3.7.11 has no parameter smtp_tlsrpt_enable" in outcome.message
        assert host.tree() == before
        assert "has no parameter smtpd_tls_enable_rpk" in host.module(raw_public_keys=True).message
    else:
        assert not outcome.failed
        assert host.module(raw_public_keys=True).result["parameters"] == {"smtpd_tls_enable_rpk": "yes"}


COLLECTOR = r"""
mkdir -p /var/spool/postfix/run/tlsrpt; chown postfix /var/spool/postfix/run/tlsrpt
cat > /opt/collector.py <<'EOF'
import os, socket
path = "/var/spool/postfix/run/tlsrpt/tlsrpt.sock"
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(path)
os.chmod(path, 0o666)
listener.settimeout(60)
open("/opt/report.json", "wb").write(listener.recv(65536))
EOF
rm -f /opt/report.json
setsid python3 /opt/collector.py >/dev/null 2>&1 </dev/null &
sleep 1
"""


def test_a_collector_hears_of_handshakes_from_within_the_chroot(mail_hosts: dict[Suite, MailHost]) -> None:
    host = mail_hosts[Suite.TRIXIE]
    host.reset(COLLECTOR)
    outcome = host.module(tlsrpt=True, tlsrpt_socket="run/tlsrpt/tlsrpt.sock")
    assert outcome.warnings == []
    assert host.send().verified
    report = json.loads(
        host.run(
            "for i in 1 2 3 4 5 6 7 8 9 10; do test -s /opt/report.json && break; sleep 1; done; cat /opt/report.json"
        )
    )
    assert report["d"] == "peer.example"
    assert report["policies"][0]["f"] == 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("rm /etc/dane/host/deployed/rsa.pem", "there is no file /etc/dane/host/deployed/rsa.pem"),
        ("printf x >> /etc/dane/host/deployed/rsa.pem; sed -i 5d /etc/dane/host/deployed/rsa.pem", "rsa.pem: "),
        (
            "cp /etc/dane/host/deployed/ecdsa.pem /etc/dane/host/deployed/rsa.pem",
            "both hold an ECDSA key; Postfix serves one key of each algorithm only",
        ),
    ],
)
def test_a_bad_chain_file_is_refused(host: MailHost, script: str, message: str) -> None:
    host.run("cp -a /etc/dane /tmp/dane")
    before = host.tree()
    try:
        host.run(script)
        outcome = host.module(chain_files=[f"/etc/dane/host/deployed/{name}.pem" for name in ("ecdsa", "rsa")])
        assert outcome.failed
        assert message in outcome.message
        assert host.tree() == before
    finally:
        host.run("rm -rf /etc/dane && mv /tmp/dane /etc/dane")
