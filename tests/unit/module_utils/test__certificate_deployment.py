# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import ssl
import subprocess
import typing as t
from datetime import timedelta

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_deployment import Deployment, deploy, describe
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore, Slot
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidCertificate,
    InvalidInput,
    LookupFailed,
    StoreError,
)
from ansible_collections.mailsec.dane.plugins.module_utils._key_change import Policy
from ansible_collections.mailsec.dane.plugins.module_utils._key_material import Material, load_material, recover_key
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory
from ansible_collections.mailsec.dane.plugins.module_utils._server_chain import ServerChain, read_server_chain
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

from issued import NOW, Issued, issue, key_of

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
ECDSA: t.Final = issue(HOST, key_of("ecdsa", 1))
ECDSA_RENEWED: t.Final = issue(HOST, key_of("ecdsa", 1), days=180)
ECDSA_OTHER: t.Final = issue(HOST, key_of("ecdsa", 2))
RSA: t.Final = issue(HOST, key_of("rsa", 1))


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> CertificateStore:
    return CertificateStore(tmp_path / HOST)


@pytest.fixture(name="systemctl")
def fixture_systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], list[str]]:
    """Puts a systemctl of the given shell text first on PATH; what it was called with is in the list."""
    calls = tmp_path / "systemctl.calls"

    def install(script: str) -> list[str]:
        program = tmp_path / "bin" / "systemctl"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        calls.write_text("")
        return calls.read_text().splitlines()

    return install


def material(issued: Issued) -> Material:
    return Material(issued.key_pem, "key.pem", issued.pem, "chain.pem")


def chain(issued: Issued) -> ServerChain:
    return read_server_chain(issued.key_pem, issued.pem, key_source="key.pem", chain_source="chain.pem")


def put(
    store: CertificateStore,
    *issued: Issued,
    check_mode: bool = False,
    replace_key: bool = False,
    keep: int = 3,
    units: tuple[str, ...] = (),
) -> Deployment:
    policy = Policy(HOST, replace_key=replace_key, keep=keep, units=units)
    return deploy(store, [material(one) for one in issued], policy, NOW, check_mode=check_mode)


def served(store: CertificateStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.link.iterdir())}


def test_a_first_deployment_serves_one_file_for_each_algorithm(store: CertificateStore) -> None:
    done = put(store, RSA, ECDSA)
    assert done.changed
    assert done.before == ()
    assert served(store) == {
        "ecdsa.pem": ECDSA.key_pem + ECDSA.pem,
        "ecdsa.crt": ECDSA.pem,
        "rsa.pem": RSA.key_pem + RSA.pem,
        "rsa.crt": RSA.pem,
    }


