# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key tags are held against dnspython's, the states of RFC 5011 against what unbound writes into its file."""

from __future__ import annotations

import base64
import typing as t

import dns.dnssec
import dns.rdata
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_anchor import judge_anchor, key_tags
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import ServerState, Verdict
from hypothesis import given
from hypothesis import strategies as st

NOW: t.Final = 1_700_000_000
DAY: t.Final = 86400
FILE: t.Final = "/var/lib/unbound/root.key"
KEY: t.Final = ". 172800 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTO"
OTHER: t.Final = ". 172800 IN DNSKEY 257 3 13 " + base64.b64encode(bytes(range(64))).decode()
ZONE_KEY: t.Final = KEY.replace(" 257 ", " 256 ")


def tag(record: str) -> int:
    rdata = dns.rdata.from_text("IN", "DNSKEY", record.split("DNSKEY ")[1])
    return int(dns.dnssec.key_id(rdata))  # type: ignore[arg-type]  # from_text gives the class of the type


@given(st.binary(min_size=1, max_size=70), st.sampled_from([5, 8, 13, 15]))
def test_a_key_tag_is_that_of_rfc_4034(public: bytes, algorithm: int) -> None:
    record = f". 0 IN DNSKEY 257 3 {algorithm} {base64.b64encode(public).decode()}"
    assert key_tags(record) == {tag(record)}


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", set()),
        (". IN DS 20326 8 2 E06D44B8\n. 3600 IN DS 38696 8 2 683D2D0A\n", {20326, 38696}),
        (
            f"; autotrust trust anchor file\n;;id: . 1\n{KEY} ;{{id = 1 (ksk)}} ;;state=2 [  VALID  ] ;;count=0\n",
            {tag(KEY)},
        ),
        (f"{KEY} ;;state=1 [ ADDPEND ] ;;count=3\n", {tag(KEY)}),
        (f"{KEY} ;;state=3 [ MISSING ]\n{OTHER}\n", {tag(OTHER)}),
        (f"{KEY} ;;state=4 [ REVOKED ]\n", set()),
        (f"{KEY} ;;state=5 [ REMOVED ]\n", set()),
        (f";{KEY}\n", set()),
        (f"{ZONE_KEY}\n", set()),
        (". IN DNSKEY 257 3 8 AwE\n", set()),  # cut off: no base64
    ],
)
def test_keys_in_force_are_found(text: str, tags: set[int]) -> None:
    assert key_tags(text) == tags


def state(text: str | None, *, writable: bool = True, packaged: str = "") -> ServerState:
    return ServerState(
        options={"auto-trust-anchor-file": (FILE,)},
        anchor_file=FILE,
        anchor_text=text,
        anchor_writable=writable,
        packaged_anchor=packaged,
    )


FRESH: t.Final = f";;last_success: {NOW - DAY} ;;x\n{KEY}\n"
STALE: t.Final = f";;last_success: {NOW - 31 * DAY} ;;x\n{KEY}\n"


@pytest.mark.parametrize(
    ("server", "verdict", "evidence", "advice"),
    [
        (ServerState(), Verdict.FAILED, "none", "Without one unbound validates nothing"),
        (
            ServerState(options={"trust-anchor": (". IN DS 1 8 2 AB",)}),
            Verdict.OK,
            "configured by hand (trust-anchor)",
            "",
        ),
        (state(KEY), Verdict.OK, f"{FILE} with the keys {tag(KEY)}", ""),
        (state(FRESH), Verdict.OK, f"{FILE} with the keys {tag(KEY)}, last seen at the root 1 days ago", ""),
        (state(f";;last_success: 0 ;;x\n{KEY}\n"), Verdict.OK, f"{FILE} with the keys {tag(KEY)}", ""),
        (
            state(STALE),
            Verdict.WARNING,
            f"{FILE} with the keys {tag(KEY)}, last seen at the root 31 days ago",
            "unbound could not refresh the root's keys",
        ),
        (
            state(KEY, writable=False),
            Verdict.WARNING,
            f"{FILE} with the keys {tag(KEY)}",
            "Make the file and its folder writable",
        ),
        (
            state(KEY, packaged=". IN DS 38696 8 2 683D"),
            Verdict.WARNING,
            f"{FILE} with the keys {tag(KEY)}",
            "It lacks the key 38696 of dns-root-data",
        ),
        (state(None), Verdict.FAILED, f"{FILE} with the keys none", "Restart unbound"),
    ],
)
def test_an_anchor_is_judged(server: ServerState, verdict: Verdict, evidence: str, advice: str) -> None:
    finding = judge_anchor(server, NOW)
    assert (finding.verdict, finding.evidence) == (verdict, evidence)
    assert finding.advice.startswith(advice)
    assert bool(finding.advice) is (verdict is not Verdict.OK)
