# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import copy
import gzip
import json
import os
import re
import time
import typing as t
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _tlsrpt_files
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput, InvalidReport
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt import (
    MAX_JSON,
    Failure,
    Report,
    parse_report,
)
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_files import Collection, collect
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_mail import (
    MAX_INPUT,
    MAX_MAIL,
    messages_of,
    report_of,
    reports_of_mail,
    sent_at,
)
from hypothesis import given
from hypothesis import strategies as st

# RFC 8460 appendix B.
RFC_EXAMPLE: t.Final[dict[str, t.Any]] = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:0012::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:0013::1",
                    "receiving-mx-hostname": "mx2.mail.company-y.example",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 200,
                    "additional-information": "https://reports.company-x.example/report_info?id=5065427c-23d3",
                },
                {
                    "result-type": "validation-failure",
                    "sending-mta-ip": "198.51.100.62",
                    "receiving-ip": "203.0.113.58",
                    "receiving-mx-hostname": "mx-backup.mail.company-y.example",
                    "failed-session-count": 3,
                    "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                },
            ],
        }
    ],
}
PLAIN: t.Final = json.dumps(RFC_EXAMPLE).encode()
PACKED: t.Final = gzip.compress(PLAIN)


def changed(path: str, value: object) -> bytes:
    """The RFC's example with the value at a path such as ``policies.0.summary`` exchanged; ... takes the key away."""
    document = copy.deepcopy(RFC_EXAMPLE)
    *way, last = path.split(".")
    place: t.Any = document
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return json.dumps(document).encode()


def refusal(read: t.Callable[[bytes], object], data: bytes) -> str | None:
    """Why `data` is refused, None where it is read. Anything but InvalidReport is a crash, and fails the test."""
    try:
        read(data)
    except InvalidReport as refused:
        return str(refused)
    return None


def mail(attachment: bytes, content_type: str = "application/tlsrpt+gzip", name: str = "r.json.gz") -> bytes:
    encoded = base64.encodebytes(attachment)
    return (
        b"From: reporter@company-x.example\nTLS-Report-Domain: company-y.example\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/report; report-type="tlsrpt"; boundary="b"\n\n'
        b"--b\nContent-Type: text/plain\n\nA report.\n--b\n"
        + f'Content-Type: {content_type}\nContent-Disposition: attachment; filename="{name}"\n'.encode()
        + b"Content-Transfer-Encoding: base64\n\n"
        + encoded
        + b"--b--\n"
    )


# --- reports ----------------------------------------------------------------------------------------------------------


def test_the_example_of_the_rfc_is_read() -> None:
    report = parse_report(PLAIN)
    assert (report.organization, report.identifier) == ("Company-X", "5065427c-23d3-47ca-b6e0-946ea0e8c4be")
    assert (report.begin, report.end) == (
        datetime(2016, 4, 1, tzinfo=UTC),
        datetime(2016, 4, 1, 23, 59, 59, tzinfo=UTC),
    )
    (policy,) = report.policies
    assert (policy.policy_type, policy.domain, policy.successful, policy.failed) == (
        "sts",
        "company-y.example",
        5326,
        303,
    )
    assert policy.failures[2] == Failure(
        "validation-failure",
        3,
        "mx-backup.mail.company-y.example",
        "203.0.113.58",
        "198.51.100.62",
        "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("policies.0.failure-details", ...),
        ("policies.0.failure-details", None),
        ("policies.0.failure-details", []),
        ("policies.0.policy.mx-host", "*.mail.company-y.example"),
        ("policies.0.policy.mx-host", ...),
        ("policies.0.policy.policy-string", ...),
        ("policies.0.policy", {"policy-type": "no-policy-found", "policy-domain": "company-y.example"}),
        ("contact-info", ...),
        ("contact-info", None),
        ("date-range.start-datetime", "2016-04-01T02:00:00+02:00"),
        ("date-range.start-datetime", "2016-04-01T00:00:00.000Z"),
        ("date-range.start-datetime", "2016-04-01T00:00:00.000000000Z"),
        ("date-range.start-datetime", "2016-04-01t00:00:00z"),
        ("date-range.start-datetime", "2016-04-01 00:00:00"),
        ("date-range.end-datetime", "2016-04-01T23:59:60Z"),
        ("policies", []),
        ("some-extension", {"x": 1}),
    ],
)
def test_the_shapes_that_large_senders_use_are_read(path: str, value: object) -> None:
    report = parse_report(changed(path, value))
    assert report.begin == datetime(2016, 4, 1, tzinfo=UTC)


