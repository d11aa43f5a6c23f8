#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tlsa_record
short_description: Make TLSA RRsets at a DNS provider what they should be
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Adds, replaces and removes TLSA records (RFC 6698), any number of RRsets in one call.
  - Records are compared as numbers and octets, never as text.
  - All changes of a zone go in as few messages as the protocol allows, additions never after removals, under the
    condition that nobody else changed the RRsets since they were read. A lost race is read again and retried.
  - It changes no other type and no other owner name than it is told, and a failed read never becomes a removal.
  - An owner name that is an alias (CNAME or DNAME) is followed, and the RRset at its target is maintained (RFC 7671
    section 7). Several names that lead to one target are maintained together.
options:
  rrsets:
    description:
      - The RRsets. Entries with the same name are added together.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Owner name, with or without the trailing dot, for example V(_25._tcp.mx1.example.org).
        type: str
        required: true
      ttl:
        description:
          - TTL in seconds, from 1 to 604800. All records of an RRset have one.
          - Unset, the RRset keeps what it has, and a new one gets 3600.
        type: int
      records:
        description:
          - Each as V(3 1 1 8a9f...), with names (V(dane-ee spki sha2-256 8a9f...)), in generic form, or as a dictionary
            with the keys C(usage), C(selector), C(matching_type) and C(data).
        type: list
        elements: raw
      state:
        description:
          - As O(state), for this RRset.
          - Entries with one name of which one is V(exact) and another V(present) are V(present) together.
        type: str
        choices:
          - exact
          - present
          - absent
  state:
    description:
      - V(exact) makes the RRsets consist of these records.
      - V(present) makes these records be among those of the RRsets.
      - V(absent) removes these records, or where an entry has no records the whole RRset.
    type: str
    default: exact
    choices:
      - exact
      - present
      - absent
  prune_aliases:
    description:
      - Where an RRset of O(state=exact) is reached through an alias, remove other records from the alias's target.
      - Others may share the target. With V(false), such an RRset gains records and loses none.
    type: bool
    default: true
  require_signed:
    description:
      - Refuse to publish in a zone that is not signed or whose parent has no DS record. There, TLSA records are without
        effect.
      - The validating resolver O(resolver) is asked. In check mode, a resolver that does not answer is a warning.
    type: bool
    default: true
  allow_pkix_usages:
    description:
      - Allow the usages 0 (V(pkix-ta)) and 1 (V(pkix-ee)) on mail ports, where clients cannot use them (RFC 7672
        section 3.1.3).
    type: bool
    default: false
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.dnspython
  - mailsec.dane._attributes.full
  - mailsec.dane._provider
  - mailsec.dane._resolver
seealso:
  - module: mailsec.dane.tlsa_record_info
  - module: mailsec.dane.wait_for_tlsa
"""

EXAMPLES = r"""
- name: Publish the digest of the key of mx1 for SMTP and submission
  mailsec.dane.tlsa_record:
    provider:
      type: rfc2136
      server: 192.0.2.53
      key_name: mx1-tlsa
      key_secret: "{{ vault_tsig_secret }}"
    rrsets:
      - name: _25._tcp.mx1.example.org
        records:
          - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
      - name: _465._tcp.mx1.example.org
        ttl: 1800
        records:
          - usage: dane-ee
            selector: spki
            matching_type: sha2-256
            data: 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
  delegate_to: localhost

- name: Add the record of the next key beside what is there
  mailsec.dane.tlsa_record:
    provider:
      type: rfc2136
      server: 192.0.2.53
      key_secret_file: /etc/dane/tsig.key
    rrsets:
      - name: _25._tcp.mx1.example.org
        records:
          - dane-ee spki sha2-256 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20
    state: present

- name: Withdraw a host that is no longer a mail host
  mailsec.dane.tlsa_record:
    provider:
      type: rfc2136
      server: 192.0.2.53
      key_secret_file: /etc/dane/tsig.key
    rrsets:
      - name: _25._tcp.mx3.example.org
    state: absent
"""

RETURN = r"""
rrsets:
  description: Every RRset of O(rrsets), once, whether it changed or not.
  returned: when the provider could be read
  type: list
  elements: dict
  contains:
    name:
      description: The name as it was given, in lower case, A-labels and without the trailing dot.
      type: str
      sample: _25._tcp.mx1.example.org
    owner:
      description: Where the records are; another name when RV(rrsets[].name) is an alias.
      type: str
      sample: _25._tcp.mx1.example.org
    zone:
      description: The zone that RV(rrsets[].owner) is in.
      type: str
      sample: example.org
    ttl:
      description: TTL of the RRset in seconds, V(null) when it has no records. In check mode, as it would be.
      type: int
      sample: 3600
    ttl_before:
      description: TTL before. Caches may hold the RRset as it was for so long.
      type: int
      sample: 3600
    before:
      description: The records before, in presentation form.
      type: list
      elements: str
      sample: []
    after:
      description: The records after. In check mode, as they would be.
      type: list
      elements: str
      sample:
        - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
    changed:
      description: Whether records or TTL differ between before and after.
      type: bool
      sample: true
errors:
  description: What went wrong, by zone. Zones that are not named here are as they should be.
  returned: when the module fails after it began to make changes
  type: dict
  sample:
    example.org: "Zone example.org: the name server 192.0.2.53: the update was refused (REFUSED)"
"""

import typing as t
from functools import partial

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import PROVIDER_OPTIONS, RESOLVER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import converge
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run, hide_secrets_only
from ansible_collections.mailsec.dane.plugins.module_utils._publication import (
    State,
    plan,
    wanted_rrsets,
)
from ansible_collections.mailsec.dane.plugins.module_utils._publication_result import publication_result
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.selection import publisher_from_options
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Resolver

STATES: t.Final = ["exact", "present", "absent"]


def publish(options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The module's work, from its options to its result."""
    wanted = wanted_rrsets(options["rrsets"], State(options["state"]), allow_pkix=options["allow_pkix_usages"])
    resolver = Resolver(options["resolver"], options["resolver_port"], options["timeout"])
    with publisher_from_options(options["provider"]) as publisher:
        outcome = converge(
            publisher,
            wanted,
            resolver=resolver if options["require_signed"] else None,
            planner=partial(plan, prune_aliases=options["prune_aliases"]),
            check_mode=check_mode,
        )
        return publication_result(outcome, publisher.place)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "provider": {"type": "dict", "required": True, "options": PROVIDER_OPTIONS},
            "rrsets": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "ttl": {"type": "int"},
                    "records": {"type": "list", "elements": "raw"},
                    "state": {"type": "str", "choices": STATES},
                },
            },
            "state": {"type": "str", "default": "exact", "choices": STATES},
            "prune_aliases": {"type": "bool", "default": True},
            "require_signed": {"type": "bool", "default": True},
            "allow_pkix_usages": {"type": "bool", "default": False},
            **RESOLVER_OPTIONS,
        },
        supports_check_mode=True,
    )
    require(module, "dnspython")
    hide_secrets_only(module, module.params["provider"])
    guarded_run(module, lambda: publish(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
