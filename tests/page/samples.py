# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports to look at: one with every verdict and hostile names, one that is large."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._report import merged
from ansible_collections.mailsec.dane.plugins.module_utils._verdicts import Cause, Verdict

EVIL: t.Final = "<script>alert(1)</script>\"' & <b>bold</b>"
CHECKED_AT: t.Final = "2026-11-22T12:00:00Z"


def _digest(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()


class _AnyFact(dict[str, object]):
    def __missing__(self, key: str) -> str:
        samples = {
            "host": "mx1.example.org",
            "domain": "example.org",
            "record": "3 1 1 8a9f12d4c6b0...",
            "published": "3 1 1 8a9f12d4c6b0...",
            "wanted": f"3 1 1 {_digest('wanted')}",
            "owner": "_25._tcp.mx1.example.org",
            "address": "192.0.2.1",
            "port": "25",
            "key": "RSA",
            "not_before": "2026-11-20",
            "detail": "the answer to EHLO offers no STARTTLS",
        }
        return samples.get(key, f"({key})")


def _sentence(cause: Cause) -> str:
    text, cure = cause.value[1].format_map(_AnyFact()), cause.value[2].format_map(_AnyFact())
    return f"{text}. To mend: {cure}" if cure else text


def _certificate(host: str, key: str) -> dict[str, t.Any]:
    return {
        "subject": f"CN={host}",
        "issuer": "CN=Example Intermediate,O=Example",
        "names": [host, "www.example.org"],
        "key_algorithm": key,
        "not_before": "2026-10-01T00:00:00Z",
        "not_after": "2026-12-30T00:00:00Z",
        "cert_sha256": _digest(f"cert {host} {key}"),
        "spki_sha256": _digest(f"spki {host} {key}"),
    }


def _row(domain: str | None, host: str, address: str, key: str, cause: Cause, **changes: object) -> dict[str, t.Any]:
    seen = cause.verdict in (Verdict.VERIFIED, Verdict.MISMATCH, Verdict.INSECURE, Verdict.UNUSABLE, Verdict.ABSENT)
    records = (
        [] if cause.verdict is Verdict.ABSENT else [f"3 1 1 {_digest(f'spki {host} {key}')}", f"3 1 1 {_digest(host)}"]
    )
    return {
        "domain": domain,
        "host": host,
        "address": address,
        "port": 25,
        "starttls": "smtp",
        "verdict": cause.verdict.value,
        "cause": cause.word,
        "reason": _sentence(cause),
        "key_algorithm": key if seen else None,
        "owner": f"_25._tcp.{host}",
        "tlsa": records,
        "matched": records[0] if cause.verdict is Verdict.VERIFIED else None,
        "covered_by": records[:1],
        "chain": [_certificate(host, key)] if seen else [],
        "not_after": "2026-12-30T00:00:00Z" if seen else None,
        "tls_version": "TLSv1.3" if seen else None,
        "breaches": [],
        "spare": records[1:] if seen else [],
        "advice": [],
        **changes,
    }


def _result(rows: list[dict[str, t.Any]], domains: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return {"checked_at": CHECKED_AT, "domains": domains, "endpoints": rows}


def varied_result() -> dict[str, t.Any]:
    """Every cause once, a rollover, a domain without mail, long names, and names that are markup."""
    rows = [
        _row("example.org", "mx1.example.org", "192.0.2.1", "ECDSA", Cause.MATCHED),
        _row("example.org", "mx1.example.org", "192.0.2.1", "RSA", Cause.KEY_NOT_LISTED),
        _row("example.org", "mx1.example.org", "2001:db8:1234:5678:9abc:def0:1234:5678", "ECDSA", Cause.MATCHED),
        _row(None, "mx1.example.org", "192.0.2.1", "ECDSA", Cause.MATCHED, port=465, starttls="none",
             not_after="2026-11-29T00:00:00Z", advice=["the certificate expires in 6 days"],
             breaches=["no record with 3 0 1 matches this chain, and RFC 7671 section 8 wants one"]),
        _row("example.org", EVIL, "192.0.2.66", "RSA", Cause.MATCHED, reason=EVIL, advice=[EVIL]),
        _row("example.org", ("a-rather-long-label" * 3 + ".") * 3 + "example.org", "192.0.2.7", "ECDSA", Cause.MATCHED),
    ]  # fmt: skip
    rows += [
        _row("example.net", f"mx{number}.example.net", f"192.0.2.{100 + number}", "RSA", cause)
        for number, cause in enumerate(Cause)
    ]
    rows.append(
        {
            **_row("gone.example", "x", "y", "RSA", Cause.NO_SUCH_DOMAIN),
            "host": None,
            "address": None,
            "owner": None,
            "tlsa": [],
        }
    )
    domains = [
        {"domain": name, "verdict": verdict, "mx_secure": secure, "advice": advice,
         "hosts": list(dict.fromkeys(row["host"] for row in rows if row["domain"] == name and row["host"]))}
        for name, verdict, secure, advice in (
            ("example.org", "mismatch", True, []),
            ("example.net", "mismatch", False, ["a null MX record stands beside others"]),
            ("null.example", None, True, []),
            ("gone.example", "unreachable", None, []),
        )
    ]  # fmt: skip
    return _result(rows, t.cast("list[dict[str, t.Any]]", domains))


def earlier_report(result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The report of six weeks before: mx1 had another RSA key, and its next record was not there yet."""
    row = {**result["endpoints"][1], "verdict": "verified"}
    old = {**row["chain"][0], "cert_sha256": _digest("old"), "spki_sha256": _digest("old key")}
    old |= {"not_before": "2026-07-03T00:00:00Z", "not_after": "2026-10-20T00:00:00Z"}
    record = f"3 1 1 {_digest('old key')}"
    row |= {"chain": [old], "tlsa": [record, row["tlsa"][0]], "covered_by": [record], "matched": record}
    return merged([{**result, "checked_at": "2026-10-11T12:00:00Z", "endpoints": [row]}])


def large_result(size: int) -> dict[str, t.Any]:
    """As many endpoints as wanted, four to a domain, one in ten of them wrong."""
    rows, domains = [], []
    for number in range(size // 4):
        domain = f"d{number}.example"
        hosts = [f"mx1.{domain}", f"mx2.{domain}"]
        for place in range(4):
            cause = Cause.KEY_NOT_LISTED if (number * 4 + place) % 10 == 0 else Cause.MATCHED
            rows.append(
                _row(domain, hosts[place // 2], f"2001:db8::{number:x}:{place}", ("RSA", "ECDSA")[place % 2], cause)
            )
        domains.append({"domain": domain, "verdict": "mismatch", "mx_secure": True, "hosts": hosts, "advice": []})
    return _result(rows, domains)
