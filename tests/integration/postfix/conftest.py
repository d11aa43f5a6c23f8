# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.postfix.world import MailHost, postfix_world
from lab.topology import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def mail_hosts() -> Iterator[dict[Suite, MailHost]]:
    """Both releases' Postfix, for the whole session."""
    with postfix_world() as hosts:
        yield hosts


@pytest.fixture(params=[Suite.BOOKWORM, Suite.TRIXIE])
def host(request: pytest.FixtureRequest, mail_hosts: dict[Suite, MailHost]) -> MailHost:
    """One release's Postfix, as Debian installs it."""
    chosen = mail_hosts[request.param]
    chosen.reset()
    return chosen
