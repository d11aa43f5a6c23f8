# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._publication import DEFAULT_TTL, Published
from ansible_collections.mailsec.dane.plugins.module_utils._records import TextRecord
from ansible_collections.mailsec.dane.plugins.module_utils._tlsrpt_record import (
    plan_tlsrpt,
    tlsrpt_owner_name,
    tlsrpt_record,
    wanted_tlsrpt,
)

NAME: t.Final = "_smtp._tls.example.org"
OURS: t.Final = TextRecord.of("v=TLSRPTv1; rua=mailto:tls-reports@example.org")
OLD: t.Final = TextRecord.of("v=TLSRPTv1;rua=mailto:old@example.org")
OTHERS: t.Final = TextRecord.of("v=TLSRPTv10; a record of a later version")


def published(*records: TextRecord, owner: str = NAME, ttl: int = 300) -> dict[str, Published]:
    return {NAME: Published(NAME, owner, "example.org", ttl if records else None, tuple(sorted(records)))}


def after(
    *records: TextRecord, ttl: int | None = None, absent: bool = False, owner: str = NAME
) -> tuple[set[TextRecord], int] | None:
    """Records and TTL that a run leaves, None where it changes nothing."""
    changes = plan_tlsrpt(
        wanted_tlsrpt([{"name": "example.org"}], ttl, absent=absent), published(*records, owner=owner)
    )
    if not changes:
        return None
    (change,) = changes
    assert (change.owner, change.zone, set(change.before)) == (owner, "example.org", set(records))
    return set(t.cast("tuple[TextRecord, ...]", change.after)), change.ttl


# --- what is published ------------------------------------------------------------------------------------------------


def test_the_record_asks_for_reports_at_the_mail_domain() -> None:
    assert tlsrpt_owner_name("Example.ORG.") == NAME
    assert tlsrpt_record(["tls-reports@example.org"]) == "v=TLSRPTv1; rua=mailto:tls-reports@example.org"
    assert wanted_tlsrpt([{"name": "Example.org.", "rua": []}], None)[0].records == (OURS,)


def test_characters_that_would_end_an_address_are_encoded() -> None:
    assert tlsrpt_record(["mailto:a,b!c;d@example.org", "https://example.org/r;x%20y"]) == (
        "v=TLSRPTv1; rua=mailto:a%2Cb%21c%3Bd@example.org,https://example.org/r%3Bx%20y"
    )


@pytest.mark.parametrize("address", ["", "nobody", "http://example.org/", "a b@example.org", "ä@example.org", "a@b\n"])
def test_what_reports_cannot_be_sent_to_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="TLS reports cannot be sent to"):
        tlsrpt_record([address])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("100%@example.org", "write it as %25"),
        ("https://example.org/%2", "write it as %25"),
        ("a@example_org", "may hold letters, digits and inner hyphens only"),
        ("a@", "TLS reports cannot be sent to"),
    ],
)
def test_an_address_must_be_an_address(address: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        tlsrpt_record([address])


def test_a_record_without_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="needs a mail address"):
        tlsrpt_record([])


def test_a_domain_may_be_there_twice_with_the_same_addresses_only() -> None:
    same = {"name": "example.org", "rua": ["a@example.org"]}
    assert len(wanted_tlsrpt([same, {**same, "name": "EXAMPLE.org"}], 300)) == 1
    with pytest.raises(InvalidInput, match="wanted with different addresses"):
        wanted_tlsrpt([same, {"name": "example.org"}], 300)


@pytest.mark.parametrize("ttl", [0, 604801])
def test_a_ttl_out_of_range_is_refused(ttl: int) -> None:
    with pytest.raises(InvalidInput, match=f"TTL {ttl} is not from 1 to 604800 seconds"):
        wanted_tlsrpt([{"name": "example.org"}], ttl)


# --- what changes -----------------------------------------------------------------------------------------------------


def test_a_record_is_added_where_there_is_none() -> None:
    assert after() == ({OURS}, DEFAULT_TTL)
    assert after(ttl=120) == ({OURS}, 120)


def test_a_record_that_says_the_same_is_kept_however_it_is_cut() -> None:
    cut = TextRecord((b"v=TLSRPTv1; ", b"rua=mailto:tls-reports@example.org"))
    assert after(OURS) is None
    assert after(cut) is None
    assert after(cut, ttl=300) is None
    assert after(cut, ttl=600) == ({cut}, 600)


def test_any_other_number_of_records_becomes_the_one_that_is_wanted() -> None:
    assert after(OLD) == ({OURS}, 300)
    assert after(OLD, OURS) == ({OURS}, 300)
    assert after(OLD, TextRecord.of("v=TLSRPTv1")) == ({OURS}, 300)


def test_records_of_others_stay_and_so_does_their_ttl() -> None:
    spf = TextRecord.of("v=spf1 -all")
    binary = TextRecord((b"\xff\x00",))
    assert after(OTHERS, spf, binary, OLD, ttl=600) == ({OTHERS, spf, binary, OURS}, 300)
    assert after(OTHERS, OURS, ttl=600) is None
    assert after(OTHERS, OLD, absent=True) == ({OTHERS}, 300)


def test_a_record_that_is_not_wanted_goes() -> None:
    assert after(OURS, absent=True) == (set(), 300)
    assert after(OLD, OURS, absent=True) == (set(), 300)
    assert after(absent=True) is None
    assert after(OTHERS, absent=True) is None


def test_at_the_target_of_an_alias_a_record_is_added_and_none_replaced() -> None:
    target = "_smtp._tls.provider.example.org"
    assert after(owner=target) == ({OURS}, DEFAULT_TTL)
    assert after(OTHERS, owner=target) == ({OTHERS, OURS}, 300)
    assert after(OURS, owner=target) is None
    for absent in (False, True):
        with pytest.raises(
            InvalidInput, match=f"{NAME} is an alias of {target}, which says 'v=TLSRPTv1;rua=mailto:old"
        ):
            after(OLD, owner=target, absent=absent)


def test_two_aliases_of_one_target_cannot_want_different_records() -> None:
    wanted = wanted_tlsrpt([{"name": "example.org"}, {"name": "example.net"}], None)
    there = {one.name: Published(one.name, "tlsrpt.example.org", "example.org", None, ()) for one in wanted}
    with pytest.raises(InvalidInput, match=r"tlsrpt\.example\.org is the target of aliases that want different"):
        plan_tlsrpt(wanted, there)
    same = wanted_tlsrpt([{"name": name, "rua": ["a@example.org"]} for name in ("example.org", "example.net")], None)
    assert len(plan_tlsrpt(same, there)) == 1
