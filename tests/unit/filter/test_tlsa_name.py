# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.tlsa_name import FilterModule, tlsa_name


def test_the_filter_is_found() -> None:
    assert FilterModule().filters() == {"tlsa_name": tlsa_name}


TEST_TLSA_NAME: list[tuple[tuple[object, ...], str]] = [
    (("mx1.example.org", 25), "_25._tcp.mx1.example.org"),
    (("MX1.Example.org.", "465"), "_465._tcp.mx1.example.org"),
    (("bücher.example", 853, "udp"), "_853._udp.xn--bcher-kva.example"),
]


@pytest.mark.parametrize(("arguments", "expected"), TEST_TLSA_NAME)
def test_tlsa_name(arguments: tuple[object, ...], expected: str) -> None:
    assert FilterModule().filters()["tlsa_name"](*arguments) == expected


TEST_TLSA_NAME_FAIL: list[tuple[tuple[object, ...], str]] = [
    (("", 25), "Host name '' is empty"),
    ((None, 25), "The host name must be text, not NoneType: None"),
    ((["mx1"], 25), "The host name must be text, not list: ['mx1']"),
    (("mx1", 0), "Port 0 is no number from 1 to 65535"),
    (("mx1", True), "Port True is no number from 1 to 65535"),
    (("mx1", "smtp"), "Port 'smtp' is no number from 1 to 65535"),
    (("mx1", "025"), "Port '025' is no number from 1 to 65535"),
    (("mx1", 25.0), "Port 25.0 is no number from 1 to 65535"),
    (("mx1", 25, "quic"), "Transport 'quic' is none of tcp, udp, sctp"),
]


@pytest.mark.parametrize(("arguments", "error"), TEST_TLSA_NAME_FAIL)
def test_tlsa_name_fail(arguments: tuple[object, ...], error: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(f'mailsec.dane.tlsa_name: {error}')}$"):
        FilterModule().filters()["tlsa_name"](*arguments)
