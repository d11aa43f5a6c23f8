#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tlsa_record_info
short_description: What every authoritative server, and the validating resolver, serve at TLSA owner names
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Asks every authoritative name server on all its addresses, without recursion, so that no cache has a say.
  - Then asks the validating resolver, which shows what mail servers elsewhere come to see.
  - A server that is dead or lame is named and does not hide the others. What could not be asked for is not said to be
    absent.
options:
  names:
    description:
      - Owner names, for example V(_25._tcp.mx1.example.org). Aliases are followed.
    type: list
    elements: str
    required: true
  servers:
    description:
      - Addresses of name servers to ask instead of those that the NS records of the zone and of its parent zone name,
        for example those of a hidden primary.
    type: list
    elements: str
    default: []
  server_port:
    description:
      - Port of the name servers.
    type: int
    default: 53
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.dnspython
  - mailsec.dane._attributes.info
  - mailsec.dane._resolver
seealso:
  - module: mailsec.dane.tlsa_record
  - module: mailsec.dane.wait_for_tlsa
"""

EXAMPLES = r"""
- name: Look at the TLSA records of mx1
  mailsec.dane.tlsa_record_info:
    names:
      - _25._tcp.mx1.example.org
      - _465._tcp.mx1.example.org
  register: published

- name: Stop when the servers differ
  ansible.builtin.assert:
    that: published.rrsets | map(attribute='in_step') is all
    fail_msg: "{{ published.rrsets | map(attribute='problems') | flatten | join('; ') }}"

- name: Look at a hidden primary
  mailsec.dane.tlsa_record_info:
    names:
      - _25._tcp.mx1.example.org
    servers:
      - 192.0.2.53
"""

RETURN = r"""
rrsets:
  description: One for each of O(names), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name as it was asked for.
      type: str
      sample: _25._tcp.mx1.example.org
    owner:
      description: Where the records are, another name when RV(rrsets[].name) is an alias.
      type: str
      sample: _25._tcp.mx1.example.org
    in_step:
      description: Whether all servers answered, and all the same.
      type: bool
      sample: true
    ttl:
      description: The longest that a cache may hold what any server serves now, over all of an alias chain, in seconds.
      type: int
      sample: 3600
    problems:
      description: What is wrong, in sentences.
      type: list
      elements: str
      sample: []
    servers:
      description: What each name server serves, at each of its addresses; for an alias also those of its target.
      type: list
      elements: dict
      contains:
        name:
          description: The name that was asked for, that of the alias or that of its target.
          type: str
          sample: _25._tcp.mx1.example.org
        zone:
          description: The zone it is in; empty with O(servers).
          type: str
          sample: example.org
        server:
          description: The name of the name server.
          type: str
          sample: ns1.example.org
        address:
          description: Its address; empty when it has none.
          type: str
          sample: 192.0.2.53
        parent_only:
          description: Whether the zone itself does not name this server and its parent zone does.
          returned: always
          type: bool
        status:
          description: V(found), V(nodata), V(nxdomain), V(alias), or V(error) when there was no usable answer.
          type: str
          sample: found
        in_step:
          description: Whether it serves the same as the servers with the newest serial of the zone.
          type: bool
          sample: true
        records:
          description: The TLSA records in presentation form, sorted.
          type: list
          elements: str
          sample:
            - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
        ttl:
          description: TTL in seconds of the records or the alias.
          type: int
          sample: 3600
        negative_ttl:
          description: How many seconds the denial may be remembered.
          type: int
          sample: 300
        alias:
          description: Target of the alias.
          type: str
          sample: tlsa.example.net
        signed:
          description: Whether the answer carried signatures. Only the resolver says whether they are valid.
          type: bool
          sample: true
        serial:
          description: Serial of the zone on this server.
          type: int
          sample: 2026010101
        parent_denied:
          description: Whether the name above, V(_tcp.mx1.example.org), is denied although there are names below it.
          type: bool
          sample: false
        error:
          description: Why there was no usable answer.
          type: str
          sample: No answer in time from the name server 192.0.2.53
    resolver:
      description: What the validating resolver says. It may remember what was there earlier, for its TTL.
      type: dict
      contains:
        status:
          description: V(found), V(nodata), V(nxdomain), V(bogus) when validation fails, or V(error).
          type: str
          sample: found
        secure:
          description: The AD bit. The answer, or the denial, was validated.
          type: bool
          sample: true
        records:
          description: The records in presentation form.
          type: list
          elements: str
          sample:
            - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
        ttl:
          description: Seconds for which the resolver will go on saying so.
          type: int
          sample: 3584
        error:
          description: Why there is no answer.
          type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import RESOLVER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._errors import LookupFailed
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run
from ansible_collections.mailsec.dane.plugins.module_utils._publication import owner_name
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
from ansible_collections.mailsec.dane.plugins.module_utils._served_report import described_servers, resolver_says
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer, problems


def observe(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """The module's work, from its options to its result."""
    resolver = Resolver(options["resolver"], options["resolver_port"], options["timeout"])
    observer = Observer(resolver, options["timeout"], options["server_port"], tuple(options["servers"]))
    return {"changed": False, "rrsets": [_rrset(observer, owner_name(name)) for name in options["names"]]}


def _rrset(observer: Observer, name: str) -> dict[str, t.Any]:
    try:
        look = observer.look(name)
        found = list(problems(look))
    except LookupFailed as error:
        look, found = (), [str(error)]
    ttls = [answer.ttl for served in look for answer in served.answers if answer.ttl is not None]
    return {
        "name": name,
        "owner": look[-1].name if look else name,
        "in_step": bool(look) and all(served.in_step for served in look),
        "ttl": max(ttls, default=None),
        "problems": found,
        "servers": described_servers(look),
        "resolver": resolver_says(observer.resolver, name),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "servers": {"type": "list", "elements": "str", "default": []},
            "server_port": {"type": "int", "default": 53},
            **RESOLVER_OPTIONS,
        },
        supports_check_mode=True,
    )
    require(module, "dnspython")
    guarded_run(module, lambda: observe(module.params))


if __name__ == "__main__":
    main()
