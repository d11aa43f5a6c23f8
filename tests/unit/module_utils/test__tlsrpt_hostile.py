# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that a stranger may send, read by a process of its own whose memory and time are measured."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import os
import re
import subprocess
import sys
import typing as t
import zlib

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY_LIMIT: t.Final = 256  # MiB, of which the interpreter and its libraries take some 40
SECONDS_LIMIT: t.Final = 15.0  # of processor time; reading ends by itself after 8 s in these tests

READER: t.Final = """
import json, sys, time
from peak_memory import peak_memory
from ansible_collections.mailsec.dane.plugins.module_utils import _tlsrpt_files

_tlsrpt_files._MAX_SECONDS = 8.0
before = time.process_time()
found = _tlsrpt_files.collect(sys.argv[1:])
print(json.dumps({
    "reports": found.reports,
    "refused": found.refused,
    "without": found.without_report,
    "policies": found.summary.policies(),
    "seconds": time.process_time() - before,
    "mebibytes": peak_memory() / 2**20,
}))
"""

GOOD: t.Final = json.dumps(
    {
        "organization-name": "Company-X",
        "date-range": {"start-datetime": "2026-11-21T00:00:00Z", "end-datetime": "2026-11-21T23:59:59Z"},
        "report-id": "good",
        "policies": [
            {
                "policy": {"policy-type": "tlsa", "policy-domain": "example.org"},
                "summary": {"total-successful-session-count": 5, "total-failure-session-count": 0},
            }
        ],
    }
).encode()


