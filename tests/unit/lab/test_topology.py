# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and addresses of the lab."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.topology import HOSTS, Lab, chosen_hosts, host


def lab(number: int = 0) -> Lab:
    return Lab(number, Path("unused"))


def test_every_host_has_its_own_name_address_and_hardware_address() -> None:
    for values in (
        [h.name for h in HOSTS],
        [h.fqdn for h in HOSTS],
        [lab().ipv4(h) for h in HOSTS],
        [lab().ipv6(h) for h in HOSTS],
        [lab().mac(h) for h in HOSTS],
    ):
        assert len(set(values)) == len(HOSTS)


@pytest.mark.parametrize("number", [0, 1, 10, 255])
def test_addresses_lie_in_the_subnets_and_are_spelt_as_programs_print_them(number: int) -> None:
    for h in HOSTS:
        for address, subnet in (
            (lab(number).ipv4(h), lab(number).ipv4_subnet),
            (lab(number).ipv6(h), lab(number).ipv6_subnet),
        ):
            assert str(ipaddress.ip_address(address)) == address
            assert str(ipaddress.ip_network(subnet)) == subnet
            assert ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


def test_labs_do_not_overlap() -> None:
    assert len({lab(number).ipv6_subnet for number in range(256)}) == 256


@pytest.mark.parametrize("number", [-1, 256])
def test_a_number_without_network_is_refused(number: int) -> None:
    message = f"the lab's number is {number}, but must be between 0 and 255 (option --id, LAB_ID)"
    with pytest.raises(LabError, match=re.escape(message)):
        lab(number)


def test_a_host_is_found_by_short_and_full_name() -> None:
    assert host("mx1") is host("mx1.one.example")


def test_an_unknown_host_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=re.escape("there is no host 'mx9' in the lab; there are: root, primary, ")):
        host("mx9")


def test_chosen_hosts() -> None:
    assert [h.name for h in chosen_hosts(None)] == ["root", "primary", "secondary", "sender", "mx1", "mx2"]
    assert [h.name for h in chosen_hosts(["mx2"])] == ["root", "primary", "secondary", "sender", "mx2"]
    assert "sender12" in [h.name for h in chosen_hosts(["mx1", "sender12"])]
