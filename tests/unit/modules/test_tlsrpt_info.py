# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.mailsec.dane.plugins.modules import tlsrpt_info

if t.TYPE_CHECKING:
    from pathlib import Path


def report(identifier: str, ended: datetime) -> str:
    return json.dumps(
        {
            "organization-name": "Company-X",
            "date-range": {
                "start-datetime": (ended - timedelta(days=1)).isoformat(),
                "end-datetime": ended.isoformat(),
            },
            "report-id": identifier,
            "policies": [
                {
                    "policy": {"policy-type": "tlsa", "policy-domain": "example.org"},
                    "summary": {"total-successful-session-count": 7, "total-failure-session-count": 2},
                    "failure-details": [{"result-type": "tlsa-invalid", "failed-session-count": 2}],
                }
            ],
        }
    )


def run(
    capsys: pytest.CaptureFixture[str],
    **options: t.Any,  # noqa: ANN401  # options are of any type
) -> dict[str, t.Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        tlsrpt_info.main()
    return t.cast("dict[str, t.Any]", json.loads(capsys.readouterr().out))


def test_reports_are_added_up_and_old_ones_left_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    now = datetime.now(UTC)
    (tmp_path / "new.json").write_text(report("1", now))
    (tmp_path / "old.json").write_text(report("2", now - timedelta(days=30)))
    (tmp_path / "bad.json").write_text("{")
    result = run(capsys, paths=[str(tmp_path)], days=7)
    assert not result["changed"]
    assert (result["reports"], result["left_out"]) == (1, 1)
    (policy,) = result["policies"]
    assert (policy["domain"], policy["policy_type"]) == ("example.org", "tlsa")
    assert (policy["successful"], policy["failed"]) == (7, 2)
    assert policy["failures"] == [
        {"result_type": "tlsa-invalid", "host": "", "count": 2, "organizations": ["Company-X"], "reasons": []}
    ]
    (refused,) = result["refused"]
    assert refused["place"] == str(tmp_path / "bad.json")
    assert run(capsys, paths=[str(tmp_path)])["policies"][0]["failed"] == 4


def test_a_path_where_nothing_is_yet_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    result = run(capsys, paths=[f"{tmp_path}/none"])
    assert (result["reports"], result["policies"]) == (0, [])
    assert (result["refused"], result["missing"]) == ([], [f"{tmp_path}/none"])


def test_a_path_that_cannot_be_read_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(capsys, paths=[f"{tmp_path}/file/below"])
    assert (result["failed"], result["error_type"]) == (True, "InvalidInput")
