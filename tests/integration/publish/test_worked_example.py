# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The worked example of the guide, a program that tells a person what to publish: it runs, against a real server."""

from __future__ import annotations

import re
import stat
import sys
import typing as t
from email import message_from_bytes, policy
from pathlib import Path

import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._convergence import Outcome, converge
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PublisherUnavailable
from ansible_collections.mailsec.dane.plugins.module_utils._publication import State, wanted_rrsets
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.exec import ExecPublisher

from loopback_nameservers import Bind, free_port

EXAMPLE: t.Final = Path(__file__).resolve().parents[3] / "docs" / "examples" / "tell_a_person.py"
MX1: t.Final = "_25._tcp.mx1.a.example"
A, B = (f"3 1 1 {digit * 64}" for digit in "ab")


class Desk:
    """The person's: a sendmail command that puts each mail into a file."""

    def __init__(self, directory: Path) -> None:
        self._mails = directory / "mails"
        self._mails.mkdir()
        self.sendmail = directory / "sendmail"
        self.sendmail.write_text(f'#!/bin/sh\nset -e\ncat > "$(mktemp {self._mails}/XXXXXX)"\n')
        self.sendmail.chmod(0o755)
        self.told = directory / "told"

    @property
    def mails(self) -> list[str]:
        """The text of each mail, the oldest first."""
        paths = sorted(self._mails.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [message_from_bytes(path.read_bytes(), policy=policy.default).get_content() for path in paths]

    def publisher(self, port: int, zone: str = "a.example") -> ExecPublisher:
        arguments = ["--zone", zone, "--server", "127.0.0.1", "--port", str(port), "--mail", "dns@a.example"]
        files = ["--sendmail", str(self.sendmail), "--told", str(self.told)]
        return ExecPublisher.from_options({"command": [sys.executable, str(EXAMPLE), *arguments, *files]})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def publish(desk: Desk, port: int, *records: str, name: str = MX1, state: State = State.EXACT) -> Outcome:
    wanted = wanted_rrsets([{"name": name, "records": [*records]}], state)
    return converge(desk.publisher(port), wanted, resolver=None)


def the_person_does_it(bind: Bind, mail: str) -> None:
    """Exactly what the mail says, and in its order."""
    update = dns.update.UpdateMessage("a.example.", keyring=dns.tsig.Key(bind.key.name, bind.key.secret))
    for line in mail.splitlines():
        if found := re.fullmatch(r"add +(\S+) (\d+) IN TLSA (.*)", line):
            update.add(found[1], int(found[2]), "TLSA", found[3])
        elif found := re.fullmatch(r"remove +(\S+) IN TLSA (.*)", line):
            update.delete(found[1], "TLSA", found[2])
    assert update.update
    assert dns.query.tcp(update, "127.0.0.1", 5, bind.port).rcode() == dns.rcode.NOERROR


def test_a_person_is_told_once_and_when_it_is_done_nothing_is_left_to_do(bind: Bind, desk: Desk) -> None:
    for records, before in (((A,), []), ((B,), [A])):
        for _twice in range(2):
            outcome = publish(desk, bind.port, *records)
            assert re.fullmatch(
                r"Zone a\.example: the program \S+ has passed the change on, and it is not made yet; run again once it "
                r"is \(asked to apply\): dns@a\.example was told what to publish",
                outcome.errors["a.example"],
            )
            assert bind.records(MX1) == before
        the_person_does_it(bind, desk.mails[-1])
        assert bind.records(MX1) == [*records]
        done = publish(desk, bind.port, *records)
        assert (done.errors, done.before) == ({}, done.after)
    assert len(desk.mails) == 2


def test_a_person_with_two_zones_is_told_once_of_each(bind: Bind, desk: Desk) -> None:
    for _again in range(3):
        for zone in ("a.example", "b.example"):
            wanted = wanted_rrsets([{"name": f"_25._tcp.mx1.{zone}", "records": [A]}], State.EXACT)
            outcome = converge(desk.publisher(bind.port, zone), wanted, resolver=None)
            assert "was told what to publish" in outcome.errors[zone]
    assert [line for mail in desk.mails for line in mail.splitlines() if line.startswith("add")] == [
        f"add     _25._tcp.mx1.{zone}. 3600 IN TLSA {A}" for zone in ("a.example", "b.example")
    ]


@pytest.mark.parametrize("fault", ["dead", "lame", "alias", "sendmail"])
def test_what_cannot_be_found_out_or_told_is_a_failure(bind: Bind, desk: Desk, fault: str) -> None:
    the_person_does_it(bind, f"add {MX1}. 300 IN TLSA {A}")
    if fault == "sendmail":
        desk.sendmail.chmod(stat.S_IRUSR)
        outcome = publish(desk, bind.port, state=State.ABSENT)
        assert (
            "failed with exit status 1 (asked to apply): the mail to dns@a.example could not"
            in outcome.errors["a.example"]
        )
        assert not desk.told.exists()
    else:
        port = free_port() if fault == "dead" else bind.port
        name = {"dead": MX1, "lame": "_25._tcp.mx1.c.example", "alias": "_25._tcp.alias.a.example"}[fault]
        with pytest.raises(
            PublisherUnavailable, match=r"failed with exit status 1 \(asked to read\): 127\.0\.0\.1 could"
        ):
            publish(desk, port, state=State.ABSENT, name=name)
    assert (desk.mails, bind.records(MX1)) == ([], [A])
