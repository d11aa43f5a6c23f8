# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The publisher octodns with octoDNS's own provider for YAML files; name servers are in tests/integration/publish."""

from __future__ import annotations

import re
import sys
import typing as t
from importlib import import_module

import pytest
import yaml
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidInput,
    PublisherRefused,
    PublisherUnavailable,
)
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.octodns import OctodnsPublisher
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.octodns_library import OctodnsProvider
from ansible_collections.mailsec.dane.plugins.module_utils._records import TextRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_record import plan_tlsrpt, wanted_tlsrpt

if t.TYPE_CHECKING:
    from pathlib import Path

NAME: t.Final = "_25._tcp.mx1.example.org"
A, B, C = (f"3 1 1 {digit * 64}" for digit in "abc")
YAML_PROVIDER: t.Final = "octodns.provider.yaml.YamlProvider"
OTHERS: t.Final[dict[str, t.Any]] = {
    "": {"type": "NS", "values": ["ns1.example.net.", "ns2.example.net."]},
    "_25._tcp.alias": {"type": "CNAME", "value": "_tlsa.example.org."},
    "_443._tcp.www": {
        "type": "TLSA",
        "ttl": 300,
        "values": [
            {"certificate_usage": 3, "selector": 1, "matching_type": 1, "certificate_association_data": "1" * 64}
        ],
    },
    "below": {"type": "NS", "values": ["ns1.below.example.org."]},
    "mx1": {"type": "A", "value": "192.0.2.1"},
    "renamed": {"type": "DNAME", "value": "mx1.example.org."},
}


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    path = tmp_path / "example.org.yaml"
    path.write_text(yaml.safe_dump(OTHERS))
    return path


def settings(zone_file: Path) -> dict[str, t.Any]:
    return {"directory": str(zone_file.parent), "escaped_semicolons": False, "enforce_order": False}


def publisher(zone_file: Path, **options: t.Any) -> OctodnsPublisher:  # noqa: ANN401  # options are of any type
    return OctodnsPublisher.from_options({"class": YAML_PROVIDER, "settings": settings(zone_file), **options})


def publish(
    to: OctodnsPublisher, *records: str, name: str = NAME, state: State = State.EXACT, ttl: int | None = None
) -> Outcome:
    wanted = wanted_rrsets([{"name": name, "records": [*records], "ttl": ttl}], state)
    return converge(to, wanted, resolver=None, sleep=lambda _seconds: None)


def content(zone_file: Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load(zone_file.read_text()))


def tlsa(zone_file: Path, name: str = "_25._tcp.mx1") -> list[str]:
    found = content(zone_file).get(name, {})
    values = found.get("values") or ([found["value"]] if "value" in found else [])
    return sorted(" ".join(str(field) for field in value.values()) for value in values)


def in_order(*records: str) -> list[str]:
    """As octoDNS writes a record's fields: data, usage, matching type, selector."""
    return sorted(f"{record.split()[3]} 3 1 1" for record in records)


# --- the work ---------------------------------------------------------------------------------------------------------


def test_the_life_of_an_rrset_and_nothing_else(zone_file: Path) -> None:
    before = content(zone_file)
    assert publish(publisher(zone_file), A, ttl=600).errors == {}
    assert tlsa(zone_file) == in_order(A)
    assert content(zone_file)["_25._tcp.mx1"]["ttl"] == 600
    assert publish(publisher(zone_file), B, state=State.PRESENT).errors == {}
    assert tlsa(zone_file) == in_order(A, B)
    again = publish(publisher(zone_file), A, B)
    assert again.before == again.after
    assert publish(publisher(zone_file), B, C).errors == {}
    assert tlsa(zone_file) == in_order(B, C)
    assert publish(publisher(zone_file), state=State.ABSENT).errors == {}
    after = content(zone_file)
    assert {name: after[name].get("type") for name in after} == {name: before[name]["type"] for name in before}


