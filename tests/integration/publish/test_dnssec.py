# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A signed branch of the DNS, BIND and a validating unbound: what is refused there, waited for and seen."""

from __future__ import annotations

import re
import time
import typing as t

import dns.dnssec
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.rfc2136 import Rfc2136Publisher
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver, Status
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer
from ansible_collections.mailsec.dane.plugins.module_utils._waiting import wait_until_served

from loopback_nameservers import Bind, Key, Knot, Unbound, zone_text

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORD: t.Final = "3 1 1 " + "ab" * 32
CHILDREN: t.Final = ("good", "nods", "plain", "bogus", "three")
THREE: t.Final = "@ NS ns2\nns2 A 127.0.0.2\n@ NS ns3\nns3 A 127.0.0.3\nmx A 192.0.2.1\n"


class Branch(t.NamedTuple):
    bind: Bind
    resolver: Resolver


def signed_record(bind: Bind, name: str, rdtype: str) -> t.Any:  # noqa: ANN401  # dnspython's rdata have no common type with their fields
    """The first record of an RRset, once it is there with its signature: BIND signs after it answers."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = {(rrset.rdtype, rrset.covers): rrset for rrset in bind.ask(name, rdtype).answer}
        kind = dns.rdatatype.from_text(rdtype)
        if {(kind, dns.rdatatype.NONE), (dns.rdatatype.RRSIG, kind)} <= found.keys():
            return found[kind, dns.rdatatype.NONE][0]
        time.sleep(0.1)
    msg = f"{name} {rdtype} was not signed in time:\n{bind.log()[-2000:]}"
    raise RuntimeError(msg)


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Branch]:
    """`mail.` with children: signed with DS, signed without, not signed, with another key's DS, with three servers."""
    directory = tmp_path_factory.mktemp("branch")
    key = Key("mx-tlsa")
    delegations = "".join(f"{child} NS ns.{child}\nns.{child} A 127.0.0.1\n" for child in CHILDREN)
    zones = {"mail": zone_text("mail", delegations)} | {
        f"{child}.mail": zone_text(f"{child}.mail", "mx A 192.0.2.1") for child in CHILDREN
    }
    zones["three.mail"] = zone_text("three.mail", THREE, serial=10)
    signed = frozenset({"mail", "good.mail", "nods.mail", "bogus.mail"})
    with Bind(directory / "bind", zones, key, signed=signed) as bind:
        keys = {zone: signed_record(bind, zone, "DNSKEY") for zone in signed}
        for zone in signed:
            signed_record(bind, zone, "SOA")
        update = dns.update.UpdateMessage("mail.", keyring=dns.tsig.Key(key.name, key.secret, key.algorithm))
        for child in ("good", "bogus"):
            name = dns.name.from_text(f"{child}.mail.")
            update.add(name, 60, dns.dnssec.make_ds(name, keys["good.mail"], "SHA256"))
        assert dns.query.tcp(update, "127.0.0.1", 5, bind.port).rcode() == dns.rcode.NOERROR
        for child in ("good", "bogus"):
            signed_record(bind, f"{child}.mail", "DS")
        stubs = tuple(f"{child}.mail" for child in CHILDREN)
        with Unbound(directory / "unbound", "mail", str(keys["mail"]), bind.port, stubs) as unbound:
            yield Branch(bind, Resolver("127.0.0.1", unbound.port, 5.0))


def publish(branch: Branch, name: str, *, require_signed: bool = True) -> Outcome:
    key = branch.bind.key
    options = {"server": "127.0.0.1", "port": branch.bind.port, "key_name": key.name, "key_secret": key.secret}
    wanted = wanted_rrsets([{"name": name, "records": [RECORD], "ttl": 60}], State.EXACT)
    return converge(
        Rfc2136Publisher.from_options(options), wanted, resolver=branch.resolver if require_signed else None
    )


