# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is killed, and how somebody who finds it dead starts it again."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from lab import podman, topology
from rollover import stage

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from rollover.stage import MailHost

_DEAD_SECONDS: t.Final = 1.5


@dataclass(frozen=True)
class Victim:
    """Something on or around the managed host. ``receives``: while it is dead, mail to the host must be put off.

    ``boots``: everything on the host ends with it, and begins anew.
    """

    name: str
    kill: Callable[[MailHost], None]
    revive: Callable[[MailHost], None]
    receives: bool = False
    boots: bool = False


def _name_server(kind: topology.Kind, unit: str) -> tuple[Callable[[MailHost], None], Callable[[MailHost], None]]:
    server = next(host for host in topology.HOSTS if host.kind is kind)

    def kill(host: MailHost) -> None:
        podman.execute(host.lab.container(server), ["systemctl", "kill", "--signal=KILL", unit])

    def revive(host: MailHost) -> None:
        podman.execute(
            host.lab.container(server), ["/bin/sh", "-c", f"systemctl reset-failed {unit}; systemctl start {unit}"]
        )

    return kill, revive


def _kill_host(host: MailHost) -> None:
    podman.call("kill", "--signal", "KILL", host.container)


def _start_host(host: MailHost) -> None:
    podman.call("start", host.container)
    host.attempt("systemctl", "is-system-running", "--wait", timeout=90)


def postfix_unit(host: MailHost) -> str:
    """Return the unit whose processes are Postfix."""
    return "postfix@-.service" if host.host.suite is topology.Suite.BOOKWORM else "postfix.service"


_PRIMARY: t.Final = _name_server(topology.Kind.PRIMARY, "named.service")
_SECONDARY: t.Final = _name_server(topology.Kind.SECONDARY, "knot.service")
OTHERS: t.Final = (
    Victim(
        "Postfix",
        lambda host: _run(host, f"systemctl kill --signal=KILL {postfix_unit(host)}"),
        lambda host: _run(host, f"systemctl restart {postfix_unit(host)}"),
        receives=True,
    ),
    Victim(
        "the host's unbound",
        lambda host: _run(host, "systemctl kill --signal=KILL unbound.service"),
        lambda host: _run(host, "systemctl restart unbound.service"),
    ),
    Victim("the primary name server", *_PRIMARY),
    Victim("the secondary name server", *_SECONDARY),
    Victim("the host", _kill_host, _start_host, receives=True, boots=True),
)


def strike(host: MailHost, victim: Victim) -> tuple[float, float]:
    """Kill ``victim``, and start it again a moment later; return from when to when it was down (POSIX seconds)."""
    died = time.time()
    victim.kill(host)
    time.sleep(_DEAD_SECONDS)
    victim.revive(host)
    if victim.receives:
        stage.wait_for(f"{host.host.fqdn} takes mail again", lambda: _greets(host), patience=60)
    return died, time.time()


def _run(host: MailHost, script: str) -> None:
    host.run(script)


def _greets(host: MailHost) -> bool:
    script = "exec 3<>/dev/tcp/127.0.0.1/25 && read -r -t 5 line <&3 && case $line in 220*) ;; *) exit 1 ;; esac"
    return host.attempt("bash", "-c", script).returncode == 0
