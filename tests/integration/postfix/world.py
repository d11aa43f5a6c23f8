# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Postfix on Debian 12 and 13, a validating resolver beside each, and a destination with TLSA records.

Containers of the lab's images without systemd: what is tried here is the module, at the speed of Postfix alone.
The peer's zone is the trust anchor, so no root is needed; nothing leaves the network of the three.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tarfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ansible.module_utils

from lab import images, machine, podman
from lab.judge import Delivery, Message, first_outcome
from lab.topology import Flavour, Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[3]

# Beside the lab of the same number, and beside those of other numbers.
NUMBER: Final = int(os.environ.get("LAB_ID", "0"))
NETWORK: Final = f"dane-postfix{NUMBER}"
SUBNET: Final = f"10.54.{NUMBER}.0/24"
PEER_ADDRESS: Final = f"10.54.{NUMBER}.25"
MODULE: Final = "ansible_collections.mailsec.dane.plugins.modules.postfix_dane"
PEER: Final = f"{NETWORK}-peer"

# A process that reaps what daemons leave behind.
INIT: Final = "while :; do sleep 3600 & wait; done"

PEER_SCRIPT: Final = r"""
set -eu
mkdir -p /run/knot /var/lib/knot/keys; chown -R knot: /run/knot /var/lib/knot
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=mx.peer.example \
  -keyout /etc/postfix/key.pem -out /etc/postfix/crt.pem 2>/dev/null
cat /etc/postfix/key.pem /etc/postfix/crt.pem > /etc/postfix/server.pem
digest=$(openssl x509 -in /etc/postfix/crt.pem -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum)
digest=${digest%% *}
cat > /etc/knot/peer.zone <<EOF
\$ORIGIN peer.example.
\$TTL 60
@ SOA mx postmaster 1 3600 600 86400 60
@ NS mx
@ MX 10 mx
stale MX 10 mx-stale
mx A PEER_ADDRESS
mx-stale A PEER_ADDRESS
_25._tcp.mx TLSA 3 1 1 $digest
_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls-reports@peer.example"
_25._tcp.mx-stale TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000001
EOF
cat > /etc/knot/knot.conf <<EOF
server:
  listen: 0.0.0.0@53
  user: knot:knot
zone:
  - domain: peer.example
    file: /etc/knot/peer.zone
    dnssec-signing: on
EOF
chown -R knot: /etc/knot
knotd -d -c /etc/knot/knot.conf
cat > /etc/postfix/main.cf <<EOF
compatibility_level = 3.6
myhostname = mx.peer.example
mydestination = peer.example, stale.peer.example
inet_interfaces = all
maillog_file = /var/log/mail.log
alias_maps =
local_recipient_maps =
luser_relay = inbox
smtpd_tls_chain_files = /etc/postfix/server.pem
smtpd_tls_security_level = may
EOF
postfix start
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  keymgr -c /etc/knot/knot.conf peer.example ds 2>/dev/null | grep ' 13 2 ' && exit 0
  sleep 1
done
exit 1
"""

HOST_SCRIPT: Final = r"""
set -eu
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 0755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --no-install-recommends postfix unbound openssl >/tmp/apt.log 2>&1 ||
  { tail /tmp/apt.log; exit 1; }
cat > /etc/unbound/test.conf <<EOF
server:
  interface: 127.0.0.1
  chroot: ""
  username: ""
  pidfile: /run/unbound-test.pid
  module-config: "validator iterator"
  trust-anchor: "DS_RECORD"
  local-zone: "." static
  local-zone: "peer.example." transparent
  do-not-query-localhost: no
stub-zone:
  name: "peer.example"
  stub-addr: PEER_ADDRESS
EOF
unbound -c /etc/unbound/test.conf
mkdir -p /var/spool/postfix/etc
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
mkdir -p /etc/dane/host/deployed
cd /etc/dane/host/deployed
for name in rsa ecdsa; do
  case $name in rsa) options='rsa:2048';; ecdsa) options='ec -pkeyopt ec_paramgen_curve:P-256';; esac
  openssl req -x509 -newkey $options -nodes -days 30 -subj /CN=mx.here.example -keyout k -out c 2>/dev/null
  cat k c > $name.pem; rm k c; chmod 0600 $name.pem
done
cd /
cp -a /etc/postfix /root/postfix.debian
postconf -e maillog_file=/var/log/mail.log myhostname=mx.here.example inet_interfaces=all
cp -a /etc/postfix /root/postfix.pristine
"""