def test_published_waited_for_and_validated(branch: Branch) -> None:
    name = "_25._tcp.mx.good.mail"
    (wanted,) = wanted_rrsets([{"name": name, "records": [RECORD]}], State.EXACT)
    observer = Observer(branch.resolver, 2.0, branch.bind.port)

    (before,) = observer.look(name)
    assert (before.zone, [answer.status for answer in before.answers]) == ("good.mail", [Status.NXDOMAIN])
    assert [answer.negative_ttl for answer in before.answers] == [60]

    assert publish(branch, name).errors == {}
    result = wait_until_served(observer, [wanted], seconds=10, interval=0.2, clock=time.monotonic, sleep=time.sleep)
    assert [(one.everywhere, one.problems) for one in result.rrsets] == [(True, ())]
    (answer,) = result.rrsets[0].look[0].answers
    assert (answer.ttl, answer.signed, answer.parent_denied) == (60, True, False)

    # Nothing of the above has taught the resolver that there are no records.
    seen = branch.resolver.lookup(name, "TLSA")
    assert (seen.status, seen.secure) == (Status.FOUND, True)
    assert seen.records == (RECORD,)


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("nods.mail", "Zone nods.mail is signed, but its parent has no DS record for it"),
        ("plain.mail", "Zone plain.mail is not signed (no DNSKEY)"),
        ("bogus.mail", "Zone bogus.mail does not validate: DNSSEC validation of bogus.mail SOA failed"),
    ],
)
def test_zones_where_records_have_no_effect_are_refused(branch: Branch, zone: str, message: str) -> None:
    name = f"_25._tcp.mx.{zone}"
    with pytest.raises(InvalidInput, match=re.escape(message)):
        publish(branch, name)
    assert branch.bind.records(name) == []


def test_a_secure_denial_is_told_from_an_insecure_one(branch: Branch) -> None:
    assert branch.resolver.lookup("_26._tcp.mx.good.mail", "TLSA").secure
    insecure = branch.resolver.lookup("_26._tcp.mx.plain.mail", "TLSA")
    assert (insecure.status, insecure.secure) == (Status.NXDOMAIN, False)


def test_a_wildcard_in_a_signed_zone_is_told_from_the_name(branch: Branch) -> None:
    """Read name by name, the signature's label count says that the answer was made from a wildcard."""
    key = branch.bind.key
    update = dns.update.UpdateMessage("good.mail.", keyring=dns.tsig.Key(key.name, key.secret, key.algorithm))
    update.add("*.wild.good.mail.", 60, "TLSA", "3 1 1 " + "cd" * 32)
    dns.query.tcp(update, "127.0.0.1", 5, branch.bind.port)
    outcome = publish(branch, "_25._tcp.h.wild.good.mail")
    assert (outcome.errors, outcome.before["_25._tcp.h.wild.good.mail"].records) == ({}, ())
    assert branch.bind.records("_25._tcp.h.wild.good.mail") == [RECORD]


def test_of_three_servers_the_one_behind_and_the_one_down_are_named(branch: Branch, tmp_path: Path) -> None:
    """They hide neither each other nor the third, and what was there before stays."""
    name, kept = "_25._tcp.mx.three.mail", "_465._tcp.mx.three.mail"
    assert publish(branch, kept, require_signed=False).errors == {}
    old = {"three.mail": zone_text("three.mail", THREE, serial=2)}
    with Knot(tmp_path, old, Key("mx-tlsa"), port=branch.bind.port, address="127.0.0.2"):
        assert publish(branch, name, require_signed=False).errors == {}
        (wanted,) = wanted_rrsets([{"name": name, "records": [RECORD]}], State.EXACT)
        observer = Observer(branch.resolver, 0.5, branch.bind.port)
        result = wait_until_served(observer, [wanted], seconds=0, interval=0.2, clock=time.monotonic, sleep=time.sleep)
    (rrset,) = result.rrsets
    assert not rrset.everywhere
    behind, down = sorted(rrset.problems)
    assert behind == (
        f"{name} at ns2.three.mail (127.0.0.2): no TLSA record (NXDOMAIN, may be remembered 60 s); its serial of zone "
        "three.mail is 2, 10 behind 12"
    )
    assert re.match(rf"{re.escape(name)} at ns3\.three\.mail \(127\.0\.0\.3\): ", down)
    assert branch.bind.records(kept) == branch.bind.records(name) == [RECORD]
