#!/usr/bin/python

# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollover_agent
short_description: Install the command dane-rollover, which rolls keys over without Ansible
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Writes the collection's own rollover code to the host as one executable file, an archive that Python runs. It needs
    Debian's C(python3-dnspython) and C(python3-cryptography), and no Ansible.
  - The file is replaced by one rename, so that an upgrade never leaves half a program.
  - The role P(mailsec.dane.tlsa_rollover#role) uses this module and adds configuration and systemd units.
options:
  path:
    description:
      - Where the program is.
    type: path
    default: /usr/local/sbin/dane-rollover
  state:
    description:
      - V(present) makes the file what this release of the collection brings; V(absent) removes it.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.full
seealso:
  - module: mailsec.dane.tlsa_rollover
"""

EXAMPLES = r"""
- name: Install or upgrade the command
  mailsec.dane.rollover_agent:

- name: Remove it
  mailsec.dane.rollover_agent:
    state: absent
"""

RETURN = r"""
path:
  description: Where the program is.
  returned: success
  type: str
  sample: /usr/local/sbin/dane-rollover
digest:
  description: SHA2-256 of the program that this release of the collection brings, in hexadecimal.
  returned: success, O(state=present)
  type: str
  sample: 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
"""

import hashlib
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_cli
from ansible_collections.mailsec.dane.plugins.module_utils._durable import Access, replace_file
from ansible_collections.mailsec.dane.plugins.module_utils._errors import StoreError
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run, text_diff
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_package import agent_archive

_MODE: t.Final = 0o755
ENTRY: t.Final = _rollover_cli
"""What the archive runs; it is imported here so that Ansible sends it along, with all that it imports."""


def install(path: Path, state: str, *, check_mode: bool) -> dict[str, t.Any]:
    """The module's work, from its options to its result. Raises StoreError."""
    wanted = agent_archive() if state == "present" else None
    try:
        found = _found(path)
        after = None if wanted is None else (wanted, _MODE)
        if found != after and not check_mode:
            if wanted is None:
                path.unlink()
            else:
                replace_file(path, wanted, Access(_MODE, 0, 0))
    except OSError as exc:
        msg = f"{path} could not be written: {exc}"
        raise StoreError(msg) from exc
    result = {
        "changed": found != after,
        "path": str(path),
        "diff": text_diff(str(path), _described(found), _described(after)),
    }
    return result if wanted is None else {**result, "digest": hashlib.sha256(wanted).hexdigest()}


def _found(path: Path) -> tuple[bytes, int] | None:
    try:
        return path.read_bytes(), path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return None


def _described(program: tuple[bytes, int] | None) -> str:
    if program is None:
        return ""
    content, mode = program
    return f"program of {len(content)} octets, mode {mode:04o}, SHA2-256 {hashlib.sha256(content).hexdigest()}\n"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/sbin/dane-rollover"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    guarded_run(module, lambda: install(path, module.params["state"], check_mode=module.check_mode))


if __name__ == "__main__":
    main()
