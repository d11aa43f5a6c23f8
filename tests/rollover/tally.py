# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of the traffic, read from the senders' own Postfix logs and from nowhere else."""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass, field, replace

from lab import judge, podman
from lab.errors import LabError
from rollover.stage import MAILBOX
from rollover.traffic import LOG

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.topology import Lab
    from rollover.stage import MailHost
    from rollover.traffic import Sent

_DRAIN_SECONDS: t.Final = 60.0
_REASON: t.Final = re.compile(r" status=\w+ \((?P<reason>.*)\)$")


@dataclass
class Fate:
    """All attempts to deliver one message, in order."""

    attempts: list[judge.Attempt] = field(default_factory=list)

    @property
    def final(self) -> judge.Attempt | None:
        """The attempt after which Postfix keeps the message no longer."""
        return next((attempt for attempt in self.attempts if attempt.status in {"sent", "bounced", "expired"}), None)

    @property
    def deferrals(self) -> list[judge.Attempt]:
        """The attempts that were put off."""
        return [attempt for attempt in self.attempts if attempt.status == "deferred"]


@dataclass(frozen=True)
class Tally:
    """Counts of messages to one mail domain, and of TLS connections to its hosts that were not verified."""

    tried: int
    sent: int
    verified: int
    deferred: int
    bounced: int
    leaked: int
    unfinished: int
    refused_handshakes: int
    deferrals: tuple[judge.Attempt, ...]
    unlogged: int
    lost: int = 0
    """Messages that the host took over and that are not in its mailbox; see ``settle``."""

    @property
    def flawless(self) -> bool:
        """Whether every message went out verified at the first attempt, to the first address that was tried."""
        return 0 < self.tried == self.verified and not (
            self.deferred
            or self.bounced
            or self.leaked
            or self.unfinished
            or self.refused_handshakes
            or self.unlogged
            or self.lost
        )

    def faults(self) -> str:
        """Say what was not flawless; empty when all was."""
        counts = {
            "deferred": self.deferred,
            "bounced": self.bounced,
            "unverified": self.leaked,
            "still queued": self.unfinished,
            "not in the log": self.unlogged,
            "TLS connections not verified": self.refused_handshakes,
            "taken over and lost": self.lost,
        }
        words = [f"{count} {what}" for what, count in counts.items() if count]
        return ", ".join(words) if self.tried else "no traffic"


def reason(attempt: judge.Attempt) -> str:
    """Return Postfix's words on why an attempt ended as it did."""
    found = _REASON.search(attempt.line)
    return found["reason"] if found else ""


def count(lines: Iterable[str], tag: str, accepted: int, domains: Sequence[str]) -> dict[str, Tally]:
    """Count by mail domain the messages with ``tag`` in the log ``lines`` of one sender.

    ``accepted`` messages went to ``domains`` in turn. A connection belongs to the domain that its relay lies in.
    """
    fates: dict[str, Fate] = {}
    refused: dict[str, int] = dict.fromkeys(domains, 0)
    for event in judge.events(lines):
        if isinstance(event, judge.Handshake):
            relay = event.relay.partition("[")[0]
            for domain in domains:
                if event.trust != "Verified" and relay.endswith(f".{domain}"):
                    refused[domain] += 1
        elif event.message_id.startswith(f"{tag}."):
            fates.setdefault(event.message_id, Fate()).attempts.append(event)
    tallies = {}
    for turn, domain in enumerate(domains):
        tried = len(range(turn, accepted, len(domains)))
        own = [fate for fate in fates.values() if fate.attempts[0].to.endswith(f"@{domain}")]
        tallies[domain] = _tally(own, tried, refused[domain])
    return tallies


def _tally(fates: Sequence[Fate], tried: int, refused: int) -> Tally:
    finals = [fate.final for fate in fates]
    sent = [final for final in finals if final is not None and final.status == "sent"]
    verified = sum(final.verified for final in sent)
    return Tally(
        tried=tried,
        sent=len(sent),
        verified=verified,
        deferred=sum(bool(fate.deferrals) for fate in fates),
        bounced=sum(final is not None and final.status != "sent" for final in finals),
        leaked=len(sent) - verified,
        unfinished=finals.count(None),
        refused_handshakes=refused,
        deferrals=tuple(attempt for fate in fates for attempt in fate.deferrals),
        unlogged=tried - len(fates),
    )


def join(tallies: Sequence[Tally]) -> Tally:
    """Add up tallies of several senders."""
    return Tally(
        **{
            name: sum(getattr(tally, name) for tally in tallies)
            for name in Tally.__annotations__
            if name != "deferrals"
        },
        deferrals=tuple(attempt for tally in tallies for attempt in tally.deferrals),
    )


def settle(lab: Lab, sent: Sequence[Sent], hosts: Sequence[MailHost]) -> dict[str, Tally]:
    """Wait, bounded, until no message is queued any more, then count by mail domain over all senders.

    What the senders' logs call sent must lie in the mailbox of the host that took it.
    """
    deadline = time.monotonic() + _DRAIN_SECONDS
    domains = [host.domain for host in hosts]
    while True:
        counted = [count(_log(lab, one), one.tag, one.accepted, domains) for one in sent]
        tallies = {}
        for host in hosts:
            tally = join([one[host.domain] for one in counted])
            tallies[host.domain] = replace(tally, lost=max(tally.sent - _arrived(host, sent[0].tag), 0))
        settled = not any(tally.unfinished or tally.unlogged or tally.lost for tally in tallies.values())
        if settled or time.monotonic() > deadline:
            return tallies
        time.sleep(2)


def _arrived(host: MailHost, tag: str) -> int:
    """Return how many different messages with ``tag`` are in the mailbox; a killed host may deliver one twice."""
    pattern = f"^Message-ID: <{tag}[.][0-9]*@"
    return int(host.run(f"(grep '{pattern}' {MAILBOX} || true) | sort --unique | wc --lines"))


def _log(lab: Lab, sent: Sent) -> list[str]:
    command = ["tail", "--bytes", f"+{sent.log_start + 1}", LOG]
    result = podman.attempt("exec", lab.container(sent.sender), *command)
    if result.returncode != 0:
        raise LabError(f"the log of {sent.sender.fqdn} cannot be read: {result.stderr.decode('utf-8', 'replace')}")
    return result.stdout.decode("utf-8", "replace").splitlines()
