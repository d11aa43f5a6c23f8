#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dane_info
short_description: Look at mail domains and hosts as a DANE client does
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Follows RFC 7672 from the MX look-up to the TLS handshake and gives a verdict for each endpoint.
  - Every IPv4 and IPv6 address of every host is connected to, and each key algorithm that the server has is asked for
    by itself, so that an ECDSA chain that nobody thought of is found.
  - No mail is sent. A session ends politely after the handshake.
  - A DNS answer counts as signed only if a validating resolver on this host says so, or if libunbound has verified its
    signatures itself (O(validation)). Otherwise the verdict is V(unknown).
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.info
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.dnspython
  - mailsec.dane._attributes.cryptography
  - mailsec.dane._resolver
options:
  domains:
    description:
      - Mail domains. Port 25 of each of their MX hosts is looked at.
      - Internationalised names may be written as they are, or in their C(xn--) form.
    type: list
    elements: str
    default: []
  hosts:
    description: Hosts to look at by themselves, whether or not an MX record names them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The host's name.
        type: str
        required: true
      ports:
        description:
          - Ports to look at. How TLS begins follows from the port; see O(endpoints[].starttls).
          - A port without a registered mail protocol belongs in O(endpoints).
        type: list
        elements: int
        default: [25]
  endpoints:
    description: Single endpoints, for ports that say nothing of themselves or to look at one address only.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The host's name.
        type: str
        required: true
      port:
        description: The port.
        type: int
        required: true
      starttls:
        description:
          - The protocol in which STARTTLS is asked for, or V(none) where TLS begins at once.
          - "Where it is not given it follows from the port: 25 and 587 V(smtp), 24 V(lmtp), 143 V(imap), 110 V(pop3),
            4190 V(sieve), 5222 V(xmpp-client), 5269 V(xmpp-server), and V(none) for 443, 465, 853, 993 and 995."
        type: str
        choices: [smtp, lmtp, imap, pop3, sieve, xmpp-client, xmpp-server, none]
      address:
        description: Look at this address of the host only.
        type: str
  key_algorithms:
    description:
      - Key algorithms to ask for. The chain that the server itself prefers is always looked at.
    type: list
    elements: str
    choices: [rsa, ecdsa, eddsa]
    default: [rsa, ecdsa]
  validation:
    description:
      - V(resolver) goes by the word of O(resolver), which counts only if it is on this host.
      - V(libunbound) believes nobody. O(resolver) may be anywhere, and the signatures in its answers are verified here.
        It needs the Debian packages C(python3-unbound) and C(dns-root-data), and a resolver that passes signatures on.
    type: str
    choices: [resolver, libunbound]
    default: resolver
  trust_anchor:
    description:
      - File with the trust anchor of the root zone for O(validation=libunbound), as DS or DNSKEY records.
    type: path
    default: /usr/share/dns/root.key
  trust_resolver:
    description:
      - Believe the resolver although it is not on this host. Only where nobody can change what comes from it, such as
        inside a tunnel.
    type: bool
    default: false
  connect_timeout:
    description: Seconds within which a connection must be there.
    type: float
    default: 10.0
  step_timeout:
    description: Seconds for each step after that, which are the greeting, each answer, and the handshake.
    type: float
    default: 15.0
  connections:
    description: The most connections at once. To one address there are never more than four.
    type: int
    default: 512
  client_name:
    description:
      - The name to say in EHLO. Where it is not given it is the address that the connection comes from.
    type: str
seealso:
  - name: RFC 7672
    description: SMTP security via opportunistic DANE TLS.
    link: https://www.rfc-editor.org/rfc/rfc7672
"""

EXAMPLES = r"""
- name: Look at a mail domain
  mailsec.dane.dane_info:
    domains: [example.org]
  register: mail

- name: Stop if a sender could not verify it
  ansible.builtin.assert:
    that: mail.verified
    fail_msg: "{{ mail.endpoints | rejectattr('verdict', 'eq', 'verified') | map(attribute='reason') | join(' ') }}"

- name: Look at the submission and IMAP ports of a host, and at one address of another
  mailsec.dane.dane_info:
    hosts:
      - name: mx1.example.org
        ports: [465, 587, 993]
    endpoints:
      - host: mx2.example.org
        port: 2525
        starttls: smtp
        address: 192.0.2.2

- name: Look from a machine that has no validating resolver of its own
  mailsec.dane.dane_info:
    domains: [example.org]
    validation: libunbound
    resolver: 192.0.2.53
  delegate_to: localhost
"""

RETURN = r"""
verified:
  description: Whether every endpoint has the verdict V(verified).
  type: bool
  returned: success
  sample: false
checked_at:
  description: When the look began, in UTC.
  type: str
  returned: success
  sample: "2026-11-22T12:00:00Z"
summary:
  description: How many endpoints have which verdict. Every verdict is there.
  type: dict
  returned: success
  sample:
    verified: 3
    insecure: 0
    absent: 0
    unusable: 0
    unknown: 0
    no_starttls: 0
    unreachable: 0
    bogus: 0
    mismatch: 1
domains:
  description: The domains, each with its worst verdict.
  type: list
  elements: dict
  returned: success
  contains:
    domain:
      description: The domain, in its C(xn--) form.
      type: str
      sample: example.org
    verdict:
      description: The worst verdict on the way to it; V(null) if it takes no mail at all (RFC 7505).
      type: str
      sample: mismatch
    mx_secure:
      description: Whether the MX record, or its absence, is signed; V(null) where that is unknown.
      type: bool
      sample: true
    hosts:
      description: Its MX hosts by preference.
      type: list
      elements: str
      sample: [mx1.example.org, mx2.example.org]
    advice:
      description: What its owner should know besides.
      type: list
      elements: str
      sample: []
