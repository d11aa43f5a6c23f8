# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every protocol with STARTTLS, and those without, against servers that nobody here wrote: Dovecot and Prosody.

``python -m conformance.protocols``: a container beside the sender serves them all with one key; its records are signed.
Exit status 0 only if every endpoint is verified, and each is a mismatch once the record is another's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.beside import beside
from conformance.stage import namespace_command, publish, python_environment
from lab import lifecycle, podman, topology
from mail_server import certificate, new_key

HOST: t.Final = "mail.protocols.one.example"
ENDPOINTS: t.Final = {
    24: Starttls.LMTP,
    110: Starttls.POP3,
    143: Starttls.IMAP,
    993: Starttls.NONE,
    995: Starttls.NONE,
    4190: Starttls.SIEVE,
    5222: Starttls.XMPP_CLIENT,
    5269: Starttls.XMPP_SERVER,
}
_PACKAGES: t.Final = "dovecot-imapd dovecot-pop3d dovecot-lmtpd dovecot-managesieved prosody"
_DOVECOT: t.Final = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols = imap pop3 lmtp sieve
listen = *
log_path = /tmp/dovecot.log
ssl = yes
ssl_server_cert_file = /etc/served/chain.pem
ssl_server_key_file = /etc/served/key.pem
passdb static {
  password = nobody-logs-in
}
userdb static {
}
service lmtp {
  inet_listener lmtp {
    port = 24
  }
}
"""
_PROSODY: t.Final = f"""\
run_as_root = true
modules_enabled = {{ "tls", "saslauth", "s2s", "c2s", "dialback" }}
log = {{ info = "/tmp/prosody.log" }}
pidfile = "/run/prosody/prosody.pid"
ssl = {{ key = "/etc/served/key.pem", certificate = "/etc/served/chain.pem" }}
VirtualHost "{HOST}"
"""
_START: t.Final = """
mkdir -p /run/prosody /run/dovecot; dovecot && (prosody -D || prosodyctl start)
for port in 24 110 143 993 995 4190 5222 5269; do
    for try in $(seq 40); do (: < /dev/tcp/127.0.0.1/$port) 2>/dev/null && continue 2; sleep 0.5; done
    echo "nothing on port $port"; tail -n 20 /tmp/dovecot.log /tmp/prosody.log; exit 1
done
"""


def main() -> int:
    """Raise the servers, look, and tell; return the exit status."""
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    lifecycle.up(lab, topology.chosen_hosts(["sender"]))
    sender = lab.container(topology.host("sender"))
    key, other = new_key("rsa"), new_key("rsa")
    right, wrong = (tlsa_record_for(certificate(one, HOST)).to_text() for one in (key, other))
    files = {
        "/etc/served/chain.pem": certificate(key, HOST).public_bytes(Encoding.PEM),
        "/etc/served/key.pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "/etc/dovecot/dovecot.conf": _DOVECOT.encode(),
        "/etc/prosody/prosody.cfg.lua": _PROSODY.encode(),
    }
    with beside(lab, sender, "protocols", _PACKAGES) as container:
        podman.execute(container, ["mkdir", "-p", "/etc/served"])
        for path, content in files.items():
            podman.execute(container, ["/bin/sh", "-c", f"cat > {path}"], stdin=content)
        podman.execute(container, ["/bin/bash", "-c", _START], timeout=120)
        network = f'(index .NetworkSettings.Networks "{lab.network}")'
        address = podman.call("inspect", container, "--format", f"{{{{{network}.IPAddress}}}}").strip()
        troubles = []
        for record, verdict in ((right, "verified"), (wrong, "mismatch")):
            publish(lab, {"one.example": _updates(address, record)})
            began = time.monotonic()
            rows = {row["port"]: row for row in _look(sender)}
            print(f"protocols: {len(rows)} endpoints in {time.monotonic() - began:.1f} s, expected to be {verdict}")
            for port, kind in ENDPOINTS.items():
                row = rows.get(port, {"verdict": "missing", "reason": ""})
                if row["verdict"] != verdict:
                    troubles.append(f"{kind.value} port {port}: {row['verdict']}: {row['reason']}")
    for trouble in troubles:
        print(f"protocols: FAILED: {trouble}")
    return 1 if troubles else 0


def _updates(address: str, record: str) -> list[str]:
    owner = f"*._tcp.{HOST}."
    return [
        f"update delete {HOST}. A",
        f"update delete {owner} TLSA",
        f"update add {HOST}. 30 A {address}",
        f"update add {owner} 30 TLSA {record}",
    ]


def _look(sender: str) -> list[dict[str, t.Any]]:
    output = subprocess.run(
        namespace_command(sender, [sys.executable, "-m", "conformance.look", "--hosts"]),
        input="\n".join(f"{HOST}:{port}" for port in ENDPOINTS).encode(),
        env=python_environment(),
        check=True,
        capture_output=True,
    ).stdout
    rows: list[dict[str, t.Any]] = json.loads(output)["endpoints"]
    return rows


if __name__ == "__main__":
    sys.exit(main())
