# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab makes of the machine it runs on."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from lab.files import ContainerFile, tar_stream, write_whole
from lab.images import reference
from lab.machine import containers_settings, reachable_name_servers
from lab.topology import Flavour, Suite

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("unified", "raising", "expected"),
    [
        (True, True, {}),
        (False, True, {"engine": {"runtime": "runc"}}),
        (True, False, {"containers": {"default_ulimits": ["nofile=1024:1024", "nproc=4096:4096"]}}),
        (
            False,
            False,
            {
                "engine": {"runtime": "runc"},
                "containers": {"default_ulimits": ["nofile=1024:1024", "nproc=4096:4096"]},
            },
        ),
    ],
)
def test_podman_is_told_only_what_the_machine_needs(
    unified: bool,
    raising: bool,
    expected: dict[str, object],
) -> None:
    settings = containers_settings(unified_cgroups=unified, may_raise_limits=raising)
    assert tomllib.loads(settings) == expected


@pytest.mark.parametrize(
    ("resolv_conf", "expected"),
    [
        ("nameserver 192.0.2.1\nnameserver 2001:db8::1\n", ["192.0.2.1", "2001:db8::1"]),
        ("nameserver 127.0.0.53\noptions edns0\n", []),
        ("nameserver ::1\nnameserver 127.0.0.1\nnameserver 192.0.2.1\n", ["192.0.2.1"]),
        ("nameserver fe80::1%eth0\n", []),
        ("# nameserver 192.0.2.1\nsearch example\n", []),
    ],
)
def test_name_servers_that_a_container_can_reach(resolv_conf: str, expected: list[str]) -> None:
    assert reachable_name_servers(resolv_conf) == expected


def test_an_images_name_changes_with_release_and_flavour_only() -> None:
    names = {reference(flavour, suite) for flavour in Flavour for suite in Suite}
    assert len(names) == len(Flavour) * len(Suite)
    assert reference(Flavour.BARE, Suite.TRIXIE) == reference(Flavour.BARE, Suite.TRIXIE)


def test_a_file_is_written_whole_with_its_mode_and_only_when_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert write_whole(path, "one\n", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not write_whole(path, "one\n", mode=0o600)
    assert write_whole(path, "two\n", mode=0o600)
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_tar_stream_depends_on_files_and_time_alone() -> None:
    files = [ContainerFile("/etc/hosts", "::1 localhost\n"), ContainerFile("/etc/link", link="hosts")]
    assert tar_stream(files, 1) == tar_stream(files, 1)
    assert tar_stream(files, 1) != tar_stream(files, 2)