def test_a_policy_without_a_domain_has_that_of_the_mail() -> None:
    data = changed("policies.0.policy", {"policy-type": "no-policy-found"})
    assert parse_report(data).policies[0].domain == ""
    (found,) = reports_of_mail(mail(data, "application/tlsrpt+json", "r.json"))
    assert isinstance(found, Report)
    assert found.policies[0].domain == "company-y.example"


def test_a_result_type_that_is_newer_than_this_code_is_kept() -> None:
    report = parse_report(changed("policies.0.failure-details.0.result-type", "quantum-failure"))
    assert report.policies[0].failures[0].result_type == "quantum-failure"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not JSON"),
        (b"hello", "it is not JSON"),
        (b"[]", "the report is missing, or is no JSON object"),
        (b"null", "the report is missing, or is no JSON object"),
        (b"\xff\xfe{}", "it is not UTF-8: octet 0 is 0xff"),
        (PLAIN.decode().encode("utf-16"), "it is not UTF-8"),
        (b'{"a": NaN}', "it is not JSON: NaN is no JSON value"),
        (b'{"a": Infinity}', "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"a":' * 100_000, "it is not JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "it is not JSON"),
        (b" " * (MAX_JSON + 1), "it is larger than 4 MiB"),
        (changed("date-range", ...), "date-range is missing, or is no JSON object"),
        (changed("date-range.end-datetime", "yesterday"), "end-datetime is 'yesterday', and must be a date and time"),
        (changed("date-range.end-datetime", "20160401T000000Z"), "end-datetime is '20160401T000000Z', and must be"),
        (changed("date-range.end-datetime", "2016-W14-5"), "end-datetime is '2016-W14-5', and must be"),
        (changed("date-range.end-datetime", "2016-04-31T00:00:00Z"), "end-datetime is '2016-04-31T00:00:00Z', and"),
        (PLAIN.replace(b'"contact', b'"report-id": "x", "contact'), "it is not JSON: 'report-id' stands twice"),
        (changed("policies.0.failure-details", [{}] * 10_001), "failure-details has 10001 entries, and 10000 are read"),
        (changed("date-range.end-datetime", "2016-03-01T00:00:00Z"), "before it begins"),
        (changed("date-range.end-datetime", 5), "end-datetime is no text"),
        (changed("date-range.start-datetime", "0001-01-01T00:00:00+14:00"), "start-datetime is '0001-01-01"),
        (changed("policies", {}), "policies is missing, or is no JSON array"),
        (changed("policies", [{}] * 1001), "policies has 1001 entries, and 1000 are read at most"),
        (changed("policies.0", "x"), "an entry of policies is missing, or is no JSON object"),
        (changed("policies.0.policy.policy-type", "bogus"), "its policy-type is 'bogus'"),
        (changed("policies.0.summary", ...), "summary is missing"),
        (
            changed("policies.0.summary.total-failure-session-count", -1),
            "total-failure-session-count is missing, or is no",
        ),
        (changed("policies.0.summary.total-failure-session-count", True), "is no whole number"),
        (changed("policies.0.summary.total-failure-session-count", 1.5), "is no whole number"),
        (changed("policies.0.summary.total-failure-session-count", "3"), "is no whole number"),
        (changed("policies.0.summary.total-failure-session-count", 1 << 60), "is no whole number"),
        (changed("policies.0.failure-details", {"x": 1}), "failure-details is missing, or is no JSON array"),
        (changed("policies.0.failure-details.0.result-type", "<b>x"), "its result-type is '<b>x'"),
        (changed("organization-name", ["x"]), "organization-name is no text"),
    ],
)
def test_what_is_no_report_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidReport, match=re.escape(reason)):
        parse_report(data)


