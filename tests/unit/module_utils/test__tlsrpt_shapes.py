# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports in the shapes that large senders, and Postfix's reporter, give them, as mails in a mailbox, and their sums.

Written from what the senders' recipients describe: which keys are there, in which order, null or left out.
"""

from __future__ import annotations

import base64
import gzip
import json
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_files import collect

if t.TYPE_CHECKING:
    from pathlib import Path

STS: t.Final = ["version: STSv1", "mode: enforce", "mx: mx1.example.org", "mx: mx2.example.org", "max_age: 604800"]
TLSA: t.Final = ["3 1 1 8a9f12d4c6b0e35c2f4f64c1d0a9b7e8f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8"]
DAY: t.Final = {"start-datetime": "2026-11-21T00:00:00Z", "end-datetime": "2026-11-21T23:59:59Z"}


def summary(successful: int, failed: int) -> dict[str, int]:
    return {"total-successful-session-count": successful, "total-failure-session-count": failed}


# failure-details left out where nothing failed; mx-host a list.
GOOGLE: t.Final = {
    "organization-name": "Google Inc.",
    "date-range": DAY,
    "contact-info": "smtp-tls-reporting@google.example",
    "report-id": "2026-11-21T00:00:00Z_example.org",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": STS,
                "policy-domain": "example.org",
                "mx-host": ["mx1.example.org", "mx2.example.org"],
            },
            "summary": summary(40, 0),
        }
    ],
}

# Details without any host or address for policies that could not be fetched; STS and TLSA policies in one report.
MICROSOFT: t.Final = {
    "organization-name": "Microsoft Corporation",
    "date-range": DAY,
    "contact-info": "tlsrpt-noreply@microsoft.example",
    "report-id": "134085024000000000+example.org",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-domain": "example.org"},
            "summary": summary(0, 3),
            "failure-details": [{"result-type": "sts-policy-fetch-error", "failed-session-count": 3}],
        },
        {
            "policy": {"policy-type": "tlsa", "policy-string": TLSA, "policy-domain": "example.org"},
            "summary": summary(17, 2),
            "failure-details": [
                {
                    "result-type": "tlsa-invalid",
                    "sending-mta-ip": "2001:db8::25",
                    "receiving-mx-hostname": "MX1.Example.org.",
                    "receiving-mx-helo": "mx1.example.org",
                    "receiving-ip": "2001:db8::1",
                    "failed-session-count": 2,
                    "additional-information": "",
                    "failure-reason-code": "",
                }
            ],
        },
    ],
}

# Every key of the RFC there, mx-host a text, as in the RFC's own text; an offset in the times.
COMCAST: t.Final = {
    "organization-name": "Comcast",
    "date-range": {"start-datetime": "2026-11-20T19:00:00-05:00", "end-datetime": "2026-11-21T18:59:59-05:00"},
    "contact-info": "tls-reports@comcast.example",
    "report-id": "tls-17694-example.org",
    "policies": [
        {
            "policy": {
                "policy-type": "no-policy-found",
                "policy-string": [],
                "policy-domain": "example.org",
                "mx-host": "mx1.example.org",
            },
            "summary": summary(5, 1),
            "failure-details": [
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "192.0.2.77",
                    "receiving-mx-hostname": "mx2.example.org",
                    "receiving-ip": "192.0.2.2",
                    "failed-session-count": 1,
                    "additional-information": None,
                }
            ],
        }
    ],
}

# Contact null, details an empty list.
SMALL_GATEWAY: t.Final = {
    "organization-name": "gateway.example",
    "date-range": {"start-datetime": "2026-11-21T00:00:00Z", "end-datetime": "2026-11-22T00:00:00Z"},
    "contact-info": None,
    "report-id": "1795132800_5665",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-string": STS, "policy-domain": "example.org", "mx-host": STS[2:4]},
            "summary": summary(1, 0),
            "failure-details": [],
        }
    ],
}

# No domain where no policy was found, and keys in another order.
POSTFIX: t.Final = {
    "organization-name": "post.example",
    "date-range": DAY,
    "contact-info": "smtp-tls-reporting@post.example",
    "policies": [
        {"summary": summary(2, 0), "policy": {"policy-type": "no-policy-found"}, "failure-details": []},
        {
            "summary": summary(9, 0),
            "policy": {"policy-type": "tlsa", "policy-domain": "example.org", "mx-host": ["mx1.example.org"]},
            "failure-details": [],
        },
    ],
    "report-id": "2026-11-21T00:00:00Z_idx1_example.org",
}


def attachment(report: t.Mapping[str, object], content_type: str, name: str) -> str:
    data = json.dumps(report, indent=1).encode()
    packed = base64.encodebytes(gzip.compress(data) if name.endswith("gz") else data).decode()
    return (
        f"Content-Type: {content_type}\nContent-Disposition: attachment;\n filename={name}\n"
        f"Content-Transfer-Encoding: base64\n\n{packed}\n"
    )


def mail(report: t.Mapping[str, object], *, shape: str) -> str:
    """A mail as it lies in a mailbox file, in one of the shapes that are sent."""
    head = (
        "From reports@sender.example Sun Nov 22 01:00:00 2026\nFrom: reports@sender.example\nMIME-Version: 1.0\n"
        "TLS-Report-Domain: example.org\nTLS-Report-Submitter: sender.example\n"
    )
    text = "--x\nContent-Type: text/plain; charset=UTF-8\n\nThis is an aggregate TLS report.\n\n"
    name = '"sender.example!example.org!1795219200!1795305599!001.json.gz"'
    if shape == "report":
        kind = 'multipart/report; report-type="tlsrpt"; boundary=x'
        part = attachment(report, "application/tlsrpt+gzip", name.strip('"'))
        return f"{head}Content-Type: {kind}\n\n{text}--x\n{part}--x--\n\n"
    if shape == "mixed":
        part = attachment(report, f"application/gzip; name={name}", name.strip('"'))
        return f"{head}Content-Type: multipart/mixed; boundary=x\n\n{text}--x\n{part}--x--\n\n"
    if shape == "single":
        return head + attachment(report, "application/tlsrpt+gzip", name.strip('"')) + "\n"
    part = attachment(report, "application/tlsrpt+json", "r.json")
    return f"{head}Content-Type: multipart/report; boundary=x\n\n{text}--x\n{part}--x--\n\n"


def test_reports_in_the_shapes_that_are_sent_are_added_up(tmp_path: Path) -> None:
    box = tmp_path / "mbox"
    box.write_text(
        mail(GOOGLE, shape="report")
        + mail(MICROSOFT, shape="mixed")
        + mail(COMCAST, shape="single")
        + mail(SMALL_GATEWAY, shape="plain")
        + mail(POSTFIX, shape="report")
        + mail(GOOGLE, shape="report")
    )
    found = collect([str(box)])
    assert (found.reports, found.repeated, found.refused, found.without_report) == (5, 1, [], 0)
    without, sts, tlsa = found.summary.policies()
    assert {one["domain"] for one in (without, sts, tlsa)} == {"example.org"}
    assert [
        (one["policy_type"], one["successful"], one["failed"], one["organizations"]) for one in (without, sts, tlsa)
    ] == [
        ("no-policy-found", 7, 1, ["Comcast", "post.example"]),
        ("sts", 41, 3, ["Google Inc.", "Microsoft Corporation", "gateway.example"]),
        ("tlsa", 26, 2, ["Microsoft Corporation", "post.example"]),
    ]
    assert [(one["result_type"], one["host"], one["count"]) for one in (*without["failures"], *sts["failures"])] == [
        ("starttls-not-supported", "mx2.example.org", 1),
        ("sts-policy-fetch-error", "", 3),
    ]
    assert tlsa["failures"] == [
        {
            "result_type": "tlsa-invalid",
            "host": "mx1.example.org",
            "count": 2,
            "organizations": ["Microsoft Corporation"],
            "reasons": [],
        }
    ]
    assert (without["begin"], without["end"]) == ("2026-11-21T00:00:00Z", "2026-11-21T23:59:59Z")
