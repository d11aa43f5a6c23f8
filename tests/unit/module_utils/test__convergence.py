# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import ATTEMPTS, Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidInput,
    LookupFailed,
    PublisherConflict,
    PublisherRefused,
    PublisherUnavailable,
)
from ansible_collections.mailsec.dane.plugins.module_utils._publication import Change, Published, State, Wanted
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.base import Publisher
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer, Resolver, Status
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ansible_collections.mailsec.dane.plugins.module_utils._records import Record

MX1: t.Final = "_25._tcp.mx1.example.org"
MX2: t.Final = "_25._tcp.mx2.example.net"
A, B, C = (TlsaRecord(3, 1, 1, bytes([number]) * 32) for number in (1, 2, 3))


def zone_of(name: str) -> str:
    return ".".join(name.split(".")[-2:])


@dataclass
class Memory(Publisher):
    """A provider in memory that checks what each change expects; hooks make others' deeds and faults."""

    content: dict[str, tuple[int, tuple[Record, ...]]] = field(default_factory=dict)
    before_apply: Callable[[Memory, str], None] = lambda _publisher, _zone: None
    after_apply: Callable[[Memory, str], None] = lambda _publisher, _zone: None
    applied: list[tuple[str, tuple[Change, ...]]] = field(default_factory=list)
    reads: int = 0

    @property
    def place(self) -> str:
        return "the memory"

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        self.reads += 1
        return {name: Published(name, name, zone_of(name), *(self.content.get(name) or (None, ()))) for name in names}

    def apply(self, zone: str, changes: Sequence[Change]) -> None:
        self.before_apply(self, zone)
        for change in changes:
            if (self.content.get(change.owner) or (None, ()))[1] != change.before:
                raise PublisherConflict("the RRset changed between reading and writing")
        self.applied.append((zone, tuple(changes)))
        for change in changes:
            self.content.pop(change.owner, None)
            if change.after:
                self.content[change.owner] = (change.ttl, change.after)
        self.after_apply(self, zone)


@dataclass(frozen=True)
class Zones(Resolver):
    """A resolver that knows zones only: name to secure or not, or an error."""

    says: Mapping[str, bool | LookupFailed] = field(default_factory=dict)

    def lookup(self, name: str, rdtype: str) -> Answer:
        said = self.says[name]
        if isinstance(said, LookupFailed):
            raise said
        status = Status.FOUND if rdtype == "SOA" else Status.NODATA
        return Answer(name, rdtype, status, said, 60, (), name, ())


def exact(*records: TlsaRecord, name: str = MX1) -> Wanted:
    return Wanted(name, records, State.EXACT)


def run(publisher: Memory, *wanted: Wanted, check_mode: bool = False, resolver: Resolver | None = None) -> Outcome:
    return converge(publisher, wanted, resolver=resolver, check_mode=check_mode, sleep=lambda _seconds: None)


def test_changes_are_made_once_for_each_zone() -> None:
    publisher = Memory()
    other = "_465._tcp.mx1.example.org"
    outcome = run(publisher, exact(A), exact(A, name=other), exact(B, name=MX2))
    assert [(zone, [change.owner for change in changes]) for zone, changes in publisher.applied] == [
        ("example.net", [MX2]),
        ("example.org", [MX1, other]),
    ]
    assert outcome.after[MX1].records == (A,)
    assert outcome.before[MX1].records == ()
    assert (outcome.errors, outcome.warnings) == ({}, [])


def test_nothing_is_sent_where_nothing_changes() -> None:
    publisher = Memory({MX1: (300, (A,))})
    outcome = run(publisher, exact(A))
    assert (publisher.applied, publisher.reads) == ([], 1)
    assert outcome.after == outcome.before


def test_check_mode_foretells_what_a_run_does() -> None:
    wanted = [Wanted(MX1, (A, B), State.EXACT, 60), exact(C, name=MX2)]
    content = {MX1: (300, (A,))}
    foretold = run(Memory(dict(content)), *wanted, check_mode=True)
    publisher = Memory(dict(content))
    assert run(publisher, *wanted).after == foretold.after
    assert publisher.applied
    untouched = Memory(dict(content))
    run(untouched, *wanted, check_mode=True)
    assert (untouched.applied, untouched.content) == ([], content)


