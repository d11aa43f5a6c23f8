# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Traffic without pause: a lasting program on each sender hands messages to its Postfix at a steady rate.

Postfix's own log says what became of them; see ``tally``.
"""

from __future__ import annotations

import json
import subprocess
import typing as t
from dataclasses import dataclass

from lab import podman
from lab.errors import LabError
from lab.machine import podman_environment

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.topology import Host, Lab

LOG: t.Final = "/var/log/mail.log"

# Runs on the sender until its standard input ends, so that it never outlives whoever started it.
_PROGRAM: t.Final = """
import json, select, smtplib, sys, time
tag, rate, sender = sys.argv[1], float(sys.argv[2]), sys.argv[3]
recipients = sys.argv[4:]
started, accepted, refused, turn, connection = time.monotonic(), 0, [], 0, None
while True:
    pause = max(0.0, started + turn / rate - time.monotonic())
    if select.select([sys.stdin], [], [], pause)[0] and not sys.stdin.read(1):
        break
    to = recipients[turn % len(recipients)]
    text = (f"From: {sender}\\r\\nTo: {to}\\r\\nSubject: traffic\\r\\n"
            f"Message-ID: <{tag}.{turn}@{sender.rpartition('@')[2]}>\\r\\n\\r\\ntraffic\\r\\n")
    turn += 1
    try:
        if connection is None:
            connection = smtplib.SMTP("127.0.0.1", 25, timeout=20)
        connection.sendmail(sender, [to], text)
        accepted += 1
    except (OSError, smtplib.SMTPException) as error:
        refused.append(repr(error)[:200])
        connection = None
print(json.dumps({"accepted": accepted, "refused": refused}))
"""


@dataclass(frozen=True)
class Sent:
    """What one sender's Postfix took: the tag of the Message-IDs, how many, and where its log stood at the start."""

    sender: Host
    tag: str
    accepted: int
    log_start: int


class Traffic:
    """Messages to ``recipients`` in turn, ``rate`` a second from each sender, until ``stop``. A context manager."""

    def __init__(self, lab: Lab, rates: dict[Host, float], recipients: Sequence[str], tag: str) -> None:
        """``tag`` is unique among all runs whose messages stand in the senders' logs."""
        self._lab = lab
        self._rates = rates
        self._recipients = tuple(recipients)
        self._tag = tag
        self._running: dict[Host, subprocess.Popen[str]] = {}
        self._log_start: dict[Host, int] = {}

    def __enter__(self) -> t.Self:
        """Start every sender."""
        for host, rate in self._rates.items():
            container = self._lab.container(host)
            self._log_start[host] = int(podman.execute(container, ["stat", "--format=%s", LOG]))
            arguments = [self._tag, str(rate), f"traffic@{host.mail_domain}", *self._recipients]
            self._running[host] = subprocess.Popen(
                ["podman", "exec", "--interactive", container, "python3", "-c", _PROGRAM, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=podman_environment(),
                text=True,
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        """End whatever still runs."""
        for process in self._running.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    def check(self) -> None:
        """Raise LabError when a sender has stopped by itself."""
        for host, process in self._running.items():
            if process.poll() is not None:
                raise LabError(f"the traffic from {host.fqdn} ended by itself with status {process.returncode}")

    def stop(self) -> list[Sent]:
        """End the traffic and return what was handed over. Raises LabError when a sender's own Postfix refused mail."""
        self.check()
        sent = []
        for host, process in self._running.items():
            output, _errors = process.communicate(timeout=60)
            told = json.loads(output)
            if told["refused"]:
                raise LabError(f"{host.fqdn} refused mail of its own: {told['refused'][:3]}")
            sent.append(Sent(host, self._tag, told["accepted"], self._log_start[host]))
        return sent
