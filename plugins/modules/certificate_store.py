#!/usr/bin/python

# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_store
short_description: Put a host's keys and certificate chains where its services load them
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Keeps the directory that mail services load their keys and chains from, usually C(/etc/dane/HOST/deployed/).
    It holds one file for each key algorithm, C(rsa.pem) and C(ecdsa.pem), in the form of Postfix's
    C(smtpd_tls_chain_files), key first; beside them C(rsa.crt) and C(ecdsa.crt) hold the chains without the keys.
  - The directory is a symbolic link to a generation that never changes once it is written. A new generation is written
    whole, synced to disk, and switched to by one rename, so that a service never sees a half-written file or a key
    beside another key's certificate.
  - Checked before anything is written are that key and certificate belong together, that each certificate is followed
    by its issuer, that dates are sane and that Debian's OpenSSL will load the keys. Encrypted keys are refused.
  - A key that is not served yet is refused once something is deployed, because senders whose resolvers hold the
    published TLSA RRset would stop to deliver mail. A renewed certificate for a key that is served goes in at once.
  - A key that a rollover has replaced, or that one is under way to, is not for this module to deploy. What is deployed
    for its algorithm stays, and a warning says why.
  - Where nothing is deployed yet, a key that contradicts what is published for O(ports) is refused for the same reason.
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.full
  - mailsec.dane._attributes.cryptography
  - mailsec.dane._attributes.dnspython
  - mailsec.dane._resolver
options:
  path:
    description:
      - Directory of the host's store.
    type: path
    required: true
  host:
    description:
      - Host name that clients know the server by, for example C(mx1.example.org).
      - A certificate that is not for it is deployed with a warning.
    type: str
    required: true
  state:
    description:
      - V(deployed) makes the store hold exactly the given chains.
      - V(recovered) writes the deployed key to O(chains[].private_key_path), where that file is missing or empty, or
        holds a key that a rollover has replaced; then its certificate goes to O(chains[].chain_path), if that is given.
        Where nothing is deployed it changes nothing.
    type: str
    choices: [deployed, recovered]
    default: deployed
  chains:
    description:
      - The keys and their chains, one for each key algorithm.
    type: list
    elements: dict
    required: true
    suboptions:
      algorithm:
        description:
          - Key algorithm of the file to recover. Needed with O(state=recovered); otherwise read from the key.
        type: str
        choices: [ecdsa, rsa]
      private_key_path:
        description:
          - PEM file on the host with the private key, not encrypted.
        type: path
      private_key_content:
        description:
          - The private key itself, PEM, for example from Ansible Vault.
        type: str
      chain_path:
        description:
          - PEM file on the host with the server's certificate and after it its issuers, each after the one it signed.
          - Without O(chains[].chain_path) and O(chains[].chain_content), the chain is taken from where the key stands.
        type: path
      chain_content:
        description:
          - The chain itself, PEM.
        type: str
  replace_key:
    description:
      - Deploy a key that is not served yet, at once. Mail is refused by senders that verify, unless its TLSA record has
        been on all authoritative name servers for at least two TTLs, or no TLSA record was ever published.
      - Also allows to deploy over a generation that is damaged.
    type: bool
    default: false
  keep:
    description:
      - How many generations to keep, counted from the youngest, 2 or more. The deployed one is always kept.
    type: int
    default: 3
  group:
    description:
      - A group whose members may read the keys beside root. Postfix, Dovecot and nginx need none, as they read keys
        before they give up root's rights; Exim on Debian needs V(Debian-exim).
    type: str
  reload:
    description:
      - Systemd units that load from the store. Those that run are reloaded after each change, also when an earlier run
        was killed before it came to that. Where one cannot be reloaded, the former keys and chains are put back.
    type: list
    elements: str
    default: []
  ports:
    description:
      - TCP ports that the host has TLSA records for. Where nothing is deployed yet, the resolver is asked for them, and
        a chain that contradicts what is published is refused. A failed look-up is a failure too.
      - Without ports nothing is asked.
    type: list
    elements: int
    default: []
seealso:
  - module: mailsec.dane.tlsa_record
  - name: Postfix TLS support
    description: How Postfix loads keys and chains from files of this form.
    link: https://www.postfix.org/TLS_README.html
