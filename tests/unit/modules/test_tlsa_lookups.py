# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The edges of tlsa_record_info, wait_for_tlsa and tlsa_wanted_info."""

from __future__ import annotations

import json
import typing as t

import dns.rdatatype
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.modules import tlsa_record_info, tlsa_wanted_info, wait_for_tlsa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripted_nameserver import Reply, ScriptedNameserver, reply

if t.TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dns.message import Message

NAME: t.Final = "_25._tcp.mx1.example.org"
RECORD: t.Final = "3 1 1 " + "ab" * 32
SOA: t.Final = "example.org. 600 IN SOA ns.example.org. hostmaster.example.org. 7 2 3 4 120"


def run(capsys: pytest.CaptureFixture[str], main: Callable[[], None], options: dict[str, t.Any]) -> dict[str, t.Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        main()
    return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))


def serve(query: Message, _transport: str) -> Reply:
    """One server that is resolver and authority at once; it has RECORD at NAME."""
    asked, rdtype = query.question[0].name.to_text(), dns.rdatatype.to_text(query.question[0].rdtype)
    if (asked, rdtype) == (f"{NAME}.", "TLSA"):
        return reply(query, f"{NAME}. 300 IN TLSA {RECORD}", flags="QR AA RA AD")
    return reply(query, authority=(SOA,))


def lookups(port: int, **more: object) -> dict[str, t.Any]:
    return {
        "servers": ["127.0.0.1"],
        "server_port": port,
        "resolver": "127.0.0.1",
        "resolver_port": port,
        "timeout": 1,
        **more,
    }


def test_info_reports_servers_and_resolver(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedNameserver(serve) as server:
        result = run(capsys, tlsa_record_info.main, lookups(server.port, names=[NAME.upper()]))
    (rrset,) = result["rrsets"]
    assert (result["changed"], rrset["name"], rrset["owner"], rrset["in_step"]) == (False, NAME, NAME, True)
    assert (rrset["ttl"], rrset["problems"]) == (300, [])
    (answer,) = rrset["servers"]
    assert (answer["status"], answer["records"], answer["serial"]) == ("found", [RECORD], 7)
    assert rrset["resolver"] == {"status": "found", "secure": True, "records": [RECORD], "ttl": 300, "error": None}


def test_info_does_not_fail_where_it_cannot_find_out(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedNameserver(lambda query, _transport: reply(query, rcode="SERVFAIL")) as server:
        options = lookups(server.port, names=[NAME])
        result = run(capsys, tlsa_record_info.main, {**options, "servers": []})
    (rrset,) = result["rrsets"]
    assert (rrset["in_step"], rrset["ttl"], rrset["servers"], rrset["resolver"]["status"]) == (False, None, [], "error")
    assert rrset["problems"] == ["The resolver 127.0.0.1 gave no answer to mx1.example.org A: SERVFAIL"]


def test_wait_ends_when_all_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedNameserver(serve) as server:
        result = run(
            capsys, wait_for_tlsa.main, lookups(server.port, rrsets=[{"name": NAME, "records": [RECORD], "ttl": 5}])
        )
    (rrset,) = result["rrsets"]
    assert (result["looks"], rrset["everywhere"], rrset["problems"]) == (1, True, [])
    assert rrset["resolver"]["secure"]


def test_wait_fails_with_the_server_that_is_short_and_does_not_ask_the_resolver(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {"rrsets": [{"name": NAME, "records": ["3 1 1 " + "cd" * 32]}], "wait": 0}
    with ScriptedNameserver(serve) as server:
        result = run(capsys, wait_for_tlsa.main, lookups(server.port, **options))
        recursive = [query for query in server.seen if query.flags & 0x0100]
        foretold = run(capsys, wait_for_tlsa.main, lookups(server.port, **options, _ansible_check_mode=True))
    assert result["msg"] == (
        f"Not every name server serves what it should after 0 s:\n{NAME} at 127.0.0.1: serves 3 1 1 abababababab..."
    )
    assert (result["rrsets"][0]["resolver"], recursive) == (None, [])
    assert "failed" not in foretold


def test_records_that_are_served_and_bogus_are_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    def bogus(query: Message, transport: str) -> Reply:
        if query.flags & 0x0100 and not query.flags & 0x0010:
            return reply(query, rcode="SERVFAIL")
        return serve(query, transport)

    with ScriptedNameserver(bogus) as server:
        result = run(
            capsys, wait_for_tlsa.main, lookups(server.port, rrsets=[{"name": NAME, "records": [RECORD]}], wait=0)
        )
    assert result["failed"]
    assert "DNSSEC validation of _25._tcp.mx1.example.org TLSA failed" in result["msg"]


def public_key() -> bytes:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_what_is_wanted_for_deployed_and_next_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for directory, file in (("deployed", "ecdsa.crt"), ("next", "ecdsa.pub")):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / file).write_bytes(public_key())
    (tmp_path / "deployed" / "ecdsa.pem").write_text("a private key that nobody reads")
    result = run(
        capsys,
        tlsa_wanted_info.main,
        {"path": str(tmp_path), "host": "mx1.example.org", "ttl": 60, "extra_records": ["2 1 1 " + "cd" * 32]},
    )
    assert result["deployed"]
    (rrset,) = result["rrsets"]
    assert (rrset["name"], rrset["ttl"]) == (NAME, 60)
    keys = [*result["keys"]["deployed"], *result["keys"]["next"]]
    assert sorted(rrset["records"]) == sorted([*keys, "2 1 1 " + "cd" * 32])
    assert result["zone_file"].splitlines() == [f"{NAME}. 60 IN TLSA {record}" for record in rrset["records"]]


def test_without_a_deployed_key_nothing_is_wanted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "ecdsa.pub").write_bytes(public_key())
    result = run(capsys, tlsa_wanted_info.main, {"path": str(tmp_path), "host": "mx1.example.org"})
    assert (result["deployed"], result["rrsets"], result["zone_file"]) == (False, [], "")


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_store_that_cannot_be_read_is_no_empty_store(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    (tmp_path / "deployed").mkdir()
    if content is not None:
        (tmp_path / "deployed" / "rsa.crt").write_bytes(content)
    result = run(capsys, tlsa_wanted_info.main, {"path": str(tmp_path), "host": "mx1.example.org"})
    assert result["failed"]
    assert str(tmp_path / "deployed") in result["msg"]
