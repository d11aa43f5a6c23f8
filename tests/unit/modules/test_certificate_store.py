# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.modules import certificate_store

from issued import issue, key_of

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
TODAY: t.Final = datetime.now(UTC)
ISSUED: t.Final = issue(HOST, key_of("rsa"), begins=TODAY - timedelta(days=1), days=90)
OTHER: t.Final = issue(HOST, key_of("ecdsa", 40), begins=TODAY - timedelta(days=1), days=90)


def run(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    **options: t.Any,  # noqa: ANN401  # options are of any type
) -> dict[str, t.Any]:
    given = {"path": str(root), "host": HOST, "_ansible_diff": True, **options}
    with patch_module_args(given), pytest.raises(SystemExit) as end:
        certificate_store.main()
    printed = capsys.readouterr().out
    for issued in (ISSUED, OTHER):
        assert not [line for line in issued.key_pem.decode().splitlines()[1:-1] if line in printed]
    result = t.cast("dict[str, t.Any]", json.loads(printed))
    assert (end.value.code != 0) is bool(result.get("failed"))
    return result


def chain(issued: t.Any) -> dict[str, str]:  # noqa: ANN401  # a pair as tests/issued.py makes them
    return {"private_key_content": issued.key_pem.decode(), "chain_content": issued.pem.decode()}


def test_a_deployment_is_told_without_a_word_of_the_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, tmp_path, chains=[chain(ISSUED)])
    assert result["changed"]
    assert result["deployed"]["path"] == str(tmp_path / "deployed")
    (told,) = result["chains"]
    assert (told["algorithm"], told["names"], told["self_signed"]) == ("rsa", [HOST], True)
    assert told["certificates"] == ISSUED.pem.decode()
    assert told["not_after"] == (TODAY + timedelta(days=89)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"].startswith(f"rsa: {told['tlsa']}, for {HOST}, self-signed")
    assert not run(capsys, tmp_path, chains=[chain(ISSUED)])["changed"]


def test_a_refused_key_is_told_by_its_records(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = run(capsys, tmp_path, chains=[chain(ISSUED)])
    result = run(capsys, tmp_path, chains=[chain(OTHER)])
    assert result["failed"]
    assert result["error_type"] == "StoreError"
    assert result["deployed_keys"] == [first["chains"][0]["tlsa"]]
    assert result["new_keys"] != result["deployed_keys"]


def test_a_damaged_key_is_refused_without_being_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    damaged = chain(ISSUED) | {"private_key_content": ISSUED.key_pem.decode().replace("MII", "MIJ", 1)}
    result = run(capsys, tmp_path, chains=[damaged])
    assert (
        result["msg"] == "The private key in private_key_content of entry 1 of chains is damaged or of an unknown kind"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 1, "chains": [chain(ISSUED)]}, "keep is 1; give 2 or more"),
        ({"group": "no-such-group", "chains": [chain(ISSUED)]}, "There is no group 'no-such-group' on this host"),
        ({"host": "192.0.2.1", "chains": [chain(ISSUED)]}, "'192.0.2.1' is an address, not a host name"),
        ({"chains": [{"private_key_path": "/a", "private_key_content": "b"}]}, "mutually exclusive"),
        ({"chains": [{}]}, "Entry 1 of chains has neither private_key_path nor private_key_content"),
        ({"state": "recovered", "chains": [{"algorithm": "rsa"}]}, "Entry 1 of chains needs algorithm and private_key"),
    ],
)
def test_bad_options_are_named_and_nothing_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: dict[str, t.Any], message: str
) -> None:
    root = tmp_path / "store"
    result = run(capsys, root, **options)
    assert message in result["msg"]
    assert not root.exists()


def test_a_key_is_recovered(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, tmp_path, chains=[chain(ISSUED)])
    lost = tmp_path / "lost.key"
    asked = {"state": "recovered", "chains": [{"algorithm": "rsa", "private_key_path": str(lost)}]}
    assert run(capsys, tmp_path, _ansible_check_mode=True, **asked)["recovered"] == [str(lost)]
    assert not lost.exists()
    assert run(capsys, tmp_path, **asked)["changed"]
    assert lost.read_bytes() == ISSUED.key_pem
    assert not run(capsys, tmp_path, **asked)["changed"]


def test_where_published_records_cannot_be_looked_up_a_run_fails_and_check_mode_warns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, warned: list[str]
) -> None:
    asked = {"chains": [chain(ISSUED)], "ports": [25], "resolver_port": 1, "timeout": 0.2}
    result = run(capsys, tmp_path, **asked)
    assert result["error_type"] == "LookupFailed"
    assert not (tmp_path / "deployed").exists()
    foretold = run(capsys, tmp_path, _ansible_check_mode=True, **asked)
    assert foretold["changed"]
    assert "A run would stop here unless the published records can be looked up" in warned[-1]