def test_check_mode_foretells_removal() -> None:
    outcome = run(Memory({MX1: (300, (A,))}), Wanted(MX1, (), State.ABSENT), check_mode=True)
    assert (outcome.after[MX1].records, outcome.after[MX1].ttl) == ((), None)


# --- rivals -----------------------------------------------------------------------------------------------------------


def test_a_lost_race_is_read_again_and_retried() -> None:
    def rival(publisher: Memory, _zone: str) -> None:
        if publisher.reads == 1:
            publisher.content[MX1] = (300, (B,))

    publisher = Memory({}, before_apply=rival)
    outcome = run(publisher, Wanted(MX1, (A,), State.PRESENT))
    assert publisher.content[MX1] == (300, (A, B))
    assert outcome.after[MX1].records == (A, B)
    assert outcome.errors == {}


def test_a_race_that_ends_as_wanted_is_no_failure() -> None:
    def rival(publisher: Memory, _zone: str) -> None:
        publisher.content[MX1] = (300, (A,))

    publisher = Memory({}, before_apply=rival)
    outcome = run(publisher, exact(A))
    assert (outcome.after[MX1].records, outcome.errors, publisher.applied) == ((A,), {}, [])


def test_an_endless_race_is_given_up_and_reported() -> None:
    rounds: list[int] = []

    def rival(publisher: Memory, _zone: str) -> None:
        rounds.append(1)
        publisher.content[MX1] = (300, (TlsaRecord(3, 1, 1, bytes([100 + len(rounds)]) * 32),))

    outcome = run(Memory({}, before_apply=rival), exact(A))
    assert len(rounds) == ATTEMPTS
    assert re.match(r"Zone example\.org: .* gave up after 8 tries", outcome.errors["example.org"])
    assert outcome.after[MX1].records != (A,)


def test_a_rival_right_after_is_not_fought() -> None:
    def rival(publisher: Memory, _zone: str) -> None:
        publisher.content[MX1] = (300, (C,))

    publisher = Memory({}, after_apply=rival)
    outcome = run(publisher, exact(A))
    assert (outcome.errors, len(publisher.applied)) == ({}, 1)
    assert outcome.warnings == [f"{MX1} was changed by somebody else right after this run changed it"]
    assert outcome.after[MX1].records == (C,)


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_change_that_is_ignored_in_silence_is_found_out() -> None:
    def ignore(publisher: Memory, _zone: str) -> None:
        publisher.content.clear()

    outcome = run(Memory({}, after_apply=ignore), exact(A))
    assert "the change was accepted and yet _25._tcp.mx1.example.org is as before" in outcome.errors["example.org"]
    assert outcome.after[MX1].records == ()


def test_a_server_that_is_slow_to_show_a_change_is_looked_at_again() -> None:
    class Slow(Memory):
        def read(self, names: Collection[str]) -> Mapping[str, Published]:
            real = super().read(names)
            return {name: Published(name, name, zone_of(name), None, ()) for name in names} if self.reads == 2 else real

    outcome = run(Slow(), exact(A))
    assert (outcome.errors, outcome.after[MX1].records) == ({}, (A,))


def test_a_ttl_that_the_provider_overrules_is_reported() -> None:
    def overrule(publisher: Memory, _zone: str) -> None:
        publisher.content[MX1] = (120, (A,))

    outcome = run(Memory({}, after_apply=overrule), Wanted(MX1, (A,), State.EXACT, 60))
    assert outcome.warnings == [f"the memory gives {MX1} the TTL 120, not 60"]


@pytest.mark.parametrize("error", [PublisherRefused("REFUSED"), PublisherUnavailable("no answer")])
def test_one_zone_that_fails_does_not_hold_up_another(error: Exception) -> None:
    def fail(_publisher: Memory, zone: str) -> None:
        if zone == "example.net":
            raise error

    publisher = Memory({MX2: (300, (C,))}, before_apply=fail)
    outcome = run(publisher, exact(A), exact(B, name=MX2))
    assert outcome.errors == {"example.net": f"Zone example.net: {error}"}
    assert publisher.content == {MX1: (3600, (A,)), MX2: (300, (C,))}
    assert outcome.after[MX1].records == (A,)
    assert outcome.after[MX2].records == (C,)


