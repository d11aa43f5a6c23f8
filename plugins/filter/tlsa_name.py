# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mailsec.dane.tlsa_name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tlsa_name
short_description: The owner name of an endpoint's TLSA records
version_added: 0.1.0
author:
  - mailsec.dane contributors
description:
  - Turns a host name, a port and a transport into the name that TLSA records for it have, C(_25._tcp.mx1.example.org).
  - See RFC 6698, section 3. For mail, the host is the MX host, not the mail domain (RFC 7672, section 2.2.3).
  - The name is in lower case, with internationalised labels in their A-label form, and without a trailing dot.
  - A name that cannot be a host's is refused. So is a label that IDNA 2003 and IDNA 2008 encode differently, because it
    would give the name of another host with one of them; write such a label in its A-label form.
positional: port, transport
options:
  _input:
    description: The host name, with or without a trailing dot.
    type: string
    required: true
  port:
    description: The port that the service listens on.
    type: int
    required: true
  transport:
    description: The transport protocol.
    type: string
    choices:
      - tcp
      - udp
      - sctp
    default: tcp
seealso:
  - plugin: mailsec.dane.tlsa_rdata
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Where the records of an MX host belong
  ansible.builtin.debug:
    msg: "{{ 'mx1.example.org' | mailsec.dane.tlsa_name(25) }}"
    # _25._tcp.mx1.example.org

- name: The names for all mail ports of an internationalised host
  ansible.builtin.debug:
    msg: "{{ 'mx.bücher.example' | mailsec.dane.tlsa_name(item) }}"
    # _25._tcp.mx.xn--bcher-kva.example, and so on
  loop: [25, 465, 587, 993]
"""

RETURN = r"""
_value:
  description: The owner name, without a trailing dot.
  type: string
  sample: _25._tcp.mx1.example.org
"""

import re
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidName
from ansible_collections.mailsec.dane.plugins.module_utils._names import tlsa_owner_name
from ansible_collections.mailsec.dane.plugins.plugin_utils._filter import filter_errors


def tlsa_name(value: object, port: object, transport: object = "tcp") -> str:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("tlsa_name"):
        if not isinstance(value, str):
            msg = f"The host name must be text, not {type(value).__name__}: {value!r}"
            raise InvalidName(msg)
        if isinstance(port, str) and re.fullmatch(r"[1-9][0-9]{0,4}", port):
            port = int(port)  # variables given on the command line are text
        if isinstance(port, bool) or not isinstance(port, int):
            msg = f"Port {port!r} is no number from 1 to 65535"
            raise InvalidName(msg)
        return tlsa_owner_name(str(value), port, str(transport))


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"tlsa_name": tlsa_name}
