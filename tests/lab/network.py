# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's network: one podman bridge with IPv4 and IPv6, without podman's own name server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import podman
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.topology import Lab


def ensure(lab: Lab) -> bool:
    """Make the network; return whether it had to be made. One with other subnets is replaced when nothing uses it."""
    subnets = {lab.ipv4_subnet, lab.ipv6_subnet}
    for row in podman.listing("network", "ls", "--filter", f"name=^{lab.network}$"):
        if {subnet["subnet"] for subnet in row.get("subnets") or ()} == subnets:
            return False
        remove(lab)
    gateway4, gateway6 = (subnet.partition("/")[0] for subnet in (lab.ipv4_subnet, lab.ipv6_subnet))
    made = podman.attempt(
        "network", "create", "--disable-dns", "--ipv6",
        "--subnet", lab.ipv4_subnet, "--gateway", gateway4.removesuffix("0") + "1",
        "--subnet", lab.ipv6_subnet, "--gateway", gateway6 + "1",
        lab.network,
    )  # fmt: skip
    if made.returncode != 0:
        raise LabError(
            f"podman cannot make the network {lab.network} ({lab.ipv4_subnet}, {lab.ipv6_subnet}): "
            f"{made.stderr.decode('utf-8', 'replace').strip()} "
            "If the subnet is in use, choose another lab with --id (LAB_ID)."
        )
    return True


def remove(lab: Lab) -> None:
    """Remove the network, if it is there."""
    podman.attempt("network", "rm", "--force", "--time", "0", lab.network)
