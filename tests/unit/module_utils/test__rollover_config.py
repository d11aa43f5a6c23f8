# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_config import configured_hosts, read_config

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
GOOD: t.Final[dict[str, t.Any]] = {"host": HOST, "ports": [25, 465]}


def write(path: Path, **more: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**GOOD, **more}))
    return path


def test_a_small_configuration_has_sound_defaults(tmp_path: Path) -> None:
    config = read_config(write(tmp_path / HOST / "rollover.json"))
    assert config.owners == {"_25._tcp.mx1.example.org": 25, "_465._tcp.mx1.example.org": 465}
    assert [config.starttls_of(port) for port in config.ports] == [Starttls.SMTP, Starttls.NONE]
    policy = config.policy()
    assert (policy.multiplier, policy.sender_cache, policy.scheme) == (2.0, 101, "current+next")
    assert policy.exclusive
    assert not config.policy(shared=True).exclusive
    assert config.policy(shared=True).aliased
    assert not config.policy().aliased


def test_an_alias_that_is_this_hosts_alone_is_said_to_be(tmp_path: Path) -> None:
    config = read_config(write(tmp_path / HOST / "rollover.json", alias_exclusive=True))
    assert not config.policy(shared=True).aliased


def test_a_provider_with_its_secret_is_not_in_a_representation(tmp_path: Path) -> None:
    provider = {"type": "rfc2136", "key_secret": "c2VjcmV0"}
    config = read_config(write(tmp_path / HOST / "rollover.json", provider=provider))
    assert "c2VjcmV0" not in repr(config)
    assert config.provider is not None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"ports": []}, "ports is empty"),
        ({"ports": [2525]}, "say it in starttls"),
        ({"ports": [2525], "starttls": {"2525": "telnet"}}, "telnet"),
        ({"exclusive": "false"}, "exclusive must be true or false, not 'false'"),
        ({"alias_exclusive": 0}, "alias_exclusive must be true or false, not 0"),
        ({"ttl": "60"}, "ttl must be a number, not '60'"),
        ({"keep": True}, "keep must be a number, not True"),
        ({"ttl": 0}, "ttl 0 is not from 1"),
        ({"multiplier": 0.5}, "multiplier must be from 1"),
        ({"multiplier": float("nan")}, "multiplier must be from 1"),
        ({"multiplier": 51}, "multiplier must be from 1"),
        ({"margin": -1}, "from 0 to"),
        ({"unknown_ttl": 10**12}, "from 0 to"),
        ({"starttls": ["smtp"]}, "items"),
        ({"keep": 1}, "keep must be 2 or more"),
        ({"max_gap": 0}, "max_gap must be from 1 to"),
        ({"scheme": "next"}, "next"),
        ({"next_keys": "acme"}, "next_keys 'acme'"),
        ({"host": "mx1/.."}, "mx1/.."),
        ({"host": "MX1.example.org"}, "lower case"),
        ({"extra_records": ["3 1 1 zz"]}, "hexadecimal"),
        ({"colour": "red"}, "colour is unknown"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, more: dict[str, object], told: str) -> None:
    path = write(tmp_path / "rollover.json", **more)
    with pytest.raises(InvalidInput, match=rf"^{path}: .*{told}"):
        read_config(path)


def test_a_copy_of_a_store_is_not_a_second_host(tmp_path: Path) -> None:
    path = write(tmp_path / f"{HOST}.bak" / "rollover.json")
    with pytest.raises(InvalidInput, match=r"is a copy, move it out of the way"):
        read_config(path)


def test_who_is_not_root_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_path: Path) -> bytes:
        raise PermissionError

    path = write(tmp_path / HOST / "rollover.json")
    monkeypatch.setattr(type(path), "read_bytes", denied)
    with pytest.raises(InvalidInput, match=r"is for root alone.*sudo"):
        read_config(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_a_damaged_file_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rollover.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=str(path)):
        read_config(path)


def test_a_missing_file_names_the_role(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the role mailsec\.dane\.tlsa_rollover writes it"):
        read_config(tmp_path / "rollover.json")


def test_configured_hosts_are_those_with_a_file(tmp_path: Path) -> None:
    for name in ("mx2.example.org", "mx1.example.org", "mx3.example.org"):
        (tmp_path / name).mkdir()
    for name in ("mx2.example.org", "mx1.example.org"):
        write(tmp_path / name / "rollover.json")
    assert configured_hosts(tmp_path) == ("mx1.example.org", "mx2.example.org")
