# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _certbot
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_deployment import deploy
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore, Slot
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._key_change import Policy
from ansible_collections.mailsec.dane.plugins.module_utils._key_material import Material
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory
from ansible_collections.mailsec.dane.plugins.module_utils._next_keys import ensure_next, take_renewed
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_config import RolloverConfig
from ansible_collections.mailsec.dane.plugins.module_utils._staging import chains_in
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from issued import NOW, Issued, issue, key_of

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
CA: t.Final = issue("Example CA", key_of("ecdsa", 9))
A: t.Final = issue(HOST, key_of("ecdsa", 1), issuer=CA)
B: t.Final = issue(HOST, key_of("ecdsa", 2), issuer=CA)
C: t.Final = issue(HOST, key_of("ecdsa", 3), issuer=CA)
CONFIG: t.Final = RolloverConfig(host=HOST, ports=(25,), next_keys="certbot", lineages=("mx1-ecdsa-a", "mx1-ecdsa-b"))
WHEN: t.Final = NOW.astimezone(UTC).timestamp()


def lineage(live: Path, name: str, issued: Issued) -> Path:
    (live / name).mkdir(parents=True, exist_ok=True)
    (live / name / "privkey.pem").write_bytes(issued.key_pem)
    (live / name / "fullchain.pem").write_bytes(issued.pem + CA.pem)
    return live / name


@pytest.fixture(name="live")
def fixture_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_certbot, "LIVE", str(tmp_path / "live"))
    lineage(tmp_path / "live", "mx1-ecdsa-a", A)
    lineage(tmp_path / "live", "mx1-ecdsa-b", B)
    return tmp_path / "live"


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> CertificateStore:
    store = CertificateStore(tmp_path / "store")
    deploy(store, [Material(A.key_pem, "k", A.pem + CA.pem, "c")], Policy(HOST), datetime.fromtimestamp(WHEN, UTC))
    return store


def next_key(store: CertificateStore) -> bytes | None:
    generation = store.slot(Slot.NEXT)
    return None if generation is None else chains_in(generation)["ecdsa"].private_key


def test_the_lineage_that_is_not_deployed_holds_the_next_key(store: CertificateStore, live: Path) -> None:
    assert _certbot.lineage_material(CONFIG, store, live / "mx1-ecdsa-a")[1] is False
    assert _certbot.lineage_material(CONFIG, store, live / "mx1-ecdsa-b")[1] is True
    with store.locked():
        assert ensure_next(CONFIG, store, WHEN) is not None
        assert next_key(store) == B.key_pem
        assert ensure_next(CONFIG, store, WHEN) is None


def test_only_a_lineage_whose_key_went_out_of_use_is_issued_anew(
    store: CertificateStore, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(_certbot, "_certbot", lambda *arguments: called.append(arguments))
    with store.locked():
        ensure_next(CONFIG, store, WHEN)
        assert _certbot.renew_next(CONFIG, store) == []
        upcoming = store.slot(Slot.NEXT)
        assert upcoming is not None
        KeyMemory(store.root).add(former=[tlsa_record_for(A.certificate)])
        store.deploy(upcoming)
        store.clear(Slot.NEXT)
        assert ensure_next(CONFIG, store, WHEN) is None
        assert _certbot.renew_next(CONFIG, store) == ["certbot issued mx1-ecdsa-a anew, with a new key"]
        assert [one for one in called if "mx1-ecdsa-a" in one and "--new-key" in one] == called
        config = replace(CONFIG, lineages=("never-issued", *CONFIG.lineages))
        assert _certbot.renew_next(config, store) == ["certbot issued mx1-ecdsa-a anew, with a new key"]
        called.pop()
        lineage(live, "mx1-ecdsa-a", C)
        assert ensure_next(CONFIG, store, WHEN) is not None
        assert next_key(store) == C.key_pem
        assert len(called) == 1


def test_a_renewal_that_no_hook_staged_is_taken_over(store: CertificateStore, live: Path) -> None:
    def staged() -> bytes | None:
        generation = store.slot(Slot.STAGED)
        return None if generation is None else chains_in(generation)["ecdsa"].certificates_pem()

    with store.locked():
        assert take_renewed(CONFIG, store, WHEN) is None
        newer, newest, older = (
            issue(HOST, key_of("ecdsa", 1), issuer=CA, begins=NOW - timedelta(hours=hours)) for hours in (2, 1, 72)
        )
        lineage(live, "mx1-ecdsa-a", older)
        assert take_renewed(CONFIG, store, WHEN) is None
        for renewed in (newer, newest):
            lineage(live, "mx1-ecdsa-a", renewed)
            assert take_renewed(CONFIG, store, WHEN) is not None
            assert staged() == renewed.pem + CA.pem
            assert take_renewed(CONFIG, store, WHEN) is None
        ensure_next(CONFIG, store, WHEN)
        upcoming = store.slot(Slot.NEXT)
        assert upcoming is not None
        store.fill(Slot.STAGED, upcoming)
        assert take_renewed(CONFIG, store, WHEN) is None
        assert staged() == B.pem + CA.pem


def test_a_renewal_of_the_next_key_that_no_hook_staged_is_taken_over(store: CertificateStore, live: Path) -> None:
    renewed = issue(HOST, key_of("ecdsa", 2), issuer=CA, begins=NOW - timedelta(hours=1))
    with store.locked():
        ensure_next(CONFIG, store, WHEN)
        lineage(live, "mx1-ecdsa-b", renewed)
        assert ensure_next(CONFIG, store, WHEN) is not None
        upcoming = store.slot(Slot.NEXT)
        assert upcoming is not None
        assert chains_in(upcoming)["ecdsa"].certificates_pem() == renewed.pem + CA.pem
        assert ensure_next(CONFIG, store, WHEN) is None


def test_certificates_of_others_are_not_for_the_host(live: Path, tmp_path: Path) -> None:
    other = lineage(tmp_path / "live", "www.example.org", issue("www.example.org", key_of("ecdsa", 4)))
    unnamed = RolloverConfig(host=HOST, ports=(25,))
    assert not _certbot.is_for(CONFIG, other)
    assert not _certbot.is_for(unnamed, other)
    assert _certbot.is_for(CONFIG, live / "mx1-ecdsa-b")
    assert _certbot.is_for(unnamed, live / "mx1-ecdsa-b")


def test_a_directory_that_is_no_lineage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no lineage of certbot"):
        _certbot.is_for(RolloverConfig(host=HOST, ports=(25,)), tmp_path)
