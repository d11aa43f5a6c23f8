# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to the collection. It can have breaking changes at any time.

"""The validating resolver; its twin is RESOLVER_OPTIONS in module_utils/_argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    """Options O(resolver), O(resolver_port) and O(timeout)."""

    DOCUMENTATION = r"""
options:
  resolver:
    description:
      - Address of the validating resolver that is asked.
      - Its word on DNSSEC, the AD bit, is trusted. So it should be on the host where the module runs.
    type: str
    default: 127.0.0.1
  resolver_port:
    description:
      - Port of the resolver.
    type: int
    default: 53
  timeout:
    description:
      - Seconds to wait for each answer.
    type: float
    default: 5.0
"""
