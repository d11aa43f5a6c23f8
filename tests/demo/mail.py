# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Send real mail between the lab's hosts, and ask posttls-finger for a second opinion."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from lab import judge, podman, topology

# Everybody who sends, and the address each sends to: an alias that the playbook has made, of a host it manages.
ROUTES: t.Final = (
    ("sender", "postmaster@one.example"),
    ("sender", "postmaster@two.example"),
    ("mx1", "postmaster@two.example"),
    ("mx2", "postmaster@one.example"),
)


@dataclass(frozen=True)
class Finger:
    """What posttls-finger on `sender` said of one mail domain over one address family."""

    domain: str
    family: str
    line: str

    @property
    def verified(self) -> bool:
        """Its exit status is 0 whatever happens, so its words decide: `Verified`, not `Trusted`."""
        return re.search(r"\bVerified TLS connection established to ", self.line) is not None


def exchange(lab: topology.Lab) -> list[judge.Delivery]:
    """Send one message along every route and return what the sending Postfix logged of each."""
    deliveries = []
    for sender, recipient in ROUTES:
        print(f"  {sender} -> {recipient} ... ", end="", flush=True)
        delivery = judge.deliver(lab, topology.host(sender), recipient)
        print("verified" if delivery.verified else f"NOT VERIFIED ({delivery.status})", flush=True)
        deliveries.append(delivery)
    return deliveries


def fingers(lab: topology.Lab) -> list[Finger]:
    """Ask posttls-finger on `sender` about every managed domain over IPv4 and over IPv6."""
    container = lab.container(topology.host("sender"))
    answers = []
    for domain in ("one.example", "two.example"):
        for family in ("ipv4", "ipv6"):
            command = f"posttls-finger -c -l dane -L summary -o inet_protocols={family} {domain} 2>&1"
            output = podman.execute(container, ["/bin/sh", "-c", command])
            line = next((line for line in output.splitlines() if "TLS connection" in line), output.strip())
            answers.append(Finger(domain, family, line))
    return answers
