# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The agent in a small world: a store on disk, one name server, one endpoint that loads what is deployed on reload."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import (
    _rollover_action,
    _rollover_agent,
    _rollover_config,
    _rollover_sight,
)
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_deployment import deploy
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_store import CertificateStore, Slot
from ansible_collections.mailsec.dane.plugins.module_utils._errors import (
    InvalidCertificate,
    InvalidInput,
    PublisherUnavailable,
    StoreError,
)
from ansible_collections.mailsec.dane.plugins.module_utils._key_change import Policy
from ansible_collections.mailsec.dane.plugins.module_utils._key_material import Material
from ansible_collections.mailsec.dane.plugins.module_utils._key_memory import KeyMemory
from ansible_collections.mailsec.dane.plugins.module_utils._next_keys import begin, go_back
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_agent import Agent, Run
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_config import RolloverConfig
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_json import as_json
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_metrics import metrics
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import Answer, Kind, Served
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_status import plan_text, status_text
from ansible_collections.mailsec.dane.plugins.module_utils._staging import chains_in, stage
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from issued import Issued, issue, key_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

HOST: t.Final = "mx1.example.org"
OWNER: t.Final = f"_25._tcp.{HOST}"
START: t.Final = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()
OLD: t.Final = issue(HOST, key_of("ecdsa", 1))
RENEWED: t.Final = issue(HOST, key_of("ecdsa", 1), days=180)
NEW: t.Final = issue(HOST, key_of("ecdsa", 2))
WAIT: t.Final = 7200.0
PROVIDER: t.Final = {"type": "rfc2136", "server": "192.0.2.53"}


def material(issued: Issued) -> Material:
    return Material(issued.key_pem, "key.pem", issued.pem, "chain.pem")


class World:
    """Everything outside the agent. ``broken`` services do not load what is deployed. Records of a ``wildcard`` are
    served at a name until something stands there. ``told`` is what the provider was told to add."""

    def __init__(self, store: CertificateStore) -> None:
        self.store = store
        self.now = START
        self.records: set[TlsaRecord] = set()
        self.silent = False
        self.down = False
        self.broken = False
        self.wildcard = False
        self.told: list[dict[str, set[TlsaRecord]]] = []
        self.loaded: str | None = None
        self.reloads = 0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def answers(self, _observer: object, owners: Mapping[str, int]) -> tuple[dict[str, tuple[Answer, ...]], bool]:
        error = "no answer" if self.silent else None
        answer = Answer("ns1", "192.0.2.53", frozenset() if self.silent else frozenset(self.records), 3600, error)
        return dict.fromkeys(owners, (answer,)), False

    def served(self, _host: str, ports: Mapping[str, object], addresses: Sequence[str]) -> tuple[Served, ...]:
        generation = next(one for one in self.store.generations() if one.identifier == self.loaded)
        seen = _rollover_sight.stored(self.store, generation)
        assert seen is not None
        return tuple(Served(owner, address, seen.chains) for owner in ports for address in addresses)

    def reload(self, _units: object) -> None:
        self.reloads += 1
        deployed = self.store.deployed()
        assert deployed is not None
        if not self.broken:
            self.loaded = deployed.identifier

    def publish(
        self,
        _config: object,
        added: Mapping[str, Sequence[TlsaRecord]],
        removed: Mapping[str, Sequence[TlsaRecord]],
        fits: t.Callable[[str, frozenset[TlsaRecord]], bool],
    ) -> tuple[str, ...]:
        for owner, records in removed.items():
            assert fits(owner, frozenset(self.records.difference(records)))
            assert not fits(owner, frozenset(records))
        if self.down:
            raise PublisherUnavailable("the name server 192.0.2.53 did not answer")
        self.told.append({owner: set(records) for owner, records in added.items()})
        if self.wildcard and any(added.values()):
            self.records, self.wildcard = set(), False
        self.records |= {record for records in added.values() for record in records}
        self.records -= {record for records in removed.values() for record in records}
        return ()


@pytest.fixture(name="config")
def fixture_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RolloverConfig:
    monkeypatch.setattr(_rollover_config, "STORES", tmp_path / "etc")
    monkeypatch.setattr(_rollover_config, "STATE", tmp_path / "var")
    return RolloverConfig(
        host=HOST, ports=(25,), provider=PROVIDER, addresses=("192.0.2.1",), scheme="current", next_keys="given"
    )


