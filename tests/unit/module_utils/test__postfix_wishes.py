# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_wishes import Wishes


@pytest.mark.parametrize("value", [">=TLSv1.2", "TLSv1.2, TLSv1.3", "!SSLv2:!SSLv3", ">=TLSv1 <=TLSv1.2", "!TLSv1.3"])
def test_protocols_that_are_good(value: str) -> None:
    assert Wishes(mandatory_protocols=value).mandatory_protocols == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (">=TLSv2", "mandatory_protocols: '>=TLSv2' in '>=TLSv2' is no protocol"),
        ("bogus", "mandatory_protocols: 'bogus' in 'bogus' is no protocol"),
        ("> TLSv1.2", "mandatory_protocols: '>' in '> TLSv1.2' is no protocol"),
        ("<=TLSv1.1", "mandatory_protocols: '<=TLSv1.1' allows neither TLSv1.2 nor TLSv1.3"),
        ("TLSv1", "mandatory_protocols: 'TLSv1' allows neither"),
        (">=TLSv1.2 !TLSv1.2 !TLSv1.3", "allows neither TLSv1.2 nor TLSv1.3"),
    ],
)
def test_protocols_that_are_not(value: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        Wishes(mandatory_protocols=value)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"security_level": "encrypt"}, "security_level must be one of dane, dane-only, not 'encrypt'"),
        ({"chain_files": ("relative.pem",)}, "chain_files: 'relative.pem' is not an absolute path"),
        ({"chain_files": ("/a b.pem",)}, "chain_files: '/a b.pem' is not an absolute path free of blanks"),
        ({"chain_files": ("/$x.pem",)}, "chain_files: '/$x.pem' is not"),
        ({"tlsrpt": True}, "tlsrpt is on, and tlsrpt_socket is missing"),
        ({"protocols": "TLSv9"}, "protocols: 'TLSv9' in 'TLSv9' is no protocol"),
        ({"server_protocols": "TLSv9"}, "server_protocols: 'TLSv9' in 'TLSv9' is no protocol"),
        ({"ca_file": "/x\ny"}, "ca_file: '/x\\ny' is not an absolute path"),
        ({"own_policy_map": "texthash:/etc/post fix/dane_policy"}, "policy_file: '/etc/post fix/dane_policy' is not"),
        ({"own_policy_map": "texthash:dane_policy"}, "policy_file: 'dane_policy' is not an absolute path"),
        ({"hostname": "mx1"}, "hostname: 'mx1' is no fully qualified host name"),
        ({"hostname": "mx1.example.org\nrelayhost = x"}, "is no fully qualified host name"),
        ({"destinations": ("example.org, evil",)}, "destinations: 'example.org, evil' is no mail domain"),
        ({"destinations": ("hash:/etc/x",)}, "destinations: 'hash:/etc/x' is no mail domain"),
    ],
)
def test_values_that_postfix_would_misread(wishes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        Wishes(**wishes)
