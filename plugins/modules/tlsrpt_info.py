#!/usr/bin/python

# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tlsrpt_info
short_description: Add up the TLS reports that other mail hosts sent
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Reads reports on TLS connections (RFC 8460) as they arrived, as mails in a mailbox file or a maildir, or as files,
    compressed with gzip or not, and adds up what senders saw.
  - Reports are written by strangers. A file or attachment of more than 4 MiB, before or after it is unpacked, a mail of
    more than 8 MiB or 50 parts, an attachment whose file name has a slash or a control character, and whatever is no
    report to the letter, is refused with the reason and does not stop the rest. Signatures (DKIM) are not checked, so a
    report is a hint and no proof.
  - For all paths together, 1 GiB in 20,000 files is read at most, for 30 seconds of processor time at most, and 50,000
    reports or 256 MiB of their JSON; the newest files of a directory first. 500 domains and types of policies are kept
    apart, and of each 100 kinds of failures; what goes beyond is added up as V((others\)).
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.info
options:
  paths:
    description:
      - Files and directories with reports. A directory with C(cur) or C(new) is taken for a maildir; of another one,
        all files in it are read.
      - Links and what is no regular file are refused. A path where nothing is, as a mailbox before its first mail, is
        named in RV(missing).
    type: list
    elements: path
    required: true
  days:
    description:
      - Leave out reports on a time that ended more than so many days ago, and mails that were sent before it.
    type: int
"""

EXAMPLES = r"""
- name: See what senders reported last week
  mailsec.dane.tlsrpt_info:
    paths: [/var/mail/tls-reports]
    days: 7
  register: reports

- name: Fail where a sender could not verify this domain by DANE
  ansible.builtin.assert:
    that: reports.policies | selectattr('policy_type', 'equalto', 'tlsa') | map(attribute='failed') | sum == 0

- name: Read reports that were saved from a mail client
  mailsec.dane.tlsrpt_info:
    paths:
      - /root/example.com!example.org!1763769600!1763855999!001.json.gz
      - /home/admin/Maildir
"""

RETURN = r"""
reports:
  description: How many reports were read and are added up, each counted once.
  returned: success
  type: int
  sample: 12
repeated:
  description: How many came again.
  returned: success
  type: int
  sample: 1
contradicting:
  description:
    - How many have the sender, identifier and time of another report and say something else.
    - All of them are added up, since one of them is forged and nobody can tell which.
  returned: success
  type: int
  sample: 0
left_out:
  description: How many reports, and mails that may have one, are older than O(days).
  returned: success
  type: int
  sample: 40
mails_without_report:
  description: How many mails carry no report.
  returned: success
  type: int
  sample: 3
refused:
  description: What could not be taken for a report, and why.
  returned: success
  type: list
  elements: dict
  sample:
    - place: /var/mail/tls-reports, mail 4
      reason: it unpacks to more than 4 MiB
missing:
  description: The paths where nothing is.
  returned: success
  type: list
  elements: str
  sample: [/var/mail/tls-reports]
policies:
  description: What senders saw, for each domain and type of policy.
  returned: success
  type: list
  elements: dict
  contains:
    domain:
      description: The domain that the policy is of.
      type: str
      sample: example.org
    policy_type:
      description: V(tlsa) is DANE, V(sts) is MTA-STS, V(no-policy-found) is neither.
      type: str
      sample: tlsa
    successful:
      description: Sessions that succeeded.
      type: int
      sample: 5326
    failed:
      description: Sessions that failed.
      type: int
      sample: 303
    organizations:
      description: Who reported.
      type: list
      elements: str
      sample: [Company-X]
    begin:
      description: The beginning of the first report's time, UTC.
      type: str
      sample: "2026-11-14T00:00:00Z"
    end:
      description: The end of the last report's time, UTC.
      type: str
      sample: "2026-11-21T23:59:59Z"
    failures:
      description:
        - The failed sessions by result type and receiving host, the most frequent first. A host is named by its address
          where the sender gave no name. Its C(reasons) are what senders added in their own words, five at most.
      type: list
      elements: dict
      sample:
        - result_type: tlsa-invalid
          host: mx1.example.org
          count: 303
          organizations: [Company-X]
          reasons: [no TLSA record matches]
"""

import typing as t
from datetime import UTC, datetime, timedelta

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_files import collect


def _run(paths: list[str], days: int | None) -> dict[str, t.Any]:
    found = collect(paths, None if days is None else datetime.now(UTC) - timedelta(days=days))
    return {
        "changed": False,
        "reports": found.reports,
        "repeated": found.repeated,
        "contradicting": found.contradicting,
        "left_out": found.left_out,
        "mails_without_report": found.without_report,
        "refused": [{"place": place, "reason": reason} for place, reason in found.refused],
        "missing": found.missing,
        "policies": found.summary.policies(),
    }


def main() -> None:
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "days": {"type": "int"},
        },
        supports_check_mode=True,
    )
    guarded_run(module, lambda: _run(module.params["paths"], module.params["days"]))


if __name__ == "__main__":
    main()
