# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.tlsa_batches import FilterModule

RECORD: t.Final = "3 1 1 " + "aa" * 32
REPORT: t.Final = {
    "machine": "mx1a",
    "host": "mx1.example.org",
    "place": "p",
    "rrsets": [{"name": "_25._tcp.mx1.example.org", "records": [RECORD]}],
}
tlsa_batches = FilterModule().filters()["tlsa_batches"]


def states(machines: object, **more: object) -> list[str]:
    result = t.cast("dict[str, t.Any]", tlsa_batches(iter([{**REPORT, **more}]), machines))
    return [rrset["state"] for rrset in result["mx1a"]["rrsets"]]


SELF: t.Final = {"inventory_hostname": "mx1a", "dane_host_name": "mx1.example.org"}


@pytest.mark.parametrize(
    ("machine", "state"),
    [
        (SELF, "exact"),
        ({"inventory_hostname": "mx1b"}, "present"),
        ({"inventory_hostname": "mx1b", "dane_host_name": ""}, "present"),
        ({"inventory_hostname": "mx1.example.org"}, "present"),
        ({"inventory_hostname": "mx1b", "dane_host_name": "mx1.example.org"}, "present"),
        (
            {"inventory_hostname": "x", "dane_host_name": "y.example", "tlsa_publish_host": "mx1.example.org"},
            "present",
        ),
        ({"inventory_hostname": "mx1.example.org", "dane_host_name": "y.example"}, "exact"),
    ],
)
def test_a_silent_machine_counts_under_the_name_it_serves(machine: dict[str, str], state: str) -> None:
    assert states(iter([SELF, machine])) == [state]


def test_a_name_that_only_the_play_gives_is_nobody_s_alone() -> None:
    assert states([{"inventory_hostname": "mx1a"}, {"inventory_hostname": "b", "dane_host_name": "y.example"}]) == [
        "present"
    ]


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"managed": True}, "present"),
        ({"managed": False}, "exact"),
        ({"prune": False}, "present"),
        ({"prune": True}, "exact"),
    ],
)
def test_what_a_machine_says_of_removals_counts(more: dict[str, bool], state: str) -> None:
    assert states([], **more) == [state]


def test_only_machines_of_the_batch_publish() -> None:
    assert list(t.cast("dict[str, t.Any]", tlsa_batches([REPORT], batch=["mx1a"]))) == ["mx1a"]
    assert tlsa_batches([REPORT], batch=iter(["mx1b"])) == {}


@pytest.mark.parametrize(
    ("value", "machines", "batch", "message"),
    [
        ({}, [], None, "The input must be a list of dictionaries, not dict"),
        ("text", [], None, "The input must be a list of dictionaries, not str"),
        (["text"], [], None, "The input must be a list of dictionaries"),
        ([{"machine": "a", "host": "b"}], [], None, "A report lacks place, rrsets"),
        ([REPORT], 1, None, "machines must be a list of dictionaries, not int"),
        ([REPORT], [{"dane_host_name": "mx1.example.org"}], None, "An entry of machines lacks inventory_hostname"),
        ([REPORT], [], "mx1a", "batch must be a list of names, not str"),
        ([REPORT], [], 1, "batch must be a list of names, not int"),
        ([{**REPORT, "prune": "yes"}], [], None, "prune is true or false, not 'yes'"),
    ],
)
def test_bad_input(value: object, machines: object, batch: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(f"mailsec.dane.tlsa_batches: {message}")):
        tlsa_batches(value, machines, batch)
