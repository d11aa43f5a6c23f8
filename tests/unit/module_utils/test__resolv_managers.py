# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps each program from writing /etc/resolv.conf, and that nothing less is taken for it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _resolv_managers as model
from ansible_collections.mailsec.dane.plugins.module_utils._resolv_managers import Manager, managers
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import (
    RESOLVED_UNIT,
    HostState,
    UnitState,
)

HOOK: t.Final = "make_resolv_conf() { :; }\n"


def only(program: str, *, link: str | None = None, file: tuple[str, str] | None = None) -> Manager:
    """The one manager of a host that has one program and one file."""
    state = HostState(programs=frozenset({program}), link=link, files=dict([file] if file else []))
    (manager,) = managers(state)
    return manager


def test_a_host_without_any_has_none() -> None:
    assert managers(HostState()) == ()


@pytest.mark.parametrize(
    ("link", "held"),
    [(None, True), ("/run/resolvconf/resolv.conf", False), ("/run/systemd/resolve/stub-resolv.conf", True)],
)
def test_resolvconf_is_held_where_nothing_links_to_its_file(link: str | None, held: bool) -> None:
    assert only(model.RESOLVCONF_DEBIAN, link=link).held is held


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("", False),
        ("resolvconf=NO\n", True),
        ("resolvconf='no'\n", True),
        ("resolvconf=NO\nresolvconf=YES\n", False),
        ("# resolvconf=NO\n", False),
        ("name_servers=127.0.0.1\n", False),  # the options would still be missing
    ],
)
def test_openresolv_is_held_by_being_off(text: str, held: bool) -> None:
    assert only(model.OPENRESOLV, file=(model.OPENRESOLV_CONF, text)).held is held


@pytest.mark.parametrize(
    ("unit", "held"),
    [
        (UnitState(), True),
        (UnitState(active=True), False),
        (UnitState(enabled=True), False),
        (UnitState(active=True, enabled=True), False),
    ],
)
def test_systemd_resolved_is_held_where_it_neither_runs_nor_will(unit: UnitState, held: bool) -> None:
    (manager,) = managers(HostState(programs=frozenset({model.RESOLVED}), units={RESOLVED_UNIT: unit}))
    assert manager.held is held


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("", False),
        ("[main]\ndns=none\n", True),
        ("[main]\nrc-manager=unmanaged\n", True),
        ("[main]\ndns=default\n", False),
        ("[other]\ndns=none\n", False),
        ("# [main]\n# dns=none\n", False),
        ("[main]\nplugins=ifupdown,keyfile\n\n[device]\nwifi.scan-rand-mac-address=no\n", False),
        ("dns=none\n", False),
    ],
)
def test_networkmanager_is_held_by_its_own_configuration(text: str, held: bool) -> None:
    assert only(model.NETWORK_MANAGER, file=(model.NETWORK_MANAGER_CONF, text)).held is held


@pytest.mark.parametrize(("text", "held"), [(HOOK, True), ("make_resolv_conf ( ) {\n:\n}\n", True), ("", False)])
def test_dhclient_is_held_by_a_hook_that_does_nothing(text: str, held: bool) -> None:
    assert only(model.DHCLIENT, file=(model.DHCLIENT_HOLD, text)).held is held


def test_dhclient_hands_over_to_resolvconf_where_that_is_there() -> None:
    found = managers(HostState(programs=frozenset({model.DHCLIENT, model.RESOLVCONF_DEBIAN})))
    assert [(manager.name, manager.held) for manager in found] == [("resolvconf", True), ("dhclient", True)]


@pytest.mark.parametrize(
    ("path", "text", "held"),
    [
        (model.DHCPCD_HOLD, 'skip_hooks="$skip_hooks resolv.conf"\n', True),
        (model.DHCPCD_HOLD, '# skip_hooks="resolv.conf"\n', False),
        (model.DHCPCD_CONF, "nohook resolv.conf\n", True),
        (model.DHCPCD_CONF, "nohook hostname, resolv.conf\n", True),
        (model.DHCPCD_CONF, "nohook hostname  # not resolv.conf\n", False),
        (model.DHCPCD_CONF, "#nohook resolv.conf\n", False),
        (model.DHCPCD_CONF, "hostname\ninterface eth1\nnohook resolv.conf\n", False),
    ],
)
def test_dhcpcd_is_held_where_its_hook_is_skipped_everywhere(path: str, text: str, held: bool) -> None:
    assert only(model.DHCPCD, file=(path, text)).held is held


@pytest.mark.parametrize(
    ("files", "held"),
    [
        ({}, False),
        ({model.CLOUD_CONF: "manage_resolv_conf: true\n"}, False),
        ({model.CLOUD_CONF: "manage_resolv_conf: true\n", model.CLOUD_HOLD: "manage_resolv_conf: false\n"}, True),
        ({model.CLOUD_CONF: "manage_resolv_conf: false\n"}, True),
        ({model.CLOUD_HOLD: "# manage_resolv_conf: false\n"}, False),
    ],
)
def test_cloud_init_is_held_by_the_last_file_that_says_so(files: dict[str, str], held: bool) -> None:
    (manager,) = managers(HostState(programs=frozenset({model.CLOUD_INIT}), files=files))
    assert manager.held is held


def test_every_program_that_is_looked_for_is_known() -> None:
    found = managers(HostState(programs=frozenset(model.HOST_PROGRAMS)))
    assert len(found) == len(model.HOST_PROGRAMS)
    assert all(manager.why for manager in found)