@pytest.fixture(name="world")
def fixture_world(config: RolloverConfig, monkeypatch: pytest.MonkeyPatch) -> World:
    store = CertificateStore(config.store)
    deploy(store, [material(OLD)], Policy(HOST), datetime.fromtimestamp(START, UTC))
    world = World(store)
    world.reload(())
    world.records = {tlsa_record_for(OLD.certificate)}
    monkeypatch.setattr(_rollover_sight, "answers_at", world.answers)
    monkeypatch.setattr(_rollover_sight, "served_at", world.served)
    monkeypatch.setattr(_rollover_action, "served_at", world.served)
    monkeypatch.setattr(_rollover_action, "PROOF", 0.0)
    monkeypatch.setattr(_rollover_action.unproved, "__kwdefaults__", {"sleep": world.sleep, "patience": 0.0})
    monkeypatch.setattr(_rollover_action, "reload_units", world.reload)
    monkeypatch.setattr(_rollover_agent, "publish", world.publish)
    return world


def agent_of(config: RolloverConfig, world: World, log: list[str] | None = None) -> Agent:
    return Agent(
        config, clock=lambda: world.now, sleep=world.sleep, log=(lambda _line: None) if log is None else log.append
    )


def put(agent: Agent, world: World, issued: Issued, *, as_next: bool = False) -> None:
    with agent.store.locked():
        stage(agent.store, [material(issued)], HOST, datetime.fromtimestamp(world.now, UTC), as_next=as_next)


def known(config: RolloverConfig, world: World) -> Agent:
    """An agent that has looked for long enough to know all that may be held."""
    agent = agent_of(config, world)
    for _look in range(30):
        agent.step(patience=0)
        world.now += 3500
    agent.step(patience=0)
    return agent


def serving(world: World) -> bytes:
    return (world.store.link / "ecdsa.crt").read_bytes()


def decision(run: Run) -> tuple[Kind, str]:
    assert run.error is None, run.error
    assert run.decision is not None
    return run.decision.kind, run.decision.why


def test_a_new_key_is_published_waited_for_deployed_and_the_old_one_retired(
    config: RolloverConfig, world: World
) -> None:
    log: list[str] = []
    known(config, world)
    agent = agent_of(config, world, log)
    put(agent, world, NEW)
    began = world.now
    run = agent.step(patience=0)
    assert decision(run)[0] is Kind.WAIT
    assert world.records == {tlsa_record_for(OLD.certificate), tlsa_record_for(NEW.certificate)}
    assert serving(world) == OLD.pem
    assert run.next_run == pytest.approx(began + WAIT, abs=2)
    while world.now < began + WAIT - 10:
        world.now = min(world.now + 1800, began + WAIT - 10)
        assert decision(agent.step(patience=0))[0] is Kind.WAIT
        assert serving(world) == OLD.pem
    run = agent.step(patience=20)
    assert decision(run)[0] is Kind.DONE
    assert world.now - began <= WAIT + 10
    assert serving(world) == NEW.pem
    assert world.records == {tlsa_record_for(NEW.certificate)}
    assert world.store.slot(Slot.STAGED) is None
    assert KeyMemory(config.store).read().retired == (tlsa_record_for(OLD.certificate),)
    assert [kind for kind in ("published", "deployed", "retired") if any(f": {kind}" in line for line in log)] == [
        "published",
        "deployed",
        "retired",
    ]


def test_what_a_wildcard_gives_is_published_beside_the_new_record(config: RolloverConfig, world: World) -> None:
    known(config, world)
    agent = agent_of(config, world)
    world.wildcard, world.told = True, []
    put(agent, world, NEW)
    agent.step(patience=0)
    assert world.told == [{OWNER: {tlsa_record_for(OLD.certificate), tlsa_record_for(NEW.certificate)}}]


def test_what_may_have_been_removed_unseen_is_added_again(config: RolloverConfig, world: World) -> None:
    agent_of(config, world).step(patience=0)
    assert world.told == [{OWNER: {tlsa_record_for(OLD.certificate)}}]


