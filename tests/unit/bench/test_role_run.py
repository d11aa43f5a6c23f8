# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as a task on the host: what goes there, whatever comes of it."""

from __future__ import annotations

import json
import typing as t

from bench._role_run import read_report

HOST: t.Final = "mx1.one.example"


def report(*results: tuple[str, dict[str, t.Any]]) -> str:
    tasks = [{"task": {"name": name}, "hosts": {HOST: result}} for name, result in results]
    return "[WARNING]: something\n" + json.dumps({"plays": [{"tasks": tasks}]})


def test_tasks_that_reach_the_host_are_counted_and_changes_named() -> None:
    run = read_report(
        report(
            ("Gather", {"action": "gather_facts"}),
            ("Check", {"action": "ansible.builtin.assert"}),
            ("Validate", {"action": "ansible.builtin.validate_argument_spec"}),
            ("Look", {"action": "mailsec.dane.resolver_info", "changed": False}),
            ("Write", {"action": "template", "changed": True}),
            ("Rest", {"action": "ansible.builtin.file", "skipped": True}),
        ),
        2.5,
    )
    assert (run.seconds, run.tasks, run.changed) == (2.5, {HOST: ["Gather", "Look", "Write"]}, {HOST: ["Write"]})


def test_a_host_without_tasks_is_not_forgotten() -> None:
    assert read_report(report(("Check", {"action": "assert"})), 1.0).tasks == {HOST: []}
