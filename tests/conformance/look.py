# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our own verdicts, taken inside the sender's network, so that its validating resolver is on loopback.

Run as a process of its own: domains on standard input, rows as JSON on standard output.
"""

from __future__ import annotations

import json
import sys

from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
from ansible_collections.mailsec.dane.plugins.module_utils._verification import verify


def main() -> None:
    """Look at the domains that standard input names."""
    report = verify(sys.stdin.read().split(), [], Resolver())
    rows = [row.to_mapping() for row in report.endpoints]
    domains = [{"domain": domain.domain, "verdict": domain.verdict} for domain in report.domains]
    sys.stdout.write(json.dumps({"endpoints": rows, "domains": domains}))


if __name__ == "__main__":
    main()
