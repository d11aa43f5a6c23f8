# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PublisherRefused
from ansible_collections.mailsec.dane.plugins.module_utils._publication import Change
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.update_messages import (
    MAX_MESSAGE,
    update_messages,
)
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from hypothesis import given
from hypothesis import strategies as st

ZONE: t.Final = "example.org"


def record(number: int, length: int = 32) -> TlsaRecord:
    return TlsaRecord(3, 1, 0 if length not in (32, 64) else length // 32, number.to_bytes(4, "big") * (length // 4))


def change(
    host: str,
    before: tuple[TlsaRecord, ...],
    after: tuple[TlsaRecord, ...],
    ttl_before: int | None = 300,
    ttl: int = 300,
) -> Change:
    return Change(f"_25._tcp.{host}.{ZONE}", ZONE, before, after, ttl_before if before else None, ttl)


def parsed(message: dns.update.UpdateMessage) -> dns.update.UpdateMessage:
    """The message as a server reads it."""
    read = dns.message.from_wire(message.to_wire())
    assert isinstance(read, dns.update.UpdateMessage)
    return read


def sent(*changes: Change) -> list[dns.update.UpdateMessage]:
    return [parsed(message) for message in update_messages(ZONE, changes, None)]


def flat(rrsets: list[dns.rrset.RRset]) -> list[tuple[str, int, str]]:
    """Each record as ``+``, ``-`` (class NONE) or ``!`` (class ANY), its TTL and text; without text, a whole RRset."""
    signs = {None: "+", dns.rdataclass.NONE: "-", dns.rdataclass.ANY: "!"}
    return [(signs[rrset.deleting], rrset.ttl, str(rdata)) for rrset in rrsets for rdata in (list(rrset) or [""])]


def test_a_first_rrset_wants_none_to_be_there() -> None:
    (message,) = sent(change("mx1", (), (record(1),), ttl=3600))
    assert flat(message.prerequisite) == [("-", 0, "")]
    assert flat(message.update) == [("+", 3600, record(1).to_text())]
    assert message.prerequisite[0].rdtype == dns.rdatatype.TLSA
    assert str(message.zone[0].name) == f"{ZONE}."


def test_a_replacement_wants_the_old_set_and_adds_before_it_removes() -> None:
    (message,) = sent(change("mx1", (record(1), record(2)), (record(2), record(3))))
    assert flat(message.prerequisite) == [("+", 0, record(1).to_text()), ("+", 0, record(2).to_text())]
    assert flat(message.update) == [
        ("+", 300, record(2).to_text()),
        ("+", 300, record(3).to_text()),
        ("-", 0, record(1).to_text()),
    ]


def test_a_removal_alone_adds_nothing() -> None:
    (message,) = sent(change("mx1", (record(1), record(2)), (record(2),)))
    assert flat(message.update) == [("-", 0, record(1).to_text())]


def test_a_new_ttl_is_given_to_every_record_in_one_transaction() -> None:
    (message,) = sent(change("mx1", (record(1), record(2)), (record(2), record(3)), 3600, 300))
    assert flat(message.update) == [
        ("!", 0, ""),
        ("+", 300, record(2).to_text()),
        ("+", 300, record(3).to_text()),
        ("-", 0, record(1).to_text()),
    ]


def test_a_new_ttl_over_several_messages_loses_no_record_before_all_is_added() -> None:
    changes = [change(f"mx{n}", (record(n),), (record(n + 10**6),), 3600, 300) for n in range(1000)]
    messages = sent(*changes)
    added = [message for message in messages if any(sign == "+" for sign, _ttl, _text in flat(message.update))]
    assert messages[: len(added)] == added
    for message in added:
        signs = [sign for sign, _ttl, _text in flat(message.update)]
        assert signs == ["!", "+", "+"] * (len(signs) // 3)
    for message in messages[len(added) :]:
        assert {sign for sign, _ttl, _text in flat(message.update)} == {"-"}


def test_all_additions_of_a_message_come_before_its_removals() -> None:
    (message,) = sent(*(change(f"mx{number}", (record(1),), (record(2),)) for number in range(5)))
    assert [sign for sign, _ttl, _text in flat(message.update)] == ["+"] * 5 + ["-"] * 5


def test_what_does_not_fit_removes_nothing_before_all_is_added() -> None:
    changes = [change(f"mx{number}", (record(number),), (record(number + 10**6),)) for number in range(1000)]
    messages = sent(*changes)
    kinds = ["".join(sorted({sign for sign, _ttl, _text in flat(message.update)})) for message in messages]
    assert kinds == sorted(kinds)  # "+" sorts before "-"
    assert set(kinds) == {"+", "-"}
    for message, kind in zip(messages, kinds, strict=True):
        # Between additions and removals, both records are there.
        assert len(flat(message.prerequisite)) == len(flat(message.update)) * (1 if kind == "+" else 2)


def test_a_thousand_first_rrsets_take_two_messages() -> None:
    messages = sent(*(change(f"mx{number}", (), (record(number),)) for number in range(1000)))
    assert len(messages) == 2
    assert sum(len(message.update) for message in messages) == 1000


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["mx1", "a-rather-long-host-name-for-a-mail-server.of-a.department", "h"]),
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from([32, 64, 4000, 8000]),
        ),
        max_size=40,
    )
)
def test_messages_are_as_large_as_a_server_takes_and_hold_every_change(
    shapes: list[tuple[str, int, int, int]],
) -> None:
    changes = [
        change(
            f"n{index}.{host}",
            tuple(record(number, length) for number in range(before)),
            tuple(record(number + 1, length) for number in range(after)),
        )
        for index, (host, before, after, length) in enumerate(shapes)
        if before or after
    ]
    added: dict[str, set[str]] = {}
    removed: dict[str, set[str]] = {}
    messages = list(update_messages(ZONE, changes, None))
    for message in messages:
        if len(messages) > 1:
            assert len(message.to_wire()) <= 65535
        for rrset in parsed(message).update:
            store = removed if rrset.deleting else added
            store.setdefault(str(rrset.name), set()).update(str(rdata).replace(" ", "") for rdata in rrset)
    for one in changes:
        owner = f"{one.owner}."
        assert removed.get(owner, set()) == {text.to_text().replace(" ", "") for text in one.removed}
        if owner in added:
            assert added[owner] == {text.to_text().replace(" ", "") for text in one.after}
        else:
            assert set(one.after) <= set(one.before)


def test_an_rrset_that_no_message_holds_is_refused() -> None:
    huge = tuple(record(number, 20000) for number in range(2))
    with pytest.raises(PublisherRefused, match=re.escape("the records of _25._tcp.mx1.example.org are too large")):
        list(update_messages(ZONE, [change("mx1", huge, ())], None))


def test_the_room_for_a_signature_is_kept() -> None:
    assert MAX_MESSAGE == 65535 - 512
