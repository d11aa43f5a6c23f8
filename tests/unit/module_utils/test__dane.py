# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._dane import (
    Breach,
    Outcome,
    Unmatched,
    breaches_of_rfc7671_section8,
    match,
    matches_chain,
)
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate, InvalidName
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import load_certificates
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from certificates import HOST, NOW, Holder, authority, issue, key, rewritten
from dane_cases import Case, cases, rr

CASES = list(cases())
ROOT = authority()
MIDDLE = authority(ROOT)
LEAF = issue(MIDDLE)
OTHER = issue(MIDDLE, key=key("rsa"))
CHAIN = (LEAF, MIDDLE)


def certificates(*holders: Holder) -> list[x509.Certificate]:
    return [holder.certificate for holder in holders]


def only_reason(records: list[TlsaRecord], *served: Holder, names: tuple[str, ...] = (HOST,)) -> str:
    """Why the single record does not match."""
    result = match(records, certificates(*served), names, NOW)
    assert not result.verified
    return result.unmatched[-1].reason


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_verdict(case: Case) -> None:
    result = match(case.records, certificates(*case.served), [case.host], NOW)
    assert result.verified is case.verified
    if case.verified:
        assert result.matched in case.records
        assert result.unmatched == ()
    else:
        assert result.matched is None
        assert result.depth is None
        assert tuple(each.record for each in result.unmatched) == case.records
        assert all(each.reason for each in result.unmatched)


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_matching_record_and_its_depth_are_told() -> None:
    ee, ta = rr(LEAF, 3, 1, 1), rr(MIDDLE, 2, 1, 1)
    result = match([ta, ee], certificates(*CHAIN), [HOST], NOW)
    assert (result.outcome, result.matched, result.depth) == (Outcome.MATCHED, ee, 0)
    result = match([ta], certificates(*CHAIN), [HOST], NOW)
    assert (result.outcome, result.matched, result.depth) == (Outcome.MATCHED, ta, 1)
    bare = rr(ROOT, 2, 1, 0)
    result = match([bare], certificates(*CHAIN), [HOST], NOW)
    assert (result.outcome, result.matched, result.depth) == (Outcome.MATCHED, bare, 2)


def test_no_records() -> None:
    result = match([], certificates(*CHAIN), [HOST], NOW)
    assert (result.outcome, result.matched, result.unmatched) == (Outcome.ABSENT, None, ())


def test_all_unusable() -> None:
    pkix, private = TlsaRecord(1, 1, 1, bytes(32)), TlsaRecord(3, 1, 255, b"")
    result = match([pkix, private], certificates(*CHAIN), [HOST], NOW)
    assert result.outcome is Outcome.UNUSABLE
    assert result.unmatched == (
        Unmatched(pkix, False, "certificate usage pkix-ee (1) is not for mail (RFC 7672 section 3.1.3)"),
        Unmatched(private, False, "matching type 255 is private or unknown"),
    )


def test_mixed_records_each_have_their_reason() -> None:
    wrong, weak, bad = TlsaRecord(3, 1, 2, bytes(64)), rr(LEAF, 3, 1, 1), TlsaRecord(9, 1, 1, bytes(32))
    result = match([wrong, weak, bad, weak], certificates(*CHAIN), [HOST], NOW)
    assert result.outcome is Outcome.MISMATCH
    assert result.unmatched == (
        Unmatched(wrong, True, "the public key of the server's leaf certificate is another one"),
        Unmatched(weak, True, "passed over, as sha2-512 is there with its usage and selector (RFC 7671 section 9)"),
        Unmatched(bad, False, "certificate usage 9 is private or unknown"),
    )


def test_nothing_served() -> None:
    assert only_reason([rr(LEAF, 3, 1, 1)]) == "the server sent no certificate"


EXPIRED = issue(MIDDLE, not_before=NOW.replace(year=2001), not_after=NOW.replace(year=2002))
CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\5\0"), True)

