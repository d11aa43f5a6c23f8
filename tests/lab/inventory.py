# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Ansible inventory of a lab: what a user would write, plus how to reach containers and the private root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from lab.files import write_whole
from lab.mailhosts import root_hints, trust_anchor
from lab.nameservers import update_key
from lab.topology import HOSTS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lab.state import Secrets
    from lab.topology import Host, Lab


def path(lab: Lab) -> Path:
    """Return where the inventory lies; it holds the TSIG secret and is readable by its owner alone."""
    return lab.directory / "hosts.yml"


def write(lab: Lab, secrets: Secrets, running: Iterable[Host]) -> bool:
    """Write the inventory of the managed hosts that are running, and what SSH needs; return whether it changed."""
    managed = [host for host in running if host.managed]
    known_hosts = "".join(f"{lab.ipv4(host)} {secrets.ssh_host.public}\n" for host in managed)
    inventory = yaml.safe_dump(content(lab, secrets, managed), sort_keys=False)
    changed = [
        write_whole(lab.directory / "administrator", secrets.administrator.private, mode=0o600),
        write_whole(lab.directory / "known_hosts", known_hosts),
        write_whole(path(lab), f"---\n{inventory}", mode=0o600),
    ]
    return any(changed)


def content(lab: Lab, secrets: Secrets, managed: Sequence[Host]) -> dict[str, Any]:
    """Return the inventory as data."""
    primary = next(host for host in HOSTS if host.kind is Kind.PRIMARY)
    mail = {
        host.fqdn: {
            "ansible_host": lab.ipv4(host),
            "dane_domains": [host.mail_domain],
            "dane_provider": {
                "type": "rfc2136",
                "server": lab.ipv4(primary),
                "key_name": update_key(host.name),
                "key_secret": secrets.update_secrets[host.name],
                "key_algorithm": "hmac-sha256",
            },
        }
        for host in managed
        if host.kind is Kind.MANAGED
    }
    clients = {
        # Named, so that nobody takes a client for a machine that may serve a mail host's name.
        host.fqdn: {"ansible_host": lab.ipv4(host), "dane_host_name": host.fqdn}
        for host in managed
        if host.kind is Kind.CLIENT
    }
    inventory: dict[str, Any] = {"mail": {"hosts": mail, "vars": _variables(lab, secrets)}}
    if clients:
        inventory["clients"] = {"hosts": clients, "vars": _variables(lab, secrets)}
    return inventory


def _variables(lab: Lab, secrets: Secrets) -> dict[str, Any]:
    return {
        "dane_ports": [25],
        "dane_alias_target": "admin@sender.example",
        # The lab's own Internet has another root.
        "unbound_resolver_trust_anchors": [trust_anchor(secrets)],
        "unbound_resolver_root_hints": root_hints(lab),
        "unbound_resolver_proof_names": [".", "example.", "sender.example."],
        "unbound_resolver_proof_bogus_names": ["bogus.example."],
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.directory / "administrator"),
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={lab.directory / 'known_hosts'}",
        "ansible_ssh_pipelining": True,
        "ansible_ssh_retries": 3,  # a host may have been made anew since the last task
        "ansible_python_interpreter": "/usr/bin/python3",
    }
