# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt import Failure, PolicyReport, Report
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_summary import OTHERS, Summary

BEGIN: t.Final = datetime(2026, 11, 21, tzinfo=UTC)
END: t.Final = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
EXPIRED: t.Final = Failure("certificate-expired", 100, "mx1.example.org")
INVALID: t.Final = Failure("tlsa-invalid", 200, "mx2.example.org")


def report(
    *failures: Failure, organization: str = "Company-X", kind: str = "tlsa", domain: str = "example.org", day: int = 21
) -> Report:
    failed = sum(failure.count for failure in failures)
    return Report(
        organization,
        "1",
        "",
        BEGIN.replace(day=day),
        END.replace(day=day),
        (PolicyReport(kind, domain, 5000, failed, failures),),
    )


def policies(*reports: Report) -> list[dict[str, t.Any]]:
    summary = Summary()
    for one in reports:
        summary.add(one)
    return summary.policies()


def test_reports_are_added_up_by_domain_and_policy() -> None:
    sts, tlsa = policies(
        report(EXPIRED, INVALID), report(INVALID, organization="Company-Z", day=20), report(EXPIRED, kind="sts")
    )
    assert tlsa == {
        "domain": "example.org",
        "policy_type": "tlsa",
        "successful": 10_000,
        "failed": 500,
        "organizations": ["Company-X", "Company-Z"],
        "begin": "2026-11-20T00:00:00Z",
        "end": "2026-11-21T23:59:59Z",
        "failures": [
            {
                "result_type": "tlsa-invalid",
                "host": "mx2.example.org",
                "count": 400,
                "organizations": ["Company-X", "Company-Z"],
                "reasons": [],
            },
            {
                "result_type": "certificate-expired",
                "host": "mx1.example.org",
                "count": 100,
                "organizations": ["Company-X"],
                "reasons": [],
            },
        ],
    }
    assert (sts["policy_type"], sts["failed"]) == ("sts", 100)


def test_a_host_without_a_name_is_named_by_its_address() -> None:
    (found,) = policies(
        report(
            Failure("tlsa-invalid", 1, "mx1.example.org", "192.0.2.1"),
            Failure("tlsa-invalid", 2, "", "192.0.2.2"),
            Failure("tlsa-invalid", 3, "", "192.0.2.2"),
        )
    )
    assert [(one["host"], one["count"]) for one in found["failures"]] == [("192.0.2.2", 5), ("mx1.example.org", 1)]


def test_what_senders_add_in_their_own_words_is_kept_within_bounds() -> None:
    (found,) = policies(
        report(
            Failure("validation-failure", 1, reason_code="X509_V_ERR_CERT_HAS_EXPIRED"),
            Failure("validation-failure", 1, information="bad https response code: 404"),
            Failure("validation-failure", 1, reason_code="code", information="words"),
            Failure("validation-failure", 1),
        ),
        report(*(Failure("tlsa-invalid", 1, information=f"words {number:02}") for number in range(20))),
    )
    many, few = found["failures"]
    assert few["reasons"] == ["X509_V_ERR_CERT_HAS_EXPIRED", "bad https response code: 404", "code: words"]
    assert many["reasons"] == [OTHERS, *(f"words {number:02}" for number in range(5))]


def test_domains_beyond_the_limit_are_added_up_as_others() -> None:
    found = policies(*(report(INVALID, domain=f"d{number}.example") for number in range(700)))
    assert len(found) == 501
    others = next(one for one in found if one["domain"] == OTHERS)
    assert (others["successful"], others["failed"]) == (200 * 5000, 200 * 200)
    assert sum(one["failed"] for one in found) == 700 * 200


def test_failures_beyond_the_limit_are_added_up_as_others() -> None:
    (found,) = policies(report(*(Failure("tlsa-invalid", 1, f"mx{number}.example") for number in range(1000))))
    assert len(found["failures"]) == 101
    assert found["failures"][0] == {
        "result_type": OTHERS,
        "host": OTHERS,
        "count": 900,
        "organizations": ["Company-X"],
        "reasons": [],
    }


def test_organizations_beyond_the_limit_are_others() -> None:
    (found,) = policies(*(report(organization=f"Company-{number:03}") for number in range(80)))
    assert (len(found["organizations"]), found["organizations"][0]) == (51, OTHERS)
