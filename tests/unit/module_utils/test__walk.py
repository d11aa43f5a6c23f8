# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk from a mail domain to TLSA records, against RFC 7672 section 2.2."""

from __future__ import annotations

import asyncio
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._walk import (
    Addresses,
    Failure,
    MailHost,
    MailRoute,
    addresses_of_host,
    mail_route,
    tlsa_of_host,
)

from dictionary_dns import DictionaryDns

if t.TYPE_CHECKING:
    from collections.abc import Iterable

RECORD = "3 1 1 " + "ab" * 32
OTHER = "3 1 1 " + "cd" * 32


def test_mx_hosts_come_by_preference_and_the_domain_may_be_named() -> None:
    dns = DictionaryDns({"d.example MX": ["20 B.example.", "10 c.example.", "10 a.example."]})
    assert asyncio.run(mail_route("d.example", dns.lookup)) == MailRoute(
        "d.example",
        (MailHost("a.example", 10), MailHost("c.example", 10), MailHost("b.example", 20)),
        secure=True,
        names=("d.example",),
    )


def test_without_mx_the_domain_is_its_own_host() -> None:
    dns = DictionaryDns({"d.example A": ["192.0.2.1"]})
    route = asyncio.run(mail_route("d.example", dns.lookup))
    assert (route.hosts, route.implicit, route.secure) == ((MailHost("d.example"),), True, True)


def test_a_secure_alias_gives_the_certificate_another_name() -> None:
    dns = DictionaryDns({"d.example CNAME": ["e.example"], "e.example MX": ["10 mx.example."]})
    assert asyncio.run(mail_route("d.example", dns.lookup)).names == ("d.example", "e.example")


def test_an_insecure_mx_leaves_only_the_hosts_name() -> None:
    dns = DictionaryDns({"d.example MX": ["10 mx.example."]}, insecure={"d.example"})
    route = asyncio.run(mail_route("d.example", dns.lookup))
    assert (route.secure, route.names, route.hosts) == (False, (), (MailHost("mx.example", 10),))


def test_null_mx() -> None:
    route = asyncio.run(mail_route("d.example", DictionaryDns({"d.example MX": ["0 ."]}).lookup))
    assert (route.null_mx, route.hosts, route.oddities) == (True, (), ())


def test_a_null_mx_beside_others_is_odd_and_does_not_hide_them() -> None:
    route = asyncio.run(mail_route("d.example", DictionaryDns({"d.example MX": ["0 .", "10 mx.example."]}).lookup))
    assert (route.null_mx, route.hosts) == (False, (MailHost("mx.example", 10),))
    assert route.oddities == ("a null MX record stands beside others, where RFC 7505 wants it alone",)


def test_a_domain_that_is_not_there() -> None:
    assert asyncio.run(mail_route("d.example", DictionaryDns({}).lookup)).missing


@pytest.mark.parametrize("bogus", [True, False])
def test_a_failed_look_up_is_no_missing_domain(bogus: bool) -> None:
    route = asyncio.run(mail_route("d.example", DictionaryDns({}, broken={"d.example MX": bogus}).lookup))
    assert route.failure == Failure("d.example MX", "no answer to d.example MX", bogus)
    assert (route.missing, route.implicit, route.hosts) == (False, False, ())


def test_both_families_of_a_host() -> None:
    dns = DictionaryDns({"mx.example A": ["192.0.2.1", "192.0.2.2"], "mx.example AAAA": ["2001:db8::1"]})
    found = asyncio.run(addresses_of_host("mx.example", dns.lookup))
    assert found == Addresses(
        "mx.example", ("192.0.2.1", "192.0.2.2", "2001:db8::1"), secure=True, bases=("mx.example",)
    )
    assert dns.asked == ["mx.example A", "mx.example AAAA"]


def test_a_family_that_cannot_be_asked_does_not_take_the_other_with_it() -> None:
    dns = DictionaryDns({"mx.example A": ["192.0.2.1"]}, broken={"mx.example AAAA": True})
    found = asyncio.run(addresses_of_host("mx.example", dns.lookup))
    assert found.addresses == ("192.0.2.1",)
    assert found.failures == (Failure("mx.example AAAA", "no answer to mx.example AAAA", bogus=True),)


def test_insecure_addresses_have_no_base_domain() -> None:
    dns = DictionaryDns({"mx.example A": ["192.0.2.1"]}, insecure={"mx.example"})
    assert asyncio.run(addresses_of_host("mx.example", dns.lookup)).bases == ()


def test_a_secure_alias_has_two_base_domains_the_real_name_first() -> None:
    dns = DictionaryDns({"mx.example CNAME": ["real.example"], "real.example A": ["192.0.2.1"]})
    found = asyncio.run(addresses_of_host("mx.example", dns.lookup))
    assert (found.alias_of, found.bases) == ("real.example", ("real.example", "mx.example"))


