# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The work of the module postfix_dane: look, decide, refuse or write, reload.

Order is what makes a kill harmless: the policy table stands before main.cf names it, and goes only after main.cf has
let go of it; main.cf changes by one rename; a reload that is owed is on disk before it is owed.
"""

from __future__ import annotations

import ssl
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

from ._errors import InvalidCertificate, InvalidInput, PostfixError
from ._postconf import PostfixInstance, instance_directory, replace_file
from ._postfix import Finding, PostfixState, split_list
from ._postfix_chain import chain_findings, issuer_findings, key_algorithm
from ._postfix_domains import missing_domains
from ._postfix_inbound import inbound_findings
from ._postfix_lookup import Table, policy_map_findings, resolver_findings
from ._postfix_outbound import outbound_findings
from ._postfix_policy import POLICY_HEADER, Policy, expired_policies, fingerprint_findings, render_policies
from ._postfix_relaxed import relaxed_findings
from ._postfix_settings import Plan, check_version, plan_settings
from ._postfix_tls_material import tls_material_findings

if t.TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from ._postfix_wishes import Wishes

__all__ = ["RESOLV_CONF", "Change", "Request", "apply"]

RESOLV_CONF = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one run is asked to do. ``policies`` None leaves the policy table alone, an empty tuple takes it away.

    ``accept`` holds settings whose findings the user knows of; ``ports`` those that TLSA records are published for.
    """

    wishes: Wishes
    directory: str | None = None
    instance: str | None = None
    policies: tuple[Policy, ...] | None = None
    policy_file: str | None = None
    ports: tuple[int, ...] = (25,)
    accept: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a run did, or in a dry run would do. ``files`` holds path, text before and text after of each file."""

    state: PostfixState
    plan: Plan
    findings: tuple[Finding, ...]
    files: tuple[tuple[str, str, str], ...]
    changed: bool
    reloaded: bool


def apply(request: Request, *, today: dt.date, dry_run: bool) -> Change:
    """Make main.cf and the policy table what they should be, and reload Postfix if it runs.

    Raises PostfixError, before anything is changed, when a finding says that DANE cannot work.
    """
    directory = instance_directory(request.instance) if request.instance else request.directory or "/etc/postfix"
    postfix = PostfixInstance(directory)
    with postfix.lock():
        # What main.cf says of $myhostname is judged with the name that it will have.
        state = postfix.read({"myhostname": request.wishes.hostname} if request.wishes.hostname else {})
        check_version(state)
        wishes, findings = _chain_files(request.wishes, dry_run=dry_run)
        findings += _ca_file(wishes.ca_file, dry_run=dry_run)
        table = Path(request.policy_file or Path(directory, "dane_policy"))
        missing = missing_domains(state, wishes.destinations, postfix.contains)
        wishes = _policy_map(replace(wishes, destinations=missing), request, table)
        plan = plan_settings(state, wishes)
        planned = state.with_settings(plan.assignments, plan.removals)
        findings += _look(postfix, state, planned, request, wishes)
        findings += expired_policies(request.policies or (), today)
        findings = _accepted(findings, request.accept)
        _refuse(findings)
        before = postfix.main_cf()
        after = postfix.edited(plan, check=not dry_run) if plan else before
        old_table, new_table = _table_texts(request, table)
        owed = postfix.reload_owed
        if not dry_run:
            if new_table and new_table != old_table:
                postfix.owe_reload()
                replace_file(table, new_table.encode())
            if after != before:
                postfix.install(before, after)
            if old_table and not new_table:
                table.unlink()
        changed = bool(plan) or old_table != new_table or owed
        reloaded = changed and (postfix.running() if dry_run else postfix.reload())
    files = [(str(Path(directory, "main.cf")), _shown(before), _shown(after))]
    if old_table != new_table:
        files.append((str(table), old_table, new_table))
    return Change(state=planned, plan=plan, findings=findings, files=tuple(files), changed=changed, reloaded=reloaded)


def _shown(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _refuse(findings: Iterable[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        lines = "\n".join(f"- {finding.sentence()}" for finding in errors)
        msg = (
            f"DANE cannot work with the configuration that is there, and nothing was changed:\n{lines}\n"
            f"What you know of and want to keep, name in the option accept."
        )
        raise PostfixError(msg, details={"findings": [finding.to_mapping() for finding in findings]})


def _accepted(findings: tuple[Finding, ...], accept: frozenset[str]) -> tuple[Finding, ...]:
    return tuple(replace(f, severity="notice") if f.setting in accept else f for f in findings)


def _look(
    postfix: PostfixInstance, before: PostfixState, planned: PostfixState, request: Request, wishes: Wishes
) -> tuple[Finding, ...]:
    """Collect the findings on the configuration as it will be."""
    own = wishes.policy_map or ""
    if request.policies is None and wishes.own_policy_map and _is_ours(wishes.own_policy_map):
        own = wishes.own_policy_map
    tables = {
        name: Table({policy.destination: policy.text() for policy in request.policies})
        if name == own and request.policies is not None
        else postfix.table(name)
        for name in split_list(planned.value("smtp_tls_policy_maps"))
    }
    transports = {name: postfix.table(name) for name in split_list(planned.value("transport_maps"))}
    findings = [
        *outbound_findings(planned, transports),
        *relaxed_findings(before, planned, tables),
        *tls_material_findings(before, planned, tables),
        *policy_map_findings(planned, tables, own),
        *fingerprint_findings(planned, request.policies or ()),
        *resolver_findings(planned, _text(RESOLV_CONF), _text(f"{planned.value('queue_directory')}/etc/resolv.conf")),
    ]
    inbound = inbound_findings(planned, request.ports)
    if not planned.value("smtpd_tls_chain_files"):  # this run promises nothing to senders, so it need not refuse
        inbound = tuple(replace(finding, severity="warning") for finding in inbound if finding.severity == "error")
    return (*findings, *inbound)


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _is_ours(policy_map: str) -> bool:
    """Whether the table is there, and this module wrote it."""
    return (_text(policy_map.removeprefix("texthash:")) or "").startswith(POLICY_HEADER)


def _policy_map(wishes: Wishes, request: Request, table: Path) -> Wishes:
    own = f"texthash:{table}"
    if request.policies is None:
        return replace(wishes, own_policy_map=own)
    return replace(wishes, own_policy_map=own, policy_map=own if request.policies else "")


def _table_texts(request: Request, table: Path) -> tuple[str, str]:
    """Return the policy table's text before and after. Raises PostfixError for a file that is not ours or cannot be."""
    if table.is_dir():
        raise PostfixError(f"policy_file: {table} is a directory; name a file")
    if request.policies and not table.parent.is_dir():
        raise PostfixError(f"policy_file: there is no directory {table.parent}; make it, or name a file elsewhere")
    present = _text(str(table)) or ""
    if request.policies is None:
        return present, present
    if present and not present.startswith(POLICY_HEADER):
        if not request.policies:
            return present, present
        msg = f"policy_file: {table} is there and was not written by this module; name another file, or move it away"
        raise PostfixError(msg)
    return present, render_policies(request.policies) if request.policies else ""