def test_a_step_that_servers_do_not_show_yet_is_not_repeated_at_once(
    config: RolloverConfig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = known(config, world)
    told: list[object] = []

    def publish(_config: object, added: object, *_more: object) -> tuple[str, ...]:
        told.append(added)
        return ()

    monkeypatch.setattr(_rollover_agent, "publish", publish)
    put(agent, world, NEW)
    run = agent.step(patience=0)
    assert len(told) == len(run.done) == 1
    kind, why = decision(run)
    assert kind is Kind.WAIT
    assert why.startswith("the name servers do not show yet what was done (published: 3 1 1 ")
    assert run.next_run is not None
    assert run.next_run - world.now < 10
    agent.step(patience=0)
    assert len(told) == 2


def test_a_renewal_of_the_same_key_goes_in_at_once(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, RENEWED)
    records = set(world.records)
    assert decision(agent.step(patience=0))[0] is Kind.DONE
    assert serving(world) == RENEWED.pem
    assert world.records == records


def test_next_keys_are_made_and_published_and_a_rollover_to_them_does_not_wait(
    config: RolloverConfig, world: World
) -> None:
    config = replace(config, scheme="current+next", next_keys="self-signed", rsa_bits=2048)
    agent = known(config, world)
    assert len(world.records) == 2
    before = world.now
    with agent.store.locked():
        begin(config, agent.store, agent.files, world.now)
    run = agent.step(patience=20)
    assert decision(run)[0] is Kind.DONE
    assert world.now - before <= 10
    assert serving(world) != OLD.pem
    assert tlsa_record_for(OLD.certificate) not in world.records
    assert len(world.records) == 2
    assert world.store.slot(Slot.NEXT) not in (None, world.store.deployed())


def test_a_next_key_that_was_deployed_with_another_certificate_is_next_no_more(
    config: RolloverConfig, world: World
) -> None:
    config = replace(config, scheme="current+next", next_keys="self-signed")
    known(config, world)
    agent = agent_of(config, world)
    put(agent, world, NEW, as_next=True)
    for _look in range(6):
        agent.step(patience=0)
        world.now += 1800
    other = issue(HOST, key_of("ecdsa", 2), days=180)
    put(agent, world, other)
    assert decision(agent.step(patience=20))[0] is Kind.DONE
    assert serving(world) == other.pem
    upcoming = world.store.slot(Slot.NEXT)
    assert upcoming is not None
    assert tlsa_record_for(NEW.certificate) not in {chain.record for chain in chains_in(upcoming).values()}
    for _look in range(6):
        world.now += 1800
        agent.step(patience=0)
    with agent.store.locked():
        begin(config, agent.store, agent.files, world.now, emergency=True)
    assert decision(agent.step(patience=20))[0] is Kind.DONE
    assert tlsa_record_for(NEW.certificate) not in world.records


def test_in_an_emergency_the_compromised_key_goes_and_never_comes_back(config: RolloverConfig, world: World) -> None:
    config = replace(config, scheme="current+next", next_keys="self-signed", retire_after=86400)
    agent = known(config, world)
    with agent.store.locked():
        begin(config, agent.store, agent.files, world.now, emergency=True)
    agent.step(patience=20)
    assert serving(world) != OLD.pem
    assert tlsa_record_for(OLD.certificate) not in world.records
    with pytest.raises(InvalidCertificate, match="was retired"):
        put(agent, world, RENEWED)
    with agent.store.locked(), pytest.raises(StoreError, match="was retired"):
        go_back(agent.store, agent.files)


def test_in_an_emergency_without_a_next_key_the_given_one_follows_and_needs_no_second_command(
    config: RolloverConfig, world: World
) -> None:
    agent = known(replace(config, next_keys="given"), world)
    with agent.store.locked(), pytest.raises(InvalidInput, match="It is noted that the deployed keys are compromised"):
        begin(agent.config, agent.store, agent.files, world.now, emergency=True)
    put(agent, world, NEW)
    for _look in range(5):
        world.now += 1800
        agent.step(patience=0)
    assert serving(world) == NEW.pem
    assert tlsa_record_for(OLD.certificate) not in world.records
    with pytest.raises(InvalidCertificate, match="was retired"):
        put(agent, world, RENEWED)


def test_the_former_key_comes_back_at_once_while_its_record_is_out(config: RolloverConfig, world: World) -> None:
    config = replace(config, retire_after=86400)
    agent = known(config, world)
    put(agent, world, NEW)
    agent.step(patience=0)
    for _look in range(5):
        world.now += 1800
        agent.step(patience=0)
    assert serving(world) == NEW.pem
    with agent.store.locked():
        go_back(agent.store, agent.files)
    agent.step(patience=0)
    assert serving(world) == OLD.pem


def test_what_services_do_not_serve_is_put_back_and_not_tried_again_at_once(
    config: RolloverConfig, world: World
) -> None:
    agent = known(config, world)
    put(agent, world, RENEWED)
    world.broken = True
    run = agent.step(patience=0)
    assert run.error is not None
    assert "serves another ecdsa chain than the deployed one" in run.error
    assert "were put back" in run.error
    assert serving(world) == OLD.pem
    assert not world.store.reload_owed
    reloads = world.reloads
    kind, why = decision(agent.step(patience=0))
    assert kind is Kind.REFUSE
    assert "dane-rollover step --retry" in why
    assert f'dane_rollover_refused{{host="{HOST}"}} 1' in metrics([(config, agent.files.notes())], world.now)
    assert world.reloads == reloads
    world.broken = False
    assert decision(agent.step(patience=0, retry=True))[0] is Kind.DONE
    assert serving(world) == RENEWED.pem
    world.now = RENEWED.certificate.not_valid_after_utc.timestamp() + 1
    agent.step(patience=0)
    told = metrics([(config, agent.files.notes())], world.now).splitlines()
    assert f'dane_rollover_refused{{host="{HOST}"}} 0' in told
    assert f'dane_rollover_alarms{{host="{HOST}"}} 1' in told


def test_pauses_after_failures_grow(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, RENEWED)
    world.broken = True
    pauses = []
    for _try in range(4):
        agent.step(patience=0)
        failure = agent.files.notes().failure
        assert failure is not None
        pauses.append(failure.again - failure.at)
        world.now = failure.again
    assert pauses == [30, 60, 120, 240]


def test_a_writer_killed_before_the_reload_is_made_good(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, RENEWED)
    staged = world.store.slot(Slot.STAGED)
    assert staged is not None
    world.store.owe_reload()
    world.store.deploy(staged)
    assert world.loaded != staged.identifier
    assert decision(agent.step(patience=0))[0] is Kind.DONE
    assert world.loaded == staged.identifier
    assert world.store.slot(Slot.STAGED) is None


def test_keys_for_later_that_cannot_be_had_do_not_hold_up_what_is_due(
    config: RolloverConfig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(config, world)
    agent = agent_of(config, world)

    def broken(*_arguments: object) -> str | None:
        raise InvalidInput("/etc/letsencrypt/live/mx1-ecdsa-b is no lineage of certbot")

    monkeypatch.setattr(_rollover_agent, "ensure_next", broken)
    put(agent, world, RENEWED)
    run = agent.step(patience=0)
    assert serving(world) == RENEWED.pem
    assert run.error == "/etc/letsencrypt/live/mx1-ecdsa-b is no lineage of certbot"
    assert agent.files.notes().error == run.error


def test_what_was_staged_during_a_run_is_not_left_to_the_regular_timer(
    config: RolloverConfig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = known(config, world)
    assert agent.step(patience=0).next_run is None
    cycle = Agent._cycle

    def interrupted(self: Agent, run: Run, *, retry: bool) -> Run:
        run = cycle(self, run, retry=retry)
        put(self, world, NEW)
        return run

    monkeypatch.setattr(Agent, "_cycle", interrupted)
    assert agent.step(patience=0).next_run == world.now


def test_after_a_kill_between_switch_and_proof_one_can_go_back(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, RENEWED)
    former, staged = world.store.deployed(), world.store.slot(Slot.STAGED)
    assert former is not None
    assert staged is not None
    agent.files.write_notes(replace(agent.files.notes(), previous=former.identifier))
    world.store.owe_reload()
    world.store.deploy(staged)
    world.broken = True
    run = agent.step(patience=0)
    assert run.error is not None
    assert "nothing was put back: mend this, or go back with `dane-rollover now --back`" in run.error
    with agent.store.locked():
        go_back(agent.store, agent.files)
    assert decision(agent.step(patience=0))[0] is Kind.DONE
    assert serving(world) == OLD.pem


def test_a_silent_server_deploys_and_removes_nothing(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, NEW)
    world.silent = True
    for _look in range(50):
        world.now += 1800
        assert decision(agent.step(patience=0))[0] is Kind.WAIT
    assert serving(world) == OLD.pem
    assert world.records == {tlsa_record_for(OLD.certificate)}


def test_a_provider_that_fails_is_said_and_changes_nothing(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, NEW)
    world.down = True
    run = agent.step(patience=0)
    assert run.error == "the name server 192.0.2.53 did not answer"
    assert serving(world) == OLD.pem
    assert agent.files.notes().error == run.error
    assert run.next_run is not None
    planned = agent.plan()
    assert as_json(planned, world.now)["last_step"]["error"] == run.error
    again = f"{datetime.fromtimestamp(run.next_run).astimezone():%H:%M:%S}"
    for told in (status_text(planned, world.now), plan_text(planned, world.now)):
        assert f"failed: {run.error}; the next is at {again}" in told
    world.down = False
    assert decision(agent.step(patience=0))[0] is Kind.WAIT
    assert agent.files.notes().error is None
    assert "failed" not in status_text(agent.plan(), world.now)


def test_without_a_provider_it_says_what_to_publish_and_goes_on_once_it_is_served(
    config: RolloverConfig, world: World
) -> None:
    config = replace(config, provider=None)
    agent = known(config, world)
    put(agent, world, NEW)
    run = agent.step(patience=0)
    assert run.done == ()
    assert run.lines == tuple(
        f"{OWNER}. 3600 IN TLSA {record.to_text()}"
        for record in sorted(tlsa_record_for(one.certificate) for one in (OLD, NEW))
    )
    assert "publish by hand" in plan_text(run, world.now)
    world.records.add(tlsa_record_for(NEW.certificate))
    assert decision(agent.step(patience=0))[0] is Kind.WAIT


def test_without_a_provider_nobody_is_asked_to_publish_what_is_served(config: RolloverConfig, world: World) -> None:
    config = replace(config, provider=None)
    run = agent_of(config, world).step(patience=0)
    assert run.lines == ()
    kind, why = decision(run)
    assert kind is Kind.WAIT
    assert why.endswith("; every server serves it, so there is nothing to publish by hand")


def test_behind_a_shared_name_only_the_own_address_is_proved(
    config: RolloverConfig, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, exclusive=False, addresses=())
    monkeypatch.setattr(_rollover_sight, "host_addresses", lambda *_arguments: ("192.0.2.1", "127.0.0.1"))
    proved: list[Sequence[str]] = []

    def served(host: str, ports: Mapping[str, object], addresses: Sequence[str]) -> tuple[Served, ...]:
        proved.append(addresses)
        return world.served(host, ports, addresses)

    monkeypatch.setattr(_rollover_action, "served_at", served)
    agent = known(config, world)
    put(agent, world, RENEWED)
    assert decision(agent.step(patience=0))[0] is Kind.DONE
    assert proved == [("127.0.0.1",)]
    monkeypatch.setattr(_rollover_sight, "host_addresses", lambda *_arguments: ("192.0.2.1",))
    put(agent, world, issue(HOST, key_of("ecdsa", 1), days=200))
    run = agent.step(patience=0)
    assert run.error is not None
    assert "set tlsa_rollover_addresses" in run.error
    assert serving(world) == RENEWED.pem


def test_plan_writes_nothing_and_says_what_step_would_do(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, NEW)
    before = {path: path.read_bytes() for path in config.state.iterdir()}
    run = agent.plan()
    assert decision(run)[0] is Kind.PUBLISH
    assert {path: path.read_bytes() for path in config.state.iterdir()} == before
    assert world.records == {tlsa_record_for(OLD.certificate)}
    told = status_text(run, world.now)
    assert "next: publish" in told
    assert f"    + {OWNER}  {tlsa_record_for(NEW.certificate).to_text()[:18]}.." in told
    assert as_json(run, world.now)["decision"] == "publish"
    assert as_json(run, world.now)["generations"]["staged"]["chains"][0]["not_after"] == "2027-02-19T12:00:00Z"


def test_status_says_until_when_and_why(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    put(agent, world, NEW)
    agent.step(patience=0)
    run = agent.plan()
    assert run.decision is not None
    assert run.decision.until is not None
    clock = f"{datetime.fromtimestamp(run.decision.until).astimezone():%H:%M:%S}"
    told = status_text(run, world.now)
    assert f"waiting until {clock} (in 2 h): " in told
    assert "TTL 3600, may be held until" in told
    assert "the deployed ecdsa certificate expires" in told


def test_generations_in_use_are_kept_and_others_pruned(config: RolloverConfig, world: World) -> None:
    agent = known(config, world)
    for days in range(100, 106):
        put(agent, world, issue(HOST, key_of("ecdsa", 1), days=days))
        assert decision(agent.step(patience=0))[0] is Kind.DONE
    assert len(world.store.generations()) == config.keep
