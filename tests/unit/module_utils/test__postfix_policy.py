# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime as dt
import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_policy import (
    POLICY_HEADER,
    Policy,
    expired_policies,
    fingerprint_findings,
    parse_policies,
    render_policies,
)

from postfix_states import postfix_state

FINGERPRINT: t.Final = ":".join(["AB"] * 32)


def test_a_table_with_reasons_and_end_dates() -> None:
    policies = parse_policies(
        [
            {"destination": "Example.COM", "level": "dane-only", "match": []},
            {
                "destination": "example.net",
                "level": "encrypt",
                "protocols": ">=TLSv1.2",
                "comment": "stale records # ticket 7",
                "until": "2027-01-31",
            },
            {"destination": "[mail.example.org]:587", "level": "secure", "match": ["nexthop", ".example.org"]},
            {"destination": ".example.org", "level": "fingerprint", "match": [FINGERPRINT, FINGERPRINT]},
        ]
    )
    assert (
        render_policies(policies)
        == f"""\
{POLICY_HEADER}

example.com\tdane-only

# stale records # ticket 7
# until 2027-01-31
example.net\tencrypt protocols=>=TLSv1.2

[mail.example.org]:587\tsecure match=nexthop:.example.org

.example.org\tfingerprint match={FINGERPRINT}|{FINGERPRINT}
"""
    )


@pytest.mark.parametrize(
    "destination",
    [
        "example.org",
        ".example.org",
        "example.org:submission",
        "[mx1.example.org]",
        "[mx1.example.org]:25",
        "[192.0.2.1]",
        "[192.0.2.1]:587",
        "[ipv6:2001:db8::1]",
        "xn--bcher-kva.example",
        "_weird.example.org",
    ],
)
def test_destinations_that_postfix_looks_up(destination: str) -> None:
    (policy,) = parse_policies([{"destination": destination, "level": "may"}])
    assert policy == Policy(destination, "may")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"destination": "", "level": "may"}, "policies: '' is no destination"),
        ({"destination": "localhost", "level": "may"}, "policies: 'localhost' is no destination"),
        ({"destination": "a b.example", "level": "may"}, "policies: 'a b.example' is no destination"),
        ({"destination": "#x.example", "level": "may"}, "policies: '#x.example' is no destination"),
        ({"destination": "*.example", "level": "may"}, "policies: '*.example' is no destination"),
        ({"destination": "example.org\nevil.example", "level": "may"}, "is no destination"),
        ({"destination": "b\u00fccher.example", "level": "may"}, "is no destination"),
        (
            {"destination": "example.org", "level": "half-dane"},
            "policies: example.org: level must be one of dane-only, dane, secure, fingerprint, encrypt, may, none, not",
        ),
        (
            {"destination": "example.org", "level": "dane", "match": ["nexthop"]},
            "policies: example.org: match goes with the levels secure and fingerprint only, not with dane",
        ),
        (
            {"destination": "example.org", "level": "fingerprint"},
            "policies: example.org: level fingerprint needs match",
        ),
        (
            {"destination": "example.org", "level": "fingerprint", "match": ["AB:CD"]},
            "policies: example.org: 'AB:CD' is no SHA-256 or SHA-512 fingerprint",
        ),
        (
            {"destination": "example.org", "level": "secure", "match": ["a b"]},
            "policies: example.org: 'a b' is no match strategy",
        ),
        (
            {"destination": "example.org", "level": "dane", "protocols": ">=TLSv1.2 match=x"},
            "policies: example.org: protocols '>=TLSv1.2 match=x' must be one word",
        ),
        (
            {"destination": "example.org", "level": "none", "protocols": "TLSv1.2"},
            "policies: example.org: protocols mean nothing at level none",
        ),
        (
            {"destination": "example.org", "level": "may", "comment": "a\nexample.com none"},
            "policies: example.org: the comment must be a single line",
        ),
        (
            {"destination": "example.org", "level": "may", "until": "31.1.2027"},
            "policies: example.org: until must be a day such as 2027-01-31, not '31.1.2027'",
        ),
    ],
)
def test_entries_that_postfix_would_misread(entry: dict[str, t.Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        parse_policies([entry])


def test_an_entry_twice_is_refused() -> None:
    entries = [{"destination": "example.org", "level": "may"}, {"destination": "EXAMPLE.org", "level": "dane"}]
    with pytest.raises(InvalidInput, match=re.escape("policies: example.org is there twice")):
        parse_policies(entries)


def test_an_entry_is_reported_from_the_day_after_its_last() -> None:
    policies = parse_policies(
        [
            {"destination": "example.net", "level": "may", "until": "2027-01-31", "comment": "broken"},
            {"destination": "example.com", "level": "dane-only", "until": "2027-01-31"},
            {"destination": "example.org", "level": "may"},
        ]
    )
    assert expired_policies(policies, dt.date(2027, 1, 31)) == ()
    exception, partner = expired_policies(policies, dt.date(2027, 2, 1))
    assert exception.sentence() == (
        "policies/example.net: The entry 'may' was to end on 2027-01-31 (broken). "
        "Take it out of the policies, so that DANE applies again, or give it a later date."
    )
    assert exception.severity == "warning"
    assert partner.sentence() == (
        "policies/example.com: The entry 'dane-only' was to end on 2027-01-31. "
        "Take it out of the policies or give it a later date."
    )


@pytest.mark.parametrize(("digest", "found"), [("sha256", 0), ("SHA-256", 0), ("sha512", 1), ("md5", 1)])
def test_fingerprints_must_be_of_the_digest_that_postfix_compares(digest: str, found: int) -> None:
    policies = parse_policies([{"destination": "example.org", "level": "fingerprint", "match": [FINGERPRINT]}])
    findings = fingerprint_findings(postfix_state({"smtp_tls_fingerprint_digest": digest}), policies)
    assert [(finding.setting, finding.severity) for finding in findings] == [("policies/example.org", "error")] * found
