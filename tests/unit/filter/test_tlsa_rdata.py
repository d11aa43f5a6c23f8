# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.tlsa_rdata import FilterModule, tlsa_rdata
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from certificates import Holder, authority, issue, key

ROOT = authority()
LEAF = issue(ROOT)
RSA = issue(ROOT, key=key("rsa"))
BOTH = LEAF.pem + ROOT.pem + RSA.pem + ROOT.pem


def text(holder: Holder, usage: int = 3, selector: int = 1, matching_type: int = 1) -> str:
    return tlsa_record_for(holder.certificate, usage, selector, matching_type).to_text()


def test_the_filter_is_found() -> None:
    assert FilterModule().filters() == {"tlsa_rdata": tlsa_rdata}


TEST_TLSA_RDATA: list[tuple[object, dict[str, object], object]] = [
    (LEAF.pem, {}, text(LEAF)),
    (LEAF.pem.encode(), {}, text(LEAF)),
    (LEAF.der, {}, text(LEAF)),
    (LEAF.public_pem, {}, text(LEAF)),
    (LEAF.pem + ROOT.pem, {}, text(LEAF)),
    (LEAF.pem, {"usage": 1, "selector": 0, "matching_type": 2}, text(LEAF, 1, 0, 2)),
    (LEAF.pem, {"usage": "3", "selector": "1", "matching_type": "0"}, text(LEAF, 3, 1, 0)),
    (LEAF.pem, {"usage": "DANE-EE", "selector": "Cert", "matching_type": "SHA2-512"}, text(LEAF, 3, 0, 2)),
    (LEAF.pem + ROOT.pem, {"usage": "dane-ta"}, text(ROOT, 2)),
    (ROOT.pem, {"usage": "dane-ta", "selector": "cert"}, text(ROOT, 2, 0)),
    (LEAF.pem, {"format": "generic"}, tlsa_record_for(LEAF.certificate).to_generic()),
    (LEAF.pem, {"format": "dict"}, tlsa_record_for(LEAF.certificate).to_mapping()),
    (LEAF.pem, {"all_chains": True}, [text(LEAF)]),
    (BOTH, {"all_chains": True}, [text(LEAF), text(RSA)]),
    (BOTH, {"all_chains": True, "usage": 2}, [text(ROOT, 2)]),
    (BOTH, {"usage": 2}, text(ROOT, 2)),
    ([], {}, []),
    ([LEAF.pem], {}, [text(LEAF)]),
    ((RSA.pem, LEAF.pem.encode(), RSA.pem), {}, [text(RSA), text(LEAF), text(RSA)]),
    ([BOTH, LEAF.pem], {"all_chains": True}, [text(LEAF), text(RSA), text(LEAF)]),
]


@pytest.mark.parametrize(("value", "options", "expected"), TEST_TLSA_RDATA)
def test_tlsa_rdata(value: object, options: dict[str, object], expected: object) -> None:
    assert FilterModule().filters()["tlsa_rdata"](value, **options) == expected


def test_options_may_be_given_by_place() -> None:
    assert tlsa_rdata(LEAF.pem, "dane-ee", "cert", "sha2-512") == text(LEAF, 3, 0, 2)


CHAINS = "The input holds 2 chains; set all_chains=true to get the records of all as a list"

TEST_TLSA_RDATA_FAIL: list[tuple[object, dict[str, object], str]] = [
    ("", {}, "The input is empty where a certificate or key was expected"),
    (LEAF.key_pem, {}, "A certificate is wanted, and the input holds only: PRIVATE KEY"),
    (BOTH, {}, CHAINS),
    ([LEAF.pem, BOTH], {}, CHAINS),
    (None, {}, "The input must be text or bytes, or a list of them, not NoneType"),
    ({"pem": LEAF.pem}, {}, "The input must be text or bytes, or a list of them, not dict"),
    ([[LEAF.pem]], {}, "Each certificate must be text or bytes, not list"),
    (LEAF.pem, {"format": "json"}, "format is one of text, dict, generic, not 'json'"),
    (LEAF.pem, {"all_chains": "no"}, "all_chains is true or false, not 'no'"),
    (
        LEAF.pem,
        {"selector": "key"},
        "'key' is no selector: expected a number from 0 to 255 or one of cert (0), spki (1), priv-sel (255)",
    ),
    (
        LEAF.pem,
        {"matching_type": 3},
        (
            "Selector 1 with matching type 3 cannot be computed; "
            "use selector cert (0) or spki (1) and matching type full (0), sha2-256 (1) or sha2-512 (2)"
        ),
    ),
]


@pytest.mark.parametrize(("value", "options", "error"), TEST_TLSA_RDATA_FAIL)
def test_tlsa_rdata_fail(value: object, options: dict[str, object], error: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(f'mailsec.dane.tlsa_rdata: {error}')}$"):
        FilterModule().filters()["tlsa_rdata"](value, **options)
