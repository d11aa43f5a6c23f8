# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mailsec.dane.tlsa_rdata_parse."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tlsa_rdata_parse
short_description: The fields of TLSA record data
version_added: 0.1.0
author:
  - mailsec.dane contributors
description:
  - Reads the data of a TLSA record, as it stands in a zone file or comes from a DNS look-up, into its four fields.
  - It is the inverse of P(mailsec.dane.tlsa_rdata#filter) with O(mailsec.dane.tlsa_rdata#filter:format=dict).
options:
  _input:
    description:
      - The record's data in presentation form (RFC 6698, with numbers or the names of RFC 7218 in any case, and with
        white space anywhere in the hexadecimal digits), in the generic form of RFC 3597, or as a dictionary.
      - Or a list of these.
    type: raw
    required: true
  numeric:
    description: Whether the first three fields are numbers rather than names. Values without a name are always numbers.
    type: bool
    default: false
  strict:
    description:
      - Whether to refuse data that is well formed and yet must not be published, such as a digest of the wrong length,
        the digest of no input, or an unknown number.
      - Set this to V(false) to look at whatever a server has.
    type: bool
    default: true
seealso:
  - plugin: mailsec.dane.tlsa_rdata
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The fields of a record
  ansible.builtin.debug:
    msg: "{{ rdata | mailsec.dane.tlsa_rdata_parse }}"
  vars:
    rdata: DANE-EE SPKI SHA2-256 2E8307068B6DB620E4A39D068B5DEE5D 6EF5788CBB2C0B6D23EAD84FCC17178C

- name: Which certificate usages an RRset has
  ansible.builtin.debug:
    msg: "{{ records | mailsec.dane.tlsa_rdata_parse(strict=false) | map(attribute='usage') | unique }}"
  vars:
    records: "{{ lookup('community.dns.lookup', '_25._tcp.mx1.example.org', type='TLSA') }}"
"""

RETURN = r"""
_value:
  description: The fields, or a list of such dictionaries when the input is a list.
  type: raw
  sample:
    usage: dane-ee
    selector: spki
    matching_type: sha2-256
    data: 2e8307068b6db620e4a39d068b5dee5d6ef5788cbb2c0b6d23ead84fcc17178c
"""

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.plugin_utils._filter import filter_errors, to_bool


def tlsa_rdata_parse(value: object, numeric: object = False, strict: object = True) -> object:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("tlsa_rdata_parse"):
        numbers, publishable = to_bool("numeric", numeric), to_bool("strict", strict)
        if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            return [_fields(item, numeric=numbers, strict=publishable) for item in value]
        return _fields(value, numeric=numbers, strict=publishable)


def _fields(item: object, *, numeric: bool, strict: bool) -> Mapping[str, str | int]:
    record = TlsaRecord.parse(item)
    if strict:
        record.require_publishable()
    if not numeric:
        return record.to_mapping()
    return {
        "usage": record.usage,
        "selector": record.selector,
        "matching_type": record.matching_type,
        "data": record.data.hex(),
    }


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"tlsa_rdata_parse": tlsa_rdata_parse}
