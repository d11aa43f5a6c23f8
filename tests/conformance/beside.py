# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container beside the sender, for judges that are not in its image: it shares the sender's idea of the DNS."""

from __future__ import annotations

import contextlib
import typing as t

from lab import machine, podman

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.topology import Lab

__all__ = ["beside"]


@contextlib.contextmanager
def beside(lab: Lab, sender: str, what: str, packages: str) -> Iterator[str]:
    """Start the container, made once from the sender's image with `packages`; gives its name, removes it at the end."""
    name = f"{lab.network}-conformance-{what}"
    made_image = f"localhost/dane-conformance/{what}:1"
    podman.remove_container(name)
    made = podman.attempt("image", "exists", made_image).returncode == 0
    image = made_image if made else podman.call("inspect", sender, "--format", "{{.ImageName}}").strip()
    podman.call(
        "run", "--detach", "--name", name, "--network", lab.network, "--dns", "none", "--no-hosts",
        "--entrypoint", "/bin/sleep", image, "86400",
    )  # fmt: skip
    try:
        if not made:
            _install(name, packages)
            podman.call("commit", "--quiet", name, made_image, timeout=300)
        for path in ("/etc/unbound/unbound.conf.d/lab.conf", "/etc/unbound/lab-root.hints", "/etc/resolv.conf"):
            content = podman.execute(sender, ["cat", path]).encode()
            podman.execute(name, ["/bin/sh", "-c", f"cat > {path}"], stdin=content)
        podman.execute(name, ["/bin/sh", "-c", "mkdir -p /run/unbound; unbound"])
        yield name
    finally:
        podman.remove_container(name)


def _install(name: str, packages: str) -> None:
    resolvers = "".join(f"nameserver {address}\n" for address in machine.outer_resolvers())
    podman.execute(name, ["/bin/sh", "-c", "cat > /etc/resolv.conf"], stdin=resolvers.encode())
    script = (
        "export DEBIAN_FRONTEND=noninteractive; printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; "
        "chmod 755 /usr/sbin/policy-rc.d; apt-get update -q && "
        f"apt-get install -q -y --no-install-recommends {packages} && rm -rf /var/lib/apt/lists/*"
    )
    podman.execute(name, ["/bin/bash", "-c", script], timeout=600)
