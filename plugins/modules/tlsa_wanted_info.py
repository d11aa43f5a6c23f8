#!/usr/bin/python

# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tlsa_wanted_info
short_description: Which TLSA records a host's deployed keys call for
version_added: 0.1.0
author:
  - mailsec.dane contributors (@mailsec)
description:
  - Reads the chains that M(mailsec.dane.certificate_store) has deployed on the host, and those that are staged to
    follow, and returns the RRsets that must be published for them.
  - Each key, of whatever algorithm, gets a C(3 1 1) record (RFC 7672 section 3.1).
  - Only certificates and public keys are read, no private keys.
options:
  path:
    description:
      - The host's certificate store.
      - Its directories C(deployed), C(staged) and C(next) are read, where they exist; in each the files C(*.crt),
        chains, and C(*.pub), public keys, in PEM.
    type: path
    required: true
  host:
    description:
      - The host name that mail clients know the host by, the MX host name.
    type: str
    required: true
  ports:
    description:
      - TCP ports on which the keys are served.
    type: list
    elements: int
    default: [25]
  ttl:
    description:
      - TTL to put into the RRsets, in seconds.
    type: int
  extra_records:
    description:
      - Further records for every RRset, in one of the forms that M(mailsec.dane.tlsa_record) takes; for example that of
        a CA that is in all served chains (C(2 1 1)).
    type: list
    elements: raw
    default: []
extends_documentation_fragment:
  - mailsec.dane._attributes
  - mailsec.dane._attributes.actiongroup_dane
  - mailsec.dane._attributes.cryptography
  - mailsec.dane._attributes.info
seealso:
  - module: mailsec.dane.certificate_store
  - module: mailsec.dane.tlsa_record
"""

EXAMPLES = r"""
- name: What must be published for this host
  mailsec.dane.tlsa_wanted_info:
    path: /etc/dane/mx1.example.org
    host: mx1.example.org
    ports: [25, 465, 587, 993]
  register: wanted

- name: Show it as lines for a zone file
  ansible.builtin.debug:
    msg: "{{ wanted.zone_file.splitlines() }}"

- name: Publish it
  mailsec.dane.tlsa_record:
    provider: "{{ dane_provider }}"
    rrsets: "{{ wanted.rrsets }}"
"""

RETURN = r"""
deployed:
  description: Whether any key is deployed. If not, there are no RRsets.
  returned: success
  type: bool
  sample: true
managed:
  description:
    - Whether the agent of P(mailsec.dane.tlsa_rollover#role) looks after the host's records. It knows what caches may
      still hold, so nobody else may remove a record.
  returned: success
  type: bool
  sample: true
rrsets:
  description: One RRset for each port, as the option O(mailsec.dane.tlsa_record#module:rrsets) takes it.
  returned: success
  type: list
  elements: dict
  sample:
    - name: _25._tcp.mx1.example.org
      ttl: 3600
      records:
        - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
zone_file:
  description: The same as lines of a zone file.
  returned: success
  type: str
  sample: "_25._tcp.mx1.example.org. 3600 IN TLSA 3 1 1 8a9f..."
keys:
  description: The C(3 1 1) record of every key, by directory.
  returned: success
  type: dict
  sample:
    deployed:
      - 3 1 1 8a9f3f0f2c7d1b5e6a4c9d8e7f60718293a4b5c6d7e8f9010213243546576879
    staged: []
    next: []
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.mailsec.dane.plugins.module_utils._deps import require
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._module import guarded_run
from ansible_collections.mailsec.dane.plugins.module_utils._publication import zone_file_lines
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_config import FILE_NAME
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._wanted_records import host_rrsets, records_of

DIRECTORIES: t.Final = ("deployed", "staged", "next")


def wanted(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """The module's work, from its options to its result."""
    store = Path(options["path"])
    keys = {directory: records_of(_public_files(store / directory)) for directory in DIRECTORIES}
    if (store / "deployed").is_dir() and not keys["deployed"]:
        raise InvalidInput(f"{store / 'deployed'} has no certificate chain (*.crt); deploy one with certificate_store")
    extra = [TlsaRecord.parse(record) for record in options["extra_records"]]
    records = [record for directory in DIRECTORIES for record in keys[directory]]
    rrsets = host_rrsets(options["host"], options["ports"], [*records, *extra], options["ttl"])
    return {
        "changed": False,
        "deployed": bool(keys["deployed"]),
        "managed": (store / FILE_NAME).exists(),
        "rrsets": rrsets if keys["deployed"] else [],
        "zone_file": "".join(
            zone_file_lines(rrset["name"], options["ttl"], [TlsaRecord.parse(one) for one in rrset["records"]])
            for rrset in rrsets
            if keys["deployed"]
        ),
        "keys": {directory: [record.to_text() for record in found] for directory, found in keys.items()},
    }


def _public_files(directory: Path) -> dict[str, bytes]:
    """Path to content; empty without the directory. Raises InvalidInput when something there cannot be read."""
    try:
        return {str(path): path.read_bytes() for path in sorted(directory.iterdir()) if path.suffix in {".crt", ".pub"}}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidInput(f"Cannot read {error.filename}: {error.strerror}") from error


def main() -> None:
    """Run the module."""
    module = AnsibleModule(  # type: ignore[no-untyped-call]  # ansible-core is not typed
        argument_spec={
            "path": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "ports": {"type": "list", "elements": "int", "default": [25]},
            "ttl": {"type": "int"},
            "extra_records": {"type": "list", "elements": "raw", "default": []},
        },
        supports_check_mode=True,
    )
    require(module, "cryptography")
    guarded_run(module, lambda: wanted(module.params))


if __name__ == "__main__":
    main()
