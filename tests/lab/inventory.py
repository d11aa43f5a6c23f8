# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Ansible inventory of a lab: what a user would write, plus how to reach containers and the private root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from lab.files import write_whole
from lab.machine import podman_wrapper
from lab.mailhosts import root_hints, trust_anchor
from lab.nameservers import UPDATE_KEY
from lab.topology import HOSTS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lab.state import Secrets
    from lab.topology import Host, Lab


def path(lab: Lab) -> Path:
    """Return where the inventory lies; it holds the TSIG secret and is readable by its owner alone."""
    return lab.directory / "hosts.yml"


def write(lab: Lab, secrets: Secrets, running: Iterable[Host]) -> bool:
    """Write the inventory of the managed hosts that are running; return whether it changed."""
    inventory = content(lab, secrets, [host for host in running if host.kind is Kind.MANAGED], str(podman_wrapper()))
    return write_whole(path(lab), "---\n" + yaml.safe_dump(inventory, sort_keys=False), mode=0o600)


def content(lab: Lab, secrets: Secrets, managed: Iterable[Host], podman_executable: str) -> dict[str, Any]:
    """Return the inventory as data."""
    primary = next(host for host in HOSTS if host.kind is Kind.PRIMARY)
    return {
        "mail": {
            "hosts": {
                host.fqdn: {"ansible_host": lab.container(host), "dane_domains": [host.mail_domain]} for host in managed
            },
            "vars": {
                "dane_ports": [25],
                "dane_provider": {
                    "type": "rfc2136",
                    "server": lab.ipv4(primary),
                    "key_name": UPDATE_KEY,
                    "key_secret": secrets.update_secret,
                    "key_algorithm": "hmac-sha256",
                },
                "dane_alias_target": "admin@sender.example",
                # The lab's own Internet has another root.
                "unbound_resolver_trust_anchors": [trust_anchor(secrets)],
                "unbound_resolver_root_hints": root_hints(lab),
                "unbound_resolver_proof_names": [".", "example.", "sender.example."],
                "unbound_resolver_proof_bogus_names": ["bogus.example."],
                "ansible_connection": "containers.podman.podman",
                "ansible_user": "root",
                "ansible_podman_executable": podman_executable,
                "ansible_python_interpreter": "/usr/bin/python3",
            },
        }
    }
