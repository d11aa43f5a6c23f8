# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import dns.flags
import dns.name
from ansible_collections.mailsec.dane.plugins.module_utils._question import question

NAME: t.Final = dns.name.from_text("_25._tcp.mx1.example.org.")


def test_questions_ask_for_signatures_and_for_recursion_only_where_wanted() -> None:
    alone = question(NAME, "TLSA", recursion=False)
    recursive = question(NAME, "TLSA", recursion=True, checking_disabled=True)
    assert dns.flags.to_text(alone.flags) == ""
    assert set(dns.flags.to_text(recursive.flags).split()) == {"RD", "AD", "CD"}
    assert alone.ednsflags & dns.flags.DO
    assert alone.payload == 1232
