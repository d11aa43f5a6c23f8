#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tlsrpt_record
short_description: Ask other mail hosts for reports on TLS by a record in the DNS
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Makes the TXT record C(_smtp._tls) of mail domains (RFC 8460 section 3) what it should be. Large senders then report
    daily how their TLS connections to the domain's mail hosts went.
  - A domain with more than one TLSRPT record counts as one without, so each is left with exactly one. Only TXT records
    that begin with C(v=TLSRPTv1) are touched; others at the name stay.
  - A record that says the same already is left as it is. Where the provider has conditions, changes go out under that
    of nobody having changed the RRset since it was read. A failed read never becomes a removal.
  - A name that is an alias is followed. At its target a record is added where there is none; one that says something
    else is not replaced, as others may share it, and the module fails before anything is changed.
  - The zone need not be signed.
options:
  domains:
    description:
      - The mail domains.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The domain, what follows the C(@) in mail addresses, and not the name of a mail host.
        type: str
        required: true
      rua:
        description:
          - Where reports are sent, as mail addresses, with or without C(mailto:), and C(https:) addresses.
          - The characters comma, V(!) and V(;) in them are percent-encoded; any other V(%) than of an encoded octet is
            refused.
          - Without it, C(tls-reports@) the domain, an alias that the role P(mailsec.dane.mail_aliases#role) makes.
        type: list
        elements: str
        default: []
  ttl:
    description:
      - TTL in seconds, from 1 to 604800. Where other TXT records stand at the name, theirs is kept.
      - Unset, a record keeps what it has, and a new one gets 3600.
    type: int
  state:
    description:
      - V(present) leaves each domain with the one record that is wanted, V(absent) with none.
    type: str
    default: present
    choices:
      - present
      - absent
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.dnspython
  - mailsec.dane._attributes.full
  - mailsec.dane._provider
seealso:
  - module: mailsec.dane.tlsrpt_info
  - name: RFC 8460
    description: SMTP TLS Reporting.
    link: https://www.rfc-editor.org/rfc/rfc8460
"""

EXAMPLES = r"""
- name: Have TLS reports sent to tls-reports@example.org
  mailsec.dane.tlsrpt_record:
    provider:
      type: rfc2136
      server: 192.0.2.53
      key_secret_file: /etc/dane/tsig.key
    domains:
      - name: example.org
  delegate_to: localhost

- name: Have them sent to a service as well
  mailsec.dane.tlsrpt_record:
    provider: "{{ dane_provider }}"
    domains:
      - name: example.org
        rua:
          - tls-reports@example.org
          - https://reports.example.net/v1/tlsrpt

- name: Want no more reports
  mailsec.dane.tlsrpt_record:
    provider: "{{ dane_provider }}"
    domains:
      - name: example.org
    state: absent
"""

RETURN = r"""
rrsets:
  description: The TXT RRset of each domain; in check mode as it would become.
  returned: when the provider could be read
  type: list
  elements: dict
  contains:
    name:
      description: The owner name that belongs to the domain.
      type: str
      sample: _smtp._tls.example.org
    owner:
      description: Where the RRset is, after aliases.
      type: str
      sample: _smtp._tls.example.org
    zone:
      description: Its zone.
      type: str
      sample: example.org
    ttl:
      description: TTL in seconds; C(none) where there is no TXT record.
      type: int
      sample: 3600
    ttl_before:
      description: TTL in seconds before; C(none) where there was no TXT record.
      type: int
      sample: 3600
    before:
      description: All TXT records at the owner name before, in presentation form.
      type: list
      elements: str
      sample: []
    after:
      description: The same after.
      type: list
      elements: str
      sample: ['"v=TLSRPTv1; rua=mailto:tls-reports@example.org"']
    changed:
      description: Whether they differ.
      type: bool
      sample: true
errors:
  description: What went wrong, by zone. Other zones have been changed all the same.
  returned: when the module fails after it began to change records
  type: dict
  sample:
    example.org: 'Zone example.org: the name server 192.0.2.53: the update was refused (REFUSED)'
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import PROVIDER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import converge
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run, hide_secrets_only
from ansible_collections.mailsec.dane.plugins.module_utils._publication_result import publication_result
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.selection import publisher_from_options
from ansible_collections.mailsec.dane.plugins.module_utils._records import TextRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_record import plan_tlsrpt, wanted_tlsrpt


def publish(options: dict[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The module's work, from its options to its result."""
    wanted = wanted_tlsrpt(options["domains"], options["ttl"], absent=options["state"] == "absent")
    with publisher_from_options(options["provider"], TextRecord) as publisher:
        outcome = converge(publisher, wanted, resolver=None, planner=plan_tlsrpt, check_mode=check_mode)
        return publication_result(outcome, publisher.place)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "provider": {"type": "dict", "required": True, "options": PROVIDER_OPTIONS},
            "domains": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "rua": {"type": "list", "elements": "str", "default": []},
                },
            },
            "ttl": {"type": "int"},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        },
        supports_check_mode=True,
    )
    require(module, "dnspython")
    hide_secrets_only(module, module.params["provider"])
    guarded_run(module, lambda: publish(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
