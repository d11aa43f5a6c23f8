# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Served chains, TLSA RRsets, and what a DANE client for mail must make of them.

The unit tests hold our verdict against ``verified``; the conformance run puts OpenSSL's beside it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import timedelta

from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for
from cryptography import x509
from cryptography.x509.oid import NameOID

from certificates import CLIENT_AUTH, HOST, NOW, SERVER_AUTH, Holder, authority, issue, key, key_usage, rewritten

if t.TYPE_CHECKING:
    from collections.abc import Iterator

_DAY: t.Final = timedelta(days=1)
_PAST: t.Final = {"not_before": NOW - 20 * _DAY, "not_after": NOW - 10 * _DAY}
_FUTURE: t.Final = {"not_before": NOW + 10 * _DAY, "not_after": NOW + 20 * _DAY}


@dataclass(frozen=True)
class Case:
    """One endpoint, what its RRset says, and the verdict.

    ``openssl`` is false where OpenSSL's command cannot be asked: it stops at an unusable record. ``why``
    says why OpenSSL's command judges otherwise than Postfix would with the same library.
    """

    name: str
    rfc: str
    served: tuple[Holder, ...]
    records: tuple[TlsaRecord, ...]
    verified: bool
    openssl: bool = True
    why: str = ""
    host: str = HOST


def rr(holder: Holder, usage: int, selector: int, matching_type: int) -> TlsaRecord:
    return tlsa_record_for(holder.certificate, usage, selector, matching_type)


def _wrong(record: TlsaRecord) -> TlsaRecord:
    """The same parameters with another certificate's digest."""
    return TlsaRecord(*record.parameters, bytes(octet ^ 0xFF for octet in record.data))


def cases() -> Iterator[Case]:
    """All cases; making them takes a second or two."""
    yield from _dane_ee()
    yield from _dane_ta()
    yield from _names()
    yield from _dates()
    yield from _outside_the_chain()
    yield from _paths()
    yield from _constraints()
    yield from _self_issued()
    yield from _mixed()
    for kind in ("rsa", "p256", "p384", "p521", "ed25519", "ed448"):
        yield from _kind(kind)


def _dane_ee() -> Iterator[Case]:
    root = authority()
    leaf = issue(root)
    alone = issue()
    for selector in (0, 1):
        for matching_type in (0, 1, 2):
            record = rr(leaf, 3, selector, matching_type)
            yield Case(f"3 {selector} {matching_type} of the leaf", "7671 5.1", (leaf, root), (record,), verified=True)
    yield Case("3 1 1, self-signed", "7671 5.1", (alone,), (rr(alone, 3, 1, 1),), verified=True)
    yield Case(
        "3 1 1, another key", "7671 5.1", (issue(root, key=key("p256", 9)),), (rr(leaf, 3, 1, 1),), verified=False
    )
    yield Case("3 0 1, same key renewed", "7671 5.1", (issue(root),), (rr(leaf, 3, 0, 1),), verified=False)
    yield Case("3 1 1, same key renewed", "7671 5.1", (issue(root),), (rr(leaf, 3, 1, 1),), verified=True)
    yield Case("3 1 1 of the CA", "7671 5.1", (leaf, root), (rr(root, 3, 1, 1),), verified=False)
    for name, wishes in (
        ("expired", _PAST),
        ("not yet valid", _FUTURE),
        ("another host's name", {"subject": "other.example", "names": ["other.example"]}),
        ("no name at all", {"subject": "", "names": None}),
        ("a client certificate", {"purposes": [CLIENT_AUTH]}),
        ("an unknown critical extension", {"extensions": [_UNKNOWN_CRITICAL]}),
    ):
        odd = issue(root, **wishes)
        yield Case(f"3 1 1, {name}", "7672 3.1.1", (odd,), (rr(odd, 3, 1, 1),), verified=True)


_UNKNOWN_CRITICAL: t.Final = (
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"),
    True,
)


