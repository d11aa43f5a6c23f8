# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What other mail hosts reported (RFC 8460), as a section of the HTML page."""

from __future__ import annotations

import html
import typing as t

from ._printable import printable
from ._report_tlsrpt import heading, own_policies, reasons

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["tls_reports_section"]


def tls_reports_section(report: Mapping[str, t.Any]) -> str:
    """The section; empty where no reports were read."""
    if report["tls_reports"] is None:
        return ""
    policies = "".join(_policy(policy) for policy in own_policies(report))
    refused = _table((f"{one['machine']}: {one['place']}", one["reason"]) for one in report["tls_reports"]["refused"])
    details = f"<details><summary>What was refused</summary>{refused}</details>\n" if refused else ""
    return (
        f"<section>\n<header><h2>TLS reports</h2> <span>{_text(heading(report))}</span></header>\n"
        f"{policies}{details}</section>\n"
    )


def _text(value: object) -> str:
    return html.escape(printable(value))


def _policy(policy: Mapping[str, t.Any]) -> str:
    failed = policy["failed"]
    badge = f'<span class="badge bad"><span aria-hidden="true">\u2717</span> {_text(failed)} failed</span>'
    if not failed:
        badge = '<span class="badge good"><span aria-hidden="true">\u2713</span> none failed</span>'
    failures = _table(
        (
            f"{failure['count']} {failure['result_type']}",
            f"at {failure['host'] or 'no host named'}, by {', '.join(failure['organizations'])}{reasons(failure)}",
        )
        for failure in policy["failures"]
    )
    return (
        f"<p><b>{_text(policy['domain'])}</b> {_text(policy['policy_type'])} {badge} "
        f"{_text(policy['successful'])} sessions succeeded. "
        f'<span class="dim">{_text(policy["begin"][:10])} to {_text(policy["end"][:10])}, '
        f"{_text(', '.join(policy['organizations']))}</span></p>\n{failures}"
    )


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows)
    return f"<table>{body}</table>\n" if body else ""
