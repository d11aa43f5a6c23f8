#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postfix_dane
short_description: Make Postfix send and receive mail with DANE
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Makes Postfix's DANE and TLS parameters what they should be, for outgoing mail and, with O(chain_files), for
    incoming mail, and keeps a table of per-destination TLS policies.
  - Tells of every other setting in main.cf, master.cf, policy tables and the resolver configuration that is in the way
    of DANE, with its remedy. Where a setting turns DANE off altogether, the module refuses and changes nothing.
  - All parameters are read and written together. The new main.cf is made from a copy by C(postconf), must pass
    C(postfix check), and is put in place by one rename; comments and all other settings are kept. A running Postfix is
    reloaded by the module itself, also when an earlier run was killed before its reload.
  - Whatever is asked for and the installed Postfix lacks is an error. Postfix 3.6 or later is needed.
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.full
  - mailsec.dane._attributes.actiongroup_dane
options:
  config_directory:
    description:
      - The directory of main.cf and master.cf.
      - Defaults to V(/etc/postfix) unless O(instance) is given.
    type: path
  instance:
    description: The name of a Postfix instance, as C(postmulti -l) lists it; V(-) is the primary one.
    type: str
  security_level:
    description:
      - C(smtp_tls_security_level). V(dane) verifies every destination that has secure TLSA records, and uses
        opportunistic TLS with all others. V(dane-only) delivers to no destination without.
    type: str
    choices: [dane, dane-only]
    default: dane
  mandatory_protocols:
    description: C(smtp_tls_mandatory_protocols), the TLS versions for destinations that are verified.
    type: str
    default: ">=TLSv1.2"
  protocols:
    description:
      - C(smtp_tls_protocols), the TLS versions for all other destinations. Left as it is when omitted.
      - Where a destination has none of them, mail to it is sent in clear text.
    type: str
  log_level:
    description:
      - C(smtp_tls_loglevel), and with O(chain_files) C(smtpd_tls_loglevel).
      - V(1) logs one line for each connection, with C(Verified) for a destination that DANE verified.
    type: int
    choices: [1, 2]
    default: 1
  lmtp:
    description:
      - Whether the LMTP client, C(lmtp_*), is given the same settings.
      - Refused where mail is delivered by LMTP to a UNIX-domain socket, which Postfix would then defer.
    type: bool
    default: false
  policies:
    description:
      - Destinations with a TLS policy of their own, written to O(policy_file), which is asked before all other tables
        of C(smtp_tls_policy_maps). Other tables and policy services are kept.
      - An empty list takes the table away; when the option is omitted, nothing of it is touched.
    type: list
    elements: dict
    suboptions:
      destination:
        description:
          - The next hop, a mail domain (V(example.org)), all subdomains of one (V(.example.org)), or a host as it is
            written in a transport table or C(relayhost) (V([mail.example.org]:587)). Never the name of an MX host.
        type: str
        required: true
      level:
        description:
          - V(dane-only) for partners that must be verified. The others are for peers that are broken, or that agreed
            upon certificates with you.
        type: str
        choices: [dane-only, dane, secure, fingerprint, encrypt, may, none]
        required: true
      match:
        description:
          - With V(secure), names or strategies to match the certificate's names with.
          - With V(fingerprint), fingerprints of the certificate or its public key, as hexadecimal octets with colons.
        type: list
        elements: str
        default: []
      protocols:
        description: The TLS versions for this destination, for example V(>=TLSv1.2).
        type: str
      comment:
        description: Why the entry is there, one line; it is written above the entry.
        type: str
      until:
        description: The last day of the entry, such as V(2027-01-31). Afterwards each run reports it with a warning.
        type: str
  policy_file:
    description: The file of O(policies), a C(texthash) table. By default C(dane_policy) beside C(main.cf).
    type: path
  chain_files:
    description:
      - C(smtpd_tls_chain_files), files with one private key each, directly followed by its certificate and the issuers
        between it and the root; one file for each key algorithm. Where DANE-TA records name a root, the root follows.
      - Entries may be patterns such as V(/etc/dane/mx1.example.org/deployed/*.pem).
      - Sets C(smtpd_tls_security_level) to V(may), and takes out C(smtpd_tls_cert_file) and the other parameters that
        C(smtpd_tls_chain_files) replaces. When omitted, keys and certificates are left as they are.
    type: list
    elements: path
    default: []
  ca_file:
    description: C(smtpd_tls_CAfile), trusted for certificates of clients. Left as it is when omitted.
    type: path
  server_protocols:
    description: C(smtpd_tls_protocols), the TLS versions on port 25. Left as it is when omitted.
    type: str
  raw_public_keys:
    description:
      - C(smtpd_tls_enable_rpk), whether to offer raw public keys (RFC 7250) to clients that ask for one. Postfix 3.9 or
        later. Left as it is when omitted.
    type: bool
  tlsrpt:
    description:
      - C(smtp_tlsrpt_enable), whether to hand what is needed for TLS reports (RFC 8460) to a collector. Postfix 3.10 or
        later. Left as it is when omitted.
    type: bool
  tlsrpt_socket:
    description:
      - C(smtp_tlsrpt_socket_name), where the collector listens; needed when O(tlsrpt=true).
      - A path relative to Postfix's queue directory is right with and without chroot,
        for example V(run/tlsrpt/tlsrpt.sock).
    type: str
  hostname:
    description: C(myhostname), this host's full name. Left as it is when omitted.
    type: str
  destinations:
    description:
      - Mail domains that this host is to receive mail for. Those for which it does not yet, neither as a local, virtual
        nor relayed domain, are added to C(mydestination). None is ever taken away.
    type: list
    elements: str
    default: []
  ports:
    description: The ports that TLSA records are published for; 25, 465 and 587 of them are looked at in master.cf.
    type: list
    elements: int
    default: [25]
  accept:
    description:
      - Findings that you know of and want to keep, by their RV(findings[].setting). They are reported as notices,
        without a warning, and are no reason to refuse.
    type: list
    elements: str
    default: []
notes:
  - DANE is only as good as the resolver. Postfix must ask a validating resolver on this host and no other, see the role
    P(mailsec.dane.unbound_resolver#role).
seealso:
  - name: Postfix TLS Support
    description: Postfix's own documentation.
    link: https://www.postfix.org/TLS_README.html
"""

EXAMPLES = r"""
- name: Verify destinations by DANE
  mailsec.dane.postfix_dane:

- name: Verify destinations, and serve the keys that TLSA records are published for
  mailsec.dane.postfix_dane:
    chain_files:
      - /etc/dane/mx1.example.org/deployed/ecdsa.pem
      - /etc/dane/mx1.example.org/deployed/rsa.pem
    ports: [25, 465, 587]

- name: Insist on DANE for a partner, and bear with a broken one for a while
  mailsec.dane.postfix_dane:
    policies:
      - destination: example.com
        level: dane-only
        comment: contract of 2026, annex 3
      - destination: example.net
        level: encrypt
        comment: their TLSA records are stale, reported to postmaster@example.net
        until: 2027-01-31

- name: Configure a second instance
  mailsec.dane.postfix_dane:
    instance: postfix-out
    security_level: dane-only
"""

RETURN = r"""
version:
  description: The version of Postfix.
  type: str
  returned: success
  sample: 3.10.13
config_directory:
  description: The directory of the main.cf that was looked at.
  type: str
  returned: success
  sample: /etc/postfix
parameters:
  description: Each parameter of main.cf that was set, or would be, with its new value.
  type: dict
  returned: success
  sample:
    smtp_dns_support_level: dnssec
    smtp_tls_security_level: dane
removed:
  description: Each parameter that was taken out of main.cf, or would be.
  type: list
  elements: str
  returned: success
  sample: [smtpd_use_tls]
reloaded:
  description: Whether a running Postfix was reloaded, or would be.
  type: bool
  returned: success
  sample: true
findings:
  description: What else is in the way of DANE, or worth knowing.
  type: list
  elements: dict
  returned: always, unless the configuration could not be read
  contains:
    setting:
      description: The parameter, C(service/type/parameter) of master.cf, table entry or file.
      type: str
      sample: relayhost
    severity:
      description: V(error) turns DANE off and makes the module refuse, V(warning) harms it, V(notice) is worth knowing.
      type: str
      sample: notice
    problem:
      description: What is so.
      type: str
      sample: "All outgoing mail goes to [relay.example.org]."
    remedy:
      description: What to do about it.
      type: str
      sample: Have TLSA records for the relay in a signed zone.
notices:
  description: The findings of severity V(notice), a sentence each.
  type: list
  elements: str
  returned: success
  sample: ["relayhost: All outgoing mail goes to [relay.example.org]. Have TLSA records for the relay."]
"""

import datetime as dt
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import guarded_run, text_diff
from ..module_utils._postfix_apply import Change, Request, apply
from ..module_utils._postfix_policy import LEVELS, parse_policies
from ..module_utils._postfix_wishes import SECURITY_LEVELS, Wishes

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "config_directory": {"type": "path"},
    "instance": {"type": "str"},
    "security_level": {"type": "str", "choices": list(SECURITY_LEVELS), "default": "dane"},
    "mandatory_protocols": {"type": "str", "default": ">=TLSv1.2"},
    "protocols": {"type": "str"},
    "log_level": {"type": "int", "choices": [1, 2], "default": 1},
    "lmtp": {"type": "bool", "default": False},
    "policies": {
        "type": "list",
        "elements": "dict",
        "options": {
            "destination": {"type": "str", "required": True},
            "level": {"type": "str", "required": True, "choices": list(LEVELS)},
            "match": {"type": "list", "elements": "str", "default": []},
            "protocols": {"type": "str"},
            "comment": {"type": "str"},
            "until": {"type": "str"},
        },
    },
    "policy_file": {"type": "path"},
    "chain_files": {"type": "list", "elements": "path", "default": []},
    "ca_file": {"type": "path"},
    "server_protocols": {"type": "str"},
    "raw_public_keys": {"type": "bool", "no_log": False},
    "tlsrpt": {"type": "bool"},
    "tlsrpt_socket": {"type": "str"},
    "hostname": {"type": "str"},
    "destinations": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "int", "default": [25]},
    "accept": {"type": "list", "elements": "str", "default": []},
}

# Options that go to the parameters of main.cf as they are.
WISHES = (
    "security_level",
    "mandatory_protocols",
    "protocols",
    "log_level",
    "lmtp",
    "ca_file",
    "server_protocols",
    "raw_public_keys",
    "tlsrpt",
    "tlsrpt_socket",
    "hostname",
)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Carry out the request, and return the module's result."""
    params = module.params
    request = Request(
        wishes=Wishes(
            **{name: params[name] for name in WISHES},
            chain_files=tuple(params["chain_files"]),
            destinations=tuple(params["destinations"]),
        ),
        directory=params["config_directory"],
        instance=params["instance"],
        policies=None if params["policies"] is None else parse_policies(params["policies"]),
        policy_file=params["policy_file"],
        ports=tuple(params["ports"]),
        accept=frozenset(params["accept"]),
    )
    change = apply(request, today=dt.datetime.now(dt.UTC).date(), dry_run=module.check_mode)
    return {
        "changed": change.changed,
        "version": change.state.version,
        "config_directory": change.state.directory,
        "parameters": dict(change.plan.assignments),
        "removed": list(change.plan.removals),
        "reloaded": change.reloaded,
        "findings": [finding.to_mapping() for finding in change.findings],
        "notices": _sentences(change, "notice"),
        "warnings": _sentences(change, "warning"),
        "diff": [text_diff(path, before, after) for path, before, after in change.files if before != after],
    }


def _sentences(change: Change, severity: str) -> list[str]:
    return [finding.sentence() for finding in change.findings if finding.severity == severity]


def main() -> None:
    """Entry point."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec=ARGUMENT_SPEC,
        mutually_exclusive=[("config_directory", "instance")],
        required_if=[("tlsrpt", True, ("tlsrpt_socket",))],
        supports_check_mode=True,
    )
    guarded_run(module, lambda: run(module))


if __name__ == "__main__":
    main()
