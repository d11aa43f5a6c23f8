# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container with Exim, the second judge of another make: it shares the sender's idea of the DNS."""

from __future__ import annotations

import contextlib
import typing as t

from lab import machine, podman

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.topology import Lab

__all__ = ["exim"]

_IMAGE: t.Final = "localhost/dane-conformance/exim:1"
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
    """Start the container, made once from the sender's image; gives its name and removes it at the end."""
    name = f"{lab.network}-conformance-exim"
    podman.remove_container(name)
    made = podman.attempt("image", "exists", _IMAGE).returncode == 0
    image = _IMAGE if made else podman.call("inspect", sender, "--format", "{{.ImageName}}").strip()
    podman.call(
        "run", "--detach", "--name", name, "--network", lab.network, "--dns", "none", "--no-hosts",
        "--entrypoint", "/bin/sleep", image, "86400",
    )  # fmt: skip
    try:
        if not made:
            _install(name)
        for path in ("/etc/unbound/unbound.conf.d/lab.conf", "/etc/unbound/lab-root.hints", "/etc/resolv.conf"):
            content = podman.execute(sender, ["cat", path]).encode()
            podman.execute(name, ["/bin/sh", "-c", f"cat > {path}"], stdin=content)
        podman.execute(name, ["/bin/sh", "-c", "cat > /etc/exim4/exim4.conf"], stdin=_CONFIGURATION.encode())
        podman.execute(name, ["/bin/sh", "-c", "mkdir -p /run/unbound; unbound"])
        yield name
    finally:
        podman.remove_container(name)


def _install(name: str) -> None:
    resolvers = "".join(f"nameserver {address}\n" for address in machine.outer_resolvers())
    podman.execute(name, ["/bin/sh", "-c", "cat > /etc/resolv.conf"], stdin=resolvers.encode())
    script = (
        "export DEBIAN_FRONTEND=noninteractive; printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; "
        "chmod 755 /usr/sbin/policy-rc.d; apt-get update -q && "
        "apt-get install -q -y --no-install-recommends exim4-daemon-light && rm -rf /var/lib/apt/lists/*"
    )
    podman.execute(name, ["/bin/bash", "-c", script], timeout=600)
    podman.call("commit", "--quiet", name, _IMAGE, timeout=300)
