# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_lookup import Table
from ansible_collections.mailsec.dane.plugins.module_utils._postfix_relaxed import relaxed_findings

from postfix_states import postfix_state

RELAY: t.Final = "[smtp.isp.example]:587"


def found(
    main: dict[str, str], wanted: dict[str, str] | None = None, tables: dict[str, Table] | None = None
) -> list[tuple[str, str, str]]:
    before = postfix_state(main)
    planned = before.with_settings(wanted or {"smtp_tls_security_level": "dane"})
    findings = relaxed_findings(before, planned, tables or {})
    return [(finding.setting, finding.severity, finding.remedy) for finding in findings]


@pytest.mark.parametrize("level", ["encrypt", "verify", "secure", "Fingerprint"])
def test_a_level_that_never_sends_in_clear_is_not_taken_away(level: str) -> None:
    ((setting, severity, remedy),) = found({"smtp_tls_security_level": level})
    assert (setting, severity) == ("smtp_tls_security_level", "error")
    assert "security_level to dane-only" in remedy


def test_superseded_parameters_are_a_level_too() -> None:
    assert len(found({"smtp_enforce_tls": "yes"})) == 1
    assert found({"smtp_enforce_tls": "yes", "smtp_tls_security_level": "may"}) == []


@pytest.mark.parametrize("level", ["", "none", "may", "dane", "dane-only"])
def test_other_levels_are_replaced(level: str) -> None:
    assert found({"smtp_tls_security_level": level}) == []


def test_a_level_that_is_as_strict_takes_nothing_away() -> None:
    assert found({"smtp_tls_security_level": "encrypt"}, {"smtp_tls_security_level": "dane-only"}) == []


def test_the_relay_keeps_its_level_by_a_policy() -> None:
    main = {"smtp_tls_security_level": "encrypt", "relayhost": RELAY}
    ((_setting, _severity, remedy),) = found(main)
    assert f"policies: [{{destination: '{RELAY}', level: encrypt}}]" in remedy
    assert found(main, tables={"texthash:x": Table({RELAY: "encrypt protocols=>=TLSv1.2"})}) == []
    assert len(found(main, tables={"texthash:x": Table({RELAY: "may"}), "texthash:y": Table({RELAY: "encrypt"})})) == 1
    assert len(found(main, tables={"pcre:x": Table()})) == 1


def test_lmtp_is_judged_where_it_changes() -> None:
    main = {"lmtp_tls_security_level": "encrypt"}
    assert found(main) == []
    ((setting, _severity, _remedy),) = found(main, {"lmtp_tls_security_level": "dane"})
    assert setting == "lmtp_tls_security_level"


@pytest.mark.parametrize(
    ("lookup", "wanted", "said"),
    [
        ("native, dns", "dns, native", 1),
        ("native", "dns, native", 1),
        ("dns, native", "dns, native", 0),
        ("dns", "dns", 0),
    ],
)
def test_names_in_hosts_are_spoken_of_where_they_came_first(lookup: str, wanted: str, said: int) -> None:
    assert [one[:2] for one in found({"smtp_host_lookup": lookup}, {"smtp_host_lookup": wanted})] == [
        ("smtp_host_lookup", "notice")
    ] * said
