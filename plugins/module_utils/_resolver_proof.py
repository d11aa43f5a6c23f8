# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""From what a resolver answered to what that proves (RFC 4035, RFC 7672 section 2.1.1).

Evidence goes in as values, findings come out; nothing here asks anybody. A finding is never silent about doubt: what
could neither be proved nor disproved has the verdict ``unknown``.
"""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from ._resolver_evidence import Finding, Group, Reply, Signature, Verdict

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BOGUS_NAME",
    "judge_algorithms",
    "judge_bogus",
    "judge_clock",
    "judge_denial",
    "judge_forwarder",
    "judge_libc",
    "judge_signed",
    "judge_transport",
    "judge_unsigned",
]


BOGUS_NAME: t.Final = "bogus name"
"""How the subject of a finding on a bogus name begins."""
LEAST_PAYLOAD: t.Final = 1220  # bytes, RFC 4035 section 4.1
UDP_PAYLOAD: t.Final = 1232  # bytes, what a question takes by UDP (DNS flag day 2020)
NO_ANSWER: t.Final = "See that the resolver runs (systemctl status unbound) and can reach the Internet by UDP and TCP."
NO_VALIDATION: t.Final = (
    "This resolver does not validate, so mail would go out unverified without a word: use the role unbound_resolver, "
    "or see that module-config has the validator and that a trust anchor is loaded."
)


def judge_signed(name: str, checked: Reply, unchecked: Reply, now: int) -> Finding:
    """A signed name must be answered with AD. `unchecked` is the same question with CD set."""
    subject = f"signed name {name}"
    if checked.failure:
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, str(checked), NO_ANSWER)
    if checked.rcode in {"NOERROR", "NXDOMAIN"}:
        if checked.authenticated:
            return Finding(Group.VALIDATION, subject, Verdict.OK, str(checked))
        advice = NO_VALIDATION
        if not checked.signatures and not checked.denial:
            advice = (
                "The answer came without signatures: a forwarder or middlebox removes them; let the resolver ask the "
                "authoritative servers itself, or choose forwarders that pass DNSSEC on."
            )
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, str(checked), advice)
    if unchecked.rcode in {"NOERROR", "NXDOMAIN"} and not unchecked.failure:
        off = _outside(unchecked.signatures, now)
        advice = (
            f"This host's clock says {_time(now)}, but the signatures hold from {_time(off.inception)} to "
            f"{_time(off.expiration)}: set the clock (systemctl status systemd-timesyncd), or tell that zone's owner."
            if off
            else f"The chain of trust breaks on the way to {name}, and `delv {_query_name(name)}` says where; a wrong "
            "trust anchor breaks all names, a wrong zone only its own."
        )
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, f"{checked}; unchecked {unchecked.rcode}", advice)
    return Finding(Group.VALIDATION, subject, Verdict.FAILED, str(checked), NO_ANSWER)


def judge_bogus(name: str, checked: Reply, unchecked: Reply) -> Finding:
    """A name whose signatures are wrong must be SERVFAIL, and be answered once checking is disabled."""
    subject = f"{BOGUS_NAME} {name}"
    seen = f"{checked}; unchecked {unchecked.failure or unchecked.rcode}"
    if checked.failure:
        return Finding(Group.VALIDATION, subject, Verdict.UNKNOWN, seen, NO_ANSWER)
    if checked.rcode in {"NOERROR", "NXDOMAIN"}:
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, seen, NO_VALIDATION)
    if checked.rcode == "SERVFAIL" and unchecked.rcode in {"NOERROR", "NXDOMAIN"} and not unchecked.failure:
        return Finding(Group.VALIDATION, subject, Verdict.OK, seen)
    return Finding(
        Group.VALIDATION,
        subject,
        Verdict.UNKNOWN,
        seen,
        "It could not be told whether validation or something else failed: give another name in bogus_names.",
    )


def judge_unsigned(name: str, checked: Reply) -> Finding:
    """An unsigned name must be answered, and without AD."""
    subject = f"unsigned name {name}"
    if checked.failure or checked.rcode not in {"NOERROR", "NXDOMAIN"}:
        advice = f"An unsigned zone must resolve as any other: `delv {_query_name(name)}` says what is wrong with it."
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, str(checked), advice)
    if checked.authenticated:
        advice = "Either the zone has been signed since, or the resolver claims AD for whatever it is asked."
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, str(checked), advice)
    return Finding(Group.VALIDATION, subject, Verdict.OK, str(checked))


def judge_denial(replies: Sequence[tuple[str, Reply]]) -> Finding:
    """At the apex of each signed zone, a type that is not there must be denied with AD; `replies` are (name, reply)."""
    wrong = [(name, reply) for name, reply in replies if reply.failure or not reply.authenticated]
    kinds = sorted({kind for _name, reply in replies for kind in reply.denial})
    if wrong:
        name, reply = wrong[0]
        return Finding(
            Group.VALIDATION,
            "authenticated denial",
            Verdict.FAILED,
            f"{name}: {reply}",
            "Without it nobody can know that a host has no TLSA record, and its mail waits: see to the signed names.",
        )
    if not kinds:
        return Finding(
            Group.VALIDATION,
            "authenticated denial",
            Verdict.UNKNOWN,
            "no answer held NSEC or NSEC3",
            "Give a name in signed_names that is the apex of a signed zone.",
        )
    return Finding(Group.VALIDATION, "authenticated denial", Verdict.OK, f"with AD, by {' and '.join(kinds)}")


def judge_transport(by_udp: Reply, by_tcp: Reply, replies: Iterable[tuple[str, Reply]]) -> Finding:
    """The resolver must speak EDNS (RFC 4035 section 4.1) and TCP (RFC 7766).

    `replies` are (name, reply) of questions sent by UDP: one that no datagram holds has shown that TCP takes over.
    """
    subject = "EDNS and TCP"
    if by_tcp.failure:
        advice = "Long answers come by TCP: let port 53 by TCP through to the resolver, on loopback as well."
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, f"by TCP: {by_tcp}", advice)
    if by_udp.failure:
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, f"by UDP: {by_udp}", NO_ANSWER)
    if not by_udp.payload:
        advice = "Without EDNS there is no DNSSEC: something between this program and the resolver removes it."
        return Finding(Group.VALIDATION, subject, Verdict.FAILED, "no EDNS in the answer", advice)
    seen = f"EDNS with {by_udp.payload} bytes, answers by TCP"
    fallen_back = [(name, reply.size) for name, reply in replies if reply.size > UDP_PAYLOAD]
    if fallen_back:
        name, size = fallen_back[0]
        seen += f", to which it fell back for the {size} bytes of {name}"
    if not LEAST_PAYLOAD <= by_udp.payload <= UDP_PAYLOAD:
        advice = (
            "Fragments get lost and can be forged, and less than 1220 bytes is too little for DNSSEC: set "
            "edns-buffer-size: 1232."
        )
        return Finding(Group.VALIDATION, subject, Verdict.WARNING, seen, advice)
    return Finding(Group.VALIDATION, subject, Verdict.OK, seen)


def judge_clock(replies: Iterable[tuple[str, Reply]], now: int) -> Finding:
    """The host's clock must lie within the signatures of every signed name (RFC 4035 section 5.3.1)."""
    subject = "clock"
    margins: list[int] = []
    for name, reply in replies:
        off = _outside(reply.signatures, now)
        if off is not None:
            return Finding(
                Group.VALIDATION,
                subject,
                Verdict.WARNING,
                f"it is {_time(now)} here, and a signature of {name} holds from {_time(off.inception)} to "
                f"{_time(off.expiration)}",
                "Set the clock and keep it set (systemctl status systemd-timesyncd); a wrong one makes names bogus.",
            )
        margins += [min(now - signature.inception, signature.expiration - now) for signature in reply.signatures]
    if not margins:
        return Finding(Group.VALIDATION, subject, Verdict.UNKNOWN, "no signature was seen", "See the signed names.")
    hours = min(margins) // 3600
    return Finding(Group.VALIDATION, subject, Verdict.OK, f"at least {hours} h inside every signature seen")


