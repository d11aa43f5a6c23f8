# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The zone files parse, and say what the lab promises."""

from __future__ import annotations

from pathlib import Path

import dns.name
import dns.rdatatype
import dns.zone
import pytest

from lab.topology import HOSTS, Lab
from lab.zones import NEGATIVE_TTL, ZONES, Delegation, Zone, child_zone, example_zone, root_zone

LAB = Lab(3, Path("unused"), ttl=40)
DS = {zone.name: f"{number} 13 2 {number:064x}" for number, zone in enumerate(ZONES, 1)}
TLSA = {"mta.sender.example": f"3 1 1 {7:064x}"}


def parsed(text: str, origin: str) -> dns.zone.Zone:
    return dns.zone.from_text(text, origin=origin, relativize=False)


def texts(zone: dns.zone.Zone, name: str, rdtype: str) -> list[str]:
    rdataset = zone.get_rdataset(dns.name.from_text(name), rdtype)
    return sorted(rdata.to_text() for rdata in rdataset or ())


def test_the_root_delegates_example_and_knows_the_package_mirror() -> None:
    zone = parsed(root_zone(LAB, DS["one.example"], {"deb.example.net": ["192.0.2.1", "2001:db8::1"]}), ".")
    assert texts(zone, ".", "NS") == ["a.root-servers."]
    assert texts(zone, "a.root-servers", "AAAA") == ["fd53:3::10"]
    assert texts(zone, "example", "NS") == ["ns.example."]
    assert texts(zone, "example", "DS") == [DS["one.example"]]
    assert texts(zone, "deb.example.net", "A") == ["192.0.2.1"]
    assert texts(zone, "deb.example.net", "AAAA") == ["2001:db8::1"]


def test_example_vouches_as_each_zone_wants() -> None:
    zone = parsed(example_zone(LAB, DS), "example")
    for child in ZONES:
        if child.parent != "example":
            continue
        assert texts(zone, child.name, "NS") == ["ns1.example.", "ns2.example."]
        expected = [DS[child.name]] if child.delegation in {Delegation.SECURE, Delegation.EXPIRED} else []
        served = texts(zone, child.name, "DS")
        if child.delegation is Delegation.BOGUS:
            assert len(served) == 1
            assert served != [DS[child.name]]
        else:
            assert served == expected


@pytest.mark.parametrize("parent", ["nsec3.example", "optout.example"])
def test_a_zone_below_another_is_delegated_there(parent: str) -> None:
    below = next(zone for zone in ZONES if zone.name == f"unsigned.{parent}")
    assert below.parent == parent
    above = next(zone for zone in ZONES if zone.name == below.parent)
    zone = parsed(child_zone(LAB, above, TLSA), above.name)
    assert texts(zone, below.name, "NS") == ["ns1.example.", "ns2.example."]
    assert texts(zone, below.name, "DS") == []


@pytest.mark.parametrize("child", ZONES, ids=lambda zone: zone.name)
def test_every_child_has_a_mail_exchanger_on_both_families(child: Zone) -> None:
    zone = parsed(child_zone(LAB, child, TLSA), child.name)
    (mx,) = texts(zone, child.name, "MX")
    exchanger = mx.split()[1]
    assert len(texts(zone, exchanger, "A")) == 1
    assert len(texts(zone, exchanger, "AAAA")) == 1


def test_hosts_have_their_own_addresses() -> None:
    zone = parsed(child_zone(LAB, next(zone for zone in ZONES if zone.name == "two.example"), TLSA), "two.example")
    mx2 = next(host for host in HOSTS if host.name == "mx2")
    assert texts(zone, "two.example", "MX") == ["10 mx2.two.example."]
    assert texts(zone, "mx2.two.example", "A") == [LAB.ipv4(mx2)]


def test_ttls_are_as_chosen_and_negative_answers_live_shortly() -> None:
    zone = parsed(child_zone(LAB, ZONES[0], TLSA), ZONES[0].name)
    assert {rdataset.ttl for _name, rdataset in zone.iterate_rdatasets()} == {40}
    assert zone.find_rdataset(zone.origin or ".", "SOA")[0].minimum == NEGATIVE_TTL


def test_only_the_judges_come_with_a_tlsa_record() -> None:
    published = {
        zone.name: [
            str(name) for name, _rdataset in parsed(child_zone(LAB, zone, TLSA), zone.name).iterate_rdatasets("TLSA")
        ]
        for zone in ZONES
    }
    assert {name: owners for name, owners in published.items() if owners} == {
        "sender.example": ["_25._tcp.mta.sender.example."]
    }