def _dane_ta() -> Iterator[Case]:
    root = authority()
    middle = authority(root)
    leaf = issue(middle)
    for selector in (0, 1):
        for matching_type in (0, 1, 2):
            record = rr(middle, 2, selector, matching_type)
            yield Case(
                f"2 {selector} {matching_type} of the issuer", "7671 5.2", (leaf, middle), (record,), verified=True
            )
    record = rr(root, 2, 1, 1)
    yield Case("2 1 1 of the root, served", "7671 5.2", (leaf, middle, root), (record,), verified=True)
    yield Case("2 1 1 of the root, not served", "7671 5.2.2", (leaf, middle), (record,), verified=False)
    yield Case("2 1 1 of the issuer, not served", "7671 5.2.2", (leaf,), (rr(middle, 2, 1, 1),), verified=False)
    yield Case("2 1 1 of the leaf", "7671 5.2", (leaf, middle), (rr(leaf, 2, 1, 1),), verified=False)
    yield Case("2 1 1, served out of order", "7671 5.2", (leaf, root, middle), (record,), verified=True)
    stranger = authority(subject="Stranger", key=key("p256", 8))
    yield Case("2 1 1, a stranger between", "7671 5.2", (leaf, stranger, middle), (rr(middle, 2, 1, 1),), verified=True)
    yield Case(
        "2 1 1 of a stranger that is served",
        "7671 5.2",
        (leaf, middle, stranger),
        (rr(stranger, 2, 1, 1),),
        verified=False,
    )
    cross = authority(stranger, subject="Test Root", key=key("p256", 1))
    yield Case("2 1 1 of a cross-signed root", "7671 5.2", (leaf, middle, cross), (record,), verified=True)
    yield Case(
        "2 0 1 of the root, cross-signed served",
        "7671 5.2",
        (leaf, middle, cross),
        (rr(root, 2, 0, 1),),
        verified=False,
    )
    alone = issue(ca=True, signing=True)
    yield Case("2 1 1 of a self-signed leaf", "7671 5.2", (alone,), (rr(alone, 2, 1, 1),), verified=False)


def _names() -> Iterator[Case]:
    root = authority()
    record = (rr(root, 2, 1, 1),)
    table: tuple[tuple[str, str, list[str] | None, bool], ...] = (
        ("the name", "x", [HOST], True),
        ("the name in capitals", "x", ["MX1.Example.ORG"], True),
        ("the second of two names", "x", ["a.example", HOST], True),
        ("another name", HOST, ["mx2.example.org"], False),
        ("wildcard for the first label", "x", ["*.example.org"], True),
        ("wildcard for two labels", "x", ["*.org"], False),
        ("wildcard alone", "x", ["*"], False),
        ("wildcard within a label", "x", ["mx*.example.org"], False),
        ("wildcard in the second label", "x", ["mx1.*.org"], False),
        ("wildcard for the parent", "x", ["*.mx1.example.org"], False),
        ("the parent", "x", ["example.org"], False),
        ("common name, no DNS-ID", HOST, None, True),
        ("common name wildcard, no DNS-ID", "*.example.org", None, True),
        ("common name beside DNS-IDs", HOST, ["a.example"], False),
        ("no name at all", "", None, False),
    )
    for name, subject, names, verified in table:
        leaf = issue(root, subject=subject, names=names)
        why = "Postfix sets X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, the command does not" if "within" in name else ""
        yield Case(f"2 1 1, names: {name}", "7672 3.2.3", (leaf, root), record, verified=verified, why=why)
    only_mail = [(x509.SubjectAlternativeName([x509.RFC822Name("a@example.org")]), False)]
    leaf = issue(root, names=None, extensions=only_mail)
    yield Case("2 1 1, names: common name beside a mail address", "7672 3.2.3", (leaf, root), record, verified=True)
    leaf = issue(root, subject="x", names=["*.example"])
    yield Case(
        "2 1 1, names: wildcard for the first of two",
        "7672 3.2.3",
        (leaf, root),
        record,
        verified=False,
        host="mx.example",
    )


def _dates() -> Iterator[Case]:
    for who in ("leaf", "issuer", "root"):
        for when, dates in (("expired", _PAST), ("not yet valid", _FUTURE)):
            root = authority(None, **(dates if who == "root" else {}))
            middle = authority(root, **(dates if who == "issuer" else {}))
            leaf = issue(middle, **(dates if who == "leaf" else {}))
            served = (leaf, middle, root)
            yield Case(f"2 1 1 of the root, {who} {when}", "7671 5.2", served, (rr(root, 2, 1, 1),), verified=False)
            good = who != "leaf"
            yield Case(f"2 1 1 of the issuer, {who} {when}", "7671 5.2", served, (rr(middle, 2, 1, 1),), verified=good)


