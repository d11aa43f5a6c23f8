# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's certificate authority: Debian's Pebble, which proves names over the lab's own DNS. Started on demand.

It makes new issuers whenever it starts, as an authority may that retires an intermediate from one day to the next.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from lab import podman
from lab.files import ContainerFile
from lab.mailhosts import VALIDATING, hints_file, validating_unbound
from lab.nameservers import enabled
from lab.topology import HOSTS, Kind

if TYPE_CHECKING:
    from lab.state import Secrets
    from lab.topology import Lab

PORT: Final = 14000
LIFETIME_SECONDS: Final = 3600
"""How long a certificate is valid."""

_HOST: Final = next(host for host in HOSTS if host.kind is Kind.ACME)
DIRECTORY: Final = f"https://{_HOST.fqdn}:{PORT}/dir"
"""What an ACME client is pointed to; it must trust ``server_certificate``."""

_CERTIFICATE: Final = "/var/lib/pebble/server.pem"
_KEY: Final = "/var/lib/pebble/server.key"
_CONFIGURATION: Final = {
    "pebble": {
        "listenAddress": f"[::]:{PORT}",
        "managementListenAddress": "[::]:15000",
        "certificate": _CERTIFICATE,
        "privateKey": _KEY,
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "keyAlgorithm": "ecdsa",
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "for the lab", "validityPeriod": LIFETIME_SECONDS}},
    }
}
_UNIT: Final = rf"""[Unit]
Description=Pebble, a certificate authority for tests
After=unbound.service
Requires=unbound.service

[Service]
StateDirectory=pebble
Environment=PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0 PEBBLE_AUTHZREUSE=0
ExecStartPre=/bin/sh -c 'test -s {_CERTIFICATE} || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
    -nodes -days 3650 -subj /CN={_HOST.fqdn} -addext subjectAltName=DNS:{_HOST.fqdn} \
    -keyout {_KEY} -out {_CERTIFICATE}'
ExecStart=/usr/bin/pebble -config /etc/pebble.json -dnsserver 127.0.0.1:53
"""


def acme_files(lab: Lab, secrets: Secrets) -> list[ContainerFile]:
    """Return the files of the certificate authority's host."""
    return [
        ContainerFile("/etc/resolv.conf", VALIDATING),
        ContainerFile("/etc/unbound/unbound.conf.d/lab.conf", validating_unbound(secrets)),
        ContainerFile("/etc/unbound/lab-root.hints", hints_file(lab)),
        ContainerFile("/etc/pebble.json", json.dumps(_CONFIGURATION, indent=1) + "\n"),
        ContainerFile("/etc/systemd/system/pebble.service", _UNIT),
        ContainerFile(
            "/etc/systemd/system/multi-user.target.wants/pebble.service", link="/etc/systemd/system/pebble.service"
        ),
        enabled("unbound.service"),
    ]


def server_certificate(lab: Lab) -> str:
    """Return the certificate, PEM, of the authority's own web server."""
    return podman.execute(lab.container(_HOST), ["cat", _CERTIFICATE])


def renew_issuers(lab: Lab) -> None:
    """Make the authority sign with new issuers from now on."""
    podman.execute(lab.container(_HOST), ["systemctl", "restart", "pebble.service"])