"""

EXAMPLES = r"""
- name: Serve the key and chain that lie on the host
  mailsec.dane.certificate_store:
    path: /etc/dane/mx1.example.org
    host: mx1.example.org
    ports: [25, 465]
    reload: [postfix.service]
    chains:
      - private_key_path: /etc/ssl/private/mx1.example.org.key
        chain_path: /etc/ssl/certs/mx1.example.org.fullchain.pem

- name: Serve an ECDSA and an RSA key from the vault
  mailsec.dane.certificate_store:
    path: /etc/dane/mx1.example.org
    host: mx1.example.org
    chains:
      - private_key_content: "{{ vault_mx1_ecdsa_key }}"
        chain_content: "{{ lookup('ansible.builtin.file', 'mx1-ecdsa.pem') }}"
      - private_key_content: "{{ vault_mx1_rsa_key }}"
        chain_content: "{{ lookup('ansible.builtin.file', 'mx1-rsa.pem') }}"

- name: Bring a lost key file back from what is deployed
  mailsec.dane.certificate_store:
    path: /etc/dane/mx1.example.org
    host: mx1.example.org
    state: recovered
    chains:
      - algorithm: rsa
        private_key_path: /etc/ssl/private/mx1.example.org.key
"""

RETURN = r"""
deployed:
  description: The directory that services load from, and the generation that it is. The generation is null in check
    mode where it would be a new one.
  returned: success, O(state=deployed)
  type: dict
  sample:
    path: /etc/dane/mx1.example.org/deployed
    generation: 000002-b81f07c44d10
chains:
  description: What is deployed.
  returned: success, O(state=deployed)
  type: list
  elements: dict
  contains:
    algorithm:
      description: Key algorithm.
      type: str
      sample: ecdsa
    path:
      description: The file to load, key first.
      type: str
      sample: /etc/dane/mx1.example.org/deployed/ecdsa.pem
    certificates:
      description: The chain alone, PEM.
      type: str
      sample: "-----BEGIN CERTIFICATE-----\n..."
    tlsa:
      description: The C(3 1 1) record of the key.
      type: str
      sample: 3 1 1 8a9f2c0b1d4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8
    names:
      description: The DNS names that the certificate is for.
      type: list
      elements: str
      sample: [mx1.example.org]
    not_after:
      description: When the certificate expires, UTC.
      type: str
      sample: "2036-11-20T12:00:00Z"
    self_signed:
      description: Whether the certificate is signed by its own key.
      type: bool
      sample: true
removed_generations:
  description: Old generations that were removed.
  returned: success, O(state=deployed)
  type: list
  elements: str
  sample: []
recovered:
  description: Key files that were written.
  returned: success, O(state=recovered)
  type: list
  elements: str
  sample: [/etc/ssl/private/mx1.example.org.key]
published:
  description: The records that are published and match nothing that would be served.
  returned: when a key is refused because of them
  type: list
  elements: str
  sample: [3 1 1 17c0ffee2c0b1d4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6]
new_keys:
  description: The C(3 1 1) records of keys that are not served yet and were refused.
  returned: when a key is refused
  type: list
  elements: str
  sample: [3 1 1 8a9f2c0b1d4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8]
deployed_keys:
  description: The C(3 1 1) records of the keys that are served.
  returned: when a key is refused
  type: list
  elements: str
  sample: [3 1 1 17c0ffee2c0b1d4e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import RESOLVER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._certificate_run import run
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run

_CHAIN_OPTIONS: t.Final = {
    "algorithm": {"type": "str", "choices": ["ecdsa", "rsa"]},
    "private_key_path": {"type": "path", "no_log": False},
    "private_key_content": {"type": "str", "no_log": True},
    "chain_path": {"type": "path"},
    "chain_content": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "path": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["deployed", "recovered"], "default": "deployed"},
            "chains": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": _CHAIN_OPTIONS,
                "mutually_exclusive": [
                    ["private_key_path", "private_key_content"],
                    ["chain_path", "chain_content"],
                ],
            },
            "replace_key": {"type": "bool", "default": False, "no_log": False},
            "keep": {"type": "int", "default": 3},
            "group": {"type": "str"},
            "reload": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            **RESOLVER_OPTIONS,
        },
        supports_check_mode=True,
    )
    require(module, "cryptography", "dnspython")
    guarded_run(module, lambda: run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