def _outside_the_chain() -> Iterator[Case]:
    root = authority()
    middle = authority(root)
    leaf = issue(middle)
    for matching, what in ((1, "bare key"), (0, "certificate")):
        rfc = "7671 5.2.2" if matching else "7671 5.2.3"
        ours, above = rr(middle, 2, matching, 0), rr(root, 2, matching, 0)
        yield Case(f"2 {matching} 0, {what} of the issuer, leaf alone", rfc, (leaf,), (ours,), verified=True)
        yield Case(f"2 {matching} 0, {what} of the issuer, served", rfc, (leaf, middle), (ours,), verified=True)
        yield Case(f"2 {matching} 0, {what} of the root, not served", rfc, (leaf, middle), (above,), verified=True)
        yield Case(f"2 {matching} 0, {what} of the root, served", rfc, (leaf, middle, root), (above,), verified=True)
        yield Case(f"2 {matching} 0, {what} of the root, issuer not served", rfc, (leaf,), (above,), verified=False)
        late = issue(middle, **_PAST)
        yield Case(f"2 {matching} 0, {what} of the issuer, leaf expired", rfc, (late,), (ours,), verified=False)
        other = issue(middle, subject="x", names=["a.example"])
        yield Case(f"2 {matching} 0, {what} of the issuer, wrong name", rfc, (other,), (ours,), verified=False)
        alone = issue()
        yield Case(
            f"2 {matching} 0, {what} of a self-signed leaf",
            rfc,
            (alone,),
            (rr(alone, 2, matching, 0),),
            verified=bool(matching),
        )
    old = authority(root, **_PAST)
    yield Case("2 0 0, expired certificate of the issuer", "7671 5.2.3", (leaf,), (rr(old, 2, 0, 0),), verified=True)
    forged = authority(root, key=key("p256", 8))
    yield Case("2 0 0, a namesake of the issuer", "7671 5.2.3", (leaf,), (rr(forged, 2, 0, 0),), verified=False)


def _paths() -> Iterator[Case]:
    root = authority()
    for name, wishes, verified in (
        ("sound", {}, True),
        ("no CA", {"ca": False}, False),
        ("no CA, without key usage", {"ca": False, "signing": None}, False),
        ("no basic constraints", {"ca": None, "signing": None}, False),
        ("no basic constraints, keyCertSign", {"ca": None}, None),
        ("no keyCertSign", {"signing": False}, False),
        ("no key usage", {"signing": None}, True),
        ("path length 0", {"path_length": 0}, True),
        ("for clients only", {"purposes": [CLIENT_AUTH]}, False),
        ("for servers", {"purposes": [SERVER_AUTH]}, True),
        ("an unknown critical extension", {"extensions": [_UNKNOWN_CRITICAL]}, False),
        ("key identifiers", {"key_identifiers": True}, True),
    ):
        middle = authority(root, **wishes)
        leaf = issue(middle, key_identifiers="identifiers" in name)
        served = (leaf, middle, root)
        yield Case(
            f"2 1 1 of the root, issuer: {name}", "5280 6.1", served, (rr(root, 2, 1, 1),), verified=bool(verified)
        )
        yield Case(
            f"2 1 1 of the issuer: {name}", "5280 6.1", served, (rr(middle, 2, 1, 1),), verified=verified is not False
        )
    yield from _leaves(root)
    yield from _old_roots()
    yield from _path_lengths()
    middle = authority(root)
    forged = authority(root, key=key("p256", 8))
    leaf = issue(forged)
    yield Case("2 1 1, the leaf is by a namesake", "7671 5.2", (leaf, middle), (rr(middle, 2, 1, 1),), verified=False)
    yield Case(
        "2 1 1, namesake served before the issuer",
        "7671 5.2",
        (issue(middle), forged, middle),
        (rr(middle, 2, 1, 1),),
        verified=False,
    )
    serial = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(root.certificate.subject)], 1)
    other = issue(middle, extensions=[(serial, False)])
    records = (rr(middle, 2, 1, 1),)
    yield Case(
        "2 1 1, the leaf names another issuer by serial number",
        "5280 4.2.1.1",
        (other, middle),
        records,
        verified=False,
    )
    known = authority(root, key_identifiers=True)
    stray = authority(root, key=key("p256", 8), key_identifiers=True)
    yield Case(
        "2 1 1, namesake before the issuer, key identifiers",
        "7671 5.2",
        (issue(known, key_identifiers=True), stray, known),
        (rr(known, 2, 1, 1),),
        verified=True,
    )
    yield Case(
        "2 1 1, issuer and namesake served",
        "7671 5.2",
        (issue(middle), middle, forged),
        (rr(middle, 2, 1, 1),),
        verified=True,
    )


