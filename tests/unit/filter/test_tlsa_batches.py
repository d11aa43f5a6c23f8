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


def states(silent: object, prune: object = True) -> list[str]:
    result = t.cast("dict[str, t.Any]", tlsa_batches(iter([REPORT]), silent, prune))
    return [rrset["state"] for rrset in result["mx1a"]["rrsets"]]


@pytest.mark.parametrize(
    ("silent", "state"),
    [
        ([], "exact"),
        ([{"inventory_hostname": "mx1b"}], "exact"),
        ([{"inventory_hostname": "mx1.example.org"}], "present"),
        ([{"inventory_hostname": "mx1b", "dane_host_name": "mx1.example.org"}], "present"),
        (
            [{"inventory_hostname": "x", "dane_host_name": "y.example", "tlsa_publish_host": "mx1.example.org"}],
            "present",
        ),
        ([{"inventory_hostname": "mx1.example.org", "dane_host_name": "y.example"}], "exact"),
        (iter([{}]), "exact"),
    ],
)
def test_a_silent_machine_counts_under_the_name_it_serves(silent: object, state: str) -> None:
    assert states(silent) == [state]


def test_nothing_is_removed_where_an_agent_looks_after_the_records() -> None:
    result = t.cast("dict[str, t.Any]", tlsa_batches([{**REPORT, "managed": True}]))
    assert [rrset["state"] for rrset in result["mx1a"]["rrsets"]] == ["present"]
    result = t.cast("dict[str, t.Any]", tlsa_batches([{**REPORT, "managed": False}]))
    assert [rrset["state"] for rrset in result["mx1a"]["rrsets"]] == ["exact"]


def test_without_prune() -> None:
    assert states([], False) == ["present"]


@pytest.mark.parametrize(
    ("value", "silent", "prune", "message"),
    [
        ({}, [], True, "The input must be a list of dictionaries, not dict"),
        ("text", [], True, "The input must be a list of dictionaries, not str"),
        (["text"], [], True, "The input must be a list of dictionaries"),
        ([{"machine": "a", "host": "b"}], [], True, "A report lacks place, rrsets"),
        ([REPORT], 1, True, "silent must be a list of dictionaries, not int"),
        ([REPORT], [], "yes", "prune is true or false, not 'yes'"),
    ],
)
def test_bad_input(value: object, silent: object, prune: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(f"mailsec.dane.tlsa_batches: {message}")):
        tlsa_batches(value, silent, prune)
