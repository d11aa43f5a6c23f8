# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exim, the second judge of another make."""

from __future__ import annotations

import contextlib
import typing as t

from conformance.beside import beside
from lab import podman

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.topology import Lab

__all__ = ["exim"]

_CONFIGURATION: t.Final = """\
primary_hostname = exim.sender.example
dns_dnssec_ok = 1
keep_environment =
log_selector = +tls_certificate_verified +tls_cipher
never_users = root
trusted_users = root
begin routers
mx:
  driver = dnslookup
  transport = smtp
  dnssec_request_domains = *
  self = pass
  no_more
begin transports
smtp:
  driver = smtp
  hosts_try_dane = *
  dnssec_request_domains = *
  connect_timeout = 5s
  command_timeout = 20s
begin retry
* * F,1h,10m
"""


@contextlib.contextmanager
def exim(lab: Lab, sender: str) -> Iterator[str]:
    """Start a container with Exim; gives its name."""
    with beside(lab, sender, "exim", "exim4-daemon-light") as name:
        podman.execute(name, ["/bin/sh", "-c", "cat > /etc/exim4/exim4.conf"], stdin=_CONFIGURATION.encode())
        yield name
