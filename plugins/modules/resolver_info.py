#!/usr/bin/python
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: resolver_info
short_description: Prove, or disprove, that this host's resolver validates
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - DANE rests on the AD bit of a validating resolver that is reached over loopback (RFC 7672 section 2.1.1). Where that
    bit is lost on the way, mail goes out unverified and nothing says so. This module looks at each place where it can
    be lost, and returns findings, each with what was seen and one sentence that says what to do.
  - It looks at this host, so run it on the host and not with C(delegate_to).
  - A finding has one of four verdicts. V(failed) breaks what DANE promises, V(warning) may do so later, V(unknown)
    could not be found out, V(ok) is as it should be.
options:
  checks:
    description:
      - What to look at.
      - V(host) is C(/etc/resolv.conf), the programs that write it, and the copies in Postfix's chroots.
      - V(server) is the configuration of unbound on this host, its forwarders in force, and its trust anchor.
      - V(validation) is what O(resolver) answers to questions about O(signed_names), O(bogus_names) and
        O(unsigned_names).
      - V(libc) is what a program gets to see that asks through the C library and C(/etc/resolv.conf).
      - V(forwarders) is whether the servers in O(forwarders) pass signatures on.
      - V(host) and V(server) ask no resolver and need no dnspython.
    type: list
    elements: str
    choices:
      - host
      - server
      - validation
      - libc
      - forwarders
    default:
      - host
      - server
      - validation
      - libc
  require:
    description:
      - The module fails unless each of these checks, which must be among O(checks), is proved.
    type: list
    elements: str
    choices:
      - host
      - server
      - validation
      - libc
      - forwarders
    default: []
  signed_names:
    description:
      - Names in signed zones, which must be answered with the AD bit.
      - Each is a name, of which the SOA record is asked for, or a name and a record type such as V(example.org MX).
    type: list
    elements: str
    default:
      - "."
      - com
      - org
  bogus_names:
    description:
      - Names whose signatures are wrong on purpose. The resolver must refuse them, and know them once checking is
        disabled; without one that is refused so, validation is not proved.
      - A name that cannot be resolved at all proves nothing, and is reported as V(unknown).
    type: list
    elements: str
    default:
      - dnssec-failed.org
      - rhybar.cz
  unsigned_names:
    description:
      - Names in unsigned zones, which must be answered without the AD bit.
    type: list
    elements: str
    default: []
  forwarders:
    description:
      - The servers that the resolver is meant to forward all questions to, as unbound writes them, such as
        V(192.0.2.53), V(192.0.2.53@5353) or V(192.0.2.53@853#dns.example.net).
      - The check V(server) compares those in force with them.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.dnspython
  - mailsec.dane._attributes.info
  - mailsec.dane._resolver
"""

EXAMPLES = r"""
- name: Find out whether this mail host can verify other hosts
  mailsec.dane.resolver_info:
  register: resolver

- name: Show what is wrong and what to do about it
  ansible.builtin.debug:
    msg: "{{ resolver.findings | rejectattr('verdict', 'equalto', 'ok') }}"

- name: Stop unless the resolver validates names of our own, too
  mailsec.dane.resolver_info:
    checks:
      - validation
    require:
      - validation
    signed_names:
      - "."
      - example.org
      - mx1.example.org A
"""

RETURN = r"""
proved:
  description:
    - For each of O(checks), whether it holds. Nothing of it is V(failed), unbound's configuration could be read for
      V(server), and one of O(bogus_names) was refused for V(validation).
  returned: success
  type: dict
  sample:
    host: true
    libc: true
    server: true
    validation: true
findings:
  description: Everything that was looked at.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description: Which of O(checks) it belongs to.
      type: str
      sample: validation
    subject:
      description: What was looked at.
      type: str
      sample: signed name org
    verdict:
      description: One of V(ok), V(warning), V(failed) and V(unknown).
      type: str
      sample: failed
    evidence:
      description: What was seen.
      type: str
      sample: NOERROR without AD
    advice:
      description: What to do, in one sentence. Empty where nothing is to be done.
      type: str
      sample: "Put 'options edns0 trust-ad' into /etc/resolv.conf, beside the one nameserver 127.0.0.1."
resolv_conf:
  description: What C(/etc/resolv.conf) is now.
  returned: when V(host) is among O(checks)
  type: dict
  contains:
    exists:
      description: Whether there is such a file; a link to nowhere is none.
      type: bool
      sample: true
    text:
      description: Its content, behind any link.
      type: str
      sample: "nameserver 127.0.0.1\noptions edns0 trust-ad\n"
    link:
      description: Where it links to, as the link itself says, V(null) where it is no link.
      type: str
      sample: ../run/systemd/resolve/stub-resolv.conf
    mounted:
      description: Whether it is mounted into a container.
      type: bool
      sample: false
    nameservers:
      description: The nameservers that count.
      type: list
      elements: str
      sample:
        - 127.0.0.1
    options:
      description: The options.
      type: list
      elements: str
      sample:
        - edns0
        - trust-ad
    search:
      description: The search list.
      type: list
      elements: str
      sample: []
    writer:
      description: Who wrote it, as far as the file tells, else V(null).
      type: str
      sample: NetworkManager
managers:
  description: The programs on this host that write C(/etc/resolv.conf).
  returned: when V(host) is among O(checks)
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: NetworkManager
    held:
      description: Whether it is kept from writing the file.
      type: bool
      sample: true
    why:
      description: By what it is kept from it, or that it is not.
      type: str
      sample: its configuration says dns=none
postfix:
  description: The Postfix instances on this host.
  returned: when V(host) is among O(checks)
  type: list
  elements: dict
  contains:
    queue_directory:
      description: Its queue directory, which is its chroot.
      type: str
      sample: /var/spool/postfix
    equal:
      description: Whether the copy of C(/etc/resolv.conf) in there is equal, or missing, which is harmless.
      type: bool
      sample: true
    nameservers:
      description: The addresses that the copy names, in the order in which they are asked; 127.0.0.1 without one.
      type: list
      elements: str
      sample:
        - 127.0.0.1
postfix_resolvconf:
  description: Whether Debian's own C(postfix-resolvconf.path) is in use, which on Debian 13 does not reload Postfix.
  returned: when V(host) is among O(checks)
  type: bool
  sample: false
listeners:
  description: Names of the programs that take questions on port 53 of 127.0.0.1 or ::1.
  returned: when V(host) is among O(checks)
  type: list
  elements: str
  sample:
    - unbound
unbound_outdated:
  description: Whether unbound runs with an older configuration than the one that is written in C(/etc/unbound).
  returned: when V(host) is among O(checks)
  type: bool
  sample: false
root_key_writable:
  description:
    - Whether C(/var/lib/unbound/root.key) exists, and unbound may write it and its folder, as it must to follow the
      root's keys (RFC 5011).
  returned: when V(host) is among O(checks)
  type: bool
  sample: true
"""

import time
import typing as t
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._argspec import RESOLVER_OPTIONS
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run
from ansible_collections.mailsec.dane.plugins.module_utils._resolv_conf import ResolvConf
from ansible_collections.mailsec.dane.plugins.module_utils._resolv_managers import managers
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import Finding, Group, Verdict
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_examination import Examination
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_host import read_host, read_postfix, read_server
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_proof import BOGUS_NAME
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_setup import (
    judge_host,
    judge_managers,
    judge_postfix,
    judge_server,
)

CHECKS: t.Final = [group.value for group in Group]
SHOWN: t.Final = 3  # of what failed; one cause makes many things fail
ASKING: t.Final = {Group.VALIDATION.value, Group.LIBC.value, Group.FORWARDERS.value}


def look(options: dict[str, t.Any], now: int) -> dict[str, t.Any]:
    """The module's work, from its options to its result; `now` is in seconds since 1970."""
    checks = set(options["checks"])
    result: dict[str, t.Any] = {"changed": False}
    findings: list[Finding] = []
    if Group.HOST.value in checks:
        findings += _look_at_host(result, options["resolver"])
    if Group.SERVER.value in checks:
        findings += judge_server(read_server(), options["forwarders"], now)
    if checks & ASKING:
        examination = Examination.from_options(options)
        if Group.VALIDATION.value in checks:
            findings += examination.validation(now)
        if Group.LIBC.value in checks:
            findings += examination.libc()
        if Group.FORWARDERS.value in checks:
            findings += examination.forwarders(options["forwarders"])
    result["proved"] = {check: _proved(check, findings) for check in sorted(checks)}
    result["findings"] = [
        {
            "check": finding.group.value,
            "subject": finding.subject,
            "verdict": finding.verdict.value,
            "evidence": finding.evidence,
            "advice": finding.advice,
        }
        for finding in findings
    ]
    missed = [check for check in options["require"] if not result["proved"].get(check)]
    if missed:
        result["failed_msg"] = _complaint(missed, findings)
    return result


def _proved(check: str, findings: list[Finding]) -> bool:
    """Nothing failed, and what only a success shows was seen: a configuration was read, a bogus name was refused."""
    of_check = [finding for finding in findings if finding.group.value == check]
    good = [finding.subject for finding in of_check if finding.verdict is Verdict.OK]
    if any(finding.verdict is Verdict.FAILED for finding in of_check):
        return False
    if check == Group.VALIDATION.value:
        return any(subject.startswith(BOGUS_NAME) for subject in good)
    return bool(good) or check != Group.SERVER.value


def _look_at_host(result: dict[str, t.Any], resolver: str) -> list[Finding]:
    host = read_host()
    instances = read_postfix()
    found = managers(host)
    result["resolv_conf"] = {
        "exists": host.text is not None,
        "text": host.text or "",
        "link": host.link,
        "mounted": host.mounted,
        **asdict(ResolvConf.from_text(host.text or "")),
    }
    result["managers"] = [asdict(manager) for manager in found]
    result["postfix"] = [
        {
            "queue_directory": instance.queue_directory,
            "equal": instance.copy in {None, host.text},
            "nameservers": list(ResolvConf.from_text(instance.copy or "").nameservers),
        }
        for instance in instances
    ]
    result["postfix_resolvconf"] = host.postfix_watched_by_debian
    result["unbound_outdated"] = host.unbound_outdated
    result["root_key_writable"] = host.root_key_writable
    result["listeners"] = list(host.listeners)
    return [*judge_host(host, resolver), *judge_managers(found), *judge_postfix(host, instances)]


def _complaint(missed: list[str], findings: list[Finding]) -> str:
    of_missed = [finding for finding in findings if finding.group.value in missed]
    failed = [finding for finding in of_missed if finding.verdict is Verdict.FAILED]
    failed = failed or [finding for finding in of_missed if finding.verdict is Verdict.UNKNOWN]
    lines = [f"{finding.subject}: {finding.evidence}. {finding.advice}" for finding in failed[:SHOWN]]
    if len(failed) > SHOWN:
        lines.append(f"and {len(failed) - SHOWN} more, see findings.")
    not_asked = [check for check in missed if check not in {finding.group.value for finding in findings}]
    lines += [f"{check} is in require, but not in checks: add it there." for check in not_asked]
    return "\n".join(["This host's resolver did not prove that mail can be verified by DANE.", *lines])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "checks": {
                "type": "list",
                "elements": "str",
                "choices": CHECKS,
                "default": ["host", "server", "validation", "libc"],
            },
            "require": {"type": "list", "elements": "str", "choices": CHECKS, "default": []},
            "signed_names": {"type": "list", "elements": "str", "default": [".", "com", "org"]},
            "bogus_names": {"type": "list", "elements": "str", "default": ["dnssec-failed.org", "rhybar.cz"]},
            "unsigned_names": {"type": "list", "elements": "str", "default": []},
            "forwarders": {"type": "list", "elements": "str", "default": []},
            **RESOLVER_OPTIONS,
        },
        supports_check_mode=True,
    )
    if ASKING & set(module.params["checks"]):
        require(module, "dnspython")
    guarded_run(module, lambda: look(module.params, int(time.time())))


if __name__ == "__main__":
    main()
