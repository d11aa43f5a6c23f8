# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publication through octoDNS's own providers: zone transfer and updates at BIND, the HTTP API at PowerDNS."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PublisherRefused, PublisherUnavailable
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.octodns import OctodnsPublisher

from integration.publish.conftest import OTHER_ZONE, ZONE, ZONES
from loopback_nameservers import Bind, Key, NameServer, PowerDns, free_port

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MX1: t.Final = "_25._tcp.mx1.a.example"
A, B, C = (f"3 1 1 {digit * 64}" for digit in "abc")


class Held(t.NamedTuple):
    """A name server, and the options by which octoDNS reaches it."""

    server: NameServer
    options: dict[str, t.Any]


@pytest.fixture(params=["octodns_bind.Rfc2136Provider", "octodns_powerdns.PowerDnsProvider"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Held]:
    key = Key("mx-tlsa")
    if request.param.startswith("octodns_bind"):
        with Bind(tmp_path, dict(ZONES), key) as bind:
            settings = {
                "host": "127.0.0.1",
                "port": bind.port,
                "key_name": key.name,
                "key_secret": key.secret,
                "key_algorithm": key.algorithm,
                "timeout": 2,
            }
            yield Held(bind, {"class": request.param, "settings": settings, "zones": [ZONE, f"{OTHER_ZONE}."]})
    else:
        with PowerDns(tmp_path, dict(ZONES), key, api_port=free_port()) as powerdns:
            settings = {"host": "127.0.0.1", "port": powerdns.api_port, "api_key": key.secret}
            yield Held(powerdns, {"class": request.param, "settings": settings})


def publish(held: Held, name: str, *records: str, state: State = State.EXACT, ttl: int | None = None) -> Outcome:
    wanted = wanted_rrsets([{"name": name, "records": [*records], "ttl": ttl}], state)
    with OctodnsPublisher.from_options(held.options) as publisher:
        return converge(publisher, wanted, resolver=None)


def test_the_life_of_an_rrset(held: Held) -> None:
    server = held.server
    for records, state, ttl, expected in (
        ((A,), State.EXACT, 600, ([A], 600)),
        ((B,), State.PRESENT, None, ([A, B], 600)),
        ((B, C), State.EXACT, 120, ([B, C], 120)),
        ((C,), State.EXACT, None, ([C], 120)),
    ):
        outcome = publish(held, MX1, *records, state=state, ttl=ttl)
        assert (outcome.errors, outcome.warnings) == ({}, [])
        assert (server.records(MX1), server.ttl(MX1)) == expected
    serial = server.serial(ZONE)
    again = publish(held, MX1, C.upper(), ttl=120)
    assert (again.before, server.serial(ZONE)) == (again.after, serial)
    assert publish(held, MX1, state=State.ABSENT).errors == {}
    assert server.records(MX1) == []
    # and all that is nobody's business here
    assert server.records(MX1, "TXT") == ['"not a TLSA record"']
    assert server.records("_443._tcp.www.a.example") == [f"3 1 1 {'1' * 64}"]
    assert server.records("mx1.a.example", "A") == ["192.0.2.1"]


def test_an_alias_is_followed_into_another_zone(held: Held) -> None:
    outcome = publish(held, "_25._tcp.alias.a.example", A)
    assert (outcome.errors, outcome.after["_25._tcp.alias.a.example"].owner) == ({}, "tlsa.b.example")
    assert held.server.records("tlsa.b.example") == [A]


def test_a_zone_that_is_not_named_is_not_touched(held: Held) -> None:
    narrow = Held(held.server, {**held.options, "zones": [OTHER_ZONE]})
    with pytest.raises(PublisherRefused, match=re.escape(f"{MX1} is in no zone of it")):
        publish(narrow, MX1, A)
    assert held.server.records(MX1) == []


def test_a_server_that_does_not_answer_is_no_empty_zone(held: Held) -> None:
    publish(held, MX1, A)
    options = {**held.options, "zones": [ZONE], "settings": {**held.options["settings"], "port": free_port()}}
    with pytest.raises(PublisherUnavailable, match=f"octoDNS provider {held.options['class']}: "):
        publish(Held(held.server, options), MX1, state=State.ABSENT)
    assert held.server.records(MX1) == [A]


def test_a_wrong_key_is_refused_and_not_shown(held: Held) -> None:
    publish(held, MX1, A)
    secret = "api_key" if "api_key" in held.options["settings"] else "key_secret"
    other = Key("mx-tlsa").secret
    options = {**held.options, "zones": [ZONE], "settings": {**held.options["settings"], secret: other}}
    with pytest.raises(PublisherUnavailable) as caught:
        publish(Held(held.server, options), MX1, state=State.ABSENT)
    assert other not in str(caught.value)
    assert held.server.records(MX1) == [A]