def _old_roots() -> Iterator[Case]:
    """Roots of X.509 version 1 have no extensions at all."""
    plain = authority(key=key("ed25519", 1), ca=None, signing=None)
    root = rewritten(plain, bytes.fromhex("a003020102"), b"", plain.key)
    middle = authority(root)
    records = (rr(root, 2, 1, 1),)
    yield Case("2 1 1 of a version 1 root", "5280 6.1.4", (issue(middle), middle, root), records, verified=True)
    below = authority(root, key=key("ed25519", 2), ca=None, signing=None)
    old = rewritten(below, bytes.fromhex("a003020102"), b"", root.key)
    yield Case(
        "2 1 1 of a version 1 intermediate", "5280 6.1.4", (issue(old), old), (rr(old, 2, 1, 1),), verified=False
    )


def _leaves(root: Holder) -> Iterator[Case]:
    signs_only = (key_usage(crl_sign=True), True)
    for name, wishes, verified in (
        ("for clients only", {"purposes": [CLIENT_AUTH]}, False),
        ("for servers", {"purposes": [SERVER_AUTH, CLIENT_AUTH]}, True),
        ("an unknown critical extension", {"extensions": [_UNKNOWN_CRITICAL]}, False),
        ("key usage for signatures", {"signing": False}, True),
        ("key usage for CRLs only", {"extensions": [signs_only]}, False),
        ("itself a CA", {"ca": True}, True),
        ("no basic constraints", {"ca": None}, True),
    ):
        leaf = issue(root, **wishes)
        yield Case(f"2 1 1, leaf: {name}", "5280 6.1", (leaf, root), (rr(root, 2, 1, 1),), verified=verified)


def _path_lengths() -> Iterator[Case]:
    for allowed, verified in ((0, False), (1, True)):
        root = authority(path_length=allowed)
        middle = authority(root)
        leaf = issue(middle)
        yield Case(
            f"2 1 1 of the root, which allows {allowed} CAs below",
            "5280 4.2.1.9",
            (leaf, middle, root),
            (rr(root, 2, 1, 1),),
            verified=verified,
        )
        renewed = authority(root, subject="Test Root", key=key("p256", 5), key_identifiers=True)
        yield Case(
            f"2 1 1 of the root, which allows {allowed} CAs below, self-issued",
            "5280 4.2.1.9",
            (issue(renewed), renewed, root),
            (rr(root, 2, 1, 1),),
            verified=True,
        )


def _constraints() -> Iterator[Case]:
    def dns(name: str) -> x509.GeneralName:
        return x509.DNSName(name)

    person = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]))
    somebody = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")]))
    for name, permitted, excluded, verified in (
        ("permits the domain", [dns("example.org")], None, True),
        ("permits the host", [dns(HOST)], None, True),
        ("permits below the domain", [dns(".example.org")], None, True),
        ("permits below the host", [dns(f".{HOST}")], None, False),
        ("permits another domain", [dns("example.com")], None, False),
        ("permits the end of a label", [dns("ample.org")], None, False),
        ("permits one of two", [dns("example.com"), dns("example.org")], None, True),
        ("excludes the domain", None, [dns("example.org")], False),
        ("excludes another", None, [dns("example.com")], True),
        ("excludes all", None, [dns("")], False),
        ("excludes within the permitted", [dns("example.org")], [dns(HOST)], False),
        ("permits the directory name", [person], None, True),
        ("permits another directory name", [somebody], None, False),
        ("excludes the directory name", None, [person], False),
        ("permits mail addresses", [x509.RFC822Name("example.com")], None, True),
    ):
        limited = authority(extensions=[(x509.NameConstraints(permitted, excluded), True)])
        for kind, names in (("DNS-ID", [HOST]), ("common name", None)):
            leaf = issue(limited, names=names)
            yield Case(
                f"2 1 1, CA {name}, {kind}",
                "5280 4.2.1.10",
                (leaf, limited),
                (rr(limited, 2, 1, 1),),
                verified=verified,
            )


