# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's options, its result, and how it fails."""

from __future__ import annotations

import json
import socket
import typing as t

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.module_utils import _dane_info
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._endpoint_report import CertificateReport, EndpointReport
from ansible_collections.mailsec.dane.plugins.module_utils._libunbound import TRUST_ANCHOR, ValidatingStub
from ansible_collections.mailsec.dane.plugins.module_utils._sigalgs import KeyAlgorithm
from ansible_collections.mailsec.dane.plugins.module_utils._verdicts import Verdict
from ansible_collections.mailsec.dane.plugins.module_utils._verification import (
    DomainReport,
    HostTarget,
    Report,
    Settings,
)
from ansible_collections.mailsec.dane.plugins.modules import dane_info

CHAIN: t.Final = CertificateReport(
    "CN=a", "CN=b", ("a",), "RSA", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "", ""
)
ROW: t.Final = EndpointReport(
    "d.example", "mx.example", "192.0.2.1", 25, "smtp", Verdict.MISMATCH, "why", chain=(CHAIN,)
)


def run(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, t.Any], *, check_mode: bool = False
) -> dict[str, t.Any]:
    with patch_module_args({**arguments, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
        dane_info.main()
    return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
    """Let the module look at nothing, and keep what it would have looked at."""
    calls: list[t.Any] = []

    def verify(*arguments: object) -> Report:
        calls.extend(arguments)
        return Report((ROW,), (DomainReport("d.example", Verdict.MISMATCH, True, ("mx.example",), ()),))

    monkeypatch.setattr(_dane_info, "verify", verify)
    return calls


def test_everything_that_can_be_named_is_looked_at(capsys: pytest.CaptureFixture[str], asked: list[t.Any]) -> None:
    found = run(
        capsys,
        {
            "domains": ["D.example.", "b\u00fccher.example", "d.example", "[192.0.2.1]"],
            "hosts": [{"name": "MX.example", "ports": [25, 465]}, {"name": "mx2.example"}],
            "endpoints": [
                {"host": "mx.example", "port": 2525, "starttls": "smtp", "address": "2001:DB8::1"},
                {"host": "mx.example", "port": 993},
            ],
            "key_algorithms": ["ecdsa", "eddsa"],
            "resolver": "::1",
            "resolver_port": 5353,
            "timeout": 3,
            "connect_timeout": 1,
            "step_timeout": 2,
            "connections": 7,
            "client_name": "Probe.example",
        },
    )
    domains, targets, resolver, settings = asked
    assert domains == ["d.example", "xn--bcher-kva.example", "[192.0.2.1]"]
    assert targets == [
        HostTarget("mx.example", 25, Starttls.SMTP),
        HostTarget("mx.example", 465, Starttls.NONE),
        HostTarget("mx2.example", 25, Starttls.SMTP),
        HostTarget("mx.example", 2525, Starttls.SMTP, "2001:db8::1"),
        HostTarget("mx.example", 993, Starttls.NONE),
    ]
    assert (resolver.address, resolver.port, resolver.timeout) == ("::1", 5353, 3.0)
    assert isinstance(settings, Settings)
    assert settings.algorithms == (KeyAlgorithm.ECDSA, KeyAlgorithm.EDDSA)
    assert (settings.limits.connect, settings.limits.step, settings.limits.connections) == (1.0, 2.0, 7)
    assert (settings.client_name, settings.trust_resolver) == ("probe.example", False)
    assert (found["changed"], found["verified"]) == (False, False)
    assert found["summary"] == {**{verdict.value: 0 for verdict in Verdict}, "mismatch": 1}


def test_libunbound_is_asked_for_by_name(capsys: pytest.CaptureFixture[str], asked: list[t.Any]) -> None:
    run(capsys, {"domains": ["d.example"], "validation": "libunbound", "resolver": "192.0.2.53", "resolver_port": 54})
    assert asked[2] == ValidatingStub("192.0.2.53", 54, TRUST_ANCHOR)
    assert yaml.safe_load(dane_info.DOCUMENTATION)["options"]["trust_anchor"]["default"] == TRUST_ANCHOR


def test_the_result_is_as_documented(capsys: pytest.CaptureFixture[str], asked: list[t.Any]) -> None:
    found = run(capsys, {"domains": ["d.example"]}, check_mode=True)
    documented = yaml.safe_load(dane_info.RETURN)
    assert set(found) - {"changed", "invocation"} == set(documented)
    assert set(found["endpoints"][0]) == set(documented["endpoints"]["contains"])
    assert set(found["endpoints"][0]["chain"][0]) == set(documented["endpoints"]["contains"]["chain"]["contains"])
    assert set(found["domains"][0]) == set(documented["domains"]["contains"])
    assert asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "domains, hosts and endpoints are all empty; name at least one to look at"),
        ({"domains": []}, "domains, hosts and endpoints are all empty; name at least one to look at"),
        (
            {"hosts": [{"name": "mx.example", "ports": [2525]}]},
            (
                "How TLS begins on port 2525 of mx.example does not follow from the port; list it under endpoints with "
                "starttls, one of smtp, lmtp, imap, pop3, sieve, xmpp-client, xmpp-server, none"
            ),
        ),
        ({"hosts": [{"name": "mx.example", "ports": [0]}]}, "Port 0 is no number from 1 to 65535"),
        (
            {"endpoints": [{"host": "mx.example", "port": 25, "address": "mx"}]},
            "endpoints.address must be an IPv4 or IPv6 address such as 127.0.0.1, not 'mx'",
        ),
        (
            {"domains": ["d.example"], "resolver": "localhost"},
            "resolver must be an IPv4 or IPv6 address such as 127.0.0.1, not 'localhost'",
        ),
        ({"domains": ["d.example"], "connections": 0}, "connections must be more than 0, not 0"),
        ({"domains": ["d.example"], "step_timeout": -1}, "step_timeout must be more than 0, not -1.0"),
        ({"domains": ["d..example"]}, "Host name 'd..example' has an empty label"),
        (
            {"domains": ["d.example"], "client_name": "a\r\nMAIL FROM:<>"},
            (
                "client_name must be a host name or be left out: Label 'a\\r\\nMAIL FROM:<>' of host name "
                "'a\\r\\nMAIL FROM:<>' may hold letters, digits and inner hyphens only; give a host name such as "
                "mx1.example.org"
            ),
        ),
    ],
)
def test_bad_options(capsys: pytest.CaptureFixture[str], arguments: dict[str, t.Any], message: str) -> None:
    found = run(capsys, arguments)
    assert found["failed"]
    assert found["msg"] == message


def test_without_a_resolver_nothing_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    found = run(
        capsys, {"domains": ["d.example"], "resolver_port": port, "timeout": 0.3, "hosts": [{"name": "mx.example"}]}
    )
    assert (found["verified"], found["summary"]["unknown"]) == (False, 2)
    assert {row["verdict"] for row in found["endpoints"]} == {"unknown"}
    assert found["endpoints"][0]["reason"].startswith("the resolver 127.0.0.1 does not answer: ")
    assert found["endpoints"][0]["reason"].endswith("To mend: start it, or install one (role unbound_resolver)")