TEST_REASONS: list[tuple[str, list[TlsaRecord], tuple[Holder, ...], str]] = [
    ("another key", [rr(OTHER, 3, 1, 1)], CHAIN, "the public key of the server's leaf certificate is another one"),
    ("renewed", [rr(issue(MIDDLE), 3, 0, 1)], CHAIN, "the certificate of the server's leaf certificate is another one"),
    (
        "usage of the CA",
        [rr(MIDDLE, 3, 1, 1)],
        CHAIN,
        "it matches a CA certificate of the chain, which wants certificate usage dane-ta (2)",
    ),
    (
        "usage of the leaf",
        [rr(LEAF, 2, 1, 1)],
        CHAIN,
        "it matches the leaf certificate, which wants certificate usage dane-ee (3)",
    ),
    (
        "not the issuer",
        [rr(ROOT, 2, 1, 1)],
        (LEAF, ROOT),
        "it matches a certificate that is served but did not issue the leaf",
    ),
    (
        "root not served",
        [rr(ROOT, 2, 1, 1)],
        CHAIN,
        "no issuer in the served chain matches it; the trust anchor must be served (RFC 7671 section 5.2.2)",
    ),
    (
        "names",
        [rr(MIDDLE, 2, 1, 1)],
        (issue(MIDDLE, names=["a.example", "b.example"]), MIDDLE),
        f"it is the trust anchor of the chain, but the certificate is for a.example, b.example, not for {HOST}",
    ),
    (
        "no names",
        [rr(MIDDLE, 2, 1, 1)],
        (issue(MIDDLE, subject="", names=None), MIDDLE),
        f"it is the trust anchor of the chain, but the certificate is for no host name, not for {HOST}",
    ),
    (
        "expired",
        [rr(MIDDLE, 2, 1, 1)],
        (EXPIRED, MIDDLE),
        (
            f"it is the trust anchor of the chain, but certificate CN={HOST} at depth 0 "
            f"expired on 2002-{NOW:%m-%d %H:%M:%S} UTC"
        ),
    ),
    (
        "not yet valid",
        [rr(MIDDLE, 2, 1, 1)],
        (issue(MIDDLE, not_before=NOW.replace(year=2046), not_after=NOW.replace(year=2047)), MIDDLE),
        (
            f"it is the trust anchor of the chain, but certificate CN={HOST} at depth 0 "
            f"is not valid before 2046-{NOW:%m-%d %H:%M:%S} UTC"
        ),
    ),
    (
        "forged",
        [rr(MIDDLE, 2, 1, 1)],
        (issue(authority(ROOT, key=key("p256", 8))), MIDDLE),
        (
            f"it is the trust anchor of the chain, but certificate CN={HOST} at depth 0 does not lead to it: "
            "its signature is not by this key"
        ),
    ),
    (
        "critical",
        [rr(MIDDLE, 2, 1, 1)],
        (issue(MIDDLE, extensions=[CRITICAL]), MIDDLE),
        (
            f"it is the trust anchor of the chain, but certificate CN={HOST} has the critical extension 1.2.3, "
            "which is not understood"
        ),
    ),
]


@pytest.mark.parametrize(
    ("records", "served", "reason"), [row[1:] for row in TEST_REASONS], ids=[row[0] for row in TEST_REASONS]
)
def test_reasons(records: list[TlsaRecord], served: tuple[Holder, ...], reason: str) -> None:
    assert only_reason(records, *served) == reason


def test_any_reference_identifier_will_do() -> None:
    anchor = [rr(MIDDLE, 2, 1, 1)]
    assert match(anchor, certificates(*CHAIN), ["example.org", "MX1.Example.Org."], NOW).verified
    reason = only_reason(anchor, *CHAIN, names=("example.org", "example.net"))
    assert reason.endswith(f"the certificate is for {HOST}, not for example.org or example.net")
    assert only_reason(anchor, *CHAIN, names=()).endswith(f"the certificate is for {HOST}, not for nothing")


def test_a_bad_reference_identifier_is_refused() -> None:
    with pytest.raises(InvalidName, match=r"^Host name '' is empty$"):
        match([rr(LEAF, 3, 1, 1)], certificates(*CHAIN), [""], NOW)


