# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every fault of a provider ends with nothing removed and a message that names server, name or zone, and cause."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import typing as t

import dns.exception
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PublisherRefused, PublisherUnavailable
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, Wanted, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.rfc2136 import Rfc2136Publisher

from loopback_nameservers import Bind, Key, Knot, NameServer, PowerDns, free_port, zone_text

if t.TYPE_CHECKING:
    from pathlib import Path

    from integration.publish.conftest import Pair

MX1: t.Final = "_25._tcp.mx1.a.example"
A, B, C = (f"3 1 1 {digit * 64}" for digit in "abc")


def publisher(server: NameServer, key: Key | None = None, port: int | None = None) -> Rfc2136Publisher:
    key = key or server.key
    return Rfc2136Publisher.from_options(
        {
            "server": "127.0.0.1",
            "port": port or server.port,
            "key_name": key.name,
            "key_secret": key.secret,
            "key_algorithm": key.algorithm,
            "timeout": 2.0,
        }
    )


def publisher_key(server: NameServer) -> dns.tsig.Key:
    return dns.tsig.Key(server.key.name, server.key.secret, server.key.algorithm)


def wanted(name: str, *records: str, state: State = State.EXACT) -> tuple[Wanted, ...]:
    return wanted_rrsets([{"name": name, "records": [*records]}], state)


def publish(server: NameServer, name: str, *records: str, key: Key | None = None) -> Outcome:
    return converge(publisher(server, key), wanted(name, *records), resolver=None)


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        (Key("nobody"), "BADKEY: the server does not know this key name"),
        (Key("mx-tlsa"), "BADSIG: the server has another secret for this key"),
    ],
)
def test_a_wrong_key(bind: Bind, key: Key, cause: str) -> None:
    publish(bind, MX1, A)
    with pytest.raises(PublisherRefused, match=re.escape(f"127.0.0.1 port {bind.port} failed, {cause}")) as caught:
        publish(bind, MX1, B, key=key)
    assert str(caught.value).startswith(f"Reading {MX1}, so nothing was changed: ")
    assert key.secret not in str(caught.value)
    assert bind.records(MX1) == [A]


