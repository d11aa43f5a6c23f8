#!/usr/bin/python

# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postfix_aliases
short_description: Set aliases of Postfix and build their tables when they need it
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Sets, adds and removes aliases in an alias file such as C(/etc/aliases). All other aliases, comments, blank lines
    and their order stay as they are. The file is read as Postfix reads it, with quoting, lists, comments and
    continuation lines.
  - Runs C(newaliases) when a table of Postfix's C(alias_database) is missing, older than its text, or holds something
    else than its text says, whoever edited it, and only then. What a table should hold is found by having Postfix build
    one from the text in a scratch directory, so the type of table makes no difference.
  - Follows each alias before anything is written. A loop, and a required name that reaches nobody, is an error; another
    name that reaches nobody is a warning. Mail to root that would stay in root's own mailbox counts as reaching nobody.
  - File and tables change together. Where C(newaliases) fails, both are put back.
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.full
options:
  path:
    description:
      - The alias file. Postfix's C(alias_maps) and C(alias_database) must have a table of it.
      - A symbolic link is kept, and the file that it points to is changed.
    type: path
    default: /etc/aliases
  aliases:
    description:
      - Names, each with the address that mail to it goes to, or a list of them. Everything that aliases(5) allows can
        be given, such as C(|command), C(/file) and C(:include:/file), quoted where it has blanks.
      - An alias that stands in the file already is changed in its place; a new one is appended.
    type: dict
    default: {}
  names:
    description:
      - Names that must exist. One that the file does not have is added, and leads to O(names_target). One that it has
        is left as it is, as long as it reaches somebody.
    type: list
    elements: str
    default: []
  names_target:
    description:
      - Where the names that are added lead.
    type: str
    default: root
  absent:
    description:
      - Names to remove from the file.
    type: list
    elements: str
    default: []
  addresses:
    description:
      - Addresses at this host's mail domains that must reach somebody. One that leads nowhere is a warning; nothing is
        changed for it.
      - An alias is for the domains in C(mydestination) alone. For a domain in C(virtual_alias_domains),
        C(virtual_mailbox_domains) or C(relay_domains), C(virtual_alias_maps) must have the address, or the table of
        recipients of that class of domains.
    type: list
    elements: str
    default: []
  backup:
    description:
      - Keep a copy of the file before it is changed.
    type: bool
    default: false
seealso:
  - name: aliases(5)
    description: The format of the file.
    link: https://www.postfix.org/aliases.5.html
  - name: RFC 2142
    description: Mailbox names for common services, roles and functions.
    link: https://www.rfc-editor.org/rfc/rfc2142
"""

EXAMPLES = r"""
- name: Lead root's mail to a person, and all required names to root
  mailsec.dane.postfix_aliases:
    aliases:
      root: admin@example.org
    names: [postmaster, abuse, hostmaster, security, tls-reports]

- name: See that required addresses at a virtual domain lead to these aliases
  mailsec.dane.postfix_aliases:
    names: [postmaster, tls-reports]
    addresses: [postmaster@example.net, tls-reports@example.net]

- name: Let two people read abuse reports, and have a program read TLS reports
  mailsec.dane.postfix_aliases:
    aliases:
      abuse: [alice@example.org, bob@example.org]
      tls-reports: '"|/usr/local/bin/store-tls-report --spool /var/spool/tlsrpt"'

- name: Build the tables if somebody edited the aliases by hand
  mailsec.dane.postfix_aliases:
"""

RETURN = r"""
file_changed:
  description: Whether the alias file was changed, or would be.
  returned: success
  type: bool
  sample: false
rebuilt:
  description: The tables that C(newaliases) was run for, or would be, each with the reason.
  returned: success
  type: list
  elements: dict
  contains:
    database:
      description: Type and name.
      type: str
      sample: hash:/etc/aliases
    reason:
      description: Why.
      type: str
      sample: it does not hold what the text says
  sample:
    - database: hash:/etc/aliases
      reason: it does not hold what the text says
backup_file:
  description: The copy of the file as it was.
  returned: when O(backup=true) and the file was changed
  type: str
  sample: /etc/aliases.1234.2026-11-22@12:00:00~
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._alias_run import run
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run


def main() -> None:
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "path": {"type": "path", "default": "/etc/aliases"},
            "aliases": {"type": "dict", "default": {}},
            "names": {"type": "list", "elements": "str", "default": []},
            "names_target": {"type": "str", "default": "root"},
            "absent": {"type": "list", "elements": "str", "default": []},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "backup": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    guarded_run(module, lambda: run(module.params, check_mode=module.check_mode, backup=module.backup_local))


if __name__ == "__main__":
    main()
