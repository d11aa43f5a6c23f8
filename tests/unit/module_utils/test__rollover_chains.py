# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_chains import (
    chain_of,
    chain_of_octets,
    generation_of,
)
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for
from cryptography.hazmat.primitives.serialization import Encoding

from certificates import authority, issue, key

ROOT = authority()
MIDDLE = authority(ROOT)
LEAF = issue(MIDDLE)
STRANGER = authority(subject="Stranger", key=key("p256", 7))
ALL = [(usage, selector, matching_type) for usage in range(4) for selector in range(2) for matching_type in range(3)]


def test_a_chain_matches_every_record_of_its_leaf_and_its_issuers() -> None:
    chain = chain_of([LEAF.certificate, MIDDLE.certificate, ROOT.certificate])
    expected = {
        tlsa_record_for(holder.certificate, *parameters)
        for parameters in ALL
        for holder in ((LEAF,) if parameters[0] in (1, 3) else (MIDDLE, ROOT))
    }
    assert chain.records == expected
    assert chain.key == tlsa_record_for(LEAF.certificate)
    assert chain.issuers == (tlsa_record_for(MIDDLE.certificate, 2), tlsa_record_for(ROOT.certificate, 2))


def test_a_certificate_that_signed_nothing_is_no_issuer() -> None:
    chain = chain_of([LEAF.certificate, MIDDLE.certificate, STRANGER.certificate])
    assert chain.issuers == (tlsa_record_for(MIDDLE.certificate, 2),)
    assert tlsa_record_for(STRANGER.certificate, 2) not in chain.records


def test_a_chain_on_the_wire_is_that_of_the_file() -> None:
    wire = [holder.certificate.public_bytes(Encoding.DER) for holder in (LEAF, MIDDLE)]
    assert chain_of_octets(wire) == chain_of([LEAF.certificate, MIDDLE.certificate])


def test_no_chain_and_no_file_are_errors() -> None:
    with pytest.raises(InvalidCertificate, match="sent no certificate"):
        chain_of_octets([])
    with pytest.raises(InvalidCertificate, match="has no key and chain"):
        generation_of("000001-aabbccddeeff", {"rsa.crt": b""}, "/etc/dane/x/generations/000001-aabbccddeeff")