def test_hostile_texts_are_cut_and_freed_of_control_characters() -> None:
    report = parse_report(changed("organization-name", "\x1b[31mred\r\nforged line\u202e" + "x" * 10_000))
    assert report.organization.isprintable()
    assert len(report.organization) == 255


JSON_VALUES: t.Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_any_other_json_is_refused(document: object) -> None:
    assert refusal(parse_report, json.dumps(document).encode())


PLACES: t.Final = ("policies.0.policy", "policies.0.summary", "policies.0.failure-details.1", "date-range", "report-id")


@given(st.sampled_from(PLACES), st.none() | st.integers() | st.text() | st.lists(st.none()))
def test_any_value_anywhere_is_read_or_refused(path: str, value: object) -> None:
    assert refusal(parse_report, changed(path, value)) != ""


# --- what carries them ------------------------------------------------------------------------------------------------


def test_a_report_may_be_compressed_or_not() -> None:
    assert report_of(PACKED) == report_of(PLAIN) == parse_report(PLAIN)


def test_gzip_may_have_several_members_and_zeros_behind_it() -> None:
    half = len(PLAIN) // 2
    assert report_of(gzip.compress(PLAIN[:half]) + gzip.compress(PLAIN[half:]) + b"\0" * 512) == parse_report(PLAIN)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * (200 << 20), 9)
    assert len(bomb) < MAX_INPUT
    before = time.process_time()
    with pytest.raises(InvalidReport, match="it unpacks to more than 4 MiB"):
        report_of(bomb)
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (PACKED[:-9], "it is gzip that was cut off"),
        (PACKED[:20], "it is gzip that was cut off"),
        (b"\x1f\x8b" + b"\0" * 30, "it is damaged gzip"),
        (PACKED + b"more", "4 octets follow its gzip data"),
        (PACKED + PACKED, "it is not JSON: Extra data"),
        (gzip.compress(b"") * 11, "it is gzip of more than 10 members"),
        (PACKED + gzip.compress(b"0" * (8 << 20)), "it unpacks to more than 4 MiB"),
        (gzip.compress(PACKED), "it is not UTF-8"),
        (b" " * (MAX_INPUT + 1), "it has 4194305 octets, and 4 MiB are read at most"),
    ],
)
def test_a_container_that_is_damaged_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidReport, match=re.escape(reason)):
        report_of(data)


@pytest.mark.parametrize(
    ("content_type", "name", "attachment"),
    [
        ("application/tlsrpt+gzip", "company-x.example!company-y.example!1!2.json.gz", PACKED),
        ("application/tlsrpt+json", "r.json", PLAIN),
        ("application/octet-stream", "R.JSON.GZ", PACKED),
        ("application/gzip", "r.json.gz", PACKED),
        ("application/tlsrpt+gzip", "", PACKED),
        ("application/gzip", "report.gz", PACKED),
        ("application/json", "", PLAIN),
        ("application/octet-stream", "report.gz", PACKED),
        ("application/octet-stream", "=?utf-8?b?ci5qc29uLmd6?=", PACKED),
    ],
)
def test_a_report_is_found_in_a_mail_by_type_or_by_name(content_type: str, name: str, attachment: bytes) -> None:
    assert reports_of_mail(mail(attachment, content_type, name)) == (parse_report(PLAIN),)


def test_what_only_might_be_one_is_a_report_where_the_mail_says_so() -> None:
    data = mail(PACKED, "application/gzip", "backup.gz")
    assert reports_of_mail(data) == (parse_report(PLAIN),)
    assert reports_of_mail(data.replace(b"TLS-Report-Domain: company-y.example\n", b"")) == ()


