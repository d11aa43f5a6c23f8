# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edge of publication: options in, JSON out, no secret in it. What happens behind is tested with the core."""

from __future__ import annotations

import base64
import json
import typing as t

import dns.message
import dns.name
import dns.rdatatype
import dns.tsig
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.modules import tlsa_record

from scripted_nameserver import Reply, ScriptedNameserver, reply

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NAME: t.Final = "_25._tcp.mx1.example.org"
RECORD: t.Final = "3 1 1 " + "ab" * 32
SECRET: t.Final = base64.b64encode(b"a secret of thirty-two octets...").decode()
KEY: t.Final = dns.tsig.Key("mx-tlsa.", SECRET, "hmac-sha256.")
SOA: t.Final = "example.org. 600 IN SOA ns.example.org. hostmaster.example.org. 7 2 3 4 120"


class Primary:
    """A primary of example.org with one RRset that updates add to; enough to see what a module does."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.updates = 0

    def __call__(self, query: dns.message.Message, _transport: str) -> Reply:
        if query.opcode() == dns.opcode.UPDATE:
            self.updates += 1
            self.records = [str(rdata) for rrset in query.sections[2] for rdata in rrset]
            return reply(query)
        if query.question[0].rdtype == dns.rdatatype.TLSA and self.records:
            return reply(query, *(f"{NAME}. 3600 IN TLSA {record}" for record in self.records))
        return reply(query, authority=(SOA,))


@pytest.fixture
def primary() -> Iterator[tuple[Primary, int]]:
    state = Primary()
    with ScriptedNameserver(state, KEY) as server:
        yield state, server.port


def run(
    capsys: pytest.CaptureFixture[str],
    port: int,
    **options: t.Any,  # noqa: ANN401  # options are of any type
) -> dict[str, t.Any]:
    arguments = {
        "provider": {
            "type": "rfc2136",
            "server": "127.0.0.1",
            "port": port,
            "key_name": "mx-tlsa",
            "key_secret": SECRET,
        },
        "rrsets": [{"name": NAME, "records": [RECORD]}],
        "require_signed": False,
        **options,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        tlsa_record.main()
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    return t.cast("dict[str, t.Any]", json.loads(out))


def test_a_run_its_result_and_the_next_run(capsys: pytest.CaptureFixture[str], primary: tuple[Primary, int]) -> None:
    state, port = primary
    foretold = run(capsys, port, _ansible_check_mode=True, _ansible_diff=True)
    assert state.updates == 0
    result = run(capsys, port, _ansible_diff=True)
    assert (foretold["changed"], foretold["rrsets"], foretold["diff"]) == (True, result["rrsets"], result["diff"])
    assert result["rrsets"] == [
        {
            "name": NAME,
            "owner": NAME,
            "zone": "example.org",
            "ttl": 3600,
            "ttl_before": None,
            "before": [],
            "after": [RECORD],
            "changed": True,
        }
    ]
    (diff,) = result["diff"]
    assert (diff["before"], diff["after"]) == ("", f"{NAME}. 3600 IN TLSA {RECORD}\n")
    assert diff["before_header"] == f"zone example.org at the name server 127.0.0.1 port {port} (before)"
    again = run(capsys, port, _ansible_diff=True)
    assert (again["changed"], "diff" in again, state.updates) == (False, False, 1)


def test_bad_input_is_refused_before_the_server_is_asked(
    capsys: pytest.CaptureFixture[str], primary: tuple[Primary, int]
) -> None:
    state, port = primary
    result = run(capsys, port, rrsets=[{"name": NAME, "records": ["3 1 1 abcd"]}])
    assert (result["failed"], result["error_type"], state.updates) == (True, "InvalidRecord", 0)
    assert result["msg"].startswith(f"{NAME}: TLSA record '3 1 1 abcd' must not be published")


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ({"type": "rfc2136"}, "Provider rfc2136 needs server"),
        ({"type": "rfc2136", "server": "127.0.0.1", "key_name": "k"}, "A TSIG key has a name and a secret"),
        ({"type": "cloudflare"}, "Provider cloudflare needs api_token"),
        ({"type": "none"}, "value of type must be one of: cloudflare, exec, octodns, rfc2136"),
        (
            {"type": "rfc2136", "server": "127.0.0.1", "key_algorithm": "hmac-md5"},
            "value of key_algorithm must be one of: hmac-sha224",
        ),
    ],
)
def test_bad_providers(capsys: pytest.CaptureFixture[str], provider: dict[str, str], message: str) -> None:
    result = run(capsys, 1, provider=provider)
    assert result["failed"]
    assert message in result["msg"]


def test_the_secret_may_come_from_the_environment(
    capsys: pytest.CaptureFixture[str], primary: tuple[Primary, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, port = primary
    monkeypatch.setenv("DANE_KEY_SECRET", SECRET)
    provider = {"type": "rfc2136", "server": "127.0.0.1", "port": port, "key_name": "mx-tlsa"}
    assert run(capsys, port, provider=provider)["changed"]
    assert state.records == [RECORD]


def test_a_silent_server_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedNameserver(lambda _query, _transport: None, KEY) as server:
        provider = {"type": "rfc2136", "server": "127.0.0.1", "port": server.port, "timeout": 0.2}
        result = run(capsys, server.port, provider=provider)
    assert result["error_type"] == "PublisherUnavailable"
    assert result["msg"] == (
        f"Reading {NAME}, so nothing was changed: No answer in time from the name server 127.0.0.1 port {server.port}"
    )


def test_an_update_that_is_refused_fails_and_tells_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    def respond(query: dns.message.Message, _transport: str) -> Reply:
        return reply(query, rcode="REFUSED") if query.opcode() == dns.opcode.UPDATE else reply(query, authority=(SOA,))

    with ScriptedNameserver(respond, KEY) as server:
        result = run(capsys, server.port)
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["rrsets"][0]["after"] == []
    assert result["errors"] == {"example.org": result["msg"]}
    assert "the update was refused (REFUSED)" in result["msg"]
