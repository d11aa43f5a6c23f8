# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.mailsec.dane.plugins.filter.tlsrpt_lines import FilterModule, tlsrpt_lines


def test_the_filter_is_found() -> None:
    assert FilterModule().filters() == {"tlsrpt_lines": tlsrpt_lines}


def test_a_line_for_each_domain() -> None:
    domains = [{"name": "example.org"}, {"name": "example.net", "rua": ["a,b@example.org"]}]
    assert tlsrpt_lines(domains, "600") == [
        '_smtp._tls.example.org. 600 IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@example.org"',
        '_smtp._tls.example.net. 600 IN TXT "v=TLSRPTv1; rua=mailto:a%2Cb@example.org"',
    ]
    assert tlsrpt_lines([]) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("example.org",), "The input must be a list of dictionaries with a name, and has 'example.org'"),
        (([{"rua": []}],), "The input must be a list of dictionaries with a name, and has {'rua': []}"),
        (([{"name": "example.org", "rua": "a@b.example"}],), "rua of example.org must be a list of addresses"),
        (([{"name": "example.org", "rua": ["nobody"]}],), "TLS reports cannot be sent to 'nobody'"),
        (([{"name": "example.org"}], "soon"), "ttl must be a number of seconds, not 'soon'"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[object, ...], error: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^{re.escape(f'mailsec.dane.tlsrpt_lines: {error}')}"):
        FilterModule().filters()["tlsrpt_lines"](*arguments)
