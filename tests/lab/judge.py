# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge: mail is sent from a host, and that host's own Postfix log says what became of it.

Only ``Verified TLS connection`` to the relay of a message with ``status=sent`` counts; ``Trusted`` does not.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import podman
from lab.errors import LabError
from lab.machine import podman_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.topology import Host, Lab

_LINE = re.compile(r"postfix(?:[-\w]*)/(?P<program>[\w/]+)\[(?P<pid>\d+)\]: (?P<text>.*)")
_MESSAGE_ID = re.compile(r"(?P<queue_id>[0-9A-Za-z]+): message-id=<(?P<message_id>[^>]+)>")
_TLS = re.compile(r"(?P<trust>\w+) TLS connection (?:established|reused) to (?P<relay>\S+\[[^\]]+\]:\d+)[:,]? ")
_VERIFIED = re.compile(r"\bVerified TLS connection (established|reused) to ")
_OUTCOME = re.compile(
    r"(?P<queue_id>[0-9A-Za-z]+): to=<(?P<to>[^>]*)>,.* relay=(?P<relay>[^,]+),.* dsn=(?P<dsn>[\d.]+),"
    r" status=(?P<status>\w+)"
)


@dataclass(frozen=True)
class Message:
    """A message handed to Postfix on ``sender`` (a host's name)."""

    sender: str
    to: str
    message_id: str
    sent_at: float


@dataclass(frozen=True)
class Delivery:
    """What the sending Postfix logged. ``tls_line`` is of the same smtp process and the same relay, or empty."""

    sender: str
    to: str
    judge_line: str
    status: str
    dsn: str
    relay: str
    tls_line: str

    @property
    def verified(self) -> bool:
        """Whether the message was delivered over a connection that DANE authenticated."""
        return self.status == "sent" and _VERIFIED.search(self.tls_line) is not None


def deliver(lab: Lab, sender: Host, to: str, timeout: float = 60.0, *, until: str = "") -> Delivery:
    """Send one message from ``sender`` to ``to`` and return the first outcome (or the first with status ``until``).

    Raises LabError when the log shows none within ``timeout`` seconds.
    """
    return outcome(lab, sender, send(lab, sender, to), timeout, until=until)


def send(lab: Lab, sender: Host, to: str) -> Message:
    """Hand one message with a unique Message-ID to Postfix on ``sender``."""
    message = Message(sender.name, to, f"{uuid.uuid4()}@lab.invalid", time.time())
    text = f"From: postmaster@{sender.mail_domain}\nTo: {to}\nSubject: lab\nMessage-ID: <{message.message_id}>\n\nlab\n"
    command = ["/usr/sbin/sendmail", "-i", "-f", f"postmaster@{sender.mail_domain}", "--", to]
    podman.execute(lab.container(sender), command, stdin=text.encode())
    return message


def outcome(lab: Lab, sender: Host, message: Message, timeout: float = 60.0, *, until: str = "") -> Delivery:
    """Follow the log of ``sender`` from its start and return the outcome of ``message``; see ``deliver``."""
    found = first_outcome(_follow(lab.container(sender), message.sent_at, timeout), message, until=until)
    if found is None:
        wanted = f"status={until}" if until else "any delivery attempt"
        raise LabError(
            f"{sender.fqdn} did not log {wanted} for the message to {message.to} within {timeout:.0f} s. "
            f"Look with: python -m lab exec {sender.name} -- postqueue -p"
        )
    return found


def first_outcome(lines: Iterable[str], message: Message, *, until: str = "") -> Delivery | None:
    """Return the first outcome of ``message`` in Postfix's log ``lines``; with ``until``, the first of that status."""
    for event in events(lines):
        if not isinstance(event, Attempt) or event.message_id != message.message_id:
            continue
        if until in {"", event.status}:
            return Delivery(
                sender=message.sender,
                to=message.to,
                judge_line=event.line,
                status=event.status,
                dsn=event.dsn,
                relay=event.relay,
                tls_line=event.tls_line,
            )
    return None


@dataclass(frozen=True)
class Handshake:
    """A TLS connection that Postfix logged; ``trust`` is its word, ``Verified`` the only good one under DANE."""

    trust: str
    relay: str
    line: str


@dataclass(frozen=True)
class Attempt:
    """What Postfix logged of one try to deliver a message. ``tls_line`` is of the same process and relay, or empty."""

    message_id: str
    to: str
    status: str
    dsn: str
    relay: str
    line: str
    tls_line: str

    @property
    def verified(self) -> bool:
        """Whether the message went out over a connection that DANE authenticated."""
        return self.status == "sent" and _VERIFIED.search(self.tls_line) is not None


def events(lines: Iterable[str]) -> Iterator[Handshake | Attempt]:
    """Yield every TLS connection and every delivery attempt in Postfix's log ``lines``, in their order.

    A TLS line counts for one attempt only: a process that delivers again without a new TLS line did so without TLS.
    """
    message_ids: dict[str, str] = {}
    connections: dict[str, dict[str, str]] = {}
    for raw in lines:
        line = _LINE.search(raw)
        if line is None:
            continue
        pid, text = line["pid"], line["text"]
        if named := _MESSAGE_ID.match(text):
            message_ids[named["queue_id"]] = named["message_id"]
        elif tls := _TLS.match(text):
            connections.setdefault(pid, {})[tls["relay"]] = raw.strip()
            yield Handshake(tls["trust"], tls["relay"], raw.strip())
        elif told := _OUTCOME.match(text):
            used = connections.pop(pid, {})
            yield Attempt(
                message_id=message_ids.get(told["queue_id"], ""),
                to=told["to"],
                status=told["status"],
                dsn=told["dsn"],
                relay=told["relay"],
                line=raw.strip(),
                tls_line=used.get(told["relay"], ""),
            )


def _follow(container: str, since: float, timeout: float) -> Iterator[str]:
    """Yield the lines of Postfix's log, old ones first, for at most ``timeout`` seconds."""
    script = (
        "if [ -s /var/log/mail.log ]; then exec timeout $1 tail -n +1 -F /var/log/mail.log 2>/dev/null; "
        "else exec timeout $1 journalctl --quiet --follow --no-tail --since=@$2 --unit='postfix*'; fi"
    )
    arguments = ["exec", container, "/bin/sh", "-c", script, "sh", str(timeout), str(int(since))]
    with subprocess.Popen(
        ["podman", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=podman_environment(),
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield from process.stdout or ()
        finally:
            os.killpg(process.pid, signal.SIGTERM)
