# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mailsec.dane.tlsrpt_lines."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tlsrpt_lines
short_description: Lines for a zone file that ask for reports on TLS
version_added: 0.1.0
author:
  - mailsec.dane contributors
description:
  - Gives the TXT records C(_smtp._tls) of mail domains (RFC 8460 section 3), for whoever publishes by hand.
positional: ttl
options:
  _input:
    description:
      - Dictionaries with the keys C(name), a mail domain, and C(rua), a list of mail and C(https:) addresses. Without
        C(rua), reports go to C(tls-reports@) the domain.
    type: list
    elements: dict
    required: true
  ttl:
    description: TTL of the records in seconds.
    type: integer
    default: 3600
seealso:
  - module: mailsec.dane.tlsrpt_record
"""

EXAMPLES = r"""
- name: Show what to put into the zone
  ansible.builtin.debug:
    msg: "{{ [{'name': 'example.org'}] | mailsec.dane.tlsrpt_lines }}"
    # _smtp._tls.example.org. 3600 IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@example.org"
"""

RETURN = r"""
_value:
  description: One line for each domain.
  type: list
  elements: string
  sample: ['_smtp._tls.example.org. 3600 IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@example.org"']
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._publication import zone_file_lines
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_record import wanted_tlsrpt
from ansible_collections.mailsec.dane.plugins.plugin_utils._filter import filter_errors


def tlsrpt_lines(value: object, ttl: object = 3600) -> list[str]:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("tlsrpt_lines"):
        if not str(ttl).isdigit():
            msg = f"ttl must be a number of seconds, not {ttl!r}"
            raise InvalidInput(msg)
        wanted = wanted_tlsrpt(_domains(value), int(str(ttl)))
        return [zone_file_lines(one.name, one.ttl, one.records).rstrip() for one in wanted]


def _domains(value: object) -> list[Mapping[str, t.Any]]:
    entries = list(value) if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)) else [value]
    domains: list[Mapping[str, t.Any]] = []
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            msg = f"The input must be a list of dictionaries with a name, and has {entry!r}"
            raise InvalidInput(msg)
        rua = entry.get("rua") or []
        if not isinstance(rua, list) or not all(isinstance(address, str) for address in rua):
            msg = f"rua of {entry['name']} must be a list of addresses, not {rua!r}"
            raise InvalidInput(msg)
        domains.append(entry)
    return domains


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"tlsrpt_lines": tlsrpt_lines}
