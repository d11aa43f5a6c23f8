# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people check their mail hosts with today, over the same deployments: smtp-dane-verify, hash-slinger, ldns-dane.

Each takes the name of a host, not of a domain, and says yes or no. It is right when it says yes to what the RFC calls
authenticated and no to everything else; why there is no authentication is more than it tells.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from conformance.beside import beside
from conformance.stage import ROOT, namespace_command
from lab import podman

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from conformance.cases import Case
    from lab.topology import Lab

__all__ = ["PEERS", "danesmtp_command", "peer_verdicts"]

PEERS: t.Final = {"danesmtp": "smtp-dane-verify", "tlsa": "hash-slinger", "ldns-dane": "ldns-dane"}
_REQUIREMENT: t.Final = "smtp-dane-verify==0.1.2"
# The trust anchor of the lab, as the sender's unbound has it, for the library inside hash-slinger.
_ANCHOR: t.Final = "/tmp/anchor"  # noqa: S108  # in a container of this run alone


def danesmtp_command(sender: str, directory: Path, script: str) -> list[str]:
    """The command that runs `script` where the sender's resolver is the only one and `danesmtp` is on the path.

    Installs the program on first use, apart from the project's own tools.
    """
    venv = ROOT / "build" / "bench" / "smtp-dane-verify"
    if not (venv / "bin" / "danesmtp").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", _REQUIREMENT], check=True)
    resolv_conf = directory / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.1\noptions edns0 trust-ad\n", encoding="utf-8")
    whole = f"mount --bind {resolv_conf} /etc/resolv.conf; PATH={venv}/bin:$PATH; {script}"
    return namespace_command(sender, ["unshare", "--mount", "/bin/bash", "-c", whole])


def peer_verdicts(
    lab: Lab, sender: str, cases: Sequence[Case], address: Callable[[Case], str]
) -> dict[str, dict[str, str]]:
    """By peer and case, ``yes`` or ``no``. A case without a host to name is not put to them."""
    asked = [case for case in cases if not {"null-mx", "nothing", "no-address"} & set(case.dns)]
    found = {"danesmtp": dict(_danesmtp(sender, asked))}
    with beside(lab, sender, "peers", "hash-slinger ldnsutils openssl") as container:
        podman.execute(container, ["/bin/sh", "-c", f"{_FIND_ANCHOR} > {_ANCHOR}; test -s {_ANCHOR}"])
        found["tlsa"] = dict(_in_container(container, asked, _tlsa))
        found["ldns-dane"] = dict(_in_container(container, asked, lambda case: _ldns_dane(case, address(case))))
    return found


_FIND_ANCHOR: t.Final = "grep -rhoP '^\\s*trust-anchor:\\s*\"\\K[^\"]+' /etc/unbound/unbound.conf.d/"


def _danesmtp(sender: str, cases: Sequence[Case]) -> Iterator[tuple[str, str]]:
    script = 'while read -r host; do echo "@ $host"; timeout 30 danesmtp "$host" 2>&1; done'
    with tempfile.TemporaryDirectory() as directory:
        said = subprocess.run(
            danesmtp_command(sender, Path(directory), script),
            input="".join(f"{case.host}\n" for case in cases).encode(),
            check=True,
            capture_output=True,
        ).stdout.decode()
    parts = dict(part.partition("\n")[::2] for part in said.split("@ ")[1:])
    for case in cases:
        yield case.name, "yes" if "is_valid=True" in parts[case.host] else "no"


def _tlsa(case: Case) -> str:
    """Its status is 0 also where it could not connect or knew no record, so the word must be there too."""
    command = f"timeout 30 tlsa --verify --port 25 --starttls smtp -4 --rootkey {_ANCHOR} {case.host}"
    return f"said=$({command} 2>/dev/null) && grep -q SUCCESS <<< $said"


def _ldns_dane(case: Case, address: str) -> str:
    """It has no STARTTLS, so it is handed the chain; without -n it would compare names for DANE-EE too."""
    return (
        f"timeout 20 openssl s_client -starttls smtp -showcerts -connect {address}:25 -servername {case.base} "
        f"</dev/null 2>/dev/null | timeout 20 ldns-dane -n -T -c /dev/stdin verify {case.host} 25"
    )


def _in_container(container: str, cases: Sequence[Case], command: Callable[[Case], str]) -> Iterator[tuple[str, str]]:
    script = "\n".join(
        f"echo '@ {case.name}'; {{ {command(case)}; }} >/dev/null 2>&1; echo \"status $?\"" for case in cases
    )
    said = podman.execute(container, ["/bin/bash"], stdin=script.encode(), timeout=1200)
    for name, status in re.findall(r"@ (\S+)\nstatus (\d+)", said):
        yield name, "yes" if status == "0" else "no"
