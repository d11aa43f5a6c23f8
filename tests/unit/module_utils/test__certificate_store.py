# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore, Generation, Slot
from ansible_collections.mailsec.dane.plugins.module_utils._errors import StoreError

OLD: t.Final = {"rsa.pem": b"old key and chain", "rsa.crt": b"old chain"}
NEW: t.Final = {"rsa.pem": b"new key and chain", "rsa.crt": b"new chain", "ecdsa.pem": b"E", "ecdsa.crt": b"e"}


@pytest.fixture(name="store")
def fixture_store(tmp_path: Path) -> CertificateStore:
    return CertificateStore(tmp_path / "dane" / "mx1.example.org")


def put(store: CertificateStore, files: dict[str, bytes]) -> Generation:
    with store.locked():
        generation = store.stage(files)
        store.deploy(generation)
    return generation


def served(store: CertificateStore) -> dict[str, bytes]:
    """What a service finds by path, as it would: through the link."""
    return {path.name: path.read_bytes() for path in store.link.iterdir()}


def entries(store: CertificateStore) -> list[str]:
    """Everything in the store that is not a generation's file."""
    return sorted(
        str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.suffix not in {".pem", ".crt"}
    )


def test_an_empty_store_has_nothing_deployed_and_is_not_created_by_reading(store: CertificateStore) -> None:
    assert store.deployed() is None
    assert store.generations() == ()
    assert not store.root.exists()


def test_what_is_deployed_is_found_under_the_link(store: CertificateStore) -> None:
    generation = put(store, OLD)
    assert store.deployed() == generation
    assert served(store) == OLD
    assert store.link.readlink() == Path("generations", generation.identifier)


def test_staging_alone_changes_nothing_for_services(store: CertificateStore) -> None:
    put(store, OLD)
    with store.locked():
        staged = store.stage(NEW)
    assert served(store) == OLD
    assert staged in store.generations()


def test_the_same_files_are_staged_once(store: CertificateStore) -> None:
    first = put(store, OLD)
    put(store, NEW)
    with store.locked():
        assert store.stage(OLD) == first
    assert len(store.generations()) == 2


def test_an_earlier_generation_can_be_deployed_again(store: CertificateStore) -> None:
    first = put(store, OLD)
    put(store, NEW)
    with store.locked():
        store.deploy(first)
    assert served(store) == OLD


def test_generations_are_ordered_by_age_and_named_after_their_public_files(store: CertificateStore) -> None:
    put(store, NEW)
    put(store, OLD)
    names = [generation.identifier for generation in store.generations()]
    assert [name[:6] for name in names] == ["000001", "000002"]
    other = CertificateStore(store.root.parent / "other")
    put(other, NEW)
    assert put(other, {**OLD, "rsa.pem": b"another key"}).identifier == names[1]


