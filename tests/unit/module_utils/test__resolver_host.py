# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read on a host. Programs are stand-ins on PATH, sockets and files are real."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import struct
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _resolver_host as host
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import HOST_UNITS, PostfixState, UnitState

Answers = dict[tuple[str, ...], tuple[int, str]]

SHOW: t.Final = """\
Id=systemd-resolved.service
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestamp=@1700000000

Id=postfix-resolvconf.path
ActiveState=inactive
UnitFileState=disabled
ActiveEnterTimestamp=

Id=unbound.service
ActiveState=inactive
UnitFileState=
ActiveEnterTimestamp=
"""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Status and output of each command line; others are programs that do not exist."""
    given: Answers = {}
    monkeypatch.setattr(host, "_run", lambda *command: given.get(command, (127, "not found")))

    def which(name: str, path: str) -> str | None:
        assert path == host.SEARCH_PATH
        return name if any(name == key[0] for key in given) else None

    monkeypatch.setattr(shutil, "which", which)
    return given


def test_programs_are_run_and_their_failures_are_values() -> None:
    assert host._run("sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\nerr\n")
    assert host._run("no-such-program-of-ours")[0] == 127


def test_a_program_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SECONDS", 0.2)
    status, output = host._run("sleep", "5")
    assert (status, "timed out" in output) == (127, True)


def test_units_are_read_from_systemd(answers: Answers) -> None:
    answers[
        "systemctl",
        "show",
        "--timestamp=unix",
        "--property=Id,ActiveState,UnitFileState,ActiveEnterTimestamp",
        *HOST_UNITS,
    ] = (0, SHOW)
    assert host._units() == {
        "systemd-resolved.service": UnitState(active=True, enabled=True, since=1700000000),
        "postfix-resolvconf.path": UnitState(),
        "unbound.service": UnitState(),
    }


def test_without_systemd_no_unit_is_known(answers: Answers) -> None:
    assert (answers, host._units()) == ({}, {})


def test_a_link_is_followed_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers) -> None:
    (tmp_path / "target").write_text("nameserver 192.0.2.1\n")
    (tmp_path / "resolv.conf").symlink_to("target")
    monkeypatch.setattr(host, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    state = host.read_host()
    assert (state.text, state.link, state.mounted) == ("nameserver 192.0.2.1\n", "target", False)
    assert answers == {}


def test_a_link_to_nowhere_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers) -> None:
    (tmp_path / "resolv.conf").symlink_to("missing")
    monkeypatch.setattr(host, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    state = host.read_host()
    assert (state.text, state.link) == (None, "missing")
    assert answers == {}


def test_mount_points_are_known_by_the_kernel() -> None:
    assert host._is_mount_point("/proc")
    assert not host._is_mount_point("/proc/self")


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("127.0.0.1", "0100007F"),
        ("::1", "00000000000000000000000001000000"),
        ("::ffff:127.0.0.1", "0000000000000000FFFF00000100007F"),
    ],
)
def test_addresses_are_written_as_the_kernel_writes_them(
    address: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The expected forms are those of a little-endian machine, whatever this one is.
    unpack = struct.unpack
    monkeypatch.setattr(struct, "unpack", lambda layout, data: unpack(layout.replace("=", "<"), data))
    assert host._kernel_form(address) == form


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "127.0.0.2"])  # looked for, closed at once
def test_whoever_holds_the_port_is_named(
    kind: socket.SocketKind, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((address, 0))
        if kind is socket.SOCK_STREAM:
            holder.listen()
        monkeypatch.setattr(host, "DNS_PORT", holder.getsockname()[1])
        ours = Path(f"/proc/{os.getpid()}/comm").read_text(encoding="ascii").strip()
        # 127.0.0.2 is loopback too, but nobody who asks 127.0.0.1 reaches it; systemd-resolved is on 127.0.0.53.
        assert host._listeners(UnitState()) == (() if address == "127.0.0.2" else (ours,))


@pytest.mark.parametrize(("active", "name"), [(True, "unbound"), (False, "another program")])
def test_a_holder_that_may_not_be_looked_at_is_not_overlooked(
    active: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_link", lambda _path: "")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        monkeypatch.setattr(host, "DNS_PORT", holder.getsockname()[1])
        assert host._listeners(UnitState(active=active)) == (name,)


def test_without_postfix_there_is_no_instance(answers: Answers) -> None:
    assert (answers, host.read_postfix()) == ({}, [])


def test_every_postfix_instance_is_read(tmp_path: Path, answers: Answers) -> None:
    (tmp_path / "one/etc").mkdir(parents=True)
    (tmp_path / "one/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    answers["postconf", "-c", "/etc/postfix", "-hx", "queue_directory"] = (0, f"{tmp_path}/one\n")
    answers["postconf", "-c", "/etc/postfix-out", "-hx", "queue_directory"] = (0, f"{tmp_path}/two\n")
    answers["postmulti", "-l"] = (0, "-    -    y    /etc/postfix\nout  mta  n    /etc/postfix-out\n")
    assert host.read_postfix() == [
        PostfixState(queue_directory=f"{tmp_path}/one", copy="nameserver 127.0.0.1\n"),
        PostfixState(queue_directory=f"{tmp_path}/two"),
    ]


def test_without_unbound_the_server_is_unknown(answers: Answers) -> None:
    assert (answers, host.read_server().failure) == ({}, "unbound is not installed on this host")


def test_a_configuration_that_cannot_be_read_is_told(answers: Answers) -> None:
    answers["unbound-checkconf", "-o", "module-config"] = (1, "/etc/unbound/unbound.conf:3: syntax error\n")
    assert host.read_server().failure == (
        "unbound-checkconf -o module-config failed: /etc/unbound/unbound.conf:3: syntax error"
    )


@pytest.mark.parametrize(
    ("status", "output", "forwarders"),
    [
        (0, "", ()),
        (0, "example. IN forward 192.0.2.1\n", ()),
        (
            0,
            "example. IN forward 192.0.2.1\n. IN forward 192.0.2.2 2001:db8::1@5353\n",
            ("192.0.2.2", "2001:db8::1@5353"),
        ),
        (0, ". IN forward +i first: 192.0.2.2\n", ("192.0.2.2",)),
        (1, "error: connect", None),
    ],
)
def test_unbounds_configuration_is_read(
    status: int, output: str, forwarders: tuple[str, ...] | None, answers: Answers, tmp_path: Path
) -> None:
    anchor = tmp_path / "root.key"
    anchor.write_text("the keys")
    for option in host._SERVER_OPTIONS:
        answers["unbound-checkconf", "-o", option] = (0, "")
    answers["unbound-checkconf", "-o", "module-config"] = (0, '"validator iterator"\n')
    answers["unbound-checkconf", "-o", "domain-insecure"] = (0, "a.example.\nb.example.\n")
    answers["unbound-checkconf", "-o", "auto-trust-anchor-file"] = (0, f"{anchor}\n")
    answers["unbound-control", "list_forwards"] = (status, output)
    state = host.read_server()
    assert state.options["module-config"] == ("validator iterator",)
    assert state.options["domain-insecure"] == ("a.example.", "b.example.")
    assert (state.anchor_file, state.anchor_text, state.forwarders) == (str(anchor), "the keys", forwarders)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "writable"), [(0o644, 0o755, True), (0o444, 0o755, False), (0o644, 0o555, False)]
)
def test_the_anchor_has_to_be_writable_with_its_folder(
    file_mode: int, folder_mode: int, writable: bool, tmp_path: Path
) -> None:
    anchor = tmp_path / "root.key"
    anchor.write_text("")
    anchor.chmod(file_mode)
    tmp_path.chmod(folder_mode)
    assert host._writable(str(anchor), pwd.getpwuid(os.getuid()).pw_name) is writable
    assert not host._writable(str(anchor), "no-such-user-of-ours")
    tmp_path.chmod(0o755)


def test_the_newest_file_of_a_folder_counts(tmp_path: Path) -> None:
    # Neither a key that unbound refreshes nor a date to come is a change since unbound started.
    for name, when in (("a", 100), ("b", 200), ("root.key", 300), ("dated.conf", time.time() + 3600)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (when, when))
    # A folder's own time changes when a backup in it is removed, which is no change of configuration.
    (tmp_path / "drop-ins").mkdir()
    os.utime(tmp_path / "drop-ins", (300, 300))
    assert host._newest(str(tmp_path)) == 200
    assert host._newest(str(tmp_path / "missing")) == 0


@pytest.mark.parametrize("there", [True, False])
def test_the_roots_key_counts_only_where_unbound_may_write_it(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> None:
    if there:
        (tmp_path / "root.key").write_text("")
    monkeypatch.setattr(host, "ROOT_KEY", str(tmp_path / "root.key"))
    monkeypatch.setattr(host, "UNBOUND_USER", pwd.getpwuid(os.getuid()).pw_name)
    assert host.read_host().root_key_writable is there
    assert answers == {}