def test_when_the_outcome_cannot_be_known_it_is_said() -> None:
    class Dying(Memory):
        def read(self, names: Collection[str]) -> Mapping[str, Published]:
            if self.reads:
                raise PublisherUnavailable("no answer")
            return super().read(names)

    def die(_publisher: Memory, _zone: str) -> None:
        raise PublisherUnavailable("no answer")

    outcome = run(Dying({MX1: (300, (A,))}, before_apply=die), exact(B))
    assert outcome.errors == {"example.org": "Zone example.org: no answer"}
    assert outcome.warnings == [
        "the memory cannot be read now, so it is not known whether the last message to it took effect"
    ]
    assert outcome.after[MX1].records == (A,)


def test_a_failed_read_changes_nothing() -> None:
    class Blind(Memory):
        def read(self, names: Collection[str]) -> Mapping[str, Published]:
            raise PublisherUnavailable(f"no answer about {len(names)}")

    publisher = Blind({MX1: (300, (A,))})
    with pytest.raises(PublisherUnavailable, match="no answer about 1"):
        run(publisher, Wanted(MX1, (), State.ABSENT))
    assert publisher.content == {MX1: (300, (A,))}


def test_what_is_refused_in_one_zone_changes_none() -> None:
    publisher = Memory({})
    doubled = "_25._tcp.mx.example.net.example.net"
    with pytest.raises(InvalidInput, match="twice"):
        run(publisher, exact(A), exact(B, name=doubled))
    assert publisher.content == {}


# --- is the zone signed? ----------------------------------------------------------------------------------------------


def test_a_zone_that_is_not_secure_is_refused_before_any_change() -> None:
    publisher = Memory({})
    resolver = Zones(says={"example.org": True, "example.net": False})
    with pytest.raises(InvalidInput, match=re.escape("Zone example.net is not signed (no DNSKEY)")):
        run(publisher, exact(A), exact(B, name=MX2), resolver=resolver)
    assert publisher.content == {}
    run(publisher, exact(A), resolver=resolver)
    assert publisher.content == {MX1: (3600, (A,))}


def test_a_resolver_that_does_not_answer_stops_a_run_and_warns_in_check_mode() -> None:
    resolver = Zones(says={"example.org": LookupFailed("The resolver 127.0.0.1 gave no answer")})
    publisher = Memory({})
    with pytest.raises(LookupFailed, match="could not be found out, so nothing was changed: The resolver 127"):
        run(publisher, exact(A), resolver=resolver)
    assert publisher.content == {}
    outcome = run(publisher, exact(A), resolver=resolver, check_mode=True)
    assert outcome.warnings == [
        "Whether zone example.org is signed could not be found out: The resolver 127.0.0.1 gave no answer"
    ]


class Aliased(Memory):
    """All names are aliases of one in another zone."""

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        there = super().read(["tlsa.example.net"])["tlsa.example.net"]
        return {name: replace(there, name=name) for name in names}


@pytest.mark.parametrize(
    ("aliases", "refused"),
    [
        ({MX1: ("tlsa.example.net.", True)}, ""),
        ({MX1: ("tlsa.example.net.", False)}, f"{MX1} is an alias of tlsa.example.net and not signed"),
        (
            {MX1: ("x.example.org.", True), "x.example.org": ("tlsa.example.net.", False)},
            "x.example.org is an alias of",
        ),
        ({}, ""),
    ],
)
def test_an_alias_that_is_not_signed_is_refused(aliases: dict[str, tuple[str, bool]], refused: str) -> None:
    @dataclass(frozen=True)
    class Names(Resolver):
        def lookup(self, name: str, rdtype: str) -> Answer:
            target, secure = aliases.get(name, ("", True)) if rdtype == "CNAME" else ("", True)
            status = Status.FOUND if target else Status.NODATA
            return Answer(name, rdtype, status, secure, 60, (target,) if target else (), name, ())

    publisher = Aliased()
    if not refused:
        run(publisher, exact(A), resolver=Names())
        assert publisher.content == {"tlsa.example.net": (3600, (A,))}
        return
    with pytest.raises(InvalidInput, match=re.escape(refused)):
        run(publisher, exact(A), resolver=Names())
    assert publisher.content == {}


def test_removal_needs_no_signed_zone() -> None:
    publisher = Memory({MX1: (300, (A,))})
    run(publisher, Wanted(MX1, (), State.ABSENT), resolver=Zones(says={"example.org": False}))
    assert publisher.content == {}
