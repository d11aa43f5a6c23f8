# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role tlsa_publish on machines that are all this one; it installs nothing here."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["PARTS", "Site"]

ROOT: t.Final = Path(__file__).resolve().parents[1]
PARTS: t.Final = ("collect", "publish")


class Site:
    """Machines on this one, each with a certificate store of its own, all behind the name mx1.a.example."""

    def __init__(self, directory: Path, machines: t.Sequence[str]) -> None:
        self.directory = directory
        self.records = {machine: self._store(machine) for machine in machines}

    def _store(self, machine: str) -> str:
        folder = self.directory / "stores" / machine / "deployed"
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / "ecdsa.pub").write_bytes(key.public_bytes(serialization.Encoding.PEM, kind))
        return "3 1 1 " + hashlib.sha256(key.public_bytes(serialization.Encoding.DER, kind)).hexdigest()

    def run(
        self,
        *providers: object,
        parts: t.Sequence[str] = PARTS,
        arguments: t.Sequence[str] = (),
        variables: t.Mapping[str, object] | None = None,
        machines: t.Mapping[str, t.Mapping[str, object]] | None = None,
        play: t.Mapping[str, object] | None = None,
        environment: t.Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the role with one provider for all machines, or one for each.

        `variables` are those of the inventory for all machines, `machines` those of single ones, also of some without a
        store; `play` holds keywords of the play. `environment` is added to this process's own.
        """
        everywhere = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "tlsa_publish_require_signed": False,
            **({"dane_host_name": "mx1.a.example"} if variables is None else variables),
        }
        hosts: dict[str, dict[str, object]] = {
            machine: {"dane_provider": providers[index % len(providers)]} for index, machine in enumerate(self.records)
        }
        for machine, own in (machines or {}).items():
            hosts.setdefault(machine, {}).update(own)
        (self.directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": everywhere}}))
        tasks = [
            {"ansible.builtin.include_role": {"name": "mailsec.dane.tlsa_publish", "tasks_from": part}}
            for part in parts
        ]
        whole = {"hosts": [*self.records], "gather_facts": False, "tasks": tasks, **(play or {})}
        (self.directory / "play.json").write_text(json.dumps([whole]))
        (self.directory / "extra.json").write_text(
            json.dumps({"__tlsa_publish_store": f"{self.directory}/stores/{{{{ inventory_hostname }}}}"})
        )
        surroundings = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            **(environment or {}),
        }
        files = ["-i", str(self.directory / "hosts.json"), "-e", f"@{self.directory / 'extra.json'}"]
        return subprocess.run(
            ["ansible-playbook", *files, *arguments, str(self.directory / "play.json")],
            capture_output=True,
            text=True,
            check=False,
            env=surroundings,
            cwd=self.directory,
        )
