# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to the collection. It can have breaking changes at any time.

"""What modules say of check mode, diff mode and idempotence."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of the collection's modules; the base says how to read them."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode), predicts the change and modifies nothing.
  diff_mode:
    description: Returns what has changed, or would change in C(check_mode), when in diff mode.
  idempotent:
    description: A second run with the same options changes nothing and says so.
"""

    # For modules that change something.
    FULL = r"""
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    # For modules that only look.
    INFO = r"""
attributes:
  check_mode:
    support: full
    details: This module changes nothing.
  diff_mode:
    support: N/A
    details: This module changes nothing.
  idempotent:
    support: full
    details: This module changes nothing.
"""

    # For modules of the action group, so that shared options can be given once with C(module_defaults).
    ACTIONGROUP_DANE = r"""
attributes:
  action_group:
    description: Use C(group/mailsec.dane.dane) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - mailsec.dane.dane
"""

    DNSPYTHON = r"""
options: {}
requirements:
  - dnspython >= 2.3
"""

    CRYPTOGRAPHY = r"""
options: {}
requirements:
  - cryptography >= 38.0
"""
