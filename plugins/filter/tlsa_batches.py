# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mailsec.dane.tlsa_batches."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tlsa_batches
short_description: Bring together what many machines want published
version_added: 0.1.0
author:
  - mailsec.dane contributors
description:
  - Turns what each machine of a play found with M(mailsec.dane.tlsa_wanted_info) into one list of RRsets for each DNS
    provider, so that each is called once. The role P(mailsec.dane.tlsa_publish#role) uses it.
  - RRsets with one owner name, of several machines behind one host name, are added together.
options:
  _input:
    description:
      - One dictionary for each machine that reported, with the keys C(machine) (its inventory name), C(host) (the host
        name that clients know it by), C(place) (text that tells its provider from others) and C(rrsets). Optionally
        C(managed), true where an agent on the machine removes what is no longer needed.
    type: list
    elements: dict
    required: true
  silent:
    description:
      - Machines that did not report, as dictionaries of their variables. Of these C(tlsa_publish_host),
        C(dane_host_name) and C(inventory_hostname) say which host name they serve; the first that is defined counts.
      - RRsets of the same host name, and those of a managed machine, get the state V(present), so that none of their
        records is removed.
    type: list
    elements: dict
    default: []
  prune:
    description: Whether RRsets get the state V(exact), so that records of keys that are not in use are removed.
    type: bool
    default: true
seealso:
  - module: mailsec.dane.tlsa_record
"""

EXAMPLES = r"""
- name: Show what one host calls for
  ansible.builtin.debug:
    msg: "{{ reports | mailsec.dane.tlsa_batches }}"
  vars:
    reports:
      - machine: mx1a
        host: mx1.example.org
        place: primary
        rrsets:
          - name: _25._tcp.mx1.example.org
            records:
              - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
"""

RETURN = r"""
_value:
  description:
    - Under the name of the first machine of each provider, the RRsets of all its machines.
    - Of these C(rrsets) is what O(mailsec.dane.tlsa_record#module:rrsets) takes, C(awaited) what
      O(mailsec.dane.wait_for_tlsa#module:rrsets) takes.
  type: dict
  sample:
    mx1a:
      rrsets:
        - name: _25._tcp.mx1.example.org
          state: exact
          records:
            - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
      awaited:
        - name: _25._tcp.mx1.example.org
          records:
            - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._wanted_records import batches
from ansible_collections.mailsec.dane.plugins.plugin_utils._filter import filter_errors, to_bool

_HOST_VARIABLES: t.Final = ("tlsa_publish_host", "dane_host_name", "inventory_hostname")


def tlsa_batches(value: object, silent: object = (), prune: object = True) -> dict[str, t.Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("tlsa_batches"):
        reports = _mappings(value, "The input")
        for report in reports:
            missing = {"machine", "host", "place", "rrsets"} - set(report)
            if missing:
                msg = f"A report lacks {', '.join(sorted(missing))}"
                raise InvalidInput(msg)
        hosts = [_host(machine) for machine in _mappings(silent, "silent")]
        return batches(reports, [host for host in hosts if host], prune=to_bool("prune", prune))


def _mappings(value: object, what: str) -> list[Mapping[str, t.Any]]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        msg = f"{what} must be a list of dictionaries, not {type(value).__name__}"
        raise InvalidInput(msg)
    entries = list(value)
    if not all(isinstance(entry, Mapping) for entry in entries):
        msg = f"{what} must be a list of dictionaries"
        raise InvalidInput(msg)
    return entries


def _host(machine: Mapping[str, t.Any]) -> str:
    return next((str(machine[name]) for name in _HOST_VARIABLES if machine.get(name)), "")


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"tlsa_batches": tlsa_batches}
