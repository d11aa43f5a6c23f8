# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

from ansible_collections.mailsec.dane.plugins.module_utils._comparison import compared
from ansible_collections.mailsec.dane.plugins.module_utils._endpoint_report import CertificateReport, EndpointReport
from ansible_collections.mailsec.dane.plugins.module_utils._verdicts import Cause

CERTIFICATE = CertificateReport("CN=mx", "CN=mx", ("mx",), "RSA", "", "", "", "")
SERVED = EndpointReport(
    "d.example", "mx.example", "192.0.2.1", 25, "smtp", owner="o", tlsa=("a", "b", "c"), chain=(CERTIFICATE,)
)


def test_a_record_is_spare_that_stands_for_no_chain_at_any_address() -> None:
    one, other, elsewhere = compared(
        [
            replace(SERVED, covered_by=("a",)),
            replace(SERVED, address="192.0.2.2", covered_by=("b",)),
            replace(SERVED, owner="p", covered_by=()),
        ]
    )
    assert (one.spare, other.spare, elsewhere.spare) == (("c",), ("c",), ("a", "b", "c"))


def test_tls_at_some_addresses_only_is_said_where_it_lacks() -> None:
    lacking = replace(SERVED, address="2001:db8::1", chain=(), cause=Cause.NO_STARTTLS.word, advice=("first",))
    served, bare = compared([SERVED, lacking])
    assert served.advice == ()
    assert bare.advice == (
        "first",
        "TLS is offered at 192.0.2.1 and not here, so it depends on the address that a sender takes",
    )


def test_tls_nowhere_or_at_another_port_is_nothing_uneven() -> None:
    lacking = replace(SERVED, chain=(), cause=Cause.NO_RECORDS_NO_TLS.word)
    assert compared([lacking])[0].advice == ()
    assert compared([replace(SERVED, port=587), lacking])[1].advice == ()


def test_many_addresses_are_named_in_part() -> None:
    rows = [replace(SERVED, address=f"192.0.2.{number}") for number in range(1, 6)]
    lacking = replace(SERVED, address="192.0.2.9", chain=(), cause=Cause.NO_STARTTLS.word)
    assert "192.0.2.1, 192.0.2.2, 192.0.2.3, ... and not here" in compared([*rows, lacking])[-1].advice[0]