def test_a_wrong_clock(bind: Bind, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(bind, MX1, A)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    with pytest.raises(PublisherRefused, match=f"Reading {MX1}, .*BADTIME: the clocks of this host and"):
        publish(bind, MX1, B)
    assert bind.records(MX1) == [A]


def test_no_key_where_one_is_needed(bind: Bind) -> None:
    publish(bind, MX1, A)
    unsigned = Rfc2136Publisher("127.0.0.1", port=bind.port, timeout=2)
    outcome = converge(unsigned, wanted(MX1, B), resolver=None)
    assert re.match(
        rf"Zone a\.example: the name server 127\.0\.0\.1 port {bind.port}: the update was refused \(REFUSED\)",
        outcome.errors["a.example"],
    )
    assert bind.records(MX1) == [A]


# --- servers ----------------------------------------------------------------------------------------------------------


def test_a_dead_server(bind: Bind) -> None:
    publish(bind, MX1, A)
    dead = publisher(bind, port=free_port())
    with pytest.raises(PublisherUnavailable, match=f"Reading {MX1}, .*: No answer in time from the name server 127"):
        converge(dead, wanted(MX1, B), resolver=None)
    assert bind.records(MX1) == [A]


def test_a_name_outside_every_zone(pair: Pair) -> None:
    with pytest.raises(PublisherRefused, match=r"_25\._tcp\.mx\.c\.test is in no zone that it"):
        publish(pair.primary, "_25._tcp.mx.c.test", A)


def test_an_update_to_a_secondary_is_forwarded_or_refused_but_not_lost(pair: Pair) -> None:
    """Knot DNS and PowerDNS forward updates to the primary; BIND does not unless told to."""
    publish(pair.primary, MX1, A)
    deadline = time.monotonic() + 10
    while pair.secondary.records(MX1) != [A]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    outcome = publish(pair.secondary, MX1, B)
    if isinstance(pair.secondary, Bind):
        cause = r"Zone a\.example: the name server 127\.0\.0\.1 port \d+: the update was refused \((REFUSED|NOTAUTH)\)"
        assert re.match(cause, outcome.errors["a.example"])
        assert pair.primary.records(MX1) == [A]
    else:
        assert outcome.errors == {}
        assert pair.primary.records(MX1) == [B]


def test_a_server_that_cannot_write(tmp_path: Path) -> None:
    """SERVFAIL from a real server: BIND's journal is a directory, so no update can be kept."""
    with Bind(tmp_path, {"a.example": zone_text("a.example")}, Key("mx-tlsa")) as server:
        (tmp_path / "a.example.zone.jnl").mkdir()
        outcome = publish(server, MX1, A)
        assert "the update failed with SERVFAIL; the server's log says why" in outcome.errors["a.example"]
        assert server.records(MX1) == []


def test_without_transfer_rights_names_are_read_one_by_one(tmp_path: Path) -> None:
    with Bind(tmp_path, {"a.example": zone_text("a.example")}, Key("mx-tlsa"), allow_transfer=False) as server:
        entries = [{"name": f"_25._tcp.h{number}.a.example", "records": [A]} for number in range(60)]
        for _unused in range(2):
            outcome = converge(publisher(server), wanted_rrsets(entries, State.EXACT), resolver=None)
            assert {there.records for there in outcome.after.values()} == {wanted(MX1, A)[0].records}
        assert "AXFR" in server.log()  # it was tried


# --- what is in the way -----------------------------------------------------------------------------------------------


def test_a_wildcard_is_not_taken_for_the_name(tmp_path: Path) -> None:
    lines = f"*.a.example. TLSA {C}\nmx1 A 192.0.2.1\n"
    with Bind(tmp_path, {"a.example": zone_text("a.example", lines)}, Key("mx-tlsa")) as server:
        entries = [{"name": f"_25._tcp.h{number}.a.example", "records": [A]} for number in range(30)]
        outcome = converge(publisher(server), wanted_rrsets(entries, State.EXACT), resolver=None)
        assert outcome.errors == {}
        assert server.records("_25._tcp.h7.a.example") == [A]


# --- rights -----------------------------------------------------------------------------------------------------------

BIND_GRANT: t.Final = (
    'grant "mx-tlsa" name _25._tcp.mx1.a.example. TLSA; grant "mx-tlsa" name _465._tcp.mx1.a.example. TLSA;'
)
KNOT_GRANT: t.Final = (
    "    action: update\n    update-type: [ TLSA ]\n    update-owner: name\n    update-owner-match: equal\n"
    "    update-owner-name: [ _25._tcp.mx1.a.example., _465._tcp.mx1.a.example. ]"
)


POWERDNS_GRANT: t.Final = """
local names = { ["_25._tcp.mx1.a.example."] = true, ["_465._tcp.mx1.a.example."] = true }

function updatepolicy(input)
  return input:getTsigName():toString() == "mx-tlsa."
    and input:getQType() == pdns.TLSA
    and names[input:getQName():toString():lower()] == true
end
"""
REFUSALS: t.Final = {
    Bind: {dns.rcode.REFUSED},
    Knot: {dns.rcode.REFUSED, dns.rcode.NOTAUTH},  # before 3.4 REFUSED or BADKEY
    PowerDns: {dns.rcode.NOERROR},
}
GRANTS: t.Final = {"bind": (Bind, BIND_GRANT), "knot": (Knot, KNOT_GRANT), "powerdns": (PowerDns, POWERDNS_GRANT)}


@pytest.mark.parametrize(("make", "grant"), GRANTS.values(), ids=GRANTS)
def test_a_key_of_least_privilege_does_its_work_and_no_more(tmp_path: Path, make: type[NameServer], grant: str) -> None:
    with make(tmp_path, {"a.example": zone_text("a.example")}, Key("mx-tlsa"), grant=grant) as server:
        assert publish(server, MX1, A).errors == {}
        assert publish(server, MX1, B).errors == {}
        assert converge(publisher(server), wanted(MX1, state=State.ABSENT), resolver=None).errors == {}
        order = wanted("_25._tcp.mx2.a.example", A)
        refused = converge(publisher(server), order, resolver=None, sleep=lambda _seconds: None)
        assert re.search(  # PowerDNS answers NOERROR, and does nothing
            r"REFUSED\): this key may not change TLSA records at these names|its ACL does not allow this key"
            r"|Knot DNS's ACL does not allow this change|a policy of PowerDNS that does not allow the change",
            refused.errors["a.example"],
        )
        assert server.records("_25._tcp.mx2.a.example") == []
        update = dns.update.UpdateMessage("a.example.", keyring=publisher_key(server))
        update.add("_25._tcp.mx1.a.example.", 60, "TXT", "mine")
        with contextlib.suppress(
            dns.tsig.PeerBadKey, dns.exception.FormError
        ):  # Knot DNS 3.4 does not sign its refusal
            answer = dns.query.tcp(update, "127.0.0.1", 2, server.port)
            assert answer.rcode() in REFUSALS[make]
        assert server.records(MX1, "TXT") == []


# --- rivals -----------------------------------------------------------------------------------------------------------


def at_once(server: NameServer, *orders: tuple[Wanted, ...]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    start = threading.Barrier(len(orders))

    def run(order: tuple[Wanted, ...]) -> None:
        start.wait()
        outcomes.append(converge(publisher(server), order, resolver=None))

    threads = [threading.Thread(target=run, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize("make", [Bind, Knot, PowerDns], ids=["bind", "knot", "powerdns"])
def test_two_runs_at_once_end_as_if_one_came_after_the_other(tmp_path: Path, make: type[NameServer]) -> None:
    with make(tmp_path, {"a.example": zone_text("a.example")}, Key("mx-tlsa")) as server:
        for number in range(50):
            name = f"_25._tcp.h{number}.a.example"
            if number % 2:
                outcomes = at_once(server, wanted(name, A), wanted(name, B))
                assert server.records(name) in ([A], [B])
            else:
                outcomes = at_once(server, wanted(name, A, state=State.PRESENT), wanted(name, B, state=State.PRESENT))
                assert server.records(name) == [A, B]
            assert [outcome.errors for outcome in outcomes] == [{}, {}]