def _chain_files(wishes: Wishes, *, dry_run: bool) -> tuple[Wishes, tuple[Finding, ...]]:
    """Find the files behind ``chain_files``, whose entries may be patterns, and check each as Postfix would load it."""
    paths: list[str] = []
    findings: list[Finding] = []
    for pattern in wishes.chain_files:
        found = sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))
        if not found and not dry_run:
            msg = f"chain_files: there is no file {pattern}; make the key and its chain first (role mail_certificate)"
            raise InvalidInput(msg)
        if not found:
            findings.append(
                Finding(
                    pattern,
                    "warning",
                    "There is no such file yet.",
                    "A real run needs it; role mail_certificate makes it.",
                )
            )
        paths += found or [pattern]
    present = [path for path in dict.fromkeys(paths) if Path(path).exists()]
    algorithms = {path: _check_chain_file(path) for path in present}
    findings += chain_findings(algorithms, {path: Path(path).stat().st_mode for path in present})
    findings += [one for path in present for one in issuer_findings(path, _text(path) or "")]
    return replace(wishes, chain_files=tuple(dict.fromkeys(paths))), tuple(findings)


def _ca_file(path: str | None, *, dry_run: bool) -> tuple[Finding, ...]:
    """Check the CA file as smtpd would load it; with one that it cannot load it offers no STARTTLS at all."""
    if path is None:
        return ()
    if dry_run and not Path(path).exists():
        return (Finding(path, "warning", "There is no such file yet.", "A real run needs it; put it there first."),)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        msg = f"ca_file: {path}: {getattr(error, 'reason', None) or error.strerror or error}; nothing was changed"
        raise InvalidCertificate(msg) from None
    return ()


def _check_chain_file(path: str) -> str:
    try:
        algorithm = key_algorithm(Path(path).read_text(encoding="utf-8", errors="replace"))
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except (InvalidCertificate, ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        msg = f"chain_files: {path}: {reason}; nothing was changed"
        raise InvalidCertificate(msg) from None
    return algorithm