def test_openssl_loads_what_is_served(store: CertificateStore) -> None:
    put(store, RSA, ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name in ("rsa.pem", "ecdsa.pem"):
        context.load_cert_chain(store.link / name)


def test_the_same_again_changes_nothing(store: CertificateStore) -> None:
    put(store, RSA, ECDSA)
    before = store.link.readlink()
    done = put(store, ECDSA, RSA)
    assert not done.changed
    assert store.link.readlink() == before
    assert len(store.generations()) == 1


def test_check_mode_foretells_and_writes_nothing(store: CertificateStore) -> None:
    done = put(store, RSA, check_mode=True)
    assert (done.changed, done.generation) == (True, None)
    assert not store.root.exists()
    put(store, RSA)
    assert not put(store, RSA, check_mode=True).changed
    assert put(store, issue(HOST, key_of("rsa", 1), days=10), check_mode=True).changed
    assert served(store)["rsa.crt"] == RSA.pem


def test_a_renewed_certificate_of_the_same_key_goes_in_at_once(store: CertificateStore) -> None:
    put(store, ECDSA, RSA)
    assert put(store, ECDSA_RENEWED, RSA).changed
    assert served(store)["ecdsa.crt"] == ECDSA_RENEWED.pem


REFUSED: t.Final = "mx1.example.org would serve a key that it does not serve now: "


@pytest.mark.parametrize(
    ("before", "after", "fresh"),
    [
        ((ECDSA,), (ECDSA_OTHER,), (ECDSA_OTHER,)),
        ((ECDSA,), (ECDSA, RSA), (RSA,)),
        ((ECDSA, RSA), (ECDSA_OTHER, RSA), (ECDSA_OTHER,)),
        ((RSA,), (ECDSA,), (ECDSA,)),
    ],
    ids=["another key", "an algorithm beside it", "one of two", "another algorithm"],
)
def test_a_key_that_is_not_served_yet_is_refused(
    store: CertificateStore, before: tuple[Issued, ...], after: tuple[Issued, ...], fresh: tuple[Issued, ...]
) -> None:
    put(store, *before)
    kept = served(store)
    for check_mode in (True, False):
        with pytest.raises(StoreError, match=re.escape(REFUSED)) as caught:
            put(store, *after, check_mode=check_mode)
        assert "run once with replace_key (mail_certificate_replace_key: true)" in str(caught.value)
        assert caught.value.details == {
            "new_keys": [chain(one).record.to_text() for one in fresh],
            "deployed_keys": [chain(one).record.to_text() for one in before],
        }
    assert served(store) == kept
    assert len(store.generations()) == 1


def test_a_key_is_replaced_where_the_user_says_so(store: CertificateStore) -> None:
    put(store, ECDSA)
    assert put(store, ECDSA_OTHER, replace_key=True).changed
    assert served(store)["ecdsa.crt"] == ECDSA_OTHER.pem


def test_a_key_that_a_rollover_has_replaced_does_not_come_back(store: CertificateStore) -> None:
    put(store, ECDSA_OTHER, RSA)
    KeyMemory(store.root).add(former=[chain(ECDSA).record])
    done = put(store, ECDSA, RSA)
    assert not done.changed
    assert [one.record for one in done.after] == [chain(ECDSA_OTHER).record, chain(RSA).record]
    assert "rollover has replaced the given key, 3 1 1" in done.warnings[0]
    assert put(store, ECDSA, RSA, replace_key=True).after[0].record == chain(ECDSA).record


def test_a_key_that_a_rollover_is_under_way_to_is_left_to_it(store: CertificateStore) -> None:
    put(store, ECDSA, RSA)
    files = {"ecdsa.pem": chain(ECDSA_OTHER).pem(), "ecdsa.crt": chain(ECDSA_OTHER).certificates_pem()}
    with store.locked():
        store.fill(Slot.STAGED, store.stage(files))
    done = put(store, ECDSA_OTHER, RSA)
    assert not done.changed
    assert [one.record for one in done.after] == [chain(ECDSA).record, chain(RSA).record]
    assert "a rollover to the given key, 3 1 1" in done.warnings[0]


def test_beside_a_key_that_was_replaced_a_renewed_certificate_goes_in(store: CertificateStore) -> None:
    put(store, ECDSA, RSA)
    KeyMemory(store.root).add(former=[TlsaRecord.from_text("3 1 1 " + "ab" * 32), chain(ECDSA).record])
    renewed = issue(HOST, key_of("rsa", 1), days=180)
    put(store, ECDSA_OTHER, RSA, replace_key=True)
    done = put(store, ECDSA, renewed)
    assert done.changed
    assert [one.leaf for one in done.after] == [chain(ECDSA_OTHER).leaf, chain(renewed).leaf]


def test_serving_one_algorithm_less_is_safe(store: CertificateStore) -> None:
    put(store, ECDSA, RSA)
    put(store, ECDSA)
    assert sorted(served(store)) == ["ecdsa.crt", "ecdsa.pem"]


def test_unfit_chains_are_refused_before_anything_is_written(store: CertificateStore) -> None:
    expired = issue(HOST, key_of("ecdsa"), begins=NOW - timedelta(days=9), days=8)
    with pytest.raises(InvalidCertificate, match=re.escape("Nothing was deployed. ecdsa: The certificate of CN=mx1")):
        put(store, RSA, expired)
    assert store.deployed() is None
    assert store.generations() == ()


def test_what_expired_in_place_is_a_warning_and_does_not_stop_a_run(store: CertificateStore) -> None:
    put(store, ECDSA)
    done = deploy(store, [material(ECDSA)], Policy(HOST), NOW + timedelta(days=400))
    assert not done.changed
    assert done.warnings == (
        "ecdsa: The certificate of CN=mx1.example.org expired at 2027-02-19 12:00 UTC; renew it, for the same key",
    )


def test_two_keys_of_one_algorithm_are_refused(store: CertificateStore) -> None:
    with pytest.raises(InvalidCertificate, match=r"key\.pem and key\.pem are both ECDSA keys"):
        put(store, ECDSA, ECDSA_OTHER)


def test_no_chain_at_all_is_refused(store: CertificateStore) -> None:
    with pytest.raises(InvalidInput, match="No chain was given"):
        put(store)


def test_a_damaged_deployment_is_not_taken_for_none(store: CertificateStore) -> None:
    put(store, ECDSA)
    (store.link / "ecdsa.pem").write_bytes(b"")
    with pytest.raises(StoreError, match="What is deployed is damaged"):
        put(store, ECDSA)
    assert put(store, ECDSA, replace_key=True).changed
    assert served(store)["ecdsa.pem"] == ECDSA.key_pem + ECDSA.pem


def test_a_chain_file_that_was_damaged_is_written_anew(store: CertificateStore) -> None:
    put(store, ECDSA)
    (store.link / "ecdsa.crt").write_bytes(b"")
    assert put(store, ECDSA).changed
    assert served(store)["ecdsa.crt"] == ECDSA.pem


def test_modes_are_mended_and_that_is_a_change(store: CertificateStore) -> None:
    put(store, ECDSA)
    (store.link / "ecdsa.pem").chmod(0o644)
    assert put(store, ECDSA, check_mode=True).changed
    assert (store.link / "ecdsa.pem").stat().st_mode & 0o777 == 0o644
    assert put(store, ECDSA).changed
    assert (store.link / "ecdsa.pem").stat().st_mode & 0o777 == 0o600
    assert not put(store, ECDSA).changed


def test_old_generations_are_removed(store: CertificateStore) -> None:
    for days in (10, 20, 30, 40):
        done = put(store, issue(HOST, key_of("ecdsa", 1), days=days), keep=2)
    assert len(done.pruned) == 1
    assert [generation.identifier[:6] for generation in store.generations()] == ["000003", "000004"]


def test_what_openssl_does_not_load_is_not_deployed(store: CertificateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, ECDSA)

    def refuse(_context: ssl.SSLContext, _path: Path) -> None:
        raise ssl.SSLError("EE_KEY_TOO_SMALL")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(StoreError, match=r"this host's OpenSSL does not load the new ecdsa\.pem.*EE_KEY_TOO_SMALL"):
        put(store, ECDSA_RENEWED)
    assert served(store)["ecdsa.crt"] == ECDSA.pem
    assert len(store.generations()) == 1


# --- what is published already ----------------------------------------------------------------------------------------


def first(store: CertificateStore, *records: str, replace_key: bool = False) -> Deployment:
    published = {"_25._tcp.mx1.example.org": [TlsaRecord.from_text(record) for record in records]}
    policy = Policy(HOST, replace_key=replace_key)
    return deploy(store, [material(ECDSA)], policy, NOW, published=lambda: published)


def test_a_first_key_that_contradicts_what_is_published_is_refused(store: CertificateStore) -> None:
    other = chain(ECDSA_OTHER).record.to_text()
    message = f"_25._tcp.mx1.example.org is published as {other}, and the ecdsa chain for mx1.example.org, 3 1 1 "
    with pytest.raises(StoreError, match=re.escape(message)) as caught:
        first(store, other)
    assert caught.value.details == {"new_keys": [chain(ECDSA).record.to_text()], "published": [other]}
    assert store.deployed() is None


def test_a_first_key_that_agrees_with_what_is_published_goes_in(store: CertificateStore) -> None:
    assert first(store, chain(ECDSA_OTHER).record.to_text(), chain(ECDSA).record.to_text()).changed


def test_records_that_no_sender_can_use_stop_nothing(store: CertificateStore) -> None:
    assert first(store, f"1 1 1 {'ab' * 32}").changed


def test_a_lost_key_can_be_replaced_in_spite_of_what_is_published(store: CertificateStore) -> None:
    assert first(store, chain(ECDSA_OTHER).record.to_text(), replace_key=True).changed


def test_a_failed_look_up_is_not_taken_for_no_records(store: CertificateStore) -> None:
    def published() -> t.NoReturn:
        raise LookupFailed("no answer")

    with pytest.raises(LookupFailed, match="no answer"):
        deploy(store, [material(ECDSA)], Policy(HOST), NOW, published=published)
    assert store.deployed() is None


def test_the_dns_is_not_asked_once_something_is_deployed(store: CertificateStore) -> None:
    def published() -> t.NoReturn:
        raise AssertionError("asked")

    put(store, ECDSA)
    assert deploy(store, [material(ECDSA_RENEWED)], Policy(HOST), NOW, published=published).changed


# --- services ---------------------------------------------------------------------------------------------------------

Systemctl = t.Callable[[str], list[str]]
UNITS: t.Final = ("postfix.service", "dovecot.service")
ONLY_POSTFIX_RUNS: t.Final = '[ "$1" != is-active ] || [ "$3" = postfix.service ]'


def calls(tmp_path: Path) -> list[str]:
    return [line for line in (tmp_path / "systemctl.calls").read_text().splitlines() if "is-active" not in line]


def test_running_units_are_reloaded_after_a_change_only(
    store: CertificateStore, systemctl: Systemctl, tmp_path: Path
) -> None:
    systemctl(ONLY_POSTFIX_RUNS)
    put(store, ECDSA, units=UNITS)
    assert calls(tmp_path) == ["try-reload-or-restart postfix.service"]
    put(store, ECDSA, units=UNITS)
    assert len(calls(tmp_path)) == 1
    put(store, ECDSA_RENEWED, units=UNITS, check_mode=True)
    assert len(calls(tmp_path)) == 1


def test_a_reload_that_a_killed_run_owed_is_made_up_for(
    store: CertificateStore, systemctl: Systemctl, tmp_path: Path
) -> None:
    put(store, ECDSA)
    store.owe_reload()
    systemctl(ONLY_POSTFIX_RUNS)
    assert put(store, ECDSA, units=UNITS).changed
    assert calls(tmp_path) == ["try-reload-or-restart postfix.service"]
    assert not put(store, ECDSA, units=UNITS).changed


def test_a_service_that_does_not_reload_gets_its_former_chain_back(
    store: CertificateStore, systemctl: Systemctl
) -> None:
    put(store, ECDSA)
    systemctl(f'{ONLY_POSTFIX_RUNS} || exit 3; [ "$1" = is-active ] || {{ echo "Job failed." >&2; exit 1; }}')
    message = "A service could not be reloaded. postfix.service: Job failed.. The former keys and chains were put back"
    with pytest.raises(StoreError, match=re.escape(message)):
        put(store, ECDSA_RENEWED, units=UNITS)
    assert served(store)["ecdsa.crt"] == ECDSA.pem
    assert store.reload_owed


# --- what is told and what is not -------------------------------------------------------------------------------------


def test_a_description_tells_what_matters(store: CertificateStore) -> None:
    done = put(store, RSA, ECDSA)
    lines = describe(done.after).splitlines()
    assert lines[0] == (
        f"ecdsa: {chain(ECDSA).record.to_text()}, for mx1.example.org, self-signed, 2026-11-21 to 2027-02-19, "
        f"serial {ECDSA.certificate.serial_number:x}, 1 in chain"
    )
    assert lines[1].startswith("rsa: 3 1 1 ")


def test_nothing_of_a_private_key_is_told(store: CertificateStore) -> None:
    first_done = put(store, RSA, ECDSA)
    second_done = put(store, RSA, ECDSA_OTHER, replace_key=True)
    shown = "".join((repr(first_done), repr(second_done), repr(material(RSA)), describe(second_done.before)))
    for issued in (RSA, ECDSA, ECDSA_OTHER):
        lines = issued.key_pem.decode().splitlines()[1:-1]
        assert not [line for line in lines if line in shown]


# --- key material -----------------------------------------------------------------------------------------------------


def test_material_comes_from_files_or_as_text(tmp_path: Path) -> None:
    key, certificate = tmp_path / "k", tmp_path / "c"
    key.write_bytes(ECDSA.key_pem)
    certificate.write_bytes(ECDSA.pem)
    from_files = load_material({"private_key_path": str(key), "chain_path": str(certificate)}, 1)
    as_text = load_material({"private_key_content": ECDSA.key_pem.decode(), "chain_content": ECDSA.pem.decode()}, 1)
    assert (from_files.key, from_files.chain) == (as_text.key, as_text.chain) == (ECDSA.key_pem, ECDSA.pem)
    assert as_text.key_source == "private_key_content of entry 1 of chains"


def test_without_a_chain_of_its_own_the_file_of_the_key_holds_both(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(ECDSA.key_pem + ECDSA.pem)
    found = load_material({"private_key_path": str(both)}, 1)
    assert found.key == found.chain == both.read_bytes()


def test_missing_material_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Entry 2 of chains has neither private_key_path nor private_key_content"):
        load_material({"chain_path": "x"}, 2)
    with pytest.raises(
        InvalidInput, match=r"private_key_path of entry 1 of chains cannot be read on this host: .*/none"
    ):
        load_material({"private_key_path": f"{tmp_path}/none"}, 1)


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_lost_key_is_recovered_from_what_is_deployed(store: CertificateStore, tmp_path: Path, state: str) -> None:
    put(store, ECDSA, RSA)
    lost = tmp_path / "rsa.key"
    if state == "empty":
        lost.touch()
    assert recover_key(store, "rsa", lost, check_mode=True)
    assert not lost.exists() or lost.stat().st_size == 0
    assert recover_key(store, "rsa", lost)
    assert lost.read_bytes() == RSA.key_pem
    assert lost.stat().st_mode & 0o777 == 0o600
    assert not recover_key(store, "rsa", lost)


def test_a_key_that_is_there_is_never_overwritten(store: CertificateStore, tmp_path: Path) -> None:
    put(store, RSA)
    mine = tmp_path / "rsa.key"
    mine.write_text("mine")
    assert not recover_key(store, "rsa", mine)
    assert mine.read_text() == "mine"


def test_where_nothing_is_deployed_nothing_is_recovered(store: CertificateStore, tmp_path: Path) -> None:
    assert not recover_key(store, "rsa", tmp_path / "rsa.key")
    put(store, ECDSA)
    assert not recover_key(store, "rsa", tmp_path / "rsa.key")


def test_a_key_that_cannot_be_recovered_is_an_error_and_no_new_key(store: CertificateStore, tmp_path: Path) -> None:
    put(store, RSA)
    (store.link / "rsa.pem").write_bytes(b"scrambled")
    with pytest.raises(StoreError, match="is lost, and cannot be recovered from what is deployed"):
        recover_key(store, "rsa", tmp_path / "rsa.key")


def test_openssl_itself_agrees_on_the_record(store: CertificateStore) -> None:
    """The judge is the openssl command: digest of the DER public key of the served certificate."""
    put(store, RSA)
    public = subprocess.run(
        ["openssl", "x509", "-in", store.link / "rsa.crt", "-noout", "-pubkey"], check=True, capture_output=True
    ).stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True
    )
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-r"], input=der.stdout, check=True, capture_output=True)
    assert chain(RSA).record.to_text() == f"3 1 1 {digest.stdout.split()[0].decode()}"


def test_a_key_file_that_a_rollover_left_behind_follows_with_its_certificate(
    store: CertificateStore, tmp_path: Path
) -> None:
    put(store, ECDSA_OTHER)
    key, certificate = tmp_path / "ecdsa.key", tmp_path / "ecdsa.crt"
    key.write_bytes(ECDSA.key_pem)
    certificate.write_bytes(ECDSA.pem)
    assert not recover_key(store, "ecdsa", key, certificate)
    assert key.read_bytes() == ECDSA.key_pem
    KeyMemory(store.root).add(former=[chain(ECDSA).record])
    assert recover_key(store, "ecdsa", key, certificate, check_mode=True)
    assert key.read_bytes() == ECDSA.key_pem
    assert recover_key(store, "ecdsa", key, certificate)
    assert (key.read_bytes(), certificate.read_bytes()) == (ECDSA_OTHER.key_pem, ECDSA_OTHER.pem)
    assert not recover_key(store, "ecdsa", key, certificate)