def test_other_mail_has_no_report() -> None:
    assert reports_of_mail(b"Subject: hello\n\nworld\n") == ()
    assert reports_of_mail(mail(b"picture", "image/png", "x.png")) == ()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.json", "/etc/shadow.json.gz", "x\x07.json", "a" * 5000 + ".json", "..\\\\x.json"]
)
def test_a_hostile_name_of_an_attachment_is_refused(name: str) -> None:
    (found,) = reports_of_mail(mail(PACKED, "application/octet-stream", name))
    assert str(found).startswith("its file name is hostile: ")


def test_a_bad_attachment_does_not_hide_a_good_one() -> None:
    double = mail(PACKED).replace(b"--b--\n", b"--b\nContent-Type: application/tlsrpt+json\n\n{broken\n--b--\n")
    good, bad = reports_of_mail(double)
    assert isinstance(good, Report)
    assert isinstance(bad, InvalidReport)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 60 + b"--b--\n",
            "the mail has more than 50 parts",
        ),
        (b"x: " + b"y" * MAX_MAIL, "8 MiB are read at most"),
    ],
)
def test_a_mail_beyond_the_limits_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidReport, match=re.escape(reason)):
        reports_of_mail(data)


def test_mail_within_mail_ad_infinitum_is_refused_or_read() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (number, number) for number in range(3000)
    )
    assert refusal(reports_of_mail, nested) != ""


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode", "no-such-encoding"])
def test_wrong_transfer_encodings_are_refused_or_read(encoding: str) -> None:
    data = mail(PACKED).replace(b"Encoding: base64", f"Encoding: {encoding}".encode())
    (found,) = reports_of_mail(data)
    assert isinstance(found, Report if encoding == "base64" else InvalidReport)


# What RFC 2231 and MIME let a stranger write after a content type.
PARAMETERS: t.Final = st.lists(
    st.tuples(
        st.sampled_from(["filename", "name", "charset", "boundary"]),
        st.sampled_from(["", "*", "*0", "*1", "*0*", "*1*", "*x", "*99999"]),
        st.sampled_from(["=a.json", "=utf-8''a.json", "=utf-8'utf-8", '="a', "=no-such''x", "=%ff.json", "", "=\xe9"]),
    ),
    max_size=4,
)


@given(PARAMETERS, PARAMETERS, st.sampled_from(["base64", "8bit", "x-uuencode"]))
def test_any_parameters_are_read_or_refused(
    ones: list[tuple[str, str, str]], others: list[tuple[str, str, str]], encoding: str
) -> None:
    kind, disposition = ("".join(f"; {''.join(parts)}" for parts in found) for found in (ones, others))
    head = (
        f"Content-Type: application/tlsrpt+json{kind}\nContent-Disposition: attachment{disposition}\n"
        f"Content-Transfer-Encoding: {encoding}\n\n"
    )
    assert refusal(reports_of_mail, head.encode("latin-1") + PLAIN + b"\xff") != ""


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Disposition: attachment; filename*=a.json; filename*0=b\n",
        b"Content-Type: application/tlsrpt+json; charset*=utf-8''utf-8\nContent-Transfer-Encoding: 8bit\n",
    ],
)
def test_headers_that_the_library_stumbles_over_are_refused_or_read(headers: bytes) -> None:
    assert refusal(reports_of_mail, b"X: json\n" + headers + b"\n\xff{}\n") != ""


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        (b"Date: Sun, 22 Nov 2026 01:00:00 +0100", datetime(2026, 11, 22, tzinfo=UTC)),
        (b"DATE:Sun, 22 Nov 2026 00:00:00 -0000", datetime(2026, 11, 22, tzinfo=UTC)),
        (b"Date: yesterday", None),
        (b"Date: Sun, 99 Nov 99999 00:00:00 +9999", None),
        (b"Date: \xff", None),
        (b"Subject: Date: Sun, 22 Nov 2026 01:00:00 +0100", None),
    ],
)
def test_when_a_mail_was_sent(header: bytes, sent: datetime | None) -> None:
    assert sent_at(b"Subject: x\n" + header + b"\n\nbody\n") == sent