def _self_issued() -> Iterator[Case]:
    """A CA's new key below its old one is exempt from the old one's name constraints (RFC 5280 section 4.2.1.10)."""
    host = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]))
    root = authority(extensions=[(x509.NameConstraints([host], None), True)])
    for name, subject, verified in (("another CA", "Test Intermediate", False), ("itself", "Test Root", True)):
        middle = authority(root, subject=subject, key_identifiers=True)
        served = (issue(middle), middle, root)
        records = (rr(root, 2, 1, 1),)
        yield Case(f"2 1 1, CA with name constraints above {name}", "5280 4.2.1.10", served, records, verified=verified)


def _mixed() -> Iterator[Case]:
    root = authority()
    leaf = issue(root)
    ee, ta = rr(leaf, 3, 1, 1), rr(root, 2, 1, 1)
    long_ee, short_ee = rr(leaf, 3, 1, 2), rr(leaf, 3, 0, 1)
    served = (leaf, root)
    for name, rfc, records, verified, openssl in (
        ("3 1 1 wrong, 2 1 1 right", "7671 4.1", (_wrong(ee), ta), True, True),
        ("3 1 1 right, 2 1 1 wrong", "7671 4.1", (ee, _wrong(ta)), True, True),
        ("both wrong", "7671 4.1", (_wrong(ee), _wrong(ta)), False, True),
        ("current and next 3 1 1", "7671 8.1", (_wrong(ee), ee), True, True),
        ("3 1 1 right, 3 1 2 wrong", "7671 9", (ee, _wrong(long_ee)), False, True),
        ("3 1 1 wrong, 3 1 2 right", "7671 9", (_wrong(ee), long_ee), True, True),
        ("3 1 1 right, 3 0 2 wrong", "7671 9", (ee, _wrong(rr(leaf, 3, 0, 2))), True, True),
        ("3 0 1 right, 3 1 2 wrong", "7671 9", (short_ee, _wrong(long_ee)), True, True),
        ("3 1 0 right, 3 1 2 wrong", "7671 9", (rr(leaf, 3, 1, 0), _wrong(long_ee)), True, True),
        ("2 1 1 right, 2 1 2 wrong", "7671 9", (ta, _wrong(rr(root, 2, 1, 2))), False, True),
        ("3 1 1 right, 3 1 2 too short", "7671 9", (ee, TlsaRecord(3, 1, 2, long_ee.data[:-1])), True, False),
        ("3 1 1 right, 1 1 2 wrong", "7672 3.1.3", (ee, TlsaRecord(1, 1, 2, long_ee.data)), True, False),
        ("1 1 1 right", "7672 3.1.3", (TlsaRecord(1, 1, 1, ee.data),), False, False),
        ("0 1 1 right", "7672 3.1.3", (TlsaRecord(0, 1, 1, ta.data),), False, False),
        ("255 1 1 right", "7218 2.1", (TlsaRecord(255, 1, 1, ee.data),), False, False),
        ("3 255 1 right", "7218 2.2", (TlsaRecord(3, 255, 1, ee.data),), False, False),
        ("3 1 255 right", "7218 2.3", (TlsaRecord(3, 1, 255, ee.data),), False, False),
        ("3 1 0 no key", "7671 10.1.1", (TlsaRecord(3, 1, 0, b"\x30\x00"),), False, False),
        ("3 0 0 no certificate", "7671 10.1.1", (TlsaRecord(3, 0, 0, leaf.spki),), False, False),
    ):
        yield Case(name, rfc, served, records, verified=verified, openssl=openssl)


def _kind(kind: str) -> Iterator[Case]:
    root = authority(key=key(kind, 1))
    middle = authority(root, key=key(kind, 2))
    leaf = issue(middle, key=key(kind))
    served = (leaf, middle)
    yield Case(f"3 1 1, {kind}", "6698 2.1", served, (rr(leaf, 3, 1, 1),), verified=True)
    yield Case(f"2 1 1, {kind}", "6698 2.1", served, (rr(middle, 2, 1, 1),), verified=True)
    yield Case(f"2 1 0 of the root, {kind}", "7671 5.2.2", served, (rr(root, 2, 1, 0),), verified=True)
