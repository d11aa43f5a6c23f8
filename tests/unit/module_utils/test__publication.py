# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput, InvalidName, InvalidRecord
from ansible_collections.mailsec.dane.plugins.module_utils._publication import (
    DEFAULT_TTL,
    Published,
    State,
    Wanted,
    owner_name,
    plan,
    wanted_rrsets,
    zone_file_lines,
)
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from hypothesis import given
from hypothesis import strategies as st

if t.TYPE_CHECKING:
    from ansible_collections.mailsec.dane.plugins.module_utils._records import Record

NAME: t.Final = "_25._tcp.mx1.example.org"


def record(number: int, usage: int = 3) -> TlsaRecord:
    return TlsaRecord(usage, 1, 1, bytes([number]) * 32)


A, B, C = record(1), record(2), record(3)


def published(
    *records: Record, ttl: int | None = 3600, name: str = NAME, owner: str = "", zone: str = "example.org"
) -> dict[str, Published]:
    return {name: Published(name, owner or name, zone, ttl if records else None, tuple(sorted(records)))}


def wanted(*records: TlsaRecord, state: State = State.EXACT, ttl: int | None = None, name: str = NAME) -> Wanted:
    return Wanted(name, tuple(sorted(records)), state, ttl)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("_25._TCP.MX1.Example.ORG.", "_25._tcp.mx1.example.org"),
        ("_25._tcp.mx1.b\u00fccher.example", "_25._tcp.mx1.xn--bcher-kva.example"),
        ("_465._sctp.mx", "_465._sctp.mx"),
        ("tlsa-shared.example.org", "tlsa-shared.example.org"),  # the target of an alias
        ("_dane.example.org", "_dane.example.org"),
        ("_65535._udp.mx1.example.org", "_65535._udp.mx1.example.org"),
    ],
)
def test_owner_names_have_one_form(given_name: str, expected: str) -> None:
    assert owner_name(given_name) == expected


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("*._tcp.mx1.example.org", "has a wildcard"),
        ("_025._tcp.mx1.example.org", "is not of the form _25._tcp.mx1.example.org"),
        ("_65536._tcp.mx1.example.org", "is not of the form _25._tcp.mx1.example.org"),
        ("_0._tcp.mx1.example.org", "is not of the form _25._tcp.mx1.example.org"),
        ("_25._tls.mx1.example.org", "is not of the form _25._tcp.mx1.example.org"),
        ("_25.mx1.example.org", "is not of the form _25._tcp.mx1.example.org"),
        ("_25._tcp._x.mx1.example.org", "is not of the form _25._tcp.mx1.example.org"),
        ("_25._tcp.", "is empty"),
        ("_25._tcp.mx 1.example.org", "may hold letters, digits and inner hyphens only"),
        ("_25._tcp.mx1.example.org\n_26", "may hold letters, digits and inner hyphens only"),
        ("_d\u00e4ne.example.org", "has a malformed label before the host name"),
        ("_25._tcp.192.0.2.1", "is an address"),
        ("_25._tcp." + "a" * 62 + ("." + "b" * 61) * 3, "longer than 253"),
    ],
)
def test_names_that_cannot_own_tlsa_records_are_refused(bad: str, message: str) -> None:
    with pytest.raises(InvalidName, match=re.escape(message)):
        owner_name(bad)


# --- what the user wants ----------------------------------------------------------------------------------------------


def test_entries_with_one_name_are_added_together() -> None:
    entries: list[dict[str, t.Any]] = [
        {"name": NAME, "records": [A.to_text()], "ttl": 300},
        {"name": NAME.upper() + ".", "records": [B.to_mapping(), A.to_text().upper()]},
    ]
    assert wanted_rrsets(entries, State.EXACT) == (wanted(A, B, ttl=300),)


