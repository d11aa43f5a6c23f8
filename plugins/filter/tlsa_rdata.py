# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mailsec.dane.tlsa_rdata."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tlsa_rdata
short_description: TLSA record data of a certificate, chain file or public key
version_added: 0.1.0
author:
  - mailsec.dane contributors
description:
  - Computes what a TLSA record for a certificate holds, by default C(3 1 1) and the SHA-256 digest of its public key,
    as RFC 7672 advises for mail. See RFC 6698, section 2.1, for what the three numbers mean.
  - The digests are of the octets that stand in the certificate, whatever kind of key it has.
  - Of a chain, O(usage=dane-ee) and O(usage=pkix-ee) take the leaf, O(usage=dane-ta) and O(usage=pkix-ta) the CA that
    issued the leaf and is served with it. To name another CA, give its certificate alone.
  - Where the input is empty, damaged, or something else than a certificate or public key, the filter fails.
positional: usage, selector, matching_type
options:
  _input:
    description:
      - A certificate, a chain file or a public key in PEM form, as text or bytes; or a certificate or public key in DER
        form, as bytes. In a chain file, private keys and text between the blocks are passed over.
      - Or a list of these. Thousands are best given as one list.
    type: raw
    required: true
  usage:
    description:
      - The certificate usage, as a name in any case or as a number.
      - V(pkix-ta) is 0, V(pkix-ee) is 1, V(dane-ta) is 2, V(dane-ee) is 3. Mail servers use the latter two only.
    type: raw
    default: dane-ee
  selector:
    description: V(cert) or 0 for the whole certificate, V(spki) or 1 for its public key.
    type: raw
    default: spki
  matching_type:
    description: V(full) or 0 for the data itself, V(sha2-256) or 1 and V(sha2-512) or 2 for a digest of it.
    type: raw
    default: sha2-256
  format:
    description:
      - V(text) gives presentation form.
      - V(dict) gives a dictionary that M(mailsec.dane.tlsa_record) takes as a record.
      - V(generic) gives the form for servers that do not know the type TLSA (RFC 3597).
    type: string
    choices:
      - text
      - dict
      - generic
    default: text
  all_chains:
    description:
      - What to do with a file of several chains, such as one for an RSA and one for an ECDSA key.
      - When V(true), the result is a list with the record of each chain, in their order, none twice; also when there is
        but one.
      - When V(false), several chains in one file are an error, as a record for one of them would let mail to the other
        fail.
    type: bool
    default: false
notes:
  - A file that begins with a private key is read as Postfix reads C(smtpd_tls_chain_files), where each key begins a
    chain. In any other file, each certificate that is no CA, or that names a host, begins one.
seealso:
  - plugin: mailsec.dane.tlsa_rdata_parse
    plugin_type: filter
  - plugin: mailsec.dane.tlsa_name
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The record for an MX host's certificate
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'mx1.example.org.pem') | mailsec.dane.tlsa_rdata }}"
    # 3 1 1 8a9f12...

- name: The same for the CA that issued it
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'fullchain.pem') | mailsec.dane.tlsa_rdata('dane-ta', 'spki') }}"
    # 2 1 1 2e8307...

- name: Publish records for the RSA and the ECDSA chain of one file
  mailsec.dane.tlsa_record:
    provider: "{{ dane_provider }}"
    rrsets:
      - name: "{{ 'mx1.example.org' | mailsec.dane.tlsa_name(25) }}"
        records: "{{ lookup('ansible.builtin.file', 'mx1.pem') | mailsec.dane.tlsa_rdata(all_chains=true) }}"
"""

RETURN = r"""
_value:
  description:
    - The record's data, text or dictionary as O(format) says.
    - A list of these when the input is a list or O(all_chains) is V(true).
  type: raw
  sample: 3 1 1 2e8307068b6db620e4a39d068b5dee5d6ef5788cbb2c0b6d23ead84fcc17178c
"""

import typing as t
from collections.abc import Sequence

from ansible_collections.mailsec.dane.plugins.module_utils._associations import tlsa_records_for
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate, InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord, field_number
from ansible_collections.mailsec.dane.plugins.plugin_utils._filter import filter_errors, to_bool

_WRITERS: t.Final[t.Mapping[str, t.Callable[[TlsaRecord], object]]] = {
    "text": TlsaRecord.to_text,
    "dict": TlsaRecord.to_mapping,
    "generic": TlsaRecord.to_generic,
}


def tlsa_rdata(
    value: object,
    usage: object = "dane-ee",
    selector: object = "spki",
    matching_type: object = "sha2-256",
    format: object = "text",  # noqa: A002  # the option's name
    all_chains: object = False,
) -> object:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("tlsa_rdata"):
        write = _WRITERS.get(str(format))
        if write is None:
            msg = f"format is one of {', '.join(_WRITERS)}, not {format!r}"
            raise InvalidInput(msg)
        several = to_bool("all_chains", all_chains)
        numbers = (
            field_number("usage", usage),
            field_number("selector", selector),
            field_number("matching_type", matching_type),
        )
        if isinstance(value, (str, bytes)):
            records = [write(record) for record in _records(value, numbers, several=several)]
            return records if several else records[0]
        if not isinstance(value, Sequence):
            msg = f"The input must be text or bytes, or a list of them, not {type(value).__name__}"
            raise InvalidCertificate(msg)
        return [write(record) for item in value for record in _records(item, numbers, several=several)]


def _records(item: object, numbers: tuple[int, int, int], *, several: bool) -> tuple[TlsaRecord, ...]:
    if not isinstance(item, (str, bytes)):
        msg = f"Each certificate must be text or bytes, not {type(item).__name__}"
        raise InvalidCertificate(msg)
    records = tlsa_records_for(item, *numbers)
    if len(records) > 1 and not several:
        msg = f"The input holds {len(records)} chains; set all_chains=true to get the records of all as a list"
        raise InvalidCertificate(msg)
    return records


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"tlsa_rdata": tlsa_rdata}
