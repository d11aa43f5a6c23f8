# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role tlsa_publish, from the keys of several machines to a real BIND; it installs nothing here."""

from __future__ import annotations

import re
import shutil
import typing as t

import pytest

from loopback_nameservers import Bind, Key, zone_text
from role_site import PARTS, Site

if t.TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

MX: t.Final = "_25._tcp.mx1.a.example"


def provider_of(bind: Bind, key: Key | None = None) -> dict[str, object]:
    key = key or bind.key
    return {
        "type": "rfc2136",
        "server": "127.0.0.1",
        "port": bind.port,
        "key_name": key.name,
        "key_secret": key.secret,
    }


def test_without_a_provider_the_records_are_printed(tmp_path: Path) -> None:
    site = Site(tmp_path, ["mx1a"])
    done = site.run("none", parts=["preflight", *PARTS])
    assert done.returncode == 0, done.stdout
    assert f"{MX}. 3600 IN TLSA {site.records['mx1a']}" in done.stdout


def test_several_machines_behind_one_name(tmp_path: Path, bind: Bind) -> None:
    site = Site(tmp_path, ["mx1a", "mx1b"])
    provider = provider_of(bind)
    done = site.run(provider, arguments=["-v"])
    assert done.returncode == 0, done.stdout
    assert bind.records(MX) == sorted(site.records.values())
    assert done.stdout.count("changed: [mx1a") + done.stdout.count("changed: [mx1b") == 1  # once, not once a machine
    assert bind.key.secret not in done.stdout

    # A machine that does not report keeps its record, and the other's renewal is only added.
    before = site.records["mx1a"]
    (tmp_path / "stores" / "mx1a" / "deployed" / "ecdsa.pub").unlink()
    (tmp_path / "stores" / "mx1a" / "deployed").rmdir()
    site.records["mx1a"] = site._store("mx1a")
    for fault in ("limited", "failed"):
        store = tmp_path / "stores" / "mx1b" / "deployed" / "ecdsa.pub"
        content = store.read_text()
        store.write_text("not a key" if fault == "failed" else content)
        limit = ["--limit", "mx1a"] if fault == "limited" else []
        done = site.run(provider, arguments=limit)
        assert re.search(r"mx1a .*failed=0 ", done.stdout), done.stdout
        assert bind.records(MX) == sorted({before, *site.records.values()})
        store.write_text(content)

    # Once all report, what is nobody's key goes.
    assert site.run(provider).returncode == 0
    assert bind.records(MX) == sorted(site.records.values())
    again = site.run(provider)
    assert "changed=1" not in again.stdout


STRANGER: t.Final = "3 1 1 " + "ee" * 32


