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
  - RRsets with one owner name, of several machines behind one host name, are added together, also where these machines
    have different providers or keys.
options:
  _input:
    description:
      - One dictionary for each machine that reported, with the keys C(machine) (its inventory name), C(host) (the host
        name that clients know it by), C(place) (text that tells its provider from others) and C(rrsets).
      - Optionally C(via), the machine that talks to the provider if it is another; C(prune), false where no record may
        be removed; C(managed), true where an agent on the machine removes what is no longer needed; and C(reporting),
        mail domains as O(mailsec.dane.tlsrpt_record#module:domains) takes them.
    type: list
    elements: dict
    required: true
  machines:
    description:
      - All machines of the inventory, as dictionaries of their variables. Of these C(tlsa_publish_host) and
        C(dane_host_name) say which host name a machine serves; the first that is defined counts.
      - RRsets get the state V(present), so that none of their records is removed, where a machine with the same host
        name did not report; and all of them where one did not report whose host name is not known, because the
        inventory does not give it, or a report shows that the play gives another.
    type: list
    elements: dict
    default: []
  batch:
    description:
      - Inventory names of the machines that can publish now, those of C(ansible_play_batch).
      - Without it, all can.
    type: list
    elements: str
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
    - Under the name of the machine that publishes for a provider, the RRsets of all its machines.
    - Of these C(rrsets) is what O(mailsec.dane.tlsa_record#module:rrsets) takes, C(awaited) what
      O(mailsec.dane.wait_for_tlsa#module:rrsets) takes, C(domains) what O(mailsec.dane.tlsrpt_record#module:domains)
      takes. C(unknown) lists the machines because of which nothing is removed, as their host names are not known.
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

_HOST_VARIABLES: t.Final = ("tlsa_publish_host", "dane_host_name")


def tlsa_batches(value: object, machines: object = (), batch: object = None) -> dict[str, t.Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("tlsa_batches"):
        reports: list[Mapping[str, t.Any]] = _mappings(value, "The input")
        for report in reports:
            missing = {"machine", "host", "place", "rrsets"} - set(report)
            if missing:
                msg = f"A report lacks {', '.join(sorted(missing))}"
                raise InvalidInput(msg)
        reports = [{**report, "prune": to_bool("prune", report.get("prune", True))} for report in reports]
        known = [(machine.get("inventory_hostname"), _host(machine)) for machine in _mappings(machines, "machines")]
        if not all(name for name, _host_name in known):
            msg = "An entry of machines lacks inventory_hostname"
            raise InvalidInput(msg)
        return batches(reports, {str(name): host for name, host in known}, batch=_names(batch))


def _names(batch: object) -> set[str] | None:
    if batch is None:
        return None
    if isinstance(batch, (str, Mapping)) or not isinstance(batch, Iterable):
        msg = f"batch must be a list of names, not {type(batch).__name__}"
        raise InvalidInput(msg)
    return {str(name) for name in batch}


def _mappings(value: object, what: str) -> list[Mapping[str, t.Any]]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        msg = f"{what} must be a list of dictionaries, not {type(value).__name__}"
        raise InvalidInput(msg)
    entries = list(value)
    if not all(isinstance(entry, Mapping) for entry in entries):
        msg = f"{what} must be a list of dictionaries"
        raise InvalidInput(msg)
    return entries


def _host(machine: Mapping[str, t.Any]) -> str | None:
    return next((str(machine[name]) for name in _HOST_VARIABLES if machine.get(name)), None)


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"tlsa_batches": tlsa_batches}