RESET_SCRIPT: Final = r"""
postfix stop >/dev/null 2>&1
for instance in /etc/postfix-*; do test -d "$instance" && postfix -c "$instance" stop >/dev/null 2>&1; done
test -f /run/tlspol.pid && kill "$(cat /run/tlspol.pid)" 2>/dev/null; rm -f /run/tlspol.pid
rm -rf /etc/postfix /etc/postfix-* /var/spool/postfix-* /var/lib/postfix-* /srv/postfix /tmp/postfix-dane-*
cp -a /root/postfix.pristine /etc/postfix
postsuper -d ALL >/dev/null 2>&1
mkdir -p /var/spool/postfix/etc
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
cp /etc/resolv.conf /etc/services /etc/hosts /var/spool/postfix/etc/
rm -f /var/log/mail.log /var/log/mail-out.log
"""


# Each program of Postfix waits for two seconds over a main.cf of the last second.
SETTLE: Final = "touch -d '1 minute ago' /etc/postfix/main.cf"

# What is there, in one look: `--`, the digests, `--`, main.cf.
LOOK: Final = (
    "echo; echo --; cd {0} && find . -type f -exec sha256sum {{}} +; echo --; postconf -c {0} -n 2>/dev/null || true"
)

# Hand over the message of standard input by the instance $0, and wait until the log $1 has one more attempt for $2.
SEND: Final = r"""
attempts() { cat "$log" 2>/dev/null | grep -c "to=<$recipient>.* status="; }
log=$1 recipient=$2
before=$(attempts)
sendmail -C "$0" -i -f root@here.example -- "$recipient"
for attempt in {1..300}; do
  test "$(attempts)" != "$before" && break
  sleep 0.1
done
cat "$log"
"""


@dataclass(frozen=True)
class Outcome:
    """What the module said, and what was there afterwards.

    ``tree`` holds digests of every file of the configuration, ``explicit`` what main.cf sets, as postconf tells.
    """

    result: dict[str, Any]
    tree: dict[str, str]
    explicit: dict[str, str]

    @property
    def failed(self) -> bool:
        """Whether the module refused or broke."""
        return bool(self.result.get("failed"))

    @property
    def changed(self) -> bool:
        """Whether the module says that it changed something."""
        return bool(self.result["changed"])

    @property
    def message(self) -> str:
        """The error message."""
        return str(self.result.get("msg", ""))

    @property
    def warnings(self) -> list[str]:
        """The settings that warnings name, but for that of Debian 12's build, which each run on it gives."""
        found = [finding["setting"] for finding in self.result["findings"] if finding["severity"] == "warning"]
        return [setting for setting in found if setting != "mail_version"]


@dataclass(frozen=True)
class MailHost:
    """A container with Debian's Postfix, on which the module runs as Ansible would run it, without a controller."""

    name: str
    suite: Suite

    def run(self, script: str, *, timeout: float = 120.0) -> str:
        """Run a shell script in the container and return what it prints; raises LabError when it fails."""
        return podman.execute(self.name, ["bash", "-c", script], timeout=timeout)

    def reset(self, script: str = "", *, start: bool = True) -> None:
        """Make Postfix as Debian installs it, change it by a script, and start it."""
        starting = "postfix start >/dev/null 2>&1" if start else ""
        self.run(f"{RESET_SCRIPT}\nset -eu\n{script}\n{SETTLE}\n{starting}")

    def module(self, *, check: bool = False, **options: Any) -> Outcome:  # noqa: ANN401  # any option
        """Run the module."""
        output = self._module("", {**options, "_ansible_check_mode": check}, f"; {LOOK.format('/etc/postfix')}")
        said, tree, explicit = output.split("\n--\n")
        return Outcome(json.loads(said.strip().splitlines()[-1]), _digests(tree), _settings(explicit))

    def module_killed(self, seconds: float, **options: Any) -> bool:  # noqa: ANN401  # any option
        """Run the module and kill it after so many seconds; return whether it was still at work."""
        return not self._module(f"timeout --signal=KILL {seconds:.3f}", options).strip()

    def _module(self, prefix: str, options: dict[str, Any], then: str = "") -> str:
        command = f"cd /opt/module && cat > args.json && {prefix} python3 -m {MODULE} args.json || true; {SETTLE}{then}"
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
        return podman.execute(self.name, ["bash", "-c", command], stdin=arguments)

    def explicit(self, directory: str = "/etc/postfix") -> dict[str, str]:
        """What main.cf sets, as postconf tells."""
        return _settings(self.run(f"postconf -c {directory} -n 2>/dev/null || true"))

    def tree(self) -> dict[str, str]:
        """Digests of every file of the configuration."""
        return _digests(self.run(LOOK.format("/etc/postfix")).split("\n--\n")[1])

    def send(
        self,
        recipient: str = "inbox@peer.example",
        *,
        directory: str = "/etc/postfix",
        log: str = "/var/log/mail.log",
    ) -> Delivery:
        """Send a message and return what Postfix's log says of its first delivery attempt."""
        message = Message(self.name, recipient, f"{uuid.uuid4()}@test.invalid", time.time())
        text = f"From: root@here.example\nTo: {recipient}\nMessage-ID: <{message.message_id}>\n\ntest\n"
        told = podman.execute(self.name, ["bash", "-c", SEND, directory, log, recipient], stdin=text.encode())
        lines = told.splitlines()
        if delivery := first_outcome(lines, message):
            return delivery
        raise AssertionError("\n".join([f"no delivery attempt to {recipient} in the log:", *lines]))


