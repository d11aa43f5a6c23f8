# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The TLSRPT record at BIND, Knot DNS and PowerDNS; what is there afterwards is asked of the servers."""

from __future__ import annotations

import threading
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.selection import publisher_from_options
from ansible_collections.mailsec.dane.plugins.module_utils._records import TextRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_record import plan_tlsrpt, wanted_tlsrpt

from loopback_nameservers import Bind, Key, Knot, NameServer, zone_text

if t.TYPE_CHECKING:
    from pathlib import Path

    from integration.publish.conftest import Pair

NAME: t.Final = "_smtp._tls.a.example"
WANTED: t.Final = '"v=TLSRPTv1; rua=mailto:tls-reports@a.example"'
ADMIN: t.Final = '"v=TLSRPTv1; rua=mailto:admin@a.example"'


def publish(server: NameServer, *rua: str, absent: bool = False, ttl: int | None = None, domain: str = "") -> Outcome:
    wanted = wanted_tlsrpt([{"name": domain or "a.example", "rua": list(rua)}], ttl, absent=absent)
    options = {
        "type": "rfc2136",
        "server": "127.0.0.1",
        "port": server.port,
        "key_name": server.key.name,
        "key_secret": server.key.secret,
        "key_algorithm": server.key.algorithm,
    }
    with publisher_from_options(options, TextRecord) as publisher:
        return converge(publisher, wanted, resolver=None, planner=plan_tlsrpt)


def texts(server: NameServer, name: str = NAME) -> list[str]:
    return server.records(name, "TXT")


def test_the_life_of_a_record(pair: Pair) -> None:
    primary = pair.primary
    assert publish(primary, ttl=600).errors == {}
    assert texts(primary) == [WANTED]
    serial = primary.serial("a.example")
    assert publish(primary, ttl=600).errors == {}
    assert primary.serial("a.example") == serial
    assert publish(primary, "admin@a.example").errors == {}
    assert texts(primary) == [ADMIN]
    assert publish(primary, absent=True).errors == {}
    assert texts(primary) == []
    assert texts(primary, "_25._tcp.mx1.a.example") == ['"not a TLSA record"']


def test_a_long_list_of_addresses_is_cut_into_strings(pair: Pair) -> None:
    rua = [f"https://reports.example/{number:0100d}" for number in range(5)]
    assert publish(pair.primary, *rua).errors == {}
    (record,) = texts(pair.primary)
    assert record.replace('" "', "") == f'"v=TLSRPTv1; rua={",".join(rua)}"'
    again = publish(pair.primary, *rua)
    assert again.before == again.after


@pytest.mark.parametrize("make", [Bind, Knot])
def test_records_of_others_stay_and_one_of_two_goes(make: type[NameServer], tmp_path: Path) -> None:
    lines = (
        '_smtp._tls 900 TXT "v=TLSRPTv1; rua=mailto:one@a.example"\n'
        '_smtp._tls 900 TXT "v=TLSRPTv1; rua=mailto:two@a.example"\n_smtp._tls 900 TXT "for something else"\n'
    )
    with make(tmp_path / "server", {"a.example": zone_text("a.example", lines)}, Key("mx-tlsa")) as server:
        assert publish(server, ttl=60).errors == {}
        assert texts(server) == ['"for something else"', WANTED]
        assert publish(server, absent=True).errors == {}
        assert texts(server) == ['"for something else"']


def test_an_alias_is_followed_and_its_target_is_not_taken_over(tmp_path: Path) -> None:
    lines = '_smtp._tls CNAME tlsrpt\n_smtp._tls.sub CNAME shared\nshared TXT "v=TLSRPTv1; rua=mailto:all@a.example"\n'
    with Bind(tmp_path / "bind", {"a.example": zone_text("a.example", lines)}, Key("mx-tlsa")) as server:
        assert publish(server).errors == {}
        assert texts(server, "tlsrpt.a.example") == [WANTED]
        with pytest.raises(InvalidInput, match=r"_smtp\._tls\.sub\.a\.example is an alias of shared\.a\.example"):
            publish(server, domain="sub.a.example")
        assert texts(server, "shared.a.example") == ['"v=TLSRPTv1; rua=mailto:all@a.example"']


def test_a_key_that_may_change_this_name_and_type_only_is_enough(tmp_path: Path) -> None:
    grant = f'grant "mx-tlsa" name {NAME}. TXT; grant "mx-tlsa" name _25._tcp.mx1.a.example. TLSA;'
    with Bind(tmp_path / "bind", {"a.example": zone_text("a.example")}, Key("mx-tlsa"), grant=grant) as server:
        assert publish(server).errors == {}
        assert texts(server) == [WANTED]
        refused = publish(server, domain="other.a.example")
    assert "this key may not change TXT records at these names" in refused.errors["a.example"]


def test_rivals_leave_one_record(tmp_path: Path) -> None:
    with Bind(tmp_path / "bind", {"a.example": zone_text("a.example")}, Key("mx-tlsa")) as server:
        rivals = [threading.Thread(target=publish, args=(server, f"r{number}@a.example")) for number in range(4)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
        assert len(texts(server)) == 1
