# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from datetime import UTC, datetime

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_cli as cli
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_config
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_deployment import deploy
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore, Slot
from ansible_collections.mailsec.dane.plugins.module_utils._key_change import Policy
from ansible_collections.mailsec.dane.plugins.module_utils._key_material import Material
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from issued import Issued, issue, key_of

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
BEGAN: t.Final = datetime.now(UTC).replace(microsecond=0)
OLD, NEW = (issue(HOST, key_of("ecdsa", number), begins=BEGAN) for number in (1, 2))


@pytest.fixture(name="woken")
def fixture_woken(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    moments: list[float | None] = []
    monkeypatch.setattr(cli, "wake_at", moments.append)
    return moments


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateStore:
    for module in (cli, _rollover_config):
        monkeypatch.setattr(module, "STORES", tmp_path / "etc")
    monkeypatch.setattr(_rollover_config, "STATE", tmp_path / "var")
    monkeypatch.setattr("syslog.syslog", lambda *_arguments: None)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    store = CertificateStore(tmp_path / "etc" / HOST)
    deploy(store, [Material(OLD.key_pem, "k", OLD.pem, "c")], Policy(HOST), BEGAN)
    configure(tmp_path, HOST)
    return store


def configure(root: Path, host: str, **more: object) -> None:
    directory = root / "etc" / host
    directory.mkdir(exist_ok=True)
    (directory / "rollover.json").write_text(json.dumps({"host": host, "ports": [25], **more}))


def files(root: Path, issued: Issued) -> list[str]:
    (root / "key").write_bytes(issued.key_pem)
    (root / "chain").write_bytes(issued.pem)
    return ["--key", str(root / "key"), "--chain", str(root / "chain")]


def test_stage_checks_stages_and_has_the_service_take_the_next_step(
    store: CertificateStore, tmp_path: Path, woken: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stage", *files(tmp_path, NEW)]) == 0
    assert capsys.readouterr().out.startswith(f"{HOST}: staged: 000002-")
    assert store.slot(Slot.STAGED) is not None
    assert len(woken) == 1
    assert cli.main(["stage", *files(tmp_path, NEW)]) == 0
    assert len(woken) == 1


def test_what_is_wrong_is_refused_with_status_3(
    store: CertificateStore, tmp_path: Path, woken: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stage", *files(tmp_path, issue("mx2.example.org", begins=BEGAN))]) == 3
    assert "not for mx1.example.org" in capsys.readouterr().err
    assert cli.main(["stage"]) == 3
    assert cli.main(["stage", "--key", str(tmp_path / "none"), "--chain", str(tmp_path / "none")]) == 3
    assert cli.main(["--host", "mx9.example.org", "now"]) == 3
    assert store.slot(Slot.STAGED) is None
    assert woken == []


def test_with_several_hosts_one_must_be_named(
    store: CertificateStore, tmp_path: Path, woken: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(tmp_path, "mx2.example.org")
    assert cli.main(["stage", *files(tmp_path, NEW)]) == 3
    assert "say which with --host: mx1.example.org, mx2.example.org" in capsys.readouterr().err
    assert cli.main(["--host", HOST, "stage", *files(tmp_path, NEW)]) == 0
    assert store.slot(Slot.STAGED) is not None
    assert len(woken) == 1


def test_a_lineage_of_certbot_finds_its_host_and_others_are_passed_over(
    store: CertificateStore, tmp_path: Path, woken: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(tmp_path, "mx2.example.org", lineages=["mx2-a"])
    for name, issued in (("mx1", NEW), ("www", issue("www.example.org", begins=BEGAN))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "privkey.pem").write_bytes(issued.key_pem)
        (tmp_path / name / "fullchain.pem").write_bytes(issued.pem)
    assert cli.main(["stage", "--certbot", str(tmp_path / "www")]) == 0
    assert "is for no host that is configured here" in capsys.readouterr().out
    assert woken == []
    assert cli.main(["stage", "--certbot", str(tmp_path / "mx1")]) == 0
    assert store.slot(Slot.STAGED) is not None


def test_a_lineage_for_several_hosts_is_staged_for_each_that_does_not_refuse_it(
    store: CertificateStore, tmp_path: Path, woken: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = (HOST, "mx2.example.org", "mx3.example.org")
    stores = {HOST: store}
    for host in hosts[1:]:
        stores[host] = CertificateStore(tmp_path / "etc" / host)
        deploy(stores[host], [Material(OLD.key_pem, "k", OLD.pem, "c")], Policy(host), BEGAN)
        configure(tmp_path, host)
    shared = issue(HOST, key_of("ecdsa", 2), begins=BEGAN, names=hosts)
    KeyMemory(stores["mx2.example.org"].root).add(retired=[tlsa_record_for(shared.certificate)])
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "privkey.pem").write_bytes(shared.key_pem)
    (tmp_path / "live" / "fullchain.pem").write_bytes(shared.pem)
    assert cli.main(["stage", "--certbot", str(tmp_path / "live")]) == 3
    told = capsys.readouterr().err
    assert told.startswith("dane-rollover: mx2.example.org: ")
    assert "was retired" in told
    assert [stores[host].slot(Slot.STAGED) is not None for host in hosts] == [True, False, True]
    assert len(woken) == 1


def test_metrics_tell_of_expiry_and_progress(
    store: CertificateStore, tmp_path: Path, woken: list[float | None], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["stage", *files(tmp_path, NEW)])
    capsys.readouterr()
    assert cli.main(["metrics"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expiry = f"{OLD.certificate.not_valid_after_utc.timestamp():.0f}"
    assert f'dane_rollover_certificate_expiry_seconds{{host="{HOST}",key_algorithm="ecdsa"}} {expiry}' in lines
    assert f'dane_rollover_in_progress{{host="{HOST}"}} 1' in lines
    assert f'dane_rollover_error{{host="{HOST}"}} 0' in lines
    assert store.slot(Slot.STAGED) is not None
    assert len(woken) == 1


def test_without_a_configuration_the_role_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (cli, _rollover_config):
        monkeypatch.setattr(module, "STORES", tmp_path)
    monkeypatch.setattr("syslog.syslog", lambda *_arguments: None)
    assert cli.main(["status"]) == 3
    assert "The role mailsec.dane.tlsa_rollover writes it" in capsys.readouterr().err
