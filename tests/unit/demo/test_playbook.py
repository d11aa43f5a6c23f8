# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from demo.playbook import read_recap

RECAP = """
PLAY RECAP *********************************************************************
mx1.one.example            : ok=41   changed=0    unreachable=0    failed=0    skipped=6    rescued=0    ignored=0
\x1b[0;33mmx2.two.example\x1b[0m            : ok=40   \x1b[0;33mchanged=3   \x1b[0m unreachable=0    failed=0

"""


def test_counts_are_read_with_and_without_colour() -> None:
    recap = read_recap(RECAP, 0)
    assert sorted(recap.hosts) == ["mx1.one.example", "mx2.two.example"]
    assert recap.changed == 3
    assert recap.succeeded


def test_a_run_without_hosts_is_no_success() -> None:
    assert not read_recap("[WARNING]: no hosts matched", 0).succeeded


def test_a_failed_or_unreachable_host_is_no_success() -> None:
    assert not read_recap(RECAP.replace("failed=0", "failed=1"), 0).succeeded
    assert not read_recap(RECAP.replace("unreachable=0", "unreachable=1"), 0).succeeded
    assert not read_recap(RECAP, 2).succeeded


def test_a_host_named_in_the_middle_of_the_output_is_not_counted() -> None:
    assert read_recap("other.example : ok=1 changed=5\n" + RECAP, 0).changed == 3
