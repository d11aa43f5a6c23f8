# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers prove. Every verdict but `ok` says what to do."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_evidence import (
    Finding,
    Group,
    Reply,
    Signature,
    Verdict,
)
from ansible_collections.mailsec.dane.plugins.module_utils._resolver_proof import (
    judge_algorithms,
    judge_bogus,
    judge_clock,
    judge_denial,
    judge_forwarder,
    judge_libc,
    judge_signed,
    judge_transport,
    judge_unsigned,
)

NOW: t.Final = 1_700_000_000  # 2023-11-14 22:13 UTC
DAY: t.Final = 86400
CURRENT: t.Final = Signature(algorithm=13, inception=NOW - DAY, expiration=NOW + DAY)
OVER: t.Final = Signature(algorithm=13, inception=NOW - 3 * DAY, expiration=NOW - DAY)
TO_COME: t.Final = Signature(algorithm=13, inception=NOW + DAY, expiration=NOW + 3 * DAY)
SEEN: t.Final = "it is 2023-11-14 22:13 UTC here, and a signature of zone holds from"

SECURE: t.Final = Reply(authenticated=True, signatures=(CURRENT,), payload=1232)
PLAIN: t.Final = Reply()
SIGNED: t.Final = Reply(signatures=(CURRENT,))
BOGUS: t.Final = Reply(rcode="SERVFAIL")
REFUSED: t.Final = Reply(rcode="REFUSED")
SILENCE: t.Final = Reply(failure="no answer in time")
DENIED: t.Final = Reply(authenticated=True, denial=frozenset({"NSEC"}), signatures=(CURRENT,))


def checked(finding: Finding) -> Verdict:
    """The verdict, once the finding has been seen to be fit for people."""
    assert finding.evidence
    assert bool(finding.advice) is (finding.verdict is not Verdict.OK), finding
    return finding.verdict


@pytest.mark.parametrize(
    ("reply", "unchecked", "verdict", "words"),
    [
        (SECURE, SIGNED, Verdict.OK, ""),
        (Reply(rcode="NXDOMAIN", authenticated=True), PLAIN, Verdict.OK, ""),
        (SIGNED, SIGNED, Verdict.FAILED, "does not validate"),
        (PLAIN, PLAIN, Verdict.FAILED, "came without signatures"),
        (BOGUS, SIGNED, Verdict.FAILED, "The chain of trust breaks on the way to example.org"),
        (BOGUS, Reply(signatures=(OVER,)), Verdict.FAILED, "This host's clock says 2023-11-14 22:13 UTC"),
        (BOGUS, Reply(signatures=(TO_COME,)), Verdict.FAILED, "This host's clock says 2023-11-14 22:13 UTC"),
        (BOGUS, BOGUS, Verdict.FAILED, "can reach the Internet"),
        (BOGUS, SILENCE, Verdict.FAILED, "can reach the Internet"),
        (REFUSED, REFUSED, Verdict.FAILED, "can reach the Internet"),
        (SILENCE, SILENCE, Verdict.FAILED, "See that the resolver runs"),
    ],
)
def test_a_signed_name_needs_ad(reply: Reply, unchecked: Reply, verdict: Verdict, words: str) -> None:
    finding = judge_signed("example.org", reply, unchecked, NOW)
    assert checked(finding) is verdict
    assert words in finding.advice
    assert finding.subject == "signed name example.org"


@pytest.mark.parametrize(
    ("reply", "unchecked", "verdict"),
    [
        (BOGUS, PLAIN, Verdict.OK),
        (BOGUS, Reply(rcode="NXDOMAIN"), Verdict.OK),
        (PLAIN, PLAIN, Verdict.FAILED),
        (SECURE, PLAIN, Verdict.FAILED),
        (Reply(rcode="NXDOMAIN"), PLAIN, Verdict.FAILED),
        (BOGUS, BOGUS, Verdict.UNKNOWN),
        (BOGUS, SILENCE, Verdict.UNKNOWN),
        (REFUSED, PLAIN, Verdict.UNKNOWN),
        (SILENCE, PLAIN, Verdict.UNKNOWN),
    ],
)
def test_a_bogus_name_is_refused_and_known_unchecked(reply: Reply, unchecked: Reply, verdict: Verdict) -> None:
    assert checked(judge_bogus("bad.example", reply, unchecked)) is verdict


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (PLAIN, Verdict.OK),
        (Reply(rcode="NXDOMAIN"), Verdict.OK),
        (SECURE, Verdict.FAILED),
        (BOGUS, Verdict.FAILED),
        (SILENCE, Verdict.FAILED),
    ],
)
def test_an_unsigned_name_resolves_without_ad(reply: Reply, verdict: Verdict) -> None:
    assert checked(judge_unsigned("plain.example", reply)) is verdict


@pytest.mark.parametrize(
    ("replies", "verdict", "evidence"),
    [
        ([DENIED], Verdict.OK, "with AD, by NSEC"),
        (
            [DENIED, Reply(authenticated=True, denial=frozenset({"NSEC3"}))],
            Verdict.OK,
            "with AD, by NSEC and NSEC3",
        ),
        ([DENIED, Reply(denial=frozenset({"NSEC"}))], Verdict.FAILED, "zone 1: NOERROR without AD"),
        ([SILENCE], Verdict.FAILED, "zone 0: no answer in time"),
        ([SECURE], Verdict.UNKNOWN, "no answer held NSEC or NSEC3"),
    ],
)
def test_denials_need_ad(replies: list[Reply], verdict: Verdict, evidence: str) -> None:
    finding = judge_denial([(f"zone {index}", reply) for index, reply in enumerate(replies)])
    assert (checked(finding), finding.evidence) == (verdict, evidence)


