#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wait_for_tlsa
short_description: Wait until every authoritative server serves given TLSA records
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Asks every authoritative name server on all its addresses, without recursion, again and again until all serve what
    is wanted or the time is up. Then it fails and says which server is short of what.
  - The validating resolver is asked only afterwards, so that it does not learn, and remember, that there are none.
    What it says is reported; that it still remembers what was is no failure, that it calls the records bogus is.
options:
  rrsets:
    description:
      - What to wait for. Entries with the same name are added together.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Owner name, for example V(_25._tcp.mx1.example.org). Aliases are followed.
        type: str
        required: true
      records:
        description:
          - Each in one of the forms that M(mailsec.dane.tlsa_record) takes.
        type: list
        elements: raw
      ttl:
        description:
          - Not waited for. It may be here so that the same list can be given to M(mailsec.dane.tlsa_record).
        type: int
      state:
        description:
          - As O(state), for this RRset.
        type: str
        choices:
          - exact
          - present
          - absent
  state:
    description:
      - V(present) waits until these records are among those served.
      - V(exact) waits until they are those served.
      - V(absent) waits until these, or where an entry has no records all, are gone.
    type: str
    default: present
    choices:
      - exact
      - present
      - absent
  wait:
    description:
      - Seconds to wait at most; 0 looks once.
    type: int
    default: 60
  interval:
    description:
      - Seconds between two looks.
    type: float
    default: 2.0
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
notes:
  - In check mode it looks once and does not fail, as the records may be published only in a real run.
seealso:
  - module: mailsec.dane.tlsa_record
  - module: mailsec.dane.tlsa_record_info
"""

EXAMPLES = r"""
- name: Wait until all name servers have the records of mx1
  mailsec.dane.wait_for_tlsa:
    rrsets:
      - name: _25._tcp.mx1.example.org
        records:
          - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
    wait: 120

- name: Wait until the old record is gone everywhere
  mailsec.dane.wait_for_tlsa:
    rrsets:
      - name: _25._tcp.mx1.example.org
        records:
          - dane-ee spki sha2-256 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
    state: absent
"""

RETURN = r"""
elapsed:
  description: Seconds from the first look to the last.
  returned: always
  type: float
  sample: 4.1
looks:
  description: How often the servers were asked.
  returned: always
  type: int
  sample: 3
rrsets:
  description: One for each owner name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Owner name.
      type: str
      sample: _25._tcp.mx1.example.org
    owner:
      description: Where the records are, another name when RV(rrsets[].name) is an alias.
      type: str
      sample: _25._tcp.mx1.example.org
    everywhere:
      description: Whether every server serves what is wanted.
      type: bool
      sample: true
    since:
      description: Seconds from the first look to that at which every server was seen to serve it.
      type: float
      sample: 2.0
    problems:
      description: What is short, in sentences.
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

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import RESOLVER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver
from ansible_collections.mailsec.dane.plugins.module_utils._served_report import described_servers, resolver_says
from ansible_collections.mailsec.dane.plugins.module_utils._serving import Observer
from ansible_collections.mailsec.dane.plugins.module_utils._waiting import Waited, wait_until_served

STATES: t.Final = ["exact", "present", "absent"]


def wait(options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The module's work, from its options to its result."""
    wanted = wanted_rrsets(options["rrsets"], State(options["state"]), allow_pkix=True)
    resolver = Resolver(options["resolver"], options["resolver_port"], options["timeout"])
    observer = Observer(resolver, options["timeout"], options["server_port"], tuple(options["servers"]))
    waited = wait_until_served(
        observer,
        wanted,
        seconds=0 if check_mode else options["wait"],
        interval=options["interval"],
        clock=time.monotonic,
        sleep=time.sleep,
    )
    rrsets = [_rrset(resolver, one) for one in waited.rrsets]
    result: dict[str, t.Any] = {
        "changed": False,
        "elapsed": round(waited.elapsed, 1),
        "looks": waited.looks,
        "rrsets": rrsets,
    }
    found = list(dict.fromkeys(problem for rrset in rrsets for problem in rrset["problems"]))
    if found and not check_mode:
        result["failed_msg"] = (
            f"Not every name server serves what it should after {waited.elapsed:.0f} s:\n" + "\n".join(found)
        )
    return result


def _rrset(resolver: Resolver, one: Waited) -> dict[str, t.Any]:
    found = list(one.problems)
    # Asked sooner, the resolver would remember that there is nothing.
    says = resolver_says(resolver, one.wanted.name) if one.everywhere else None
    if says is not None and says["status"] == "bogus":
        found.append(says["error"])
    return {
        "name": one.wanted.name,
        "owner": one.look[-1].name if one.look else one.wanted.name,
        "everywhere": one.everywhere,
        "since": None if one.since is None else round(one.since, 1),
        "problems": found,
        "servers": described_servers(one.look),
        "resolver": says,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "rrsets": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "records": {"type": "list", "elements": "raw"},
                    "ttl": {"type": "int"},
                    "state": {"type": "str", "choices": STATES},
                },
            },
            "state": {"type": "str", "default": "present", "choices": STATES},
            "wait": {"type": "int", "default": 60},
            "interval": {"type": "float", "default": 2.0},
            "servers": {"type": "list", "elements": "str", "default": []},
            "server_port": {"type": "int", "default": 53},
            **RESOLVER_OPTIONS,
        },
        supports_check_mode=True,
    )
    require(module, "dnspython")
    guarded_run(module, lambda: wait(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