def test_additions_are_carried_out_before_removals(zone_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(publisher(zone_file), A)
    provider = import_module(YAML_PROVIDER.rpartition(".")[0]).YamlProvider
    states: list[list[str]] = []
    original = provider._apply

    def apply(self: object, plan: object) -> None:
        original(self, plan)
        states.append(tlsa(zone_file))

    monkeypatch.setattr(provider, "_apply", apply)
    publish(publisher(zone_file), B)
    assert states == [in_order(A, B), in_order(B)]


@pytest.mark.parametrize(
    ("name", "owner", "written"),
    [
        ("_25._tcp.alias.example.org", "_tlsa.example.org", "_tlsa"),
        ("_25._tcp.renamed.example.org", "_25._tcp.mx1.example.org", "_25._tcp.mx1"),
    ],
)
def test_aliases_are_followed(zone_file: Path, name: str, owner: str, written: str) -> None:
    outcome = publish(publisher(zone_file), A, name=name)
    assert (outcome.errors, outcome.after[name].owner) == ({}, owner)
    assert tlsa(zone_file, written) == in_order(A)


def test_settings_may_come_from_the_environment(zone_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZONES", str(zone_file.parent))
    monkeypatch.delenv("NOTHING", raising=False)
    more = {"directory": "env/ZONES", "default_ttl": "env/NOTHING/7200"}
    assert publish(publisher(zone_file, settings={**settings(zone_file), **more}), A, ttl=7200).errors == {}
    assert "ttl" not in content(zone_file)["_25._tcp.mx1"]  # the provider knew it as its default, as a number


def test_text_records_of_others_stay(zone_file: Path) -> None:
    others = {"type": "TXT", "ttl": 60, "values": ["something else", "v=other1\\; of=somebody"]}
    zone_file.write_text(yaml.safe_dump({**OTHERS, "_smtp._tls": others}))
    options = {"class": YAML_PROVIDER, "settings": {**settings(zone_file), "escaped_semicolons": True}}
    wanted = wanted_tlsrpt([{"name": "example.org", "rua": ["mailto:tls-reports@example.org"]}], None)
    for _twice in range(2):
        to = OctodnsPublisher.from_options(options, TextRecord)
        outcome = converge(to, wanted, resolver=None, planner=plan_tlsrpt)
        assert (outcome.errors, outcome.warnings) == ({}, [])
        assert content(zone_file)["_smtp._tls"]["values"] == [
            "something else",
            "v=TLSRPTv1\\; rua=mailto:tls-reports@example.org",
            "v=other1\\; of=somebody",
        ]
    assert outcome.before == outcome.after


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_delegated_name_is_refused(zone_file: Path) -> None:
    message = "_25._tcp.mx.below.example.org is in below.example.org, which example.org delegates to others"
    with pytest.raises(PublisherRefused, match=re.escape(message)):
        publish(publisher(zone_file), A, name="_25._tcp.mx.below.example.org")


def test_a_zone_that_is_not_there_is_not_made(zone_file: Path) -> None:
    with pytest.raises(PublisherUnavailable, match=r"no YAMLs found for example\.net"):
        publish(publisher(zone_file, zones=["example.net"]), A, name="_25._tcp.mx1.example.net")
    assert [path.name for path in zone_file.parent.iterdir()] == [zone_file.name]


def test_a_provider_that_writes_zones_anew_is_refused(tmp_path: Path) -> None:
    """As a target it says that there is nothing, so that all of the zone would be written by us."""
    path = tmp_path / "example.org"
    path.write_text(
        "$ORIGIN example.org.\n@ 60 IN SOA ns hm 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n"
        f"_25._tcp.mx1 60 IN TLSA {A}\n"
    )
    before = path.read_text()
    options = {"directory": str(tmp_path), "file_extension": ""}
    to = publisher(path, **{"class": "octodns_bind.ZoneFileProvider", "settings": options, "zones": ["example.org"]})
    outcome = publish(to, B)
    assert "octoDNS would also change example.org NS, ns.example.org A, so nothing was" in outcome.errors["example.org"]
    assert path.read_text() == before


@pytest.mark.parametrize("more", ["an A record", "settings of the zone"])
def test_a_plan_that_goes_beyond_the_named_owners_is_not_carried_out(
    zone_file: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    provider = import_module(YAML_PROVIDER.rpartition(".")[0]).YamlProvider
    delete = import_module("octodns.record").Delete
    if more == "an A record":
        monkeypatch.setattr(
            provider,
            "_extra_changes",
            lambda _self, existing, desired, changes: [delete(one) for one in existing.records if one.name == "mx1"],  # noqa: ARG005  # as octoDNS calls it
        )
    else:
        monkeypatch.setattr(provider, "_plan_meta", lambda *_, **__: {"plan": "business"})
    before = zone_file.read_text()
    outcome = publish(publisher(zone_file), A)
    beyond = "mx1.example.org A" if more == "an A record" else more
    assert f"octoDNS would also change {beyond}, so nothing was changed" in outcome.errors["example.org"]
    assert zone_file.read_text() == before


def test_a_provider_that_would_leave_records_out_is_not_let_remove_the_rest(
    zone_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider may take out of the desired zone what it cannot hold; octoDNS then plans to remove what is there."""
    publish(publisher(zone_file), A)
    provider = import_module(YAML_PROVIDER.rpartition(".")[0]).YamlProvider

    def without_tlsa(_self: object, desired: t.Any) -> object:  # noqa: ANN401  # octoDNS has no types
        for record in desired.get("_25._tcp.mx1"):
            desired.remove_record(record)
        return desired

    monkeypatch.setattr(provider, "_process_desired_zone", without_tlsa)
    outcome = publish(publisher(zone_file), A, B)
    assert f"octoDNS would not make what is wanted of the RRset at {NAME}, so nothing" in outcome.errors["example.org"]
    assert tlsa(zone_file) == in_order(A)


def test_a_lost_race_is_read_again(zone_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody adds a record between our reading and our writing: it stays where the order is to add."""
    rivals = [B]
    original = OctodnsProvider.plan

    def plan(self: OctodnsProvider, desired: object) -> object:
        if rivals:
            monkeypatch.setattr(OctodnsProvider, "plan", original)
            publish(publisher(zone_file), rivals.pop())
            monkeypatch.setattr(OctodnsProvider, "plan", plan)
        return original(self, desired)

    monkeypatch.setattr(OctodnsProvider, "plan", plan)
    assert publish(publisher(zone_file), A, state=State.PRESENT).errors == {}
    assert tlsa(zone_file) == in_order(A, B)


def test_a_provider_that_leaves_the_change_out_is_found_out(zone_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = import_module(YAML_PROVIDER.rpartition(".")[0]).YamlProvider
    monkeypatch.setattr(provider, "_include_change", lambda *_: False)
    outcome = publish(publisher(zone_file), A)
    assert f"octoDNS plans no change of {NAME}; the provider leaves out" in outcome.errors["example.org"]


def test_a_record_that_cannot_be_read_is_not_taken_for_none(zone_file: Path) -> None:
    value = {"certificate_usage": 3, "selector": 1, "matching_type": 1, "certificate_association_data": "zz"}
    zone_file.write_text(yaml.safe_dump({**OTHERS, "_25._tcp.mx1": {"type": "TLSA", "value": value}}))
    with pytest.raises(PublisherUnavailable, match=re.escape(f"a TLSA record at {NAME} cannot be read")):
        publish(publisher(zone_file), A)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class": None}, "Provider octodns needs class"),
        (
            {"class": "octodns_nobody.Provider"},
            f"install octodns and the provider's package from PyPI for {sys.executable}",
        ),
        (
            {"class": "octodns.provider.yaml.Nothing"},
            "The octoDNS provider octodns.provider.yaml.Nothing cannot be loaded",
        ),
        ({"class": "Provider"}, "The octoDNS provider Provider cannot be loaded"),
        ({"class": "octodns_bind.AxfrSource"}, "octodns_bind.AxfrSource is no octoDNS provider"),
        (
            {"settings": {"directori": "/x"}},
            "The settings of octoDNS provider octodns.provider.yaml.YamlProvider do not",
        ),
        ({"settings": {"directory": "env/NOT_SET_ANYWHERE"}}, "wants the environment variable NOT_SET_ANYWHERE"),
        (
            {"settings": {"directory": "/x", "escaped_semicolons": False, "apply_disabled": True}},
            "has apply_disabled set",
        ),
    ],
)
def test_bad_options(zone_file: Path, options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        publisher(zone_file, **options)


def test_zones_must_be_named_where_they_cannot_be_listed(zone_file: Path) -> None:
    options = {"class": "octodns_bind.Rfc2136Provider", "settings": {"host": "127.0.0.1"}}
    with pytest.raises(InvalidInput, match="cannot list its zones; name them by its option zones"):
        publish(publisher(zone_file, **options), A)


def test_what_looks_like_a_secret_is_in_no_message(zone_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = import_module(YAML_PROVIDER.rpartition(".")[0]).YamlProvider
    secret = "a-token-of-the-tests"  # noqa: S105  # opens nothing

    def populate(self: t.Any, *_: object, **__: object) -> None:  # noqa: ANN401  # octoDNS has no types
        print("debugging")  # must not get between the module and Ansible
        raise RuntimeError(f"GET https://api.example/?token={self.token} failed")

    def init(self: t.Any, _id: str, token: str) -> None:  # noqa: ANN401  # see populate
        self.token = token

    monkeypatch.setattr(provider, "__init__", init)
    monkeypatch.setattr(provider, "populate", populate)
    monkeypatch.setenv("THE_TOKEN", secret)
    with pytest.raises(PublisherUnavailable, match=r"RuntimeError: GET .*\?token=\*+ failed") as caught:
        publish(publisher(zone_file, settings={"token": "env/THE_TOKEN"}, zones=["example.org"]), A)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