def judge_algorithms(replies: Iterable[tuple[str, Reply]]) -> Finding:
    """Which algorithms validated: 8 and 13 are what nearly every signed zone uses, 15 is to come (RFC 9904)."""
    seen = {signature.algorithm for _name, reply in replies if reply.authenticated for signature in reply.signatures}
    names = ", ".join(f"{number} ({_ALGORITHMS.get(number, 'other')})" for number in sorted(seen))
    missing = [number for number in _ALGORITHMS if number not in seen]
    if not missing:
        return Finding(Group.VALIDATION, "algorithms", Verdict.OK, f"validated {names}")
    return Finding(
        Group.VALIDATION,
        "algorithms",
        Verdict.UNKNOWN,
        f"validated {names or 'none'}",
        "To try "
        + ", ".join(f"{number} ({_ALGORITHMS[number]})" for number in missing)
        + " too, give a name in signed_names that is signed so.",
    )


def judge_forwarder(address: str, replies: Sequence[tuple[str, Reply]]) -> Finding:
    """A forwarder must hand on signatures and denials. `replies` are its (name, reply), asked with CD set."""
    subject = f"forwarder {address}"
    for name, reply in replies:
        if reply.failure or reply.rcode not in {"NOERROR", "NXDOMAIN"}:
            advice = "Take it out of the forwarders, or let this host reach it by UDP and TCP."
            return Finding(Group.FORWARDERS, subject, Verdict.FAILED, f"{name}: {reply}", advice)
        if not reply.signatures:
            advice = "It removes signatures, so every signed name would be bogus: take it out of the forwarders."
            return Finding(Group.FORWARDERS, subject, Verdict.FAILED, f"{name}: no RRSIG in the answer", advice)
    return Finding(Group.FORWARDERS, subject, Verdict.OK, f"passes signatures on for {len(replies)} questions")


def judge_libc(name: str, reply: Reply) -> Finding:
    """Whether AD reaches a program that asks through the C library (glibc 2.31 and later remove it by default)."""
    subject = "C library"
    if reply.failure or reply.rcode not in {"NOERROR", "NXDOMAIN"}:
        advice = "Programs on this host cannot resolve names: see /etc/resolv.conf and the resolver it names."
        return Finding(Group.LIBC, subject, Verdict.FAILED, f"{name}: {reply}", advice)
    if not reply.authenticated:
        advice = (
            "Put 'options edns0 trust-ad' into /etc/resolv.conf, beside the one nameserver 127.0.0.1; the role "
            "unbound_resolver does so."
        )
        return Finding(Group.LIBC, subject, Verdict.FAILED, f"{name}: {reply}", advice)
    return Finding(Group.LIBC, subject, Verdict.OK, f"{name}: {reply}")


_ALGORITHMS: t.Final = {8: "RSASHA256", 13: "ECDSAP256SHA256", 15: "ED25519"}


def _outside(signatures: Iterable[Signature], now: int) -> Signature | None:
    return next((found for found in signatures if not found.inception <= now <= found.expiration), None)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _query_name(name: str) -> str:
    """A name as given, as arguments for delv: type and name change places for nobody."""
    return name if " " in name else f"{name} SOA"