def read(*paths: Path) -> dict[str, t.Any]:
    done = subprocess.run(
        [sys.executable, "-c", READER, *map(str, paths)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = t.cast("dict[str, t.Any]", json.loads(done.stdout))
    print(f"{result['seconds']:.1f} s, {result['mebibytes']:.0f} MiB")
    assert result["mebibytes"] < MEMORY_LIMIT
    assert result["seconds"] < SECONDS_LIMIT
    return result


def mail(attachment: bytes, name: str = "r.json.gz", encoding: str = "base64", kind: str = "tlsrpt+gzip") -> bytes:
    body = base64.encodebytes(attachment) if encoding == "base64" else attachment
    return (
        f"From: a@sender.example\nMIME-Version: 1.0\nContent-Type: application/{kind}\n"
        f'Content-Disposition: attachment; filename="{name}"\nContent-Transfer-Encoding: {encoding}\n\n'
    ).encode() + body


@functools.cache
def zeros(mebibytes: int) -> bytes:
    """Gzip of so many MiB of zeros, made without holding them."""
    packer = zlib.compressobj(6, wbits=31)
    parts = [packer.compress(bytes(1 << 20)) for _unused in range(mebibytes)]
    return b"".join([*parts, packer.flush()])


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """File name, content, and how the reason for its refusal begins."""
    yield "bomb.json.gz", zeros(1000), "it unpacks to more than 4 MiB"
    yield "bomb-of-bombs.json.gz", gzip.compress(zeros(1000)), "it is not UTF-8"
    yield "bomb.eml", mail(zeros(1000)), "it unpacks to more than 4 MiB"
    yield "lists.json", b"[" + b"[]," * 1_300_000 + b"[]]", "the report is missing, or is no JSON object"
    yield "objects.json.gz", gzip.compress(b"[" + b"{}," * 1_300_000 + b"{}]"), "the report is missing"
    yield "deep.json", b"[" * 4_000_000, "it is not JSON"
    yield "deep.eml", mail(gzip.compress(b'{"a":' * 500_000)), "it is not JSON"
    yield "digits.json", b'{"a": ' + b"9" * 4_000_000 + b"}", "it is not JSON"
    yield "cut.json.gz", gzip.compress(GOOD)[:-5], "it is gzip that was cut off"
    yield "utf16.json", GOOD.decode().encode("utf-16-be"), "it is not JSON"
    yield "latin1.json", GOOD.replace(b"Company-X", "Größe".encode("latin-1")), "it is not UTF-8: octet"
    yield "base32.eml", mail(base64.b64encode(GOOD), encoding="base32"), "it is not JSON"
    yield (
        "charset.eml",
        mail(gzip.compress(GOOD), kind="tlsrpt+gzip; charset=no-such\0thing", encoding="8bit"),
        "the mail",
    )
    yield "large.json", b" " * (100 << 20), "it has 104857600 octets, and 4 MiB are read at most"
    yield "large.eml", mail(base64.b64encode(bytes(100 << 20)), encoding="8bit"), "the mail has more than 8 MiB"
    yield "header.eml", b"Subject: " + b"x" * (100 << 20), "the mail has more than 8 MiB"
    parts = b"--b\nContent-Type: application/tlsrpt+json\n\n{\n" * 100_000
    yield "parts.eml", b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n" + parts, "the mail has more"
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(60_000))
    yield "nested.eml", b"X: .json\n" + nested, "the mail"


HOSTILE_NAMES: t.Final = (
    "../../../etc/cron.d/x.json.gz",
    "/etc/shadow.json.gz",
    "x.json\x1b[2J.gz",
    "..\\\\x.json.gz",
    "=?utf-8?b?4oCu?=.json.gz",
    "=?utf-8?q?=2Fetc=2Fx=2Ejson?=",
    "a" * 100_000 + ".json.gz",
)
HARMLESS_NAMES: t.Final = ("-rf.json.gz", "$(reboot).json.gz", "{{ lookup('pipe', 'id') }}.json.gz")


@pytest.fixture(scope="module", name="directory")
def fixture_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hostile")
    for name, content, _reason in hostile():
        (directory / name).write_bytes(content)
    (directory / "good.json").write_bytes(GOOD)
    return directory


def test_each_is_refused_with_its_reason_and_the_good_one_is_read(directory: Path) -> None:
    result = read(directory)
    expected = {name: reason for name, _content, reason in hostile()}
    reasons = {re.split(r"/hostile\d*/|, mail", place)[1]: reason for place, reason in result["refused"]}
    assert {name: reasons.get(name, "it was read")[: len(reason)] for name, reason in expected.items()} == expected
    assert result["reports"] == 1
    assert result["policies"][0]["successful"] == 5


def mailbox(path: Path, *mails: bytes) -> Path:
    path.write_bytes(b"".join(b"From x\n" + one + b"\n" for one in mails))
    return path


def test_hostile_names_of_attachments_are_refused_with_a_harmless_line(tmp_path: Path) -> None:
    box = mailbox(tmp_path / "mbox", *(mail(gzip.compress(GOOD), name) for name in HOSTILE_NAMES))
    before = sorted(tmp_path.iterdir())
    result = read(box)
    assert [place for place, _reason in result["refused"]] == [
        f"{box}, mail {number}" for number in range(1, len(HOSTILE_NAMES) + 1)
    ]
    assert {reason.split(":")[0] for _place, reason in result["refused"]} == {"its file name is hostile"}
    assert max(len(reason) for _place, reason in result["refused"]) < 200
    assert "".join(reason for _place, reason in result["refused"]).isprintable()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_odd_names_of_attachments_are_only_names(name: str, tmp_path: Path) -> None:
    result = read(mailbox(tmp_path / "mbox", mail(gzip.compress(GOOD), name)))
    assert (result["reports"], result["refused"]) == (1, [])


def test_bombs_take_no_room_from_reports(tmp_path: Path) -> None:
    bomb = mail(gzip.compress(b"[" + b"[]," * 1_300_000 + b"[]]", 1))
    result = read(mailbox(tmp_path / "mbox", *[bomb] * 20, mail(gzip.compress(GOOD))))
    assert (len(result["refused"]), result["reports"]) == (20, 1)


def test_a_mailbox_full_of_bombs_is_left_when_they_are_too_many(tmp_path: Path) -> None:
    bomb = mail(gzip.compress(b"[" + b"[]," * 1_300_000 + b"[]]", 1))
    result = read(mailbox(tmp_path / "mbox", *[bomb] * 1_000))
    assert len(result["refused"]) < 1_000
    assert result["refused"][-1][1].startswith("reading took more than 8 s; the rest was not read")


def test_gzip_of_countless_members_costs_little(tmp_path: Path) -> None:
    (tmp_path / "members.json.gz").write_bytes(gzip.compress(b"") * 200_000)
    result = read(tmp_path)
    assert [reason for _place, reason in result["refused"]] == ["it is gzip of more than 10 members"]
    assert result["seconds"] < 2


def test_reports_without_number_of_domains_without_number_take_bounded_room(tmp_path: Path) -> None:
    failures = [
        {"result-type": "tlsa-invalid", "receiving-mx-hostname": f"h{number}.example", "failed-session-count": 1}
        for number in range(2_000)
    ]
    document = json.loads(GOOD)
    box = tmp_path / "mbox"
    with box.open("wb") as file:
        for number in range(100):
            document["report-id"] = str(number)
            document["policies"][0]["policy"]["policy-domain"] = f"d{number}.example"
            document["policies"][0]["failure-details"] = failures
            file.write(b"From x\n" + mail(gzip.compress(json.dumps(document).encode(), 1)) + b"\n")
        document["policies"][0]["failure-details"] = []
        for number in range(20_000):
            document["report-id"] = document["organization-name"] = f"{number:0250}"
            file.write(b"From x\n" + mail(json.dumps(document).encode(), "r.json", "8bit", "tlsrpt+json") + b"\n\n")
    result = read(box)
    assert result["reports"] == 20_100
    assert max(len(one["failures"]) for one in result["policies"]) == 101
    assert len(json.dumps(result)) < 5 << 20


def test_mails_that_only_look_as_if_are_left_when_they_are_too_many(tmp_path: Path) -> None:
    box = tmp_path / "mbox"
    parts = b"--b\nX: .json\n\ntext\n" * 40
    box.write_bytes((b"From x\nContent-Type: multipart/mixed; boundary=b\n\n" + parts + b"--b--\n\n") * 30_000)
    result = read(box)
    assert result["refused"][-1][1].startswith("reading took more than 8 s; the rest was not read")


def test_a_large_mailbox_of_other_mail_is_read_through(tmp_path: Path) -> None:
    box = tmp_path / "mbox"
    other = (
        b"From x\nSubject: hello\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n" + b"text\n" * 200 + b"--b--\n\n"
    )
    box.write_bytes(other * 50_000)
    result = read(box)
    assert result["without"] == 50_000
