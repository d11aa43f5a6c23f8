# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The command ``dane-rollover``: what a mail administrator types, and what the timer runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
import typing as t
from datetime import UTC, datetime
from pathlib import Path

from ._certbot import is_for, lineage_material, renew_next
from ._certificate_store import CertificateStore
from ._errors import DaneError, InvalidInput
from ._journal import is_journal, log, say, say_error, tell
from ._key_material import Material
from ._next_keys import begin, go_back, made_key
from ._rollover_agent import Agent
from ._rollover_config import FILE_NAME, STORES, config_of, configured_hosts
from ._rollover_files import RolloverFiles
from ._rollover_json import as_json
from ._rollover_metrics import metrics, write_metrics
from ._rollover_state import Kind
from ._rollover_status import plan_text, status_text
from ._rollover_wake import wake_next
from ._staging import stage
from ._wake import wake_at

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._rollover_agent import Run
    from ._rollover_config import RolloverConfig

__all__ = ["main"]

REFUSED: t.Final = 3
FAILED: t.Final = 4
_STAGE_PATIENCE: t.Final = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 2 for wrong arguments, 3 when refused, 4 when something failed."""
    options = _parser().parse_args(arguments)
    try:
        return t.cast("Callable[[argparse.Namespace], int]", options.command)(options)
    except DaneError as error:
        return _failed(str(error), error)
    except BrokenPipeError:
        return 0


def _failed(told: str, error: DaneError) -> int:
    """Say what went wrong; return the exit status."""
    say_error(told)
    return REFUSED if isinstance(error, InvalidInput) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dane-rollover", description="Roll certificates and keys over without losing mail."
    )
    parser.add_argument("--host", help="only this host name; without it, all that are configured")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=run)
        return command

    for name, run, text in (
        ("status", _status, "what is published, deployed and staged, and what is waited for; changes nothing"),
        ("plan", _plan, "what step would do now; changes nothing"),
    ):
        add(name, run, text).add_argument("--json", action="store_true", help="for programs")
    step = add("step", _step, "do what can be done now")
    step.add_argument("--json", action="store_true", help="for programs")
    step.add_argument("--retry", action="store_true", help="try again at once what services did not serve before")
    step.add_argument("--patience", type=float, default=20.0, metavar="SECONDS", help="wait here for at most so long")
    staging = add("stage", _stage, "check a key and its chain, and stage them; services see nothing of it yet")
    staging.add_argument(
        "--key", type=Path, action="append", default=[], help="private key, PEM; once for each algorithm"
    )
    staging.add_argument("--chain", type=Path, action="append", default=[], help="full chain, PEM; one for each --key")
    staging.add_argument(
        "--certbot", type=Path, metavar="DIRECTORY", help="a lineage of certbot, as RENEWED_LINEAGE names it"
    )
    staging.add_argument("--next", action="store_true", help="as the key that follows the deployed one some day")
    now = add("now", _now, "begin a rollover to the next key")
    how = now.add_mutually_exclusive_group()
    how.add_argument("--emergency", action="store_true", help="the deployed keys are compromised")
    how.add_argument("--back", action="store_true", help="roll back to what was deployed before")
    add("renew-next", _renew_next, "have certbot make the next key, where certbot makes it")
    add("metrics", _metrics, "metrics for Prometheus's textfile collector")
    return parser


def _hosts(options: argparse.Namespace) -> list[str]:
    hosts = [options.host] if options.host else list(configured_hosts())
    if not hosts:
        msg = (
            f"No host is configured: there is no {STORES}/*/{FILE_NAME}. The role mailsec.dane.tlsa_rollover writes it"
        )
        raise InvalidInput(msg)
    return hosts


def _configs(options: argparse.Namespace) -> list[RolloverConfig]:
    return [config_of(host) for host in _hosts(options)]


def _one_config(options: argparse.Namespace) -> RolloverConfig:
    configs = _configs(options)
    if len(configs) == 1:
        return configs[0]
    msg = f"Several hosts are configured; say which with --host: {', '.join(config.host for config in configs)}"
    raise InvalidInput(msg)


# --- commands that only look ------------------------------------------------------------------------------------------


def _status(options: argparse.Namespace) -> int:
    return _show(options, status_text)


def _plan(options: argparse.Namespace) -> int:
    return _show(options, plan_text)


def _show(options: argparse.Namespace, text: Callable[[Run, float], str]) -> int:
    runs: list[Run] = []
    status = 0
    for host in _hosts(options):
        # A host that cannot be looked at does not hide the others.
        try:
            runs.append(Agent(config_of(host)).plan())
        except DaneError as error:
            status = max(status, _failed(f"{host}: {error}", error))
    now = time.time()
    if options.json:
        say(json.dumps([as_json(run, now) for run in runs], indent=2))
    else:
        say("\n".join(text(run, now) for run in runs), end="")
    return status


def _metrics(options: argparse.Namespace) -> int:
    configs = _configs(options)
    say(metrics([(config, RolloverFiles(config.state).notes()) for config in configs], time.time()), end="")
    return 0


# --- commands that act ------------------------------------------------------------------------------------------------


def _step(options: argparse.Namespace) -> int:
    runs: list[Run] = []
    status = 0
    for host in _hosts(options):
        # A host that cannot be served does not keep others from their steps.
        try:
            config = config_of(host)
            runs.append(Agent(config, log=log).step(patience=options.patience, retry=options.retry))
            write_metrics(config, time.time())
        except DaneError as error:
            say_error(f"{host}: {error}")
            status = FAILED
    now = time.time()
    if trouble := wake_next([run.next_run for run in runs], now):
        log(trouble)
    if options.json:
        say(json.dumps([as_json(run, now) for run in runs], indent=2))
    elif not is_journal(sys.stdout):
        say("\n".join(plan_text(run, now) for run in runs), end="")
    for run in runs:
        if run.error is not None:
            say_error(f"{run.config.host}: {run.error}")
            status = FAILED
    refused = any(run.decision is not None and run.decision.kind is Kind.REFUSE for run in runs)
    return status or (REFUSED if refused else 0)


def _stage(options: argparse.Namespace) -> int:
    if options.certbot is None:
        _stage_for(_one_config(options), _given(options), as_next=options.next)
        return 0
    if options.key or options.chain:
        msg = "Give either --certbot or --key and --chain"
        raise InvalidInput(msg)
    configs = [config for config in _configs(options) if is_for(config, options.certbot)]
    if not configs:
        tell(f"{options.certbot} is for no host that is configured here; nothing to do")
    status = 0
    for config in configs:
        # One certificate may be for several names of this machine; certbot calls once for all of them.
        try:
            lineage, is_next = lineage_material(config, CertificateStore(config.store), options.certbot)
            _stage_for(config, [lineage], as_next=options.next or is_next)
        except DaneError as error:
            status = max(status, _failed(f"{config.host}: {error}", error))
    return status


def _stage_for(config: RolloverConfig, material: Sequence[Material], *, as_next: bool) -> None:
    agent = Agent(config, log=log)
    with agent.store.locked(_STAGE_PATIENCE):
        now = time.time()
        done = stage(
            agent.store,
            material,
            config.host,
            datetime.fromtimestamp(now, UTC),
            as_next=as_next,
            fill=lambda algorithm: made_key(config, algorithm, now),
        )
    if done.slot is None:
        tell(
            f"{config.host}: nothing to stage: {done.generation.identifier} holds these keys already, or replaces them"
        )
    else:
        tell(f"{config.host}: {done.slot.value}: {done.generation.identifier}")
    if done.changed:
        _begin_soon()


def _given(options: argparse.Namespace) -> list[Material]:
    if not options.key or len(options.key) != len(options.chain):
        msg = f"Give a --chain for each --key; there are {len(options.key)} and {len(options.chain)}"
        raise InvalidInput(msg)
    return [
        Material(_read(key), str(key), _read(chain), str(chain))
        for key, chain in zip(options.key, options.chain, strict=True)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        msg = f"{path} cannot be read: {exc.strerror}"
        raise InvalidInput(msg) from exc


def _now(options: argparse.Namespace) -> int:
    config = _one_config(options)
    agent = Agent(config, log=log)
    with agent.store.locked(_STAGE_PATIENCE):
        if options.back:
            done = go_back(agent.store, agent.files)
        else:
            done = begin(config, agent.store, agent.files, time.time(), emergency=options.emergency)
    tell(f"{config.host}: {done}")
    options.json, options.retry, options.patience = False, False, 20.0
    options.host = config.host
    return _step(options)


def _renew_next(options: argparse.Namespace) -> int:
    status = 0
    for config in _configs(options):
        if config.next_keys != "certbot":
            continue
        try:
            for line in renew_next(config, CertificateStore(config.store)):
                tell(f"{config.host}: {line}")
        except DaneError as error:
            status = max(status, _failed(f"{config.host}: {error}", error))
    return status


def _begin_soon() -> None:
    """A deploy hook must not wait for the DNS: the service takes the next step, a moment later."""
    if trouble := wake_at(time.time()):
        log(trouble)