BROKEN = [(x509.UnrecognizedExtension(x509.OID_KEY_USAGE, b"\x04\x00"), False)]


def test_extensions_that_cannot_be_read_do_no_harm_to_dane_ee() -> None:
    odd = issue(MIDDLE, extensions=BROKEN)
    assert match([rr(odd, 3, 1, 1)], certificates(odd, MIDDLE), [HOST], NOW).verified


def test_a_leaf_whose_extensions_cannot_be_read_has_no_issuer() -> None:
    odd = issue(MIDDLE, extensions=BROKEN)
    assert only_reason([rr(MIDDLE, 2, 1, 1)], odd, MIDDLE) == (
        "it matches a certificate that is served but did not issue the leaf"
    )
    reason = only_reason([rr(MIDDLE, 2, 1, 0)], odd)
    assert reason.startswith("it is the trust anchor of the chain, but The extensions of certificate CN=mx1")


def test_an_issuer_whose_extensions_cannot_be_read_is_none() -> None:
    odd = authority(ROOT, signing=None, extensions=BROKEN)
    assert only_reason([rr(odd, 2, 1, 1)], LEAF, odd) == (
        "it matches a certificate that is served but did not issue the leaf"
    )


def test_names_that_cannot_be_read_match_nothing() -> None:
    signer = authority(key=key("ed25519", 1))
    odd = rewritten(issue(signer, names=None), b"\x0c\x0fmx1", b"\x0c\x0f\xff\xfe1", signer.key)
    reason = only_reason([rr(signer, 2, 1, 1)], odd, signer)
    assert reason.startswith("it is the trust anchor of the chain, but The subject of certificate ")
    assert match([rr(odd, 3, 1, 1)], certificates(odd), [HOST], NOW).verified


def test_lets_encrypt() -> None:
    """A chain from outside: the intermediate YE1, below Root YE as cross-signed by ISRG Root X2."""
    found = load_certificates((Path(__file__).parents[2] / "vectors" / "lets_encrypt_y.pem").read_bytes())
    intermediate, root = found[3], found[6]
    record = TlsaRecord.from_text("2 1 1 b0292ae545978e0fbb98abbd94c861605e5b18bb32ed523f50d5b7b5c71d47bc")
    assert matches_chain(record, [intermediate, root])
    assert not matches_chain(record, [found[0], root])
    result = match([record], [intermediate, root], [HOST], datetime(2026, 1, 1, tzinfo=UTC))
    assert [each.reason for each in result.unmatched] == [
        "it is the trust anchor of the chain, but the certificate is for YE1, not for mx1.example.org"
    ]


# --- RFC 7671 section 8 -----------------------------------------------------------------------------------------------

RSA_CHAIN = (OTHER, MIDDLE)
EE, RSA_EE, TA = rr(LEAF, 3, 1, 1), rr(OTHER, 3, 1, 1), rr(MIDDLE, 2, 1, 1)

