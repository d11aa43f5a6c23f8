#!/usr/bin/python

# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tlsa_rollover
short_description: Take the next safe step of a certificate or key rollover
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Looks at what every authoritative name server and every endpoint of the host serves, and at what resolvers may still
    hold, and does what can be done now without a moment in which a served chain matches no TLSA record; C(publish),
    C(deploy) or C(retire). Otherwise it says until when to wait, or why it refuses.
  - It never sleeps through a wait. Calling it again is always safe, and goes on from where the last call, of Ansible or
    of the agent on the host, ended.
  - It is the agent's own code, and reads the agent's configuration, C(/etc/dane/HOST/rollover.json), that the role
    P(mailsec.dane.tlsa_rollover#role) writes.
  - In check mode it returns the plan, and writes nothing.
options:
  host:
    description:
      - The host name that clients know the server by, which names its store and its configuration.
    type: str
    required: true
  state:
    description:
      - V(stepped) takes the next step.
      - V(begun) stages the next keys, or new ones where there are none, and takes the next step.
      - V(emergency) does so because the deployed keys are compromised. They are never deployed again, and their records
        are the first to go.
      - V(rolled_back) stages what was deployed before, and takes the next step.
      - V(planned) only says what the next step would be.
    type: str
    choices: [stepped, begun, emergency, rolled_back, planned]
    default: stepped
  patience:
    description:
      - Seconds to wait at most for what is expected at any moment, such as secondary servers that follow a change.
    type: float
    default: 20
  wake:
    description:
      - Have systemd run the agent when the wait is over. The agent must be installed.
    type: bool
    default: true
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.full
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.cryptography
  - mailsec.dane._attributes.dnspython
seealso:
  - module: mailsec.dane.certificate_store
  - module: mailsec.dane.tlsa_record
  - module: mailsec.dane.rollover_agent
"""

EXAMPLES = r"""
- name: Take the next step
  mailsec.dane.tlsa_rollover:
    host: mx1.example.org

- name: Begin a rollover to the next keys
  mailsec.dane.tlsa_rollover:
    host: mx1.example.org
    state: begun

- name: Say what would be done
  mailsec.dane.tlsa_rollover:
    host: mx1.example.org
    state: planned
  register: plan
"""

RETURN = r"""
host:
  description: The host name.
  returned: always
  type: str
  sample: mx1.example.org
decision:
  description: The last decision. V(publish), V(deploy) and V(retire) are what would be done next, in a plan.
  returned: when something could be looked at
  type: str
  sample: wait
why:
  description: One sentence that says why.
  returned: when something could be looked at
  type: str
  sample: the TLSA RRset without the staged key, TTL 1800, may be cached until then
until:
  description: When the wait ends, UTC; V(null) where nothing tells.
  returned: when something could be looked at
  type: str
  sample: "2036-11-20T14:32:10Z"
alarms:
  description: What somebody should look at, for example a certificate that expires before it can be replaced safely.
  returned: always
  type: list
  elements: str
  sample: []
done:
  description: What was done in this call, in order.
  returned: always
  type: list
  elements: str
  sample: ["published: the staged key's records"]
lines:
  description: What to publish by hand, as lines of a zone file, where there is no provider.
  returned: always
  type: list
  elements: str
  sample: []
last_step:
  description: How the agent's step before this look ended; V(null) after a step, and where there was none.
  returned: always
  type: dict
  contains:
    at:
      description: When it ended, UTC.
      returned: always
      type: str
    error:
      description: What failed in it; V(null) if nothing did.
      returned: always
      type: str
    next:
      description: When the next one is timed, UTC; V(null) where only the regular timer runs.
      returned: always
      type: str
  sample: {at: "2036-11-20T14:32:10Z", error: null, next: null}
published:
  description: What is served by the authoritative servers, by owner name.
  returned: when something could be looked at
  type: dict
  sample: {}
generations:
  description: What is deployed, staged and next; V(null) for what there is not.
  returned: when something could be looked at
  type: dict
  sample: {}
timeline:
  description: What resolvers may hold and until when, and when certificates expire, in order of time.
  returned: when something could be looked at
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_run import run


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "host": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["stepped", "begun", "emergency", "rolled_back", "planned"],
                "default": "stepped",
            },
            "patience": {"type": "float", "default": 20},
            "wake": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    require(module, "cryptography", "dnspython")
    guarded_run(module, lambda: run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
