# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge reads Postfix's log strictly: only its own message, its own process, and one TLS line for one delivery."""

from __future__ import annotations

import pytest

from lab.judge import Message, first_outcome

MESSAGE = Message("sender", "root@one.example", "m1@lab.invalid", 0.0)
RELAY = "mx1.one.example[fd53::31]:25"


def line(program: str, pid: int, text: str) -> str:
    """Return a line as Postfix writes it to a file."""
    return f"Nov 22 12:16:27 mta postfix/{program}[{pid}]: {text}\n"


def named(queue_id: str = "7704A1C6CBA", message_id: str = "m1@lab.invalid") -> str:
    return line("cleanup", 2350, f"{queue_id}: message-id=<{message_id}>")


def tls(trust: str = "Verified", relay: str = RELAY, pid: int = 2361, how: str = "established") -> str:
    return line("smtp", pid, f"{trust} TLS connection {how} to {relay}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384")


def told(status: str = "sent", relay: str = RELAY, pid: int = 2361, queue_id: str = "7704A1C6CBA") -> str:
    return line(
        "smtp",
        pid,
        f"{queue_id}: to=<root@one.example>, relay={relay}, delay=0.25, delays=0.02/0.02/0.18/0.02, dsn=2.0.0, "
        f"status={status} (250 2.0.0 Ok)",
    )


def test_a_verified_delivery() -> None:
    delivery = first_outcome([named(), tls(), told()], MESSAGE)
    assert delivery is not None
    assert delivery.verified
    assert (delivery.status, delivery.dsn, delivery.relay) == ("sent", "2.0.0", RELAY)
    assert delivery.judge_line == told().strip()
    assert delivery.tls_line == tls().strip()


def test_a_reused_connection_counts() -> None:
    delivery = first_outcome([named(), tls(how="reused"), told()], MESSAGE)
    assert delivery is not None
    assert delivery.verified


def test_the_journal_prefix_of_a_managed_host() -> None:
    lines = [text.replace("mta postfix", "mx1.one.example postfix") for text in (named(), tls(), told())]
    delivery = first_outcome(lines, MESSAGE)
    assert delivery is not None
    assert delivery.verified


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([named(), tls("Trusted"), told()], id="Trusted is not success"),
        pytest.param([named(), tls("Untrusted"), told()], id="Untrusted"),
        pytest.param([named(), tls("Anonymous"), told()], id="Anonymous"),
        pytest.param([named(), told()], id="no TLS at all"),
        pytest.param([named(), tls(pid=2362), told()], id="another process"),
        pytest.param([named(), tls(relay="mx2.two.example[fd53::32]:25"), told()], id="another relay"),
        pytest.param([named(), tls(), told(status="deferred")], id="verified, yet deferred"),
        pytest.param([named(), tls("Verified"), tls("Untrusted"), told()], id="the last connection counts"),
        pytest.param(
            [tls(), told(queue_id="AAAAAAAAAAA"), named(), told()], id="the TLS line of the process's earlier message"
        ),
    ],
)
def test_not_verified(lines: list[str]) -> None:
    delivery = first_outcome(lines, MESSAGE)
    assert delivery is not None
    assert not delivery.verified


def test_other_messages_are_not_ours() -> None:
    lines = [named(message_id="other@lab.invalid"), tls(), told()]
    assert first_outcome(lines, MESSAGE) is None


def test_until_skips_earlier_outcomes_and_their_tls_lines() -> None:
    lines = [named(), tls(), told("deferred"), told("sent")]
    delivery = first_outcome(lines, MESSAGE, until="sent")
    assert delivery is not None
    assert delivery.status == "sent"
    assert not delivery.verified


def test_a_failure_without_relay() -> None:
    failure = line(
        "smtp",
        7,
        "7704A1C6CBA: to=<root@one.example>, relay=none, delay=0.02, delays=0/0.01/0/0, dsn=4.7.5, status=deferred "
        "(Server certificate not trusted)",
    )
    delivery = first_outcome(["-- Journal begins --\n", named(), failure], MESSAGE)
    assert delivery is not None
    assert (delivery.status, delivery.dsn, delivery.relay, delivery.tls_line) == ("deferred", "4.7.5", "none", "")


def test_a_local_delivery_with_an_alias() -> None:
    text = "7704A1C6CBA: to=<inbox@sender.example>, orig_to=<root@one.example>, relay=local, delay=0, dsn=2.0.0, "
    delivery = first_outcome([named(), line("local", 7, text + "status=sent (delivered to mailbox)")], MESSAGE)
    assert delivery is not None
    assert delivery.status == "sent"
    assert not delivery.verified