endpoints:
  description:
    - One entry for each chain that was seen at an address and port, and one for each place where none was.
    - What does not apply is V(null).
  type: list
  elements: dict
  returned: success
  contains:
    domain:
      description: The domain that led here; V(null) for O(hosts) and O(endpoints).
      type: str
      sample: example.org
    host:
      description: The host.
      type: str
      sample: mx1.example.org
    address:
      description: The address.
      type: str
      sample: 192.0.2.1
    port:
      description: The port.
      type: int
      sample: 25
    starttls:
      description: How TLS was begun; V(none) for at once.
      type: str
      sample: smtp
    key_algorithm:
      description: The key algorithm of the served chain, or that which was asked for in vain.
      type: str
      sample: ECDSA
    owner:
      description: The owner name of the TLSA RRset that counts.
      type: str
      sample: _25._tcp.mx1.example.org
    tlsa:
      description: The records there.
      type: list
      elements: str
      sample: ["3 1 1 8a9f12d4c6b0e35c2f4f64c1d0a9b7e8f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8"]
    verdict:
      description:
        - V(verified), the served chain matches the signed records.
        - V(insecure), the MX record, the host's addresses or the records are not signed.
        - V(absent), there is no TLSA record, proven by DNSSEC.
        - V(unusable), there are records and none can be used for mail.
        - V(unknown), this host could not find out.
        - V(no_starttls), the records promise TLS and the server offers none.
        - V(unreachable), no session with the server, or no answer from the DNS.
        - V(bogus), DNSSEC validation failed.
        - V(mismatch), the served chain is not what the records say.
      type: str
      sample: verified
    cause:
      description:
        - One word for the way in which things stand, for programs; the guide on verifying lists them.
        - Several causes lead to the same verdict.
      type: str
      sample: matched
    reason:
      description: Why, in one sentence, and how to mend it.
      type: str
      sample: the served chain matches 3 1 1 8a9f12d4c6b0...
    matched:
      description: The record that the chain matches.
      type: str
      sample: "3 1 1 8a9f12d4c6b0e35c2f4f64c1d0a9b7e8f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8"
    covered_by:
      description: Every record that stands for this chain, names and dates left aside.
      type: list
      elements: str
      sample: ["3 1 1 8a9f12d4c6b0e35c2f4f64c1d0a9b7e8f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8"]
    spare:
      description: Records that stand for no chain seen at any address of the host; a key to come, or one forgotten.
      type: list
      elements: str
      sample: []
    chain:
      description: The certificates as served, the server's own first.
      type: list
      elements: dict
      contains:
        subject:
          description: Subject.
          type: str
          sample: CN=mx1.example.org
        issuer:
          description: Issuer.
          type: str
          sample: CN=mx1.example.org
        names:
          description: The DNS names it is for.
          type: list
          elements: str
          sample: [mx1.example.org]
        key_algorithm:
          description: Algorithm of its key.
          type: str
          sample: ECDSA
        not_before:
          description: Start of its validity, in UTC.
          type: str
          sample: "2026-11-01T00:00:00Z"
        not_after:
          description: End of its validity, in UTC.
          type: str
          sample: "2027-01-30T00:00:00Z"
        cert_sha256:
          description: What a record C(x 0 1) of it holds.
          type: str
          sample: 0b1f0c7a4e9d8b6f3a5c2e1d4f7b8a9c6d3e0f1a2b5c8d7e4f9a6b3c0d1e2f5a
        spki_sha256:
          description: What a record C(x 1 1) of it holds.
          type: str
          sample: 8a9f12d4c6b0e35c2f4f64c1d0a9b7e8f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8
    not_after:
      description: When the server's certificate expires, in UTC.
      type: str
      sample: "2027-01-30T00:00:00Z"
    tls_version:
      description: The TLS version that was agreed on.
      type: str
      sample: TLSv1.3
    breaches:
      description:
        - Breaches of RFC 7671 section 8, which wants each combination of usage, selector and matching type in the RRset
          to match every chain served. Empty when it holds, whatever the verdict.
      type: list
      elements: str
      sample: []
    advice:
      description: What the owner should know besides.
      type: list
      elements: str
      sample: [the certificate expires in 9 days]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import RESOLVER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._dane_info import run
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run


def main() -> None:
    """Check the options' form, then look."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core gives its constructor no types
        argument_spec={
            "domains": {"type": "list", "elements": "str", "default": []},
            "hosts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "ports": {"type": "list", "elements": "int", "default": [25]},
                },
            },
            "endpoints": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "host": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "starttls": {
                        "type": "str",
                        "choices": ["smtp", "lmtp", "imap", "pop3", "sieve", "xmpp-client", "xmpp-server", "none"],
                    },
                    "address": {"type": "str"},
                },
            },
            "key_algorithms": {
                "type": "list",
                "elements": "str",
                "choices": ["rsa", "ecdsa", "eddsa"],
                "default": ["rsa", "ecdsa"],
                "no_log": False,
            },
            "validation": {"type": "str", "choices": ["resolver", "libunbound"], "default": "resolver"},
            "trust_anchor": {"type": "path", "default": "/usr/share/dns/root.key"},
            "trust_resolver": {"type": "bool", "default": False},
            "connect_timeout": {"type": "float", "default": 10.0},
            "step_timeout": {"type": "float", "default": 15.0},
            "connections": {"type": "int", "default": 512},
            "client_name": {"type": "str"},
            **RESOLVER_OPTIONS,
        },
        supports_check_mode=True,
    )
    require(module, "dnspython", "cryptography")
    guarded_run(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
