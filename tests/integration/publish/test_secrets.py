# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key's secret is nowhere to be found: not in the output at -vvv, the diff, a process list or a file left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from loopback_nameservers import Bind, Key

ROOT: t.Final = Path(__file__).resolve().parents[3]


class ProcessWatch:
    """Looks at every process's arguments and environment as long as it is entered, for `secret`."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
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
        while not self._ended.wait(0.05):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    try:
                        if self.secret in (process / "cmdline").read_bytes():
                            self.found.add(process.name)
                    except OSError:
                        continue  # it has ended


def playbook(tmp_path: Path, server: Bind, key: Key, **more: object) -> subprocess.CompletedProcess[str]:
    tasks = [
        {
            "mailsec.dane.tlsa_record": {
                "provider": {
                    "type": "rfc2136",
                    "server": "127.0.0.1",
                    "port": server.port,
                    "key_name": key.name,
                    "key_secret": "{{ secret }}",
                },
                "rrsets": [{"name": "_25._tcp.mx1.a.example", "records": ["3 1 1 " + "ab" * 32]}],
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
        "TMPDIR": str(tmp_path / "tmp"),
    }
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)


@pytest.mark.parametrize("outcome", ["success", "refused", "bad options"])
def test_the_secret_is_nowhere(tmp_path: Path, bind: Bind, outcome: str) -> None:
    key = bind.key if outcome == "success" else Key(bind.key.name)
    more = {"state": "gone"} if outcome == "bad options" else {}
    with ProcessWatch(key.secret) as watch:
        result = playbook(tmp_path, bind, key, **more)
    assert (result.returncode == 0) is (outcome == "success"), result.stdout
    assert "_25._tcp.mx1.a.example" in result.stdout  # it did run, and it did say something
    assert key.secret not in result.stdout + result.stderr
    assert watch.found == set()
    left = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "vars.json" and bind.directory not in path.parents
        if key.secret.encode() in path.read_bytes()
    ]
    assert left == []