def test_one_present_entry_keeps_all_entries_of_the_name_from_removing_records() -> None:
    entries = [{"name": NAME, "records": [A.to_text()]}, {"name": NAME, "records": [], "state": "present"}]
    assert wanted_rrsets(entries, State.EXACT) == (wanted(A, state=State.PRESENT),)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"name": NAME, "records": ["3 1 1 zz"]}], f"{NAME}: Certificate association data must be hexadecimal"),
        ([{"name": NAME, "records": ["3 1 1 00ff"]}], "a SHA2-256 digest has 32 octets, this one has 2"),
        (
            [{"name": NAME, "records": ["3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}],
            "digest of no input at all",
        ),
        ([{"name": NAME, "records": [record(1, usage=1).to_text()]}], "usage 1 is unusable to mail clients"),
        ([{"name": NAME, "records": [record(1, usage=0).to_text()]}], "set allow_pkix_usages"),
        ([{"name": NAME, "records": []}], "state exact without records would remove the RRset"),
        ([{"name": NAME}], "state exact without records would remove the RRset"),
        ([{"name": NAME, "records": [A.to_text()], "ttl": 0}], "TTL 0 of _25._tcp.mx1.example.org is not from 1"),
        ([{"name": NAME, "records": [A.to_text()], "ttl": 604801}], "is not from 1 to 604800 seconds"),
        (
            [{"name": NAME, "records": [A.to_text()], "ttl": 1}, {"name": NAME, "records": [B.to_text()], "ttl": 2}],
            "is wanted with different TTLs: 1, 2",
        ),
        (
            [{"name": NAME, "records": [A.to_text()]}, {"name": NAME, "state": "absent"}],
            "is wanted exact and absent in one call",
        ),
        (
            [{"name": NAME, "state": "absent"}, {"name": NAME, "records": [A.to_text()], "state": "absent"}],
            "is wanted absent and absent in one call",
        ),
    ],
)
def test_what_must_not_be_published_is_refused(entries: list[dict[str, t.Any]], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        wanted_rrsets(entries, State.EXACT)


def test_pkix_usages_are_allowed_off_mail_and_on_demand() -> None:
    pkix = record(1, usage=1)
    web = wanted_rrsets([{"name": "_443._tcp.www.example.org", "records": [pkix.to_text()]}], State.EXACT)
    forced = wanted_rrsets([{"name": NAME, "records": [pkix.to_text()]}], State.EXACT, allow_pkix=True)
    assert web[0].records == forced[0].records == (pkix,)


def test_bad_records_can_be_removed() -> None:
    entries = [{"name": NAME, "records": ["3 1 1 00ff"], "state": "absent"}]
    assert wanted_rrsets(entries, State.EXACT)[0].records == (TlsaRecord(3, 1, 1, b"\x00\xff"),)


def test_a_malformed_record_is_not_repaired_for_removal() -> None:
    with pytest.raises(InvalidRecord, match="odd number"):
        wanted_rrsets([{"name": NAME, "records": ["3 1 1 0ff"], "state": "absent"}], State.EXACT)


# --- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "before", "after"),
    [
        (wanted(A), (), (A,)),
        (wanted(A), (B,), (A,)),
        (wanted(A, B), (A,), (A, B)),
        (wanted(A, state=State.PRESENT), (B,), (A, B)),
        (wanted(state=State.ABSENT), (A, B), ()),
        (wanted(A, state=State.ABSENT), (A, B), (B,)),
    ],
)
def test_states(one: Wanted, before: tuple[TlsaRecord, ...], after: tuple[TlsaRecord, ...]) -> None:
    (change,) = plan([one], published(*before))
    assert (change.before, change.after) == (before, after)
    assert change.removed == tuple(sorted(set(before) - set(after)))


@pytest.mark.parametrize(
    ("one", "before"),
    [
        (wanted(A), (A,)),
        (wanted(A, ttl=3600), (A,)),
        (wanted(A, state=State.PRESENT), (A, B)),
        (wanted(state=State.PRESENT), (A, B)),
        (wanted(state=State.ABSENT), ()),
        (wanted(C, state=State.ABSENT), (A, B)),
        (wanted(C, state=State.ABSENT, ttl=5), (A, B)),
    ],
)
def test_no_change_where_all_is_as_wanted(one: Wanted, before: tuple[TlsaRecord, ...]) -> None:
    assert plan([one], published(*before)) == ()


@pytest.mark.parametrize(
    ("one", "ttl_there", "ttl"),
    [
        (wanted(A, ttl=300), 3600, 300),  # the TTL alone
        (wanted(A, B, ttl=300), 3600, 300),
        (wanted(A, B), 86400, 86400),  # as it is
        (wanted(A, state=State.PRESENT, ttl=300), 3600, 300),
    ],
)
def test_all_records_of_an_rrset_get_one_ttl(one: Wanted, ttl_there: int, ttl: int) -> None:
    (change,) = plan([one], published(A, ttl=ttl_there))
    assert (change.ttl_before, change.ttl) == (ttl_there, ttl)


def test_a_new_rrset_without_ttl_gets_the_default() -> None:
    assert plan([wanted(A)], published())[0].ttl == DEFAULT_TTL


def test_more_than_twelve_records_are_refused_but_can_be_reduced() -> None:
    many = [record(number) for number in range(13)]
    message = f"{NAME} would have 13 TLSA records; some senders handle no more than 12"
    with pytest.raises(InvalidInput, match=re.escape(message)):
        plan([wanted(*many)], published())
    with pytest.raises(InvalidInput, match=re.escape(message)):
        plan([wanted(many[12], state=State.PRESENT)], published(*many[:12]))
    assert len(plan([wanted(record(99), state=State.ABSENT)], published(*many, record(99)))[0].after) == 13


def test_a_doubled_zone_name_is_refused_but_can_be_removed() -> None:
    doubled = "_25._tcp.mx1.example.org.example.org"
    there = published(A, name=doubled)
    with pytest.raises(InvalidName, match=re.escape("has the name of its zone, example.org, twice")):
        plan([wanted(B, name=doubled)], there)
    assert plan([wanted(state=State.ABSENT, name=doubled)], there)[0].after == ()


def test_names_that_only_resemble_a_doubled_zone_are_let_through() -> None:
    name = "_25._tcp.mx.notexample.org.example.org"
    assert plan([wanted(A, name=name)], published(name=name))


def test_aliases_to_one_owner_are_maintained_together() -> None:
    other = "_465._tcp.mx1.example.org"
    there = {
        NAME: Published(NAME, "tlsa.example.org", "example.org", 300, (C,)),
        other: Published(other, "tlsa.example.org", "example.org", 300, (C,)),
    }
    (change,) = plan([wanted(A), wanted(B, name=other)], there)
    assert (change.owner, change.after) == ("tlsa.example.org", (A, B))


def test_without_prune_aliases_the_target_loses_nothing() -> None:
    there = published(C, owner="tlsa.example.org")
    assert plan([wanted(A)], there, prune_aliases=False)[0].after == (A, C)
    assert plan([wanted(A)], published(C), prune_aliases=False)[0].after == (A,)


def test_a_whole_rrset_is_not_removed_through_an_alias() -> None:
    with pytest.raises(InvalidInput, match=re.escape("name tlsa.example.org itself")):
        plan([wanted(state=State.ABSENT)], published(A, owner="tlsa.example.org"))
    assert plan([wanted(A, state=State.ABSENT)], published(A, B, owner="tlsa.example.org"))[0].after == (B,)


def test_aliases_that_contradict_each_other_are_refused() -> None:
    other = "_465._tcp.mx1.example.org"
    there = {name: Published(name, "tlsa.example.org", "example.org", 300, (C,)) for name in (NAME, other)}
    with pytest.raises(InvalidInput, match=re.escape("tlsa.example.org is wanted exact and absent")):
        plan([wanted(A), wanted(C, state=State.ABSENT, name=other)], there)


RECORDS = st.frozensets(st.integers(0, 6).map(record), max_size=6)


@given(RECORDS, RECORDS, st.sampled_from(State), st.none() | st.integers(1, 9), st.integers(1, 9))
def test_what_is_planned_needs_no_second_plan(
    there: frozenset[TlsaRecord], asked: frozenset[TlsaRecord], state: State, ttl: int | None, ttl_there: int
) -> None:
    one = wanted(*asked, state=state, ttl=ttl)
    changes = plan([one], published(*there, ttl=ttl_there))
    for change in changes:
        assert plan([one], published(*change.after, ttl=change.ttl)) == ()
        if state is State.PRESENT:
            assert set(change.removed) == set()
        if state is State.ABSENT:
            assert set(change.after) <= set(change.before)


def test_lines_of_a_zone_file() -> None:
    assert zone_file_lines(NAME, 300, [B, A]) == (
        f"{NAME}. 300 IN TLSA {A.to_text()}\n{NAME}. 300 IN TLSA {B.to_text()}\n"
    )
    assert zone_file_lines(NAME, None, [A]) == f"{NAME}. {DEFAULT_TTL} IN TLSA {A.to_text()}\n"
    assert zone_file_lines(NAME, 300, []) == ""
