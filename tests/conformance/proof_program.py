# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts by way of a resolver that is somewhere else. Runs in a container, on its own Python and libraries.

Standard input is JSON: ``domains``, ``resolver``, ``port`` and ``anchor``, a file for libunbound, or null to go by the
resolver's word. Standard output is JSON: verdict and cause of each domain.
"""

from __future__ import annotations

import json
import sys

from ansible_collections.mailsec.dane.plugins.module_utils._libunbound import ValidatingStub
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
from ansible_collections.mailsec.dane.plugins.module_utils._verification import verify


def main() -> None:
    """Look at what standard input names."""
    asked = json.load(sys.stdin)
    address, port, anchor = asked["resolver"], asked["port"], asked["anchor"]
    report = verify(asked["domains"], [], ValidatingStub(address, port, anchor) if anchor else Resolver(address, port))
    found = {}
    for domain in report.domains:
        rows = [row for row in report.endpoints if (row.domain, row.verdict) == (domain.domain, domain.verdict)]
        found[domain.domain] = [domain.verdict or "none", rows[0].cause if rows else "-"]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