def _settings(output: str) -> dict[str, str]:
    settings = {name: value.strip() for name, _unused, value in (line.partition(" =") for line in output.splitlines())}
    # Owed to -c, and not listed when main.cf changed within the last second.
    settings.pop("config_directory", None)
    return settings


def _digests(output: str) -> dict[str, str]:
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in output.splitlines())}


def _module_archive() -> bytes:
    """Return a tar archive of the module with all that it imports."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        collection = "opt/module/ansible_collections/mailsec/dane/plugins"
        for part in ("module_utils", "modules"):
            archive.add(ROOT / "plugins" / part, f"{collection}/{part}", filter=_source_only)
        for directory in ansible.module_utils.__path__:
            archive.add(directory, "opt/module/ansible/module_utils", filter=_source_only)
        empty = tarfile.TarInfo("opt/module/ansible/__init__.py")
        archive.addfile(empty, io.BytesIO())
    return buffer.getvalue()


def _source_only(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry


@contextlib.contextmanager
def postfix_world() -> Iterator[dict[Suite, MailHost]]:
    """Raise the three containers, and remove them afterwards."""
    machine.prepare()
    images.ensure([(Flavour.SERVICE, Suite.TRIXIE), (Flavour.MANAGED, Suite.TRIXIE), (Flavour.MANAGED, Suite.BOOKWORM)])
    hosts = {suite: MailHost(f"{NETWORK}-{suite}", suite) for suite in (Suite.BOOKWORM, Suite.TRIXIE)}
    _remove()
    try:
        podman.call("network", "create", "--disable-dns", "--internal", "--subnet", SUBNET, NETWORK)
        _start(PEER, images.reference(Flavour.SERVICE, Suite.TRIXIE), "--ip", PEER_ADDRESS)
        peer_script = PEER_SCRIPT.replace("PEER_ADDRESS", PEER_ADDRESS)
        told = podman.execute(PEER, ["bash", "-c", peer_script]).splitlines()
        (delegation,) = (line for line in told if re.search(r" DS \d+ 13 2 ", line))
        for suite, host in hosts.items():
            _start(host.name, images.reference(Flavour.MANAGED, suite))
            podman.call("cp", "-", f"{host.name}:/", stdin=_module_archive())
            host.run(HOST_SCRIPT.replace("PEER_ADDRESS", PEER_ADDRESS).replace("DS_RECORD", delegation), timeout=300)
        yield hosts
    finally:
        _remove()


def _start(name: str, image: str, *options: str) -> None:
    podman.call(
        "run", "--detach", "--name", name, "--hostname", name, "--network", NETWORK,
        "--dns", "none", "--no-hosts", *options, image, "bash", "-c", INIT,
    )  # fmt: skip


def _remove() -> None:
    for name in (PEER, f"{NETWORK}-{Suite.BOOKWORM}", f"{NETWORK}-{Suite.TRIXIE}"):
        podman.remove_container(name)
    podman.attempt("network", "rm", "--force", NETWORK)
