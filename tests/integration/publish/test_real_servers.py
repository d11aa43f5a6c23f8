# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publication at BIND, Knot DNS and PowerDNS; what is there afterwards is asked of the servers, not of our code."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.rfc2136 import Rfc2136Publisher
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer, shortfalls

from integration.publish.conftest import ZONES
from loopback_nameservers import Bind, Key, zone_text

if t.TYPE_CHECKING:
    from pathlib import Path

    from integration.publish.conftest import Pair
    from loopback_nameservers import NameServer

MX1: t.Final = "_25._tcp.mx1.a.example"
A, B, C = (f"3 1 1 {digit * 64}" for digit in "abc")


def publisher(server: NameServer, **options: t.Any) -> Rfc2136Publisher:  # noqa: ANN401  # options are of any type
    return Rfc2136Publisher.from_options(
        {
            "server": "127.0.0.1",
            "port": server.port,
            "key_name": server.key.name,
            "key_secret": server.key.secret,
            "key_algorithm": server.key.algorithm,
            **options,
        }
    )


def publish(server: NameServer, *entries: dict[str, t.Any], state: State = State.EXACT, **options: str) -> Outcome:
    outcome = converge(publisher(server, **options), wanted_rrsets(entries, state), resolver=None)
    assert outcome.errors == {}
    return outcome


def entry(name: str, *records: str, **more: int) -> dict[str, t.Any]:
    return {"name": name, "records": [*records], **more}


def eventually(condition: t.Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_the_life_of_an_rrset(pair: Pair) -> None:
    primary = pair.primary
    assert publish(primary, entry(MX1, A, ttl=600)).warnings == []
    assert (primary.records(MX1), primary.ttl(MX1)) == ([A], 600)

    publish(primary, entry(MX1, B), state=State.PRESENT)
    assert (primary.records(MX1), primary.ttl(MX1)) == ([A, B], 600)

    serial = primary.serial("a.example")
    again = publish(primary, entry(MX1, A.upper(), B, ttl=600))
    assert again.before == again.after
    assert primary.serial("a.example") == serial

    publish(primary, entry(MX1, A, B, ttl=300))
    assert (primary.records(MX1), primary.ttl(MX1)) == ([A, B], 300)

    publish(primary, entry(MX1, C, ttl=120))
    assert (primary.records(MX1), primary.ttl(MX1)) == ([C], 120)

    publish(primary, entry(MX1), state=State.ABSENT)
    assert primary.records(MX1) == []


def test_other_types_and_names_are_left_alone(pair: Pair) -> None:
    publish(pair.primary, entry(MX1, A))
    publish(pair.primary, entry(MX1), state=State.ABSENT)
    assert pair.primary.records(MX1, "TXT") == ['"not a TLSA record"']
    assert pair.primary.records("_443._tcp.www.a.example") == [f"3 1 1 {'1' * 64}"]
    assert pair.primary.records("mx1.a.example", "A") == ["192.0.2.1"]


def test_the_secondary_follows_and_is_seen_to(pair: Pair) -> None:
    publish(pair.primary, entry(MX1, A))
    (wanted,) = wanted_rrsets([entry(MX1, A)], State.EXACT)
    observer = Observer(Resolver(), 1.0, pair.secondary.port, ("127.0.0.1",))
    assert eventually(lambda: not shortfalls(wanted, observer.look(MX1)))
    assert pair.secondary.records(MX1) == [A]


def test_an_alias_is_followed_into_another_zone(pair: Pair) -> None:
    outcome = publish(pair.primary, entry("_25._tcp.alias.a.example", A), entry("_465._tcp.alias.a.example", B))
    assert outcome.after["_25._tcp.alias.a.example"].owner == "tlsa.b.example"
    assert outcome.after["_25._tcp.alias.a.example"].zone == "b.example"
    assert pair.primary.records("tlsa.b.example") == [A, B]


def test_names_below_a_dname_are_followed(bind: NameServer) -> None:
    outcome = publish(bind, entry("_25._tcp.dname.b.example", A))
    assert outcome.after["_25._tcp.dname.b.example"].owner == "_25._tcp.target.b.example"
    assert bind.records("_25._tcp.target.b.example") == [A]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_many_rrsets_in_two_zones(pair: Pair, transport: str) -> None:
    names = [f"_25._tcp.h{number}.{zone}" for number in range(150) for zone in ("a.example", "b.example")]
    publish(pair.primary, *(entry(name, A) for name in names), transport=transport)
    publish(pair.primary, *(entry(name, B) for name in names), transport=transport)
    assert {tuple(pair.primary.records(name)) for name in names[::29]} == {(B,)}
    same = publish(pair.primary, *(entry(name, B) for name in names), transport=transport)
    assert same.before == same.after


def test_a_run_that_changes_nothing_reads_each_zone_once(tmp_path: Path) -> None:
    with Bind(tmp_path, dict(ZONES), Key("mx-tlsa"), query_log=True) as server:
        names = [f"_25._tcp.h{number}.{zone}" for number in range(150) for zone in ZONES]
        publish(server, *(entry(name, A) for name in names))
        before = len(server.log())
        same = publish(server, *(entry(name, A) for name in names))
        assert same.before == same.after
        log = server.log()[before:]
        assert {zone: log.count(f"transfer of '{zone}/IN': AXFR started") for zone in ZONES} == dict.fromkeys(ZONES, 1)
        asked = [line.rpartition("query: ")[2].split()[:3] for line in log.splitlines() if "query: " in line]
        assert sorted(rdtype for _name, _class, rdtype in asked) == ["AXFR", "AXFR", "SOA", "SOA"]  # SOA: which zone


@pytest.mark.parametrize("algorithm", ["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"])
def test_every_algorithm(tmp_path: Path, algorithm: str) -> None:
    with Bind(tmp_path, {"a.example": zone_text("a.example")}, Key("k", algorithm)) as server:
        publish(server, entry(MX1, A))
        assert server.records(MX1) == [A]
