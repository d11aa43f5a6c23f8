# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What Prometheus's textfile collector reads of a rollover."""

from __future__ import annotations

import typing as t
from contextlib import suppress
from pathlib import Path

from ._certificate_store import CertificateStore
from ._durable import Access, replace_file
from ._errors import DaneError, StoreError
from ._rollover_config import config_of, configured_hosts
from ._rollover_files import RolloverFiles
from ._rollover_sight import stored

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ._rollover_config import RolloverConfig
    from ._rollover_files import Notes

__all__ = ["metrics", "write_metrics"]

_HELP: t.Final = {
    "dane_rollover_next_step_seconds": "Seconds until the next step is due; 0 when nothing is waited for.",
    "dane_rollover_last_run_seconds": "When the agent ran last, in Unix time; 0 when never.",
    "dane_rollover_error": "Whether the last run failed.",
    "dane_rollover_refused": "Whether the last run refused to go on before somebody mends something.",
    "dane_rollover_alarms": "How many alarms the last run had; dane-rollover status tells them.",
    "dane_rollover_in_progress": "Whether keys or chains are staged.",
    "dane_rollover_emergency": "Whether a key is noted as compromised.",
    "dane_rollover_certificate_expiry_seconds": "When the deployed certificate expires, in Unix time.",
}


def metrics(hosts: Sequence[tuple[RolloverConfig, Notes]], now: float) -> str:
    """The metrics of all hosts; ``now`` in POSIX seconds. Raises StoreError."""
    samples: dict[str, list[str]] = {name: [] for name in _HELP}
    for config, notes in hosts:
        store = CertificateStore(config.store)
        label = f'host="{config.host}"'
        deployed = stored(store, store.deployed())
        values = {
            "dane_rollover_next_step_seconds": 0 if notes.until is None else max(notes.until - now, 0),
            "dane_rollover_last_run_seconds": notes.ran or 0,
            "dane_rollover_error": int(notes.error is not None),
            "dane_rollover_refused": int(notes.refused),
            "dane_rollover_alarms": notes.alarms,
            "dane_rollover_in_progress": int((config.store / "staged").is_symlink()),
            "dane_rollover_emergency": int(bool(notes.compromised)),
        }
        for name, value in values.items():
            samples[name].append(f"{name}{{{label}}} {value:.0f}")
        for chain in deployed.chains if deployed is not None else ():
            name = "dane_rollover_certificate_expiry_seconds"
            samples[name].append(f'{name}{{{label},key_algorithm="{chain.algorithm}"}} {chain.not_after:.0f}')
    return "".join(
        f"# HELP {name} {text}\n# TYPE {name} gauge\n" + "".join(f"{line}\n" for line in samples[name])
        for name, text in _HELP.items()
        if samples[name]
    )


def write_metrics(config: RolloverConfig, now: float) -> None:
    """Write the file of a host where one is wanted, with all other hosts that have the same one. Raises StoreError."""
    if config.metrics is None:
        return
    hosts = [(config, RolloverFiles(config.state).notes())]
    for host in configured_hosts():
        with suppress(DaneError):  # a run for this host says what is wrong with it
            other = config_of(host)
            if other.metrics == config.metrics and other.host != config.host:
                hosts.append((other, RolloverFiles(other.state).notes()))
    hosts.sort(key=lambda one: one[0].host)
    try:
        replace_file(Path(config.metrics), metrics(hosts, now).encode(), Access(0o644))
    except OSError as exc:
        msg = f"The metrics file {config.metrics} could not be written: {exc}"
        raise StoreError(msg) from exc
