# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_deployment import deploy
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore, Slot
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._key_change import Policy
from ansible_collections.mailsec.dane.plugins.module_utils._key_material import Material
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory
from ansible_collections.mailsec.dane.plugins.module_utils._staging import Staged, chains_in, stage
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from issued import NOW, Issued, issue, key_of, signed_with_sha1

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
OLD: t.Final = issue(HOST, key_of("ecdsa", 1))
RENEWED: t.Final = issue(HOST, key_of("ecdsa", 1), days=180)
NEW: t.Final = issue(HOST, key_of("ecdsa", 2))
RSA_RENEWED: t.Final = issue(HOST, key_of("rsa", 1), days=180)
NEWER: t.Final = issue(HOST, key_of("ecdsa", 3))
RSA: t.Final = issue(HOST, key_of("rsa", 1))
RSA_NEW: t.Final = issue(HOST, key_of("rsa", 2))
CA: t.Final = issue("Example CA", key_of("ecdsa", 9))
FROM_CA: t.Final = issue(HOST, key_of("ecdsa", 4), issuer=CA)


def material(issued: Issued, chain: bytes | None = None) -> Material:
    return Material(issued.key_pem, "key.pem", chain or issued.pem, "chain.pem")


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> CertificateStore:
    store = CertificateStore(tmp_path / HOST)
    deploy(store, [material(OLD), material(RSA)], Policy(HOST), NOW)
    return store


def put(store: CertificateStore, *given: Issued, as_next: bool = False, fill: Issued | None = None) -> Staged:
    with store.locked():
        return stage(
            store,
            [material(one) for one in given],
            HOST,
            NOW,
            as_next=as_next,
            fill=None if fill is None else lambda _algorithm: material(fill),
        )


def keys(store: CertificateStore, slot: Slot) -> dict[str, bytes]:
    generation = store.slot(slot)
    assert generation is not None
    return {algorithm: chain.private_key for algorithm, chain in chains_in(generation).items()}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Material(NEWER.key_pem, "key.pem", NEW.pem, "chain.pem"), "is not for the private key in key.pem"),
        (material(FROM_CA), "The chain is not complete"),
        (material(FROM_CA, FROM_CA.pem + OLD.pem), "each must be followed by its issuer"),
        (material(issue("mx2.example.org", key_of("ecdsa", 2))), "for mx2.example.org and not for mx1.example.org"),
        (material(issue(HOST, key_of("ecdsa", 2), names=())), "for no DNS name and not for"),
        (material(issue(HOST, key_of("ecdsa", 2), days=1)), "expired at"),
        (material(issue(HOST, key_of("ecdsa", 2), begins=NOW.replace(year=2027))), "is not valid before"),
        (material(issue(HOST, key_of("rsa1024"))), "Debian's OpenSSL loads none below 2048"),
        (material(signed_with_sha1(HOST)), "signed with SHA-1"),
        (Material(NEW.encrypted_key_pem, "key.pem", NEW.pem, "chain.pem"), "is encrypted"),
    ],
)
def test_what_is_wrong_is_refused_and_the_store_is_as_it_was(
    store: CertificateStore, given: Material, told: str
) -> None:
    before = sorted(store.root.rglob("*"))
    with store.locked(), pytest.raises(InvalidCertificate, match=told):
        stage(store, [given], HOST, NOW)
    assert sorted(store.root.rglob("*")) == before
    assert store.deployed() == store.generations()[0]


def test_a_complete_chain_is_staged_and_what_is_deployed_stays(store: CertificateStore) -> None:
    deployed = store.deployed()
    with store.locked():
        staged = stage(store, [material(FROM_CA, FROM_CA.pem + CA.pem)], HOST, NOW)
    assert (staged.slot, staged.changed) == (Slot.STAGED, True)
    assert store.slot(Slot.STAGED) == staged.generation
    assert store.deployed() == deployed


def test_staging_twice_changes_nothing(store: CertificateStore) -> None:
    first = put(store, NEW)
    assert put(store, NEW) == Staged(first.generation, Slot.STAGED, changed=False)


def test_an_algorithm_that_is_not_given_stays_as_it_is_staged_or_deployed(store: CertificateStore) -> None:
    put(store, NEW)
    assert keys(store, Slot.STAGED) == {"ecdsa": NEW.key_pem, "rsa": RSA.key_pem}
    put(store, RSA_NEW)
    assert keys(store, Slot.STAGED) == {"ecdsa": NEW.key_pem, "rsa": RSA_NEW.key_pem}


def test_what_is_deployed_cannot_be_staged_and_takes_the_staged_away(store: CertificateStore) -> None:
    put(store, NEW)
    staged = put(store, OLD, RSA)
    assert staged.slot is None
    assert store.slot(Slot.STAGED) in (None, staged.generation) or staged.changed


def test_a_renewal_of_the_deployed_key_does_not_stop_a_rollover(store: CertificateStore) -> None:
    rollover = put(store, NEW)
    assert put(store, RENEWED) == Staged(rollover.generation, None, changed=False)
    assert keys(store, Slot.STAGED)["ecdsa"] == NEW.key_pem


def test_during_a_rollover_a_renewal_of_a_key_that_stays_is_staged_with_it(store: CertificateStore) -> None:
    put(store, NEW)
    staged = put(store, RENEWED, RSA_RENEWED)
    assert (staged.slot, staged.changed) == (Slot.STAGED, True)
    found = {algorithm: chain.certificates_pem() for algorithm, chain in chains_in(staged.generation).items()}
    assert found == {"ecdsa": NEW.pem, "rsa": RSA_RENEWED.pem}


def test_a_renewal_of_the_deployed_key_is_staged(store: CertificateStore) -> None:
    assert put(store, RENEWED).slot is Slot.STAGED
    assert keys(store, Slot.STAGED) == {"ecdsa": RENEWED.key_pem, "rsa": RSA.key_pem}


def test_a_retired_key_is_refused(store: CertificateStore) -> None:
    KeyMemory(store.root).add(retired=[tlsa_record_for(NEW.certificate)])
    with pytest.raises(InvalidCertificate, match="was retired"):
        put(store, NEW)
    assert store.slot(Slot.STAGED) is None


def test_a_next_generation_never_holds_a_deployed_key(store: CertificateStore) -> None:
    with pytest.raises(InvalidCertificate, match="is deployed, so it cannot be the next one"):
        put(store, RENEWED, as_next=True)
    staged = put(store, NEW, as_next=True, fill=RSA_NEW)
    assert staged.slot is Slot.NEXT
    assert keys(store, Slot.NEXT) == {"ecdsa": NEW.key_pem, "rsa": RSA_NEW.key_pem}
    assert store.slot(Slot.STAGED) is None
