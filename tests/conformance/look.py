# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own verdicts, taken inside the sender's network, so that its validating resolver is on loopback.

Run as a process of its own: domains on standard input, or with --hosts hosts, each with `:PORT` where that is not 25;
on standard output the report as JSON, with the greatest size that the look had, in KiB.
"""

from __future__ import annotations

import json
import sys

from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls, starttls_of_port
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
from ansible_collections.mailsec.dane.plugins.module_utils._verification import HostTarget, verify

from peak_memory import peak_memory


def _target(text: str) -> HostTarget:
    name, _colon, port = text.partition(":")
    number = int(port or 25)
    return HostTarget(name, number, starttls_of_port(number) or Starttls.SMTP)


def main() -> None:
    """Look at what standard input names."""
    names = sys.stdin.read().split()
    if "--hosts" in sys.argv[1:]:
        report = verify([], [_target(name) for name in names], Resolver())
    else:
        report = verify(names, [], Resolver())
    size = peak_memory() // 1024  # of the look, without these texts
    rows = [row.to_mapping() for row in report.endpoints]
    domains = [{"domain": domain.domain, "verdict": domain.verdict} for domain in report.domains]
    sys.stdout.write(json.dumps({"endpoints": rows, "domains": domains, "size": size}))


if __name__ == "__main__":
    main()
