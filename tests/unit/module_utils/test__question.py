# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import dns.flags
import dns.message
import dns.name
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._question import Question, question, repeats_question

NAME: t.Final = dns.name.from_text("_25._tcp.mx1.example.org.")


def test_questions_ask_for_signatures_and_for_recursion_only_where_wanted() -> None:
    alone = question(NAME, "TLSA", recursion=False)
    recursive = question(NAME, "TLSA", recursion=True, checking_disabled=True)
    assert dns.flags.to_text(alone.flags) == ""
    assert set(dns.flags.to_text(recursive.flags).split()) == {"RD", "AD", "CD"}
    assert alone.ednsflags & dns.flags.DO
    assert alone.payload == 1232


@pytest.mark.parametrize("name", [".", "mx1.example.org.", "_25._tcp.mx1.example.org.", "\\000\\.A.example."])
@pytest.mark.parametrize("rdtype", ["MX", "A", "AAAA", "TLSA", "CNAME", "NS"])
@pytest.mark.parametrize("flags", [(False, False), (False, True), (True, False), (True, True)])
def test_the_octets_are_those_of_the_message(name: str, rdtype: str, flags: tuple[bool, bool]) -> None:
    asked = Question(dns.name.from_text(name), rdtype, *flags)
    message = asked.message()
    assert asked.octets() == message.to_wire()[2:]
    assert bool(message.flags & dns.flags.CD) is flags[0]
    assert bool(message.ednsflags & dns.flags.DO) is flags[1]


def test_only_an_answer_to_the_question_repeats_it() -> None:
    asked = Question(NAME, "TLSA")
    octets = asked.octets()
    answer = dns.message.make_response(asked.message()).to_wire()
    assert repeats_question(answer, octets)
    assert repeats_question(answer.upper(), octets)
    for other in (b"", answer[:12], answer[:20], asked.message().to_wire()):
        assert not repeats_question(other, octets)
    for different in (Question(NAME, "A"), Question(NAME.parent(), "TLSA")):
        assert not repeats_question(answer, different.octets())