def test_intermediate_aliases_are_no_base_domains() -> None:
    dns = DictionaryDns(
        {"mx.example CNAME": ["b.example"], "b.example CNAME": ["c.example"], "c.example A": ["192.0.2.1"]}
    )
    assert asyncio.run(addresses_of_host("mx.example", dns.lookup)).bases == ("c.example", "mx.example")


def test_a_secure_alias_into_an_unsigned_zone_keeps_its_own_name() -> None:
    dns = DictionaryDns(
        {"mx.example CNAME": ["real.example"], "real.example A": ["192.0.2.1"]}, insecure={"real.example"}
    )
    assert asyncio.run(addresses_of_host("mx.example", dns.lookup)).bases == ("mx.example",)


def test_an_insecure_alias_has_no_base_domain() -> None:
    dns = DictionaryDns(
        {"mx.example CNAME": ["real.example"], "real.example A": ["192.0.2.1"]}, insecure={"mx.example"}
    )
    assert asyncio.run(addresses_of_host("mx.example", dns.lookup)).bases == ()


def test_the_records_of_the_real_name_come_first() -> None:
    dns = DictionaryDns({"_25._tcp.real.example TLSA": [RECORD], "_25._tcp.mx.example TLSA": [OTHER]})
    found = asyncio.run(tlsa_of_host(Addresses("mx.example", bases=("real.example", "mx.example")), 25, dns.lookup))
    assert (found.base, found.records) == ("real.example", (TlsaRecord.from_text(RECORD),))
    assert dns.asked == ["_25._tcp.real.example TLSA", "_tcp.real.example A"]
    assert found.hidden_below == ""


def test_records_below_a_name_that_is_said_not_to_exist_are_hidden_from_those_who_minimise_names() -> None:
    records: dict[str, Iterable[str]] = {"_25._tcp.mx.example TLSA": [RECORD]}
    host = Addresses("mx.example", bases=("mx.example",))
    denied = DictionaryDns(records, hidden={"_tcp.mx.example"})
    assert asyncio.run(tlsa_of_host(host, 25, denied.lookup)).hidden_below == "_tcp.mx.example"
    unanswered = DictionaryDns(records, broken={"_tcp.mx.example A": False})
    assert asyncio.run(tlsa_of_host(host, 25, unanswered.lookup)).hidden_below == "_tcp.mx.example"


def test_the_alias_is_tried_where_the_real_name_has_none() -> None:
    dns = DictionaryDns({"_25._tcp.mx.example TLSA": [OTHER]})
    found = asyncio.run(tlsa_of_host(Addresses("mx.example", bases=("real.example", "mx.example")), 25, dns.lookup))
    assert (found.base, found.owner) == ("mx.example", "_25._tcp.mx.example")
    assert found.records == (TlsaRecord.from_text(OTHER),)


def test_a_failed_look_up_ends_the_search() -> None:
    dns = DictionaryDns({"_25._tcp.mx.example TLSA": [OTHER]}, broken={"_25._tcp.real.example TLSA": False})
    found = asyncio.run(tlsa_of_host(Addresses("mx.example", bases=("real.example", "mx.example")), 25, dns.lookup))
    assert found.failure is not None
    assert (found.records, found.denied) == ((), False)


def test_denial_is_proven_only_if_every_answer_is_secure() -> None:
    both = Addresses("mx.example", bases=("real.example", "mx.example"))
    assert asyncio.run(tlsa_of_host(both, 25, DictionaryDns({}).lookup)).denied
    assert not asyncio.run(tlsa_of_host(both, 25, DictionaryDns({}, insecure={"_25._tcp.real.example"}).lookup)).denied


def test_unsigned_records_do_not_count_and_are_kept_for_the_report() -> None:
    dns = DictionaryDns({"_25._tcp.mx.example TLSA": [RECORD]}, insecure={"_25._tcp.mx.example"})
    found = asyncio.run(tlsa_of_host(Addresses("mx.example", bases=("mx.example",)), 25, dns.lookup))
    assert (found.records, found.denied, found.unsigned) == ((), False, (TlsaRecord.from_text(RECORD),))


def test_a_host_without_base_domain_is_not_even_asked_for_records() -> None:
    dns = DictionaryDns({"_25._tcp.mx.example TLSA": [RECORD]})
    assert asyncio.run(tlsa_of_host(Addresses("mx.example"), 25, dns.lookup)).records == ()
    assert dns.asked == []


def test_a_record_that_is_cut_off_is_kept_apart() -> None:
    dns = DictionaryDns({"_25._tcp.mx.example TLSA": [r"\# 2 0301", RECORD]})
    found = asyncio.run(tlsa_of_host(Addresses("mx.example", bases=("mx.example",)), 25, dns.lookup))
    assert (found.records, found.unreadable) == ((TlsaRecord.from_text(RECORD),), (r"\# 2 0301",))