@given(st.binary(max_size=300))
def test_any_octets_are_mail_or_refused(data: bytes) -> None:
    for header in (
        b"",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n",
        b"Content-Type: application/tlsrpt+json\n\n",
    ):
        assert refusal(reports_of_mail, header + data) != ""


def test_a_mailbox_is_taken_apart() -> None:
    box = b"From a\nSubject: 1\n\n>From quoted\nFrom no blank line before\n\nFrom b\nSubject: 2\n\nx\n\n"
    assert list(messages_of(box.splitlines(keepends=True))) == [
        b"Subject: 1\n\n>From quoted\nFrom no blank line before\n\n",
        b"Subject: 2\n\nx\n\n",
    ]
    assert list(messages_of([])) == []
    assert list(messages_of([b"Subject: only\n", b"\n", b"x\n"])) == [b"Subject: only\n\nx\n"]


def test_a_mail_that_is_too_large_does_not_hide_the_next_one() -> None:
    big = [
        b"From a\n",
        b"Subject: big\n",
        b"\n",
        *[b"x" * 65535 + b"\n"] * 130,
        b"\n",
        b"From b\n",
        b"Subject: 2\n",
        b"\n",
    ]
    assert list(messages_of(big)) == [None, b"Subject: 2\n\n"]


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_everything_under_the_paths_is_read_once(tmp_path: Path) -> None:
    maildir = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new" / "1").write_bytes(mail(PACKED))
    (maildir / "cur" / "2:2,S").write_bytes(mail(gzip.compress(changed("report-id", "second"))))
    (maildir / "tmp" / "3").write_bytes(b"unfinished")
    box = tmp_path / "mbox"
    box.write_bytes(
        b"From x\n" + mail(PLAIN, "application/tlsrpt+json", "r.json") + b"\nFrom y\nSubject: hi\n\nhello\n\n"
    )
    plain = tmp_path / "plain.json"
    plain.write_bytes(changed("report-id", "third"))
    found = collect([str(maildir), str(box), str(plain)])
    assert (found.reports, found.refused, found.repeated, found.without_report) == (3, [], 1, 1)
    (policy,) = found.summary.policies()
    assert (policy["successful"], policy["failed"]) == (3 * 5326, 3 * 303)


def test_what_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"{")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b"0" * (8 << 20)))
    (tmp_path / "c\n.json").write_bytes(PLAIN)
    os.mkfifo(tmp_path / "d")
    (tmp_path / "e").symlink_to("/etc/passwd")
    with (tmp_path / "f").open("wb") as sparse:
        sparse.truncate(100 << 20)
    found = collect([str(tmp_path)])
    assert found.reports == 1
    assert sorted((Path(place).name, reason.split(":")[0]) for place, reason in found.refused) == [
        ("a.json", "it is not JSON"),
        ("b.json.gz", "it unpacks to more than 4 MiB"),
        ("d", "it is no regular file"),
        ("e", "[Errno 40] Too many levels of symbolic links"),
        ("f", "it has 104857600 octets, and 4 MiB are read at most"),
    ]


def test_a_path_where_nothing_is_yet_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(PLAIN)
    found = collect([f"{tmp_path}/none", f"{tmp_path}/a.json"])
    assert found.reports == 1
    assert (found.refused, found.missing) == ([], [f"{tmp_path}/none"])


def test_an_empty_mailbox_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "tls-reports").touch()
    found = collect([f"{tmp_path}/tls-reports"])
    assert (found.reports, found.refused, found.missing) == (0, [], [])


def test_a_mailbox_that_is_too_large_is_refused(tmp_path: Path) -> None:
    box = tmp_path / "mbox"
    box.write_bytes(b"From x\n" + mail(PACKED))
    os.truncate(box, (512 << 20) + 1)
    assert [reason for _place, reason in collect([str(box)]).refused] == [
        "the mailbox has 536870913 octets, and 512 MiB are read at most"
    ]


