# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_lookup import Table
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_tls_material import tls_material_findings

from issued import issue
from postfix_states import MASTER, postfix_state

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.mailsec.dane.plugins.module_utils._postfix import Finding

SERVES: t.Final = {"smtpd_tls_chain_files": "/etc/dane/host/deployed/ecdsa.pem"}


def findings(main: dict[str, str], tables: dict[str, Table] | None = None, master: str = MASTER) -> tuple[Finding, ...]:
    state = postfix_state(main, master=master)
    return tls_material_findings(state, state, tables or {})


def found(main: dict[str, str], tables: dict[str, Table] | None = None, master: str = MASTER) -> list[tuple[str, str]]:
    return [(finding.setting, finding.severity) for finding in findings(main, tables, master)]


def test_nothing_is_named_by_default() -> None:
    assert found({}) == found(SERVES) == []


def test_authorities_must_be_loadable(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_bytes(issue().pem)
    bad.write_text("no certificate\n")
    assert found({"smtp_tls_CAfile": str(good)}) == []
    for path, reason in ((bad, "NO_CERTIFICATE_OR_CRL_FOUND"), (tmp_path / "none", "No such file or directory")):
        (finding,) = findings({"smtp_tls_CAfile": str(path)})
        assert (finding.setting, finding.severity) == ("smtp_tls_CAfile", "error")
        assert reason in finding.problem
        assert found({"smtpd_tls_CAfile": str(path)}) == []
        assert found({"smtpd_tls_CAfile": str(path), **SERVES}) == [("smtpd_tls_CAfile", "error")]


def test_what_the_run_sets_itself_is_judged_elsewhere() -> None:
    before = postfix_state(SERVES)
    assert tls_material_findings(before, before.with_settings({"smtpd_tls_CAfile": "/none"}), {}) == ()


def test_a_client_certificate_must_be_loadable(tmp_path: Path) -> None:
    issued = issue()
    key, certificate, both, locked = (tmp_path / name for name in ("key", "certificate", "both", "locked"))
    certificate.write_bytes(issued.pem)
    key.write_bytes(issued.key_pem)
    both.write_bytes(issued.key_pem + issued.pem)
    locked.write_bytes(issued.encrypted_key_pem)
    assert found({"smtp_tls_cert_file": str(certificate), "smtp_tls_key_file": str(key)}) == []
    assert found({"smtp_tls_chain_files": str(both)}) == []
    assert found({"smtp_tls_cert_file": "none"}) == found({"smtp_tls_chain_files": "none"}) == []
    assert found({"smtp_tls_chain_files": str(certificate)}) == [("smtp_tls_chain_files", "error")]
    assert found({"smtp_tls_cert_file": str(certificate)}) == [("smtp_tls_cert_file", "error")]
    for other in (str(locked), "/none"):
        main = {"smtp_tls_eccert_file": str(certificate), "smtp_tls_eckey_file": other}
        assert found(main) == [("smtp_tls_eccert_file", "error")]


@pytest.mark.parametrize("value", ["!TLSv1.2 !TLSv1.3", "TLSv1", "TLSv9", ">=sslv4"])
def test_protocols_that_leave_nothing(value: str) -> None:
    assert found({"smtp_tls_protocols": value}) == [("smtp_tls_protocols", "error")]
    assert found({"smtpd_tls_protocols": value}) == []
    assert found({"smtpd_tls_protocols": value, **SERVES}) == [("smtpd_tls_protocols", "error")]


@pytest.mark.parametrize("value", ["", "!SSLv2,!SSLv3", ">=TLSv1", ">=tlsv1.2", "TLSv1.2 TLSv1.3"])
def test_protocols_that_do(value: str) -> None:
    assert found({"smtp_tls_protocols": value, "smtpd_tls_protocols": value, **SERVES}) == []


@pytest.mark.parametrize(("grade", "wrong"), [("hgih", True), ("", True), ("HIGH", False), ("medium", False)])
def test_grades_of_ciphers(grade: str, wrong: bool) -> None:
    for parameter in ("smtp_tls_ciphers", "smtp_tls_mandatory_ciphers"):
        assert found({parameter: grade}) == [(parameter, "error")] * wrong


def test_connections_are_kept_by_tlsproxy() -> None:
    main = {"smtp_tls_connection_reuse": "yes"}
    assert found(main) == [("smtp_tls_connection_reuse", "error")]
    assert found(main, master=MASTER + "tlsproxy unix - - y - 0 tlsproxy\n") == []


def test_levels_that_need_authorities() -> None:
    tables = {"texthash:/x": Table({"a.example": "secure match=nexthop", "b.example": "encrypt", "c.example": ""})}
    (finding,) = findings({}, tables)
    assert (finding.setting, finding.severity) == ("smtp_tls_CAfile", "error")
    assert "for a.example: all mail there" in finding.problem
    assert found({}, {"socketmap:inet:127.0.0.1:8642:QUERY": Table()}) == [("smtp_tls_CAfile", "warning")]
    for main in ({"smtp_tls_CApath": "/etc/ssl/certs"}, {"tls_append_default_CA": "yes"}):
        assert found(main, tables) == []
