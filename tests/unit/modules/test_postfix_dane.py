# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.module_utils import _postconf, _postfix_apply
from ansible_collections.mailsec.dane.plugins.modules import postfix_dane

from fake_postfix import FakePostfix
from postfix_states import MASTER, TRIXIE_DEFAULTS

if t.TYPE_CHECKING:
    from pathlib import Path

Options = dict[str, t.Any]


def run(capsys: pytest.CaptureFixture[str], options: Options) -> dict[str, t.Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        postfix_dane.main()
    return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "main.cf").write_text("myhostname = mx1.example.org\n")
    (tmp_path / "master.cf").write_text(MASTER)
    defaults = TRIXIE_DEFAULTS | {"queue_directory": str(tmp_path / "queue")}
    monkeypatch.setattr(_postconf, "_run", FakePostfix(defaults, {}))
    monkeypatch.setattr(_postfix_apply, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    return tmp_path


def test_a_run_tells_what_it_did(capsys: pytest.CaptureFixture[str], directory: Path, warned: list[str]) -> None:
    result = run(
        capsys,
        {
            "config_directory": str(directory),
            "_ansible_diff": True,
            "policies": [{"destination": "example.net", "level": "may", "until": "2020-01-31"}],
        },
    )
    assert result["changed"] is True
    assert result["reloaded"] is True
    assert result["version"] == "3.10.13"
    assert result["config_directory"] == str(directory)
    assert result["parameters"] == {
        "smtp_dns_support_level": "dnssec",
        "smtp_host_lookup": "dns",
        "smtp_tls_dane_insecure_mx_policy": "dane",
        "smtp_tls_loglevel": "1",
        "smtp_tls_mandatory_protocols": ">=TLSv1.2",
        "smtp_tls_policy_maps": f"texthash:{directory}/dane_policy",
        "smtp_tls_security_level": "dane",
    }
    assert result["removed"] == []
    assert [finding["setting"] for finding in result["findings"]] == ["policies/example.net"]
    assert "policies/example.net: The entry 'may' was to end on 2020-01-31." in warned[0]
    assert [diff["before_header"] for diff in result["diff"]] == [
        f"{directory}/main.cf (before)",
        f"{directory}/dane_policy (before)",
    ]
    assert result["diff"][1]["before"] == ""
    assert result["diff"][1]["after"] == (directory / "dane_policy").read_text()


def test_check_mode_tells_the_same_and_does_nothing(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    options = {"config_directory": str(directory), "_ansible_diff": True}
    before = (directory / "main.cf").read_bytes()
    foreseen = run(capsys, {**options, "_ansible_check_mode": True})
    assert (directory / "main.cf").read_bytes() == before
    assert run(capsys, options) == foreseen
    again = run(capsys, options)
    assert again["changed"] is False
    assert "diff" not in again


def test_a_refusal_has_its_findings(capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    (directory / "main.cf").write_text("ignore_mx_lookup_error = yes\n")
    result = run(capsys, {"config_directory": str(directory)})
    assert result["failed"] is True
    assert result["error_type"] == "PostfixError"
    assert result["msg"].startswith("DANE cannot work with the configuration that is there, and nothing was changed:\n")
    assert [finding["setting"] for finding in result["findings"]] == ["ignore_mx_lookup_error"]
    accepted = run(capsys, {"config_directory": str(directory), "accept": ["ignore_mx_lookup_error"]})
    assert accepted["changed"] is True
    assert [finding["severity"] for finding in accepted["findings"]] == ["notice"]


# Values are judged before Postfix is looked at, so that a role can refuse them before it installs anything.
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mandatory_protocols": "TLSv9"}, "mandatory_protocols: 'TLSv9' in 'TLSv9' is no protocol"),
        ({"hostname": "mx1"}, "hostname: 'mx1' is no fully qualified host name"),
        ({"policies": [{"destination": "x", "level": "may"}]}, "policies: 'x' is no destination"),
    ],
)
def test_values_are_judged_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: Options, message: str
) -> None:
    monkeypatch.setattr(_postconf, "SEARCH_PATH", "")
    result = run(capsys, {"config_directory": "/nonexistent", **options})
    assert message in result["msg"]
    assert result["error_type"] == "InvalidInput"


def test_a_host_without_postfix(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_postconf, "SEARCH_PATH", "/nonexistent")
    result = run(capsys, {"config_directory": "/nonexistent"})
    assert result["error_type"] == "PostfixMissing"
    assert result["msg"] == "There is no postconf on this host; install the Debian package postfix first"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config_directory": "/x", "instance": "y"}, "parameters are mutually exclusive: config_directory|instance"),
        ({"tlsrpt": True}, "tlsrpt is True but all of the following are missing: tlsrpt_socket"),
        ({"security_level": "may"}, "value of security_level must be one of: dane, dane-only, got: may"),
        ({"policies": [{"level": "may"}]}, "missing required arguments: destination found in policies"),
    ],
)
def test_options_that_do_not_go(capsys: pytest.CaptureFixture[str], options: Options, message: str) -> None:
    assert run(capsys, options)["msg"] == message