@pytest.mark.parametrize(
    ("by_udp", "by_tcp", "verdict", "evidence"),
    [
        (SECURE, SECURE, Verdict.OK, "EDNS with 1232 bytes, answers by TCP"),
        (SECURE, SILENCE, Verdict.FAILED, "by TCP: no answer in time"),
        (SILENCE, SECURE, Verdict.FAILED, "by UDP: no answer in time"),
        (PLAIN, SECURE, Verdict.FAILED, "no EDNS in the answer"),
        (replace(SECURE, payload=1220), SECURE, Verdict.OK, "EDNS with 1220 bytes, answers by TCP"),
        (replace(SECURE, payload=512), SECURE, Verdict.WARNING, "EDNS with 512 bytes, answers by TCP"),
        (replace(SECURE, payload=4096), SECURE, Verdict.WARNING, "EDNS with 4096 bytes, answers by TCP"),
    ],
)
def test_edns_and_tcp_are_needed(by_udp: Reply, by_tcp: Reply, verdict: Verdict, evidence: str) -> None:
    finding = judge_transport(by_udp, by_tcp, [("zone", replace(SECURE, size=1232))])
    assert (checked(finding), finding.evidence) == (verdict, evidence)


def test_an_answer_that_no_datagram_holds_has_shown_that_tcp_takes_over() -> None:
    finding = judge_transport(SECURE, SECURE, [("short", SECURE), ("long TXT", replace(SECURE, size=2500))])
    assert checked(finding) is Verdict.OK
    assert finding.evidence.endswith("by TCP, to which it fell back for the 2500 bytes of long TXT")


@pytest.mark.parametrize(
    ("signatures", "verdict", "evidence"),
    [
        ((CURRENT,), Verdict.OK, "at least 24 h inside every signature seen"),
        (
            (CURRENT, OVER),
            Verdict.WARNING,
            f"{SEEN} 2023-11-11 22:13 UTC to 2023-11-13 22:13 UTC",
        ),
        (
            (TO_COME,),
            Verdict.WARNING,
            f"{SEEN} 2023-11-15 22:13 UTC to 2023-11-17 22:13 UTC",
        ),
        ((), Verdict.UNKNOWN, "no signature was seen"),
    ],
)
def test_the_clock_lies_within_every_signature(
    signatures: tuple[Signature, ...], verdict: Verdict, evidence: str
) -> None:
    finding = judge_clock([("zone", Reply(signatures=signatures))], NOW)
    assert (checked(finding), finding.evidence) == (verdict, evidence)


def algorithm(number: int, *, authenticated: bool = True) -> tuple[str, Reply]:
    return "zone", Reply(authenticated=authenticated, signatures=(Signature(number, NOW, NOW),))


@pytest.mark.parametrize(
    ("replies", "verdict", "evidence", "advice"),
    [
        (
            [algorithm(8), algorithm(13), algorithm(15)],
            Verdict.OK,
            "validated 8 (RSASHA256), 13 (ECDSAP256SHA256), 15 (ED25519)",
            "",
        ),
        ([algorithm(8), algorithm(14)], Verdict.UNKNOWN, "validated 8 (RSASHA256), 14 (other)", "To try 13"),
        ([algorithm(8, authenticated=False)], Verdict.UNKNOWN, "validated none", "To try 8"),
    ],
)
def test_algorithms_count_once_they_validated(
    replies: list[tuple[str, Reply]], verdict: Verdict, evidence: str, advice: str
) -> None:
    finding = judge_algorithms(replies)
    assert (checked(finding), finding.evidence) == (verdict, evidence)
    assert finding.advice.startswith(advice)


@pytest.mark.parametrize(
    ("replies", "verdict", "evidence"),
    [
        ([SIGNED, DENIED], Verdict.OK, "passes signatures on for 2 questions"),
        ([SIGNED, PLAIN], Verdict.FAILED, "zone 1: no RRSIG in the answer"),
        ([SILENCE], Verdict.FAILED, "zone 0: no answer in time"),
        ([BOGUS], Verdict.FAILED, "zone 0: SERVFAIL without AD"),
    ],
)
def test_a_forwarder_passes_signatures_on(replies: list[Reply], verdict: Verdict, evidence: str) -> None:
    finding = judge_forwarder("192.0.2.53", [(f"zone {index}", reply) for index, reply in enumerate(replies)])
    assert (checked(finding), finding.evidence, finding.group) == (verdict, evidence, Group.FORWARDERS)


@pytest.mark.parametrize(
    ("reply", "verdict", "advice"),
    [
        (SECURE, Verdict.OK, ""),
        (PLAIN, Verdict.FAILED, "Put 'options edns0 trust-ad' into /etc/resolv.conf"),
        (SILENCE, Verdict.FAILED, "Programs on this host cannot resolve names"),
        (BOGUS, Verdict.FAILED, "Programs on this host cannot resolve names"),
    ],
)
def test_ad_has_to_survive_the_c_library(reply: Reply, verdict: Verdict, advice: str) -> None:
    finding = judge_libc("org", reply)
    assert (checked(finding), finding.group) == (verdict, Group.LIBC)
    assert finding.advice.startswith(advice)
