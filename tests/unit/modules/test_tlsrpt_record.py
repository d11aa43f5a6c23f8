# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against Cloudflare's stand-in; tests/integration/publish has it against real name servers."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.modules import tlsrpt_record

from cloudflare_stand_in import CloudflareStandIn, Fault

if t.TYPE_CHECKING:
    from collections.abc import Iterator

NAME: t.Final = "_smtp._tls.example.org"
WANTED: t.Final = '"v=TLSRPTv1; rua=mailto:tls-reports@example.org"'


@pytest.fixture(name="cloudflare")
def fixture_cloudflare() -> Iterator[CloudflareStandIn]:
    with CloudflareStandIn(["example.org"]) as stand_in:
        yield stand_in


def run(
    capsys: pytest.CaptureFixture[str],
    cloudflare: CloudflareStandIn,
    **options: t.Any,  # noqa: ANN401  # options are of any type
) -> dict[str, t.Any]:
    arguments = {
        "provider": {"type": "cloudflare", "api_token": cloudflare.token, "api_url": cloudflare.url},
        "domains": [{"name": "example.org"}],
        **options,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        tlsrpt_record.main()
    out, err = capsys.readouterr()
    assert cloudflare.token not in out + err
    return t.cast("dict[str, t.Any]", json.loads(out))


def test_a_run_its_result_and_the_next_run(capsys: pytest.CaptureFixture[str], cloudflare: CloudflareStandIn) -> None:
    foretold = run(capsys, cloudflare, _ansible_check_mode=True, _ansible_diff=True)
    assert cloudflare.texts(NAME) == []
    result = run(capsys, cloudflare, _ansible_diff=True)
    assert {**foretold, "invocation": None} == {**result, "invocation": None}
    assert cloudflare.texts(NAME) == [WANTED]
    assert result["rrsets"] == [
        {
            "name": NAME,
            "owner": NAME,
            "zone": "example.org",
            "ttl": 3600,
            "ttl_before": None,
            "before": [],
            "after": [WANTED],
            "changed": True,
        }
    ]
    assert [(one["before"], one["after"]) for one in result["diff"]] == [("", f"{NAME}. 3600 IN TXT {WANTED}\n")]
    again = run(capsys, cloudflare, _ansible_diff=True)
    assert (again["changed"], again.get("diff")) == (False, None)


@pytest.mark.parametrize("with_batch", [True, False])
def test_the_old_one_goes_after_the_new_one_came_and_others_stay(
    capsys: pytest.CaptureFixture[str], cloudflare: CloudflareStandIn, *, with_batch: bool
) -> None:
    cloudflare.with_batch = with_batch
    cloudflare.add_text(NAME, "v=TLSRPTv1; rua=mailto:old@example.org")  # unquoted, as older records are
    cloudflare.add_text(NAME, '"something else"')
    cloudflare.add_text("example.org", '"v=spf1 -all"')
    assert run(capsys, cloudflare)["changed"]
    assert cloudflare.texts(NAME) == ['"something else"', WANTED]
    assert run(capsys, cloudflare, state="absent")["changed"]
    assert cloudflare.texts(NAME) == ['"something else"']
    assert cloudflare.texts("example.org") == ['"v=spf1 -all"']


def test_an_unquoted_record_that_says_the_same_is_kept(
    capsys: pytest.CaptureFixture[str], cloudflare: CloudflareStandIn
) -> None:
    cloudflare.add_text(NAME, WANTED.strip('"'), ttl=3600)
    assert not run(capsys, cloudflare)["changed"]


def test_a_read_that_fails_removes_nothing(capsys: pytest.CaptureFixture[str], cloudflare: CloudflareStandIn) -> None:
    cloudflare.add_text(NAME, WANTED)
    cloudflare.faults.append(Fault("GET", "/zones/zone0", 400, times=9))
    result = run(capsys, cloudflare, state="absent")
    assert result["failed"]
    assert cloudflare.texts(NAME) == [WANTED]


def test_bad_input_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], cloudflare: CloudflareStandIn
) -> None:
    result = run(capsys, cloudflare, domains=[{"name": "example.org", "rua": ["nobody"]}])
    assert (result["failed"], result["error_type"]) == (True, "InvalidInput")
    assert cloudflare.calls == []
