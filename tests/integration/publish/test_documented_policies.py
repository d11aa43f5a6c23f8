# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policies for the provider's key in README, guide and module documentation, run as they stand there."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.mailsec.dane.plugins.doc_fragments._provider import ModuleDocFragment
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import converge
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.rfc2136 import Rfc2136Publisher

from loopback_nameservers import Bind, Key, Knot, NameServer, PowerDns, zone_text

ROOT: t.Final = Path(__file__).resolve().parents[3]
RECORD: t.Final = f"3 1 1 {'a' * 64}"
PAGES: t.Final = {"readme": ROOT / "README.md", "guide": ROOT / "docs" / "guides" / "publishing.md"}
BIND: t.Final = r"update-policy \{(.*?TLSA;)\s*\}"


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.DOTALL)
    assert match, pattern
    return match[1].replace("example.org", "a.example")


def of_page(path: Path) -> dict[type[NameServer], str]:
    text = path.read_text("utf-8")
    return {
        Bind: found(BIND, text),
        Knot: found(r"(    action: update\n.*?update-owner-name: \[[^\]]*\])", text),
        PowerDns: found(r"(local names.*?\nend)\n", text),
    }


def of_documentation() -> dict[type[NameServer], str]:
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["provider"]["suboptions"]
    text = "\n".join(options["key_name"]["description"])
    acl = yaml.safe_load(found(r"C\((\{id: mx-tlsa.*?\]\})\)", text))
    lines = [
        f"    {item}: {'[ ' + ', '.join(value) + ' ]' if isinstance(value, list) else value}"
        for item, value in acl.items()
        if item not in {"id", "key"}
    ]
    condition = found(r'V\((return .*?\.")\)', text).replace("\\)", ")")
    return {
        Bind: found(BIND, text),
        Knot: "\n".join(lines),
        PowerDns: f"function updatepolicy(input)\n{condition}\nend",
    }


@pytest.mark.parametrize("make", [Bind, Knot, PowerDns])
@pytest.mark.parametrize("place", ["readme", "guide", "documentation"])
def test_a_documented_policy_allows_the_host_s_records_and_no_other_host_s(
    tmp_path: Path, make: type[NameServer], place: str
) -> None:
    grant = (of_documentation() if place == "documentation" else of_page(PAGES[place]))[make]
    with make(tmp_path, {"a.example": zone_text("a.example")}, Key("mx-tlsa"), grant=grant) as server:
        publisher = Rfc2136Publisher.from_options(
            {
                "server": "127.0.0.1",
                "port": server.port,
                "key_name": server.key.name,
                "key_secret": server.key.secret,
                "timeout": 5,
            }
        )
        errors = {}
        for name in ("_25._tcp.mx1.a.example", "_25._tcp.other.a.example"):
            order = wanted_rrsets([{"name": name, "records": [RECORD]}], State.EXACT)
            errors[name] = converge(publisher, order, resolver=None, sleep=lambda _seconds: None).errors
        assert errors["_25._tcp.mx1.a.example"] == {}
        assert list(errors["_25._tcp.other.a.example"]) == ["a.example"]
        assert server.records("_25._tcp.mx1.a.example") == [RECORD]
        assert server.records("_25._tcp.other.a.example") == []