def test_keys_are_for_root_and_chains_for_all_whatever_the_umask(store: CertificateStore) -> None:
    before = os.umask(0o077)
    try:
        generation = put(store, OLD)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in generation.directory.iterdir()}
    assert modes == {"rsa.pem": 0o600, "rsa.crt": 0o644}
    for directory in (store.root, generation.directory.parent, generation.directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755


def test_a_group_may_read_keys_where_it_was_asked_for(tmp_path: Path) -> None:
    store = CertificateStore(tmp_path, group=os.getgid())
    generation = put(store, OLD)
    assert stat.S_IMODE((generation.directory / "rsa.pem").stat().st_mode) == 0o640
    assert store.wrong_modes(generation) == ()


def test_a_mode_that_was_changed_by_hand_is_seen_and_mended(store: CertificateStore) -> None:
    generation = put(store, OLD)
    key = generation.directory / "rsa.pem"
    key.chmod(0o644)
    assert store.wrong_modes(generation) == ("rsa.pem",)
    store.mend_modes(generation)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert store.wrong_modes(generation) == ()


def test_the_youngest_and_the_deployed_generation_outlive_the_rest(store: CertificateStore) -> None:
    generations = [put(store, {"rsa.pem": bytes([number]), "rsa.crt": bytes([number])}) for number in range(5)]
    with store.locked():
        store.deploy(generations[0])
        assert store.superseded(2) == tuple(generations[1:3])
        store.remove(store.superseded(2))
    assert store.generations() == (generations[0], *generations[3:])


def test_the_deployed_generation_cannot_be_removed(store: CertificateStore) -> None:
    generation = put(store, OLD)
    with pytest.raises(StoreError, match="is deployed and cannot be removed"):
        store.remove([generation])
    assert served(store) == OLD


def test_numbers_go_on_after_old_generations_were_removed(store: CertificateStore) -> None:
    first = put(store, OLD)
    put(store, NEW)
    with store.locked():
        store.remove([first])
    assert put(store, OLD).identifier.startswith("000003-")


def test_a_file_of_another_name_is_refused(store: CertificateStore) -> None:
    with store.locked(), pytest.raises(StoreError, match=re.escape("not ../x.pem")):
        store.stage({"../x.pem": b""})
    assert store.generations() == ()


def test_a_link_that_became_a_directory_is_not_touched(store: CertificateStore) -> None:
    generation = put(store, OLD)
    store.link.unlink()
    store.link.mkdir()
    for call in (store.deployed, lambda: store.deploy(generation)):
        with pytest.raises(StoreError, match="is no symbolic link"):
            call()
    assert store.link.is_dir()


@pytest.mark.parametrize("target", ["/etc/letsencrypt/live/x", "generations/000009-0123456789ab", "generations"])
def test_a_link_to_somewhere_else_is_not_touched(store: CertificateStore, target: str) -> None:
    generation = put(store, OLD)
    store.link.unlink()
    store.link.symlink_to(target)
    with pytest.raises(StoreError, match=re.escape(f"points to {target}, which is no generation of this store")):
        store.deploy(generation)
    assert str(store.link.readlink()) == target


def test_a_generation_that_is_not_there_is_not_deployed(store: CertificateStore) -> None:
    put(store, OLD)
    missing = Generation("000007-0123456789ab", store.root / "generations" / "000007-0123456789ab")
    with pytest.raises(StoreError, match="is no generation of the store"):
        store.deploy(missing)
    assert served(store) == OLD


def test_a_full_disk_leaves_no_half_generation(store: CertificateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, OLD)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with store.locked():
        before = entries(store)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.stage(NEW)
    assert entries(store) == before
    assert served(store) == OLD


def test_one_writer_at_a_time(store: CertificateStore) -> None:
    with store.locked():
        other = CertificateStore(store.root)
        with pytest.raises(StoreError, match="has been in use by another process for 0 s"), other.locked(patience=0):
            raise AssertionError("two writers")


def test_a_writer_waits_for_the_other_to_finish(store: CertificateStore) -> None:
    put(store, OLD)
    with (store.root / ".lock").open("r+b") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        release = threading.Timer(0.2, fcntl.flock, (holder, fcntl.LOCK_UN))
        release.start()
        put(store, NEW)
        release.join()
    assert served(store) == NEW


def test_files_that_belong_to_others_are_left_alone(store: CertificateStore) -> None:
    put(store, OLD)
    (store.root / "self-signed").mkdir()
    (store.root / ".note").write_text("mine")
    put(store, NEW)
    assert (store.root / "self-signed").is_dir()
    assert (store.root / ".note").read_text() == "mine"


def test_an_owed_reload_outlives_the_writer(store: CertificateStore) -> None:
    put(store, OLD)
    assert not store.reload_owed
    store.owe_reload()
    assert CertificateStore(store.root).reload_owed
    store.settle_reload()
    assert not CertificateStore(store.root).reload_owed


# --- killed at any point ----------------------------------------------------------------------------------------------

# Deploys NEW, removes what is superseded, and kills itself before its n-th call that touches the file system.
KILLED_WRITER: t.Final = """
import ast, os, signal, sys
from pathlib import Path
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore

root, fatal, files = Path(sys.argv[1]), int(sys.argv[2]), ast.literal_eval(sys.argv[3])
calls = 0

def watch(event, arguments):
    global calls
    if event == "open" or event.startswith(("os.", "shutil.", "fcntl.")):
        calls += 1
        if calls == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

store = CertificateStore(root)
sys.addaudithook(watch)
with store.locked():
    generation = store.stage(files)
    store.deploy(generation)
    store.remove(store.superseded(1))
"""


def run_killed_writer(root: Path, fatal: int) -> bool:
    """Whether the writer was killed before it had finished."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WRITER, str(root), str(fatal), repr(NEW)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("first", [False, True], ids=["over an older generation", "on a new host"])
def test_a_writer_killed_before_any_of_its_calls_leaves_the_old_or_the_new(tmp_path: Path, *, first: bool) -> None:
    killed = 0
    outcomes = set()
    for fatal in range(1, 200):
        store = CertificateStore(tmp_path / str(fatal))
        if not first:
            put(store, OLD)
        if not run_killed_writer(store.root, fatal):
            break
        killed += 1
        found = served(store) if store.link.exists() else None
        assert found in (NEW, None if first else OLD)
        outcomes.add(found == NEW)
        assert all(generation.files() in (OLD, NEW) for generation in store.generations())
        # The next run goes on from whatever was left, and clears it away.
        with store.locked():
            store.deploy(store.stage(NEW))
            store.remove(store.superseded(1))
        deployed = store.deployed()
        assert deployed is not None
        assert served(store) == NEW
        assert entries(store) == [".lock", "deployed", "generations", f"generations/{deployed.identifier}"]
    assert killed > 20
    assert outcomes == {False, True}


def test_a_reader_never_sees_a_part_of_a_file(store: CertificateStore) -> None:
    versions = [{"rsa.pem": bytes([digit]) * 200_000, "rsa.crt": bytes([digit])} for digit in b"01"]
    put(store, versions[0])
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            content = (store.link / "rsa.pem").read_bytes()
            seen.add(content[:1] if content == content[:1] * 200_000 else b"torn")

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        put(store, versions[number % 2])
        with store.locked():
            store.remove(store.superseded(2))
    stop.set()
    reader.join()
    assert seen == {b"0", b"1"}


@pytest.mark.parametrize("slot", list(Slot))
def test_a_slot_names_a_generation_beside_the_deployed_one(store: CertificateStore, slot: Slot) -> None:
    deployed = put(store, OLD)
    with store.locked():
        assert store.slot(slot) is None
        upcoming = store.stage(NEW)
        store.fill(slot, upcoming)
    assert store.slot(slot) == upcoming
    assert (store.root / slot).readlink() == Path("generations", upcoming.identifier)
    assert store.deployed() == deployed
    store.clear(slot)
    store.clear(slot)
    assert store.slot(slot) is None
    assert store.generations() == (deployed, upcoming)


@pytest.mark.parametrize("slot", list(Slot))
def test_a_generation_that_a_slot_names_is_never_pruned_nor_removed(store: CertificateStore, slot: Slot) -> None:
    with store.locked():
        named = store.stage(OLD)
        store.fill(slot, named)
        for number in range(5):
            store.deploy(store.stage({"rsa.pem": b"%d" % number, "rsa.crt": b"%d" % number}))
        assert named not in store.superseded(2)
        assert len(store.superseded(2)) == 3
        with pytest.raises(StoreError, match=f"is {slot} and cannot be removed"):
            store.remove([named])
    assert named in store.generations()


@pytest.mark.parametrize("slot", list(Slot))
def test_a_slot_that_is_not_ours_is_refused(store: CertificateStore, slot: Slot) -> None:
    generation = put(store, OLD)
    (store.root / slot).symlink_to("/etc/letsencrypt/live/mx1.example.org")
    acts: tuple[t.Callable[[], object], ...] = (
        lambda: store.slot(slot),
        lambda: store.fill(slot, generation),
        lambda: store.clear(slot),
    )
    for act in acts:
        with pytest.raises(StoreError, match="which is no generation of this store"):
            act()
    assert (store.root / slot).readlink() == Path("/etc/letsencrypt/live/mx1.example.org")


def test_a_killed_writer_of_a_slot_leaves_nothing(store: CertificateStore) -> None:
    generation = put(store, OLD)
    for name in ("staged", "next"):
        (store.root / f".{name}-{generation.identifier}").symlink_to("generations/x")
    with store.locked():
        pass
    assert sorted(path.name for path in store.root.glob(".*")) == [".lock"]
