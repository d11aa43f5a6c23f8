# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge: options in, JSON out, and failure only where something that was required is not proved."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import dns.flags
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import (
    POSTFIX_WATCH,
    HostState,
    PostfixState,
    ServerState,
    UnitState,
)
from ansible_collections.mailsec.dane.plugins.modules import resolver_info

from scripted_nameserver import Reply, ScriptedNameserver, reply

if t.TYPE_CHECKING:
    from dns.message import Message

OURS: t.Final = "nameserver 127.0.0.1\noptions edns0 trust-ad\n"
HOST: t.Final = HostState(
    text=OURS,
    programs=frozenset({"/usr/sbin/NetworkManager"}),
    units={POSTFIX_WATCH: UnitState(enabled=True)},
    listeners=("unbound",),
)

VIRGIN: t.Final = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"dns", "cryptography"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from ansible_collections.mailsec.dane.plugins.modules.resolver_info import look
print(json.dumps(look({"checks": ["host", "server"], "require": [], "forwarders": [], "resolver": "127.0.0.1"}, 0)))
"""


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_info, "read_host", lambda: HOST)
    monkeypatch.setattr(resolver_info, "read_server", lambda: ServerState(failure="not installed"))
    monkeypatch.setattr(
        resolver_info,
        "read_postfix",
        lambda: [PostfixState(queue_directory="/var/spool/postfix", copy="nameserver 192.0.2.1\n")],
    )


def run(
    capsys: pytest.CaptureFixture[str],
    **options: t.Any,  # noqa: ANN401  # options are of any type
) -> dict[str, t.Any]:
    with patch_module_args(options), pytest.raises(SystemExit) as end:
        resolver_info.main()
    result = t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))
    assert (end.value.code != 0) is bool(result.get("failed"))
    return result


def insecure(query: Message, _transport: str) -> Reply:
    return reply(query, ". 300 IN SOA a. b. 1 2 3 4 5", flags="QR RD RA")


def test_what_is_seen_on_the_host_is_returned(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, checks=["host"])
    assert not result["changed"]
    assert result["resolv_conf"] == {
        "exists": True,
        "text": OURS,
        "link": None,
        "mounted": False,
        "nameservers": ["127.0.0.1"],
        "options": ["edns0", "trust-ad"],
        "search": [],
        "writer": None,
    }
    assert result["managers"] == [
        {"name": "NetworkManager", "held": False, "why": "its configuration does not say dns=none"}
    ]
    assert result["postfix"] == [
        {"queue_directory": "/var/spool/postfix", "equal": False, "nameservers": ["192.0.2.1"]}
    ]
    assert (result["postfix_resolvconf"], result["unbound_outdated"]) == (True, False)
    assert result["root_key_writable"] is False
    assert result["listeners"] == ["unbound"]
    assert result["proved"] == {"host": False}
    assert {finding["subject"]: finding["verdict"] for finding in result["findings"]} == {
        "nameservers": "ok",
        "NetworkManager": "warning",
        "Postfix /var/spool/postfix": "failed",
        "Postfix watch": "warning",
    }


def test_what_is_not_required_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedNameserver(insecure) as server:
        result = run(capsys, checks=["validation", "server"], resolver_port=server.port)
    assert result["proved"] == {"server": False, "validation": False}


def test_a_configuration_that_cannot_be_read_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, checks=["server"], require=["server"])
    assert (result["failed"], result["proved"]) == (True, {"server": False})
    assert result["msg"].splitlines()[1].startswith("configuration: ")


@pytest.mark.parametrize("names", [[], ["unknown.example"]])
def test_without_a_bogus_name_that_is_refused_nothing_is_proved(
    names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def secure(query: Message, _transport: str) -> Reply:
        name = str(query.question[0].name)
        if name == "unknown.example." or (name == "bogus.example." and not query.flags & dns.flags.CD):
            return reply(query, rcode="SERVFAIL")
        made = reply(query, f"{name} 300 IN SOA ns.example. h.example. 1 2 3 4 5", flags="QR RD RA AD")
        made.use_edns(0, 0, 1232)
        return made

    with ScriptedNameserver(secure) as server:
        options: dict[str, t.Any] = {"checks": ["validation"], "signed_names": ["good.example"]}
        options["resolver_port"] = server.port
        result = run(capsys, **options, bogus_names=names)
        assert [one for one in result["findings"] if one["verdict"] == "failed"] == []
        assert result["proved"] == {"validation": False}
        assert run(capsys, **options, bogus_names=["bogus.example"])["proved"] == {"validation": True}


def test_what_is_required_fails_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedNameserver(insecure) as server:
        result = run(
            capsys,
            checks=["validation"],
            require=["validation"],
            resolver_port=server.port,
            signed_names=[".", "com", "org"],
            bogus_names=["bad.example"],
        )
    lines = result["msg"].splitlines()
    assert lines[0] == "This host's resolver did not prove that mail can be verified by DANE."
    assert lines[1].startswith("signed name .: NOERROR without AD. The answer came without signatures")
    assert len(lines) == 5
    assert lines[-1] == "and 2 more, see findings."
    assert result["findings"]


def test_what_is_required_but_not_looked_at_is_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, checks=["server"], require=["host"])
    assert result["msg"].splitlines()[1:] == ["host is in require, but not in checks: add it there."]


def test_forwarders_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[bool] = []

    def respond(query: Message, _transport: str) -> Reply:
        seen.append(bool(query.flags & dns.flags.CD))
        return insecure(query, _transport)

    with ScriptedNameserver(respond) as server:
        forwarder = f"127.0.0.1@{server.port}"
        result = run(capsys, checks=["forwarders"], require=["forwarders"], forwarders=[forwarder], signed_names=["."])
    assert result["msg"].splitlines()[1].startswith(f"forwarder {forwarder}: .: no RRSIG in the answer. It removes")
    assert all(seen)


def test_bad_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, checks=["validation"], signed_names=["a..b"])
    assert result["error_type"] == "InvalidName"
    assert result["msg"].startswith("'a..b' cannot be asked for: EmptyLabel")


def test_a_host_is_looked_at_before_dnspython_is_there() -> None:
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", VIRGIN], env=environment, check=True, capture_output=True, timeout=60)
    assert set(json.loads(done.stdout)["proved"]) == {"host", "server"}