TEST_SECTION_8: list[tuple[str, list[TlsaRecord], list[tuple[Holder, ...]], list[Breach]]] = [
    ("no records", [], [CHAIN], []),
    ("no chains", [EE], [], []),
    ("one for one", [EE], [CHAIN], []),
    ("current and next", [EE, RSA_EE], [CHAIN], []),
    ("one for two", [EE], [CHAIN, RSA_CHAIN], [Breach((3, 1, 1), 1)]),
    ("two for two", [EE, RSA_EE], [CHAIN, RSA_CHAIN], []),
    ("one issuer for two", [TA], [CHAIN, RSA_CHAIN], []),
    ("issuer beside one of two", [TA, EE], [CHAIN, RSA_CHAIN], [Breach((3, 1, 1), 1)]),
    ("a weaker digest matches, a stronger not", [EE, rr(OTHER, 3, 1, 2)], [CHAIN], [Breach((3, 1, 2), 0)]),
    ("a stronger digest matches, a weaker not", [rr(LEAF, 3, 1, 2), RSA_EE], [CHAIN], [Breach((3, 1, 1), 0)]),
    ("issuer not served", [TA], [(LEAF,)], [Breach((2, 1, 1), 0)]),
    ("a chain of nothing", [EE], [()], [Breach((3, 1, 1), 0)]),
    ("pkix-ee", [replace(RSA_EE, usage=1)], [CHAIN, RSA_CHAIN], [Breach((1, 1, 1), 0)]),
    ("pkix-ta", [replace(TA, usage=0)], [CHAIN, (issue(ROOT), ROOT)], [Breach((0, 1, 1), 1)]),
    ("certificate outside the chain", [rr(MIDDLE, 2, 0, 0)], [(LEAF,)], []),
    ("key outside the chain", [rr(MIDDLE, 2, 1, 0)], [(LEAF,)], []),
    ("another key outside the chain", [rr(ROOT, 2, 1, 0)], [(LEAF,)], [Breach((2, 1, 0), 0)]),
    ("digest cut off", [TlsaRecord(3, 1, 1, EE.data[:-1])], [CHAIN], [Breach((3, 1, 1), 0)]),
    ("no certificate", [TlsaRecord(2, 0, 0, b"\0")], [CHAIN], [Breach((2, 0, 0), 0)]),
    ("no key", [TlsaRecord(2, 1, 0, b"\0")], [CHAIN], [Breach((2, 1, 0), 0)]),
    ("private", [TlsaRecord(255, 1, 1, b""), TlsaRecord(3, 255, 1, b""), TlsaRecord(3, 1, 255, b"")], [CHAIN], []),
    (
        "order",
        [RSA_EE, rr(OTHER, 3, 0, 1)],
        [CHAIN, CHAIN],
        [Breach((3, 0, 1), 0), Breach((3, 0, 1), 1), Breach((3, 1, 1), 0), Breach((3, 1, 1), 1)],
    ),
]


@pytest.mark.parametrize(
    ("records", "chains", "expected"), [row[1:] for row in TEST_SECTION_8], ids=[row[0] for row in TEST_SECTION_8]
)
def test_section_8(records: list[TlsaRecord], chains: list[tuple[Holder, ...]], expected: list[Breach]) -> None:
    found = breaches_of_rfc7671_section8(records, [certificates(*chain) for chain in chains])
    assert found == tuple(expected)


def test_section_8_looks_at_signatures_and_not_at_dates() -> None:
    assert matches_chain(rr(MIDDLE, 2, 1, 1), certificates(EXPIRED, MIDDLE))
    forged = issue(authority(ROOT, key=key("p256", 8)))
    assert not matches_chain(rr(MIDDLE, 2, 1, 1), certificates(forged, MIDDLE))


@given(
    st.lists(
        st.builds(
            TlsaRecord,
            st.sampled_from([0, 1, 2, 3, 4, 255]),
            st.sampled_from([0, 1, 2, 255]),
            st.sampled_from([0, 1, 2, 3, 255]),
            st.one_of(st.binary(max_size=70), st.sampled_from([LEAF.spki, LEAF.der, MIDDLE.spki, MIDDLE.der, EE.data])),
        ),
        max_size=6,
    )
)
def test_any_records_are_judged(records: list[TlsaRecord]) -> None:
    served = certificates(*CHAIN)
    result = match(records, served, [HOST], NOW)
    breaches = breaches_of_rfc7671_section8(records, [served])
    judged = [record for record in records if record.usage in {2, 3} and record.selector < 2]
    if any(record.matching_type < 3 and matches_chain(record, served) for record in judged) and not breaches:
        assert result.verified  # the rule of section 8 is there for exactly this
    if result.verified:
        assert result.matched is not None
        assert matches_chain(result.matched, served)


def test_a_served_certificate_that_is_no_der_is_refused() -> None:
    class Odd:
        def public_bytes(self, _encoding: object) -> bytes:
            return b"\x30\0"

    error = "Not a DER certificate: data ends at octet 2, where another element should begin"
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        match([EE], [Odd()], [HOST], NOW)  # type: ignore[list-item]  # stands in for a certificate
