# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at random moments: Postfix has a valid configuration, and the next run finishes the work."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from lab.topology import Suite

if TYPE_CHECKING:
    from integration.postfix.world import MailHost

KILLS: Final = 20
ATTEMPTS: Final = 80  # a run may have ended before its moment comes

ONE: Final[dict[str, Any]] = {
    "security_level": "dane",
    "policies": [{"destination": "other.example", "level": "may"}],
    "chain_files": ["/etc/dane/host/deployed/*.pem"],
}
OTHER: Final[dict[str, Any]] = {
    "security_level": "dane-only",
    "policies": [],
    "log_level": 2,
    "chain_files": ["/etc/dane/host/deployed/ecdsa.pem"],
}


def _judge(host: MailHost, allowed: list[dict[str, str]]) -> None:
    main_cf = host.explicit()
    differences = [sorted(main_cf.items() ^ settings.items()) for settings in allowed]
    assert [] in differences, differences
    host.run("postfix check && postconf -c /etc/postfix >/dev/null")
    if "smtp_tls_policy_maps" in main_cf:
        host.run("postmap -q other.example texthash:/etc/postfix/dane_policy")


def _complete(host: MailHost, options: dict[str, Any]) -> None:
    outcome = host.module(**options)
    assert not outcome.failed, outcome.message


@pytest.mark.parametrize("suite", [Suite.BOOKWORM, Suite.TRIXIE])
def test_kills_at_random(mail_hosts: dict[Suite, MailHost], suite: Suite) -> None:
    host = mail_hosts[suite]
    host.reset()
    _complete(host, OTHER)
    other = host.explicit()
    started = time.monotonic()
    _complete(host, ONE)
    duration = time.monotonic() - started
    one = host.explicit()
    assert one != other
    moments = random.Random(7672)  # noqa: S311  # the same moments in every run, and no secret
    killed = 0
    for count in range(ATTEMPTS):
        if killed == KILLS:
            break
        options, wanted = (OTHER, other) if count % 2 == 0 else (ONE, one)
        killed += host.module_killed(moments.uniform(0, duration), **options)
        _judge(host, [one, other])
        _complete(host, options)
        assert host.explicit() == wanted
    assert killed == KILLS, f"only {killed} of {ATTEMPTS} runs were still at work when they were to be killed"
    _complete(host, ONE)
    assert not host.module(**ONE).changed
    assert host.send().verified
    assert [path for path in host.tree() if "dane-" in path] == []
