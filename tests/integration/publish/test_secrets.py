# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key's secret is nowhere to be found: not in the output at -vvv, the diff, a process list or a temporary file.

Without pipelining Ansible itself puts a module's options into a file of mode 0600 for as long as the module runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from cloudflare_stand_in import CloudflareStandIn
from loopback_nameservers import Bind, Key
from role_site import Site

ROOT: t.Final = Path(__file__).resolve().parents[3]
RECORD: t.Final = "3 1 1 " + "ab" * 32


class Watch:
    """Looks at every process's arguments and at all files of a directory as long as it is entered, for `secret`."""

    def __init__(self, secret: str, directory: Path) -> None:
        self.secret = secret.encode()
        self.directory = directory
        self.found: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> t.Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            processes = [path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdigit()]
            # os.walk passes over what is removed while it looks.
            files = [Path(folder, name) for folder, _folders, names in os.walk(self.directory) for name in names]
            for path in [*processes, *files]:
                try:
                    if self.secret in path.read_bytes():
                        self.found.add(str(path))
                except OSError:
                    continue  # it has ended


def cloudflare(server: Bind, key: Key) -> dict[str, object]:
    """The stand-in listens at the port that the file says."""
    del key
    return {"type": "cloudflare", "api_token": "{{ secret }}", "api_url": (server.directory / "api").read_text()}


def rfc2136(server: Bind, key: Key) -> dict[str, object]:
    return {
        "type": "rfc2136",
        "server": "127.0.0.1",
        "port": server.port,
        "key_name": key.name,
        "key_secret": "{{ secret }}",
    }


def key_file(server: Bind, key: Key) -> dict[str, object]:
    path = server.directory / "a-key"
    path.write_text(key.secret)
    path.chmod(0o600)
    provider = rfc2136(server, key)
    del provider["key_secret"]
    return {**provider, "key_secret_file": str(path)}


def octodns(server: Bind, key: Key) -> dict[str, object]:
    settings = {
        "host": "127.0.0.1",
        "port": server.port,
        "key_name": key.name,
        "key_secret": "{{ secret }}",
        "key_algorithm": key.algorithm,
    }
    return {"type": "octodns", "class": "octodns_bind.Rfc2136Provider", "settings": settings, "zones": ["a.example"]}


def program(server: Bind, key: Key) -> dict[str, object]:
    """With the right secret it says what is there already, with another it fails and betrays it."""
    code = f"""
import json, os, sys
if os.environ["KEY_SECRET"] != {server.key.secret!r}:
    sys.exit(f"cannot log in to a.example for _25._tcp.mx1.a.example with {{os.environ['KEY_SECRET']}}")
rrset = {{"name": "_25._tcp.mx1.a.example", "zone": "a.example", "ttl": 3600, "records": ["{RECORD}"]}}
json.dump({{"rrsets": [rrset]}}, sys.stdout)
"""
    path = server.directory / "program.py"
    path.write_text(code)
    del key
    return {
        "type": "exec",
        "command": [sys.executable, str(path)],
        "environment": {"KEY_SECRET": "{{ secret }}", "LEVEL": 1},
    }


PROVIDERS: t.Final = {
    "cloudflare": cloudflare,
    "rfc2136": rfc2136,
    "key file": key_file,
    "octodns": octodns,
    "exec": program,
}


def playbook(tmp_path: Path, provider: dict[str, object], key: Key, **more: object) -> subprocess.CompletedProcess[str]:
    tasks = [
        {
            "mailsec.dane.tlsa_record": {
                "provider": provider,
                "rrsets": [{"name": "_25._tcp.mx1.a.example", "records": [RECORD], "ttl": 3600}],
                "require_signed": False,
                **more,
            }
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    (tmp_path / "vars.json").write_text(
        json.dumps({"secret": key.secret, "ansible_python_interpreter": sys.executable})
    )
    (tmp_path / "vars.json").chmod(0o600)
    command = ["ansible-playbook", "-vvv", "--diff", "-e", f"@{tmp_path / 'vars.json'}", str(tmp_path / "play.yml")]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_PIPELINING": "true",
        "TMPDIR": str(tmp_path / "tmp"),
    }
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        *((kind, outcome) for kind in PROVIDERS for outcome in ("success", "refused")),
        *((kind, "bad options") for kind in ("rfc2136", "octodns")),  # for an option by itself, and inside of one
    ],
)
def test_the_secret_is_nowhere(tmp_path: Path, bind: Bind, kind: str, outcome: str) -> None:
    key = bind.key if outcome == "success" else Key(bind.key.name)
    more = {"state": "gone"} if outcome == "bad options" else {}
    with (
        CloudflareStandIn(["a.example"], token=bind.key.secret) as stand_in,
        Watch(key.secret, tmp_path / "tmp") as watch,
    ):
        (bind.directory / "api").write_text(stand_in.url)
        result = playbook(tmp_path, PROVIDERS[kind](bind, key), key, **more)
    assert (result.returncode == 0) is (outcome == "success"), result.stdout
    said = "value of state must be one of" if outcome == "bad options" else "_25._tcp.mx1.a.example"
    assert said in result.stdout  # it did run, and it did say something
    if outcome == "success":
        assert RECORD in result.stdout  # a setting of 1 does not make stars of all that is printed
    assert key.secret not in result.stdout + result.stderr
    assert watch.found == set()
    left = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "vars.json" and bind.directory not in path.parents
        if key.secret.encode() in path.read_bytes()
    ]
    assert left == []


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("right", [True, False])
def test_the_secret_is_nowhere_in_what_the_role_prints(tmp_path: Path, bind: Bind, kind: str, right: bool) -> None:
    key = bind.key if right else Key(bind.key.name)
    site = Site(tmp_path, ["mx1a", "mx1b"])
    (tmp_path / "tmp").mkdir()
    with (
        CloudflareStandIn(["a.example"], token=bind.key.secret) as stand_in,
        Watch(key.secret, tmp_path / "tmp") as watch,
    ):
        (bind.directory / "api").write_text(stand_in.url)
        done = site.run(
            PROVIDERS[kind](bind, key),
            arguments=["-vvv", "--diff"],
            variables={"dane_host_name": "mx1.a.example", "secret": key.secret},
            environment={"ANSIBLE_PIPELINING": "true", "TMPDIR": str(tmp_path / "tmp")},
        )
    assert "Make the TLSA records at the provider what they should be" in done.stdout
    assert (done.returncode == 0) is (right and kind != "exec"), done.stdout  # which has another record than these keys
    assert key.secret not in done.stdout + done.stderr
    assert watch.found == set()
