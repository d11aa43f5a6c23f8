# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role tlsa_publish, from the keys of several machines to a real BIND; it installs nothing here."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

if t.TYPE_CHECKING:
    from loopback_nameservers import Bind

ROOT: t.Final = Path(__file__).resolve().parents[3]
MX: t.Final = "_25._tcp.mx1.a.example"
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
        self, *providers: object, parts: t.Sequence[str] = PARTS, arguments: t.Sequence[str] = (), secret: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run the role with one provider for all machines, or one for each."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "dane_host_name": "mx1.a.example",
            "secret": secret,
            "tlsa_publish_require_signed": False,
        }
        hosts = {
            machine: {"dane_provider": providers[index % len(providers)]} for index, machine in enumerate(self.records)
        }
        (self.directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        tasks = [
            {"ansible.builtin.include_role": {"name": "mailsec.dane.tlsa_publish", "tasks_from": part}}
            for part in parts
        ]
        (self.directory / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        (self.directory / "extra.json").write_text(
            json.dumps({"__tlsa_publish_store": f"{self.directory}/stores/{{{{ inventory_hostname }}}}"})
        )
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
        }
        files = ["-i", str(self.directory / "hosts.json"), "-e", f"@{self.directory / 'extra.json'}"]
        return subprocess.run(
            ["ansible-playbook", *files, *arguments, str(self.directory / "play.json")],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=self.directory,
        )


def provider_of(bind: Bind) -> dict[str, object]:
    return {
        "type": "rfc2136",
        "server": "127.0.0.1",
        "port": bind.port,
        "key_name": bind.key.name,
        "key_secret": "{{ secret }}",
    }


def test_without_a_provider_the_records_are_printed(tmp_path: Path) -> None:
    site = Site(tmp_path, ["mx1a"])
    done = site.run("none", parts=["preflight", *PARTS])
    assert done.returncode == 0, done.stdout
    assert f"{MX}. 3600 IN TLSA {site.records['mx1a']}" in done.stdout


def test_several_machines_behind_one_name(tmp_path: Path, bind: Bind) -> None:
    site = Site(tmp_path, ["mx1a", "mx1b"])
    provider = provider_of(bind)
    done = site.run(provider, arguments=["-v"], secret=bind.key.secret)
    assert done.returncode == 0, done.stdout
    assert bind.records(MX) == sorted(site.records.values())
    assert done.stdout.count("changed: [mx1a") + done.stdout.count("changed: [mx1b") == 1  # once, not once a machine
    assert bind.key.secret not in done.stdout

    # A machine that does not report keeps its record, and the other's renewal is only added.
    before = site.records["mx1a"]
    (tmp_path / "stores" / "mx1a" / "deployed" / "ecdsa.pub").unlink()
    (tmp_path / "stores" / "mx1a" / "deployed").rmdir()
    site.records["mx1a"] = site._store("mx1a")
    for fault in ("limited", "failed"):
        store = tmp_path / "stores" / "mx1b" / "deployed" / "ecdsa.pub"
        content = store.read_text()
        store.write_text("not a key" if fault == "failed" else content)
        limit = ["--limit", "mx1a"] if fault == "limited" else []
        done = site.run(provider, arguments=limit, secret=bind.key.secret)
        assert re.search(r"mx1a .*failed=0 ", done.stdout), done.stdout
        assert bind.records(MX) == sorted({before, *site.records.values()})
        store.write_text(content)

    # Once all report, what is nobody's key goes.
    assert site.run(provider, secret=bind.key.secret).returncode == 0
    assert bind.records(MX) == sorted(site.records.values())
    again = site.run(provider, secret=bind.key.secret)
    assert "changed=1" not in again.stdout


PROGRAM: t.Final = "command must be a list: the full path of a program on"
CLASS: t.Final = "class must be that of an octoDNS provider, such as octodns_hetzner.HetznerProvider"
BAD_PROVIDERS: t.Final[tuple[tuple[object, str], ...]] = (
    ({"type": "exec", "command": "publish.sh"}, PROGRAM),
    ({"type": "exec", "command": ["publish.sh"]}, PROGRAM),
    ({"type": "exec"}, PROGRAM),
    ({"type": "octodns"}, CLASS),
    ({"type": "octodns", "class": "Hetzner"}, CLASS),
    ({"type": "octodns", "class": "a.B", "settings": "x"}, "and settings a dictionary"),
    ({"type": "rfc2136"}, "server must be the address or name of the primary name server"),
    ({"type": "pigeon"}, "The type of tlsa_publish_provider is 'pigeon'"),
)


def test_bad_providers_are_refused_by_name(tmp_path: Path) -> None:
    machines = [f"m{number}" for number in range(len(BAD_PROVIDERS))]
    done = Site(tmp_path, machines).run(*(provider for provider, _message in BAD_PROVIDERS), parts=["preflight"])
    assert done.returncode == 2
    for machine, (provider, message) in zip(machines, BAD_PROVIDERS, strict=True):
        said = "".join(line for line in done.stdout.splitlines() if line.startswith(f"fatal: [{machine}]"))
        assert message in said, (provider, done.stdout)
        assert "Nothing was changed" in said
