# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The count of what became of the traffic: nothing that went wrong is overlooked, whatever went right beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollover.tally import Tally, count, join, reason

DOMAINS = ("one.example", "two.example")
RELAYS = {"one.example": "mx1.one.example[fd53::31]:25", "two.example": "mx2.two.example[10.53.0.32]:25"}


def line(program: str, pid: int, text: str) -> str:
    """Return a line as Postfix writes it to a file."""
    return f"Nov 22 12:16:27 mta postfix/{program}[{pid}]: {text}"


def named(turn: int, tag: str = "plain") -> str:
    return line("cleanup", 5, f"Q{turn}: message-id=<{tag}.{turn}@traffic.invalid>")


def tls(turn: int, trust: str = "Verified", pid: int = 9) -> str:
    relay = RELAYS[DOMAINS[turn % 2]]
    return line("smtp", pid, f"{trust} TLS connection established to {relay}: TLSv1.3 with cipher X")


def told(turn: int, status: str = "sent", pid: int = 9, why: str = "250 2.0.0 Ok") -> str:
    domain = DOMAINS[turn % 2]
    return line(
        "smtp",
        pid,
        f"Q{turn}: to=<traffic@{domain}>, relay={RELAYS[domain]}, delay=0.2, delays=0/0/0/0, dsn=2.0.0, "
        f"status={status} ({why})",
    )


def good(turn: int) -> list[str]:
    return [named(turn), tls(turn), told(turn)]


def whole(*lines: str, accepted: int = 2) -> Tally:
    """Count both domains together."""
    return join(list(count(lines, "plain", accepted, DOMAINS).values()))


def test_all_verified_at_the_first_attempt() -> None:
    tallies = count([*good(0), *good(1), *good(2)], "plain", 3, DOMAINS)
    assert (tallies["one.example"].verified, tallies["two.example"].verified) == (2, 1)
    assert all(tally.flawless and tally.faults() == "" for tally in tallies.values())


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([named(1), told(1)], "1 unverified"),
        ([named(1), tls(1, "Trusted"), told(1)], "1 unverified, 1 TLS connections not verified"),
        ([named(1), told(1, "deferred"), tls(1), told(1)], "1 deferred"),
        ([named(1), tls(1, "Untrusted"), told(1, "deferred"), tls(1), told(1)], "1 deferred, 1 TLS connections"),
        ([named(1), tls(1, "Untrusted"), tls(1), told(1)], "1 TLS connections not verified"),
        ([named(1), told(1, "bounced")], "1 bounced"),
        ([named(1), told(1, "deferred")], "1 deferred, 1 still queued"),
        ([named(1)], "1 not in the log"),
        ([], "1 not in the log"),
        ([named(1, tag="other"), tls(1), told(1)], "1 not in the log"),
    ],
)
def test_one_fault_beside_a_good_message(lines: list[str], fault: str) -> None:
    tally = whole(*good(0), *lines)
    assert not tally.flawless
    assert tally.faults().startswith(fault)
    assert (tally.tried, tally.sent) == (2, tally.verified + tally.leaked)


def test_no_traffic_is_not_flawless() -> None:
    tally = whole(accepted=0)
    assert not tally.flawless
    assert tally.faults() == "no traffic"


def test_a_connection_of_an_earlier_message_proves_nothing() -> None:
    assert whole(*good(0), named(1), told(1)).leaked == 1


def test_a_message_that_was_taken_over_and_lost() -> None:
    tally = replace(whole(*good(0), *good(1)), lost=1)
    assert not tally.flawless
    assert tally.faults() == "1 taken over and lost"


def test_the_reason_of_a_deferral() -> None:
    why = "connect to mx2.two.example[10.53.0.32]:25: Connection refused"
    tally = whole(*good(0), named(1), told(1, "deferred", why=why), tls(1), told(1))
    assert [reason(attempt) for attempt in tally.deferrals] == [why]