def calls(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The machines that published."""
    said = done.stdout.partition("TASK [mailsec.dane.tlsa_publish : Publish | Make")[2].partition("\nTASK ")[0]
    return re.findall(r"^(?:changed|ok): \[(\w+)", said, re.MULTILINE)


@pytest.fixture
def bind_of_hosts(tmp_path: Path) -> Iterator[Bind]:
    """BIND, where each machine has a key of its own for the name that it serves."""
    keys = (Key("mx1a"), Key("mx1b"))
    grant = "".join(f"grant {key.name} name {MX}. TLSA;" for key in keys)
    zones = {"a.example": zone_text("a.example", f"{MX}. TLSA {STRANGER}")}
    with Bind(tmp_path / "bind", zones, keys[0], other_keys=keys[1:], grant=grant) as server:
        yield server


def test_each_machine_with_a_key_of_its_own(tmp_path: Path, bind_of_hosts: Bind) -> None:
    bind = bind_of_hosts
    site = Site(tmp_path, ["mx1a", "mx1b"])
    providers = [provider_of(bind, key) for key in (bind.key, *bind.other_keys)]
    for _again in range(2):
        done = site.run(*providers, arguments=["-vvv"])
        assert done.returncode == 0, done.stdout
        assert sorted(calls(done)) == ["mx1a", "mx1b"]
        assert bind.records(MX) == sorted(site.records.values())
        for key in (bind.key, *bind.other_keys):
            assert key.secret not in done.stdout + done.stderr
    assert "changed=1" not in done.stdout


def test_one_machine_that_lets_nothing_be_removed(tmp_path: Path, bind_of_hosts: Bind) -> None:
    site = Site(tmp_path, ["mx1a", "mx1b"])
    for machine in site.records:
        done = site.run(provider_of(bind_of_hosts), machines={machine: {"tlsa_publish_prune": False}})
        assert done.returncode == 0, done.stdout
        assert bind_of_hosts.records(MX) == sorted([STRANGER, *site.records.values()])


@pytest.mark.parametrize("name", ["dane_host_name", "tlsa_publish_host"])
def test_the_name_is_the_play_s_and_one_machine_is_silent(tmp_path: Path, bind: Bind, name: str) -> None:
    site = Site(tmp_path, ["mx1a", "mx1b"])
    play = {"vars": {name: "mx1.a.example"}}
    for inventory in ({}, {name: "{{ inventory_hostname }}.a.example"}):
        assert site.run(provider_of(bind), variables=inventory, play=play).returncode == 0
        assert bind.records(MX) == sorted(site.records.values())
        done = site.run(provider_of(bind), variables=inventory, play=play, arguments=["--limit", "mx1a"])
        assert done.returncode == 0, done.stdout
        assert bind.records(MX) == sorted(site.records.values())


def test_a_machine_without_a_name_keeps_records_until_the_inventory_gives_it_one(tmp_path: Path, bind: Bind) -> None:
    site = Site(tmp_path, ["mx1a"])
    with_web = {"mx1a": {"dane_host_name": "mx1.a.example"}, "web": {}}
    assert site.run(provider_of(bind), variables={}, machines=with_web).returncode == 0
    before = site.records["mx1a"]
    shutil.rmtree(tmp_path / "stores")
    site = Site(tmp_path, ["mx1a"])
    done = site.run(provider_of(bind), variables={}, machines=with_web)
    assert "the inventory does not say which host name web may serve" in done.stdout
    assert bind.records(MX) == sorted([before, site.records["mx1a"]])
    named = {**with_web, "web": {"dane_host_name": "www.a.example"}}
    done = site.run(provider_of(bind), variables={}, machines=named)
    assert "the inventory does not say" not in done.stdout
    assert bind.records(MX) == [site.records["mx1a"]]


def test_in_batches_every_machine_is_published(tmp_path: Path, bind_of_hosts: Bind) -> None:
    site = Site(tmp_path, ["mx1a", "mx1b"])
    done = site.run(provider_of(bind_of_hosts), play={"serial": 1})
    assert done.returncode == 0, done.stdout
    assert bind_of_hosts.records(MX) == sorted(site.records.values())  # and the stranger went with the last batch
    again = site.run(provider_of(bind_of_hosts), play={"serial": 1})
    assert again.returncode == 0
    assert "changed=1" not in again.stdout


@pytest.mark.parametrize("delegate", ["localhost", "mx1a", "mx1b"])
def test_one_machine_publishes_for_all(tmp_path: Path, bind_of_hosts: Bind, delegate: str) -> None:
    site = Site(tmp_path, ["mx1a", "mx1b"])
    variables = {"dane_host_name": "mx1.a.example", "tlsa_publish_delegate": delegate}
    done = site.run(provider_of(bind_of_hosts), variables=variables)
    assert done.returncode == 0, done.stdout
    assert calls(done) == ["mx1a"]  # once, whoever the delegate is
    assert delegate == "mx1a" or f"changed: [mx1a -> {delegate}" in done.stdout
    assert bind_of_hosts.records(MX) == sorted(site.records.values())
    limited = site.run(provider_of(bind_of_hosts), variables=variables, arguments=["--limit", "mx1b"])
    assert limited.returncode == 0, limited.stdout
    assert bind_of_hosts.records(MX) == sorted(site.records.values())


PROGRAM: t.Final = "command must be a list: the full path of a program on"
CLASS: t.Final = "class must be that of an octoDNS provider, such as octodns_hetzner.HetznerProvider"
BAD_PROVIDERS: t.Final[tuple[tuple[object, str], ...]] = (
    ({"type": "exec", "command": "publish.sh"}, PROGRAM),
    ({"type": "exec", "command": ["publish.sh"]}, PROGRAM),
    ({"type": "exec"}, PROGRAM),
    ({"type": "octodns"}, CLASS),
    ({"type": "octodns", "class": "Hetzner"}, CLASS),
    ({"type": "octodns", "class": "a.B", "settings": "x"}, "and settings a dictionary"),
    ({"type": "rfc2136"}, "server must be the address or name of the primary name server"),
    ({"type": "pigeon"}, "The type of tlsa_publish_provider is 'pigeon'"),
)


def test_bad_providers_are_refused_by_name(tmp_path: Path) -> None:
    machines = [f"m{number}" for number in range(len(BAD_PROVIDERS))]
    done = Site(tmp_path, machines).run(*(provider for provider, _message in BAD_PROVIDERS), parts=["preflight"])
    assert done.returncode == 2
    for machine, (provider, message) in zip(machines, BAD_PROVIDERS, strict=True):
        said = "".join(line for line in done.stdout.splitlines() if line.startswith(f"fatal: [{machine}]"))
        assert message in said, (provider, done.stdout)
        assert "Nothing was changed" in said