def test_a_forged_report_does_not_silence_the_true_one(tmp_path: Path) -> None:
    (tmp_path / "forged.json").write_bytes(changed("policies.0.summary.total-failure-session-count", 0))
    (tmp_path / "true.json").write_bytes(PLAIN)
    (tmp_path / "again.json").write_bytes(json.dumps(RFC_EXAMPLE, indent=2).encode())
    found = collect([str(tmp_path)])
    assert (found.reports, found.repeated, found.contradicting) == (2, 1, 1)
    assert [one["failed"] for one in found.summary.policies()] == [303]


def test_old_reports_and_mails_are_left_out_before_they_are_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tmp_path / "mbox"
    since = datetime(2016, 4, 10, tzinfo=UTC)
    old = b"From x\nDate: Sat, 02 Apr 2016 01:00:00 +0000\n" + mail(PACKED) + b"\n"
    late = b"From x\nDate: Sat, 09 Apr 2016 12:00:00 +0000\n" + mail(PACKED) + b"\n"
    box.write_bytes(old * 3 + late)
    taken_apart = []

    def spy(data: bytes, *, count: t.Callable[[int], None]) -> tuple[Report | InvalidReport, ...]:
        taken_apart.append(data)
        return reports_of_mail(data, count=count)

    monkeypatch.setattr(_tlsrpt_files, "reports_of_mail", spy)
    found = collect([str(box)], since)
    assert (found.reports, found.left_out, found.refused, len(taken_apart)) == (0, 4, [], 1)
    assert collect([str(box)], datetime(2016, 4, 1, tzinfo=UTC)).reports == 1


def test_the_example_of_the_rfc_is_added_up(tmp_path: Path) -> None:
    (tmp_path / "r.json.gz").write_bytes(PACKED)
    (policy,) = collect([str(tmp_path)]).summary.policies()
    assert (policy["domain"], policy["policy_type"], policy["successful"], policy["failed"]) == (
        "company-y.example",
        "sts",
        5326,
        303,
    )
    assert [(one["result_type"], one["host"], one["count"], one["reasons"]) for one in policy["failures"]] == [
        (
            "starttls-not-supported",
            "mx2.mail.company-y.example",
            200,
            ["https://reports.company-x.example/report_info?id=5065427c-23d3"],
        ),
        ("certificate-expired", "mx1.mail.company-y.example", 100, []),
        (
            "validation-failure",
            "mx-backup.mail.company-y.example",
            3,
            ["X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"],
        ),
    ]


def test_a_path_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="/file/below cannot be read: Not a directory"):
        collect([f"{tmp_path}/file/below"])


def test_files_beyond_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"{number}.json").write_bytes(changed("report-id", str(number)))
        os.utime(tmp_path / f"{number}.json", (number, number))
    (tmp_path / "0.json").write_bytes(b"the oldest is not read")
    os.utime(tmp_path / "0.json", (0, 0))
    monkeypatch.setattr(_tlsrpt_files, "_MAX_FILES", 3)
    found = collect([str(tmp_path)])
    assert found.reports == 3
    assert found.refused == [(str(tmp_path), "there are more than 3 files; the rest was not read. Move old ones away")]


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("_MAX_READ", 3 * len(PLAIN), "there is more than 0 GiB to read"),
        ("_MAX_JSON", 3 * len(PLAIN), "the reports unpack to more than 0 MiB together"),
        ("_MAX_REPORTS", 3, "there are more than 3 reports"),
    ],
)
def test_all_paths_together_have_limits(
    limit: str, value: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / f"{number}.json").write_bytes(changed("report-id", f"{number:036}"))
    monkeypatch.setattr(_tlsrpt_files, limit, value)
    found = collect([f"{tmp_path}/{number}.json" for number in range(5)])
    assert found.reports == 3
    assert [why for _place, why in found.refused] == [f"{reason}; the rest was not read. Move old ones away"]


def test_not_more_refusals_are_listed_than_somebody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tlsrpt_files, "_MAX_REFUSED", 2)
    found = Collection()
    for number in range(5):
        found.refuse(f"mail {number}", "it is not JSON")
    found.finish()
    assert found.refused[2:] == [("all of it", "3 more were refused, which are not listed")]
