# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every case by way of resolvers that are somewhere else and validate nothing, with Debian's own libunbound.

``python -m conformance.libunbound``: in a container of each Debian release one resolver passes on what the lab's name
servers say, and another lies about two hosts. Exit status 0 only if nothing is believed on their word, libunbound comes
to the verdict of each case by way of the first, and sees through the lies of the second.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
import typing as t
from pathlib import Path

from ansible_collections.mailsec.dane.plugins.module_utils._x509 import tlsa_record_for

from conformance.beside import beside
from conformance.cases import read_cases
from conformance.certificates import served_chain
from conformance.raising import raised
from lab import lifecycle, podman

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.cases import Case

ROOT: t.Final = Path(__file__).resolve().parents[2]
RELEASES: t.Final = {"sender": "13", "sender12": "12"}
_PACKAGES: t.Final = "python3-unbound python3-cryptography python3-dnspython"
_ANCHOR: t.Final = "/root/anchor"
_HONEST, _LIAR = 5301, 5302
_MISMATCH, _SOUND = "ee-other-key", "ee-spki-sha256"
# Neither validates; both answer the whole container, at the address that it has in the lab.
_RESOLVER: t.Final = """
server:
    interface: ADDRESS@PORT
    access-control: 10.53.0.0/16 allow
    root-hints: "/etc/unbound/lab-root.hints"
    module-config: "iterator"
    outgoing-range: 128
    num-queries-per-thread: 64
    pidfile: ""
    chroot: ""
"""
_FIND_ANCHOR: t.Final = "sed -n 's/^ *trust-anchor: \"\\(.*\\)\"$/\\1/p' /etc/unbound/unbound.conf.d/lab.conf"


def main() -> int:
    """Raise the cases, look in both releases, and tell; return the exit status."""
    lab = lifecycle.open_lab(int(os.environ.get("LAB_ID", "0")))
    cases = read_cases()
    troubles: list[str] = []
    with raised(lab, cases) as (senders, _address):
        for name, release in RELEASES.items():
            with beside(lab, senders[name], f"libunbound{release}", _PACKAGES) as container:
                began = time.monotonic()
                address = _prepare(container, cases)
                found = _troubles(container, address, cases)
                print(
                    f"libunbound: Debian {release}: {len(cases)} cases in {time.monotonic() - began:.0f} s", flush=True
                )
                troubles += [f"Debian {release}: {trouble}" for trouble in found]
    for trouble in troubles:
        print(f"libunbound: FAILED: {trouble}")
    return 1 if troubles else 0


def _prepare(container: str, cases: Sequence[Case]) -> str:
    """Bring in the collection and the anchor, and start both resolvers; return their address."""
    podman.call("exec", "--interactive", container, "tar", "--extract", "--directory", "/root", stdin=_collection())
    podman.execute(container, ["/bin/sh", "-c", f"{_FIND_ANCHOR} > {_ANCHOR}; test -s {_ANCHOR}"])
    address = podman.execute(container, ["hostname", "-I"]).split()[0]
    for port, lies in ((_HONEST, ""), (_LIAR, _lies({case.name: case for case in cases}))):
        text = _RESOLVER.replace("ADDRESS", address).replace("PORT", str(port)) + lies
        path = f"/root/resolver-{port}.conf"
        podman.execute(container, ["/bin/sh", "-c", f"cat > {path} && unbound -c {path}"], stdin=text.encode())
    return address


def _collection() -> bytes:
    archive = io.BytesIO()
    place = "ansible_collections/mailsec/dane/plugins/module_utils"
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted((ROOT / "plugins" / "module_utils").rglob("*.py")):
            tar.add(path, f"{place}/{path.relative_to(ROOT / 'plugins' / 'module_utils')}")
        tar.add(Path(__file__).with_name("proof_program.py"), "proof_program.py")
    return archive.getvalue()


def _lies(cases: dict[str, Case]) -> str:
    """Records that make a chain good which is not, and the denial of records that are there."""
    wrong, sound = cases[_MISMATCH], cases[_SOUND]
    record = tlsa_record_for(served_chain(wrong)[0]).to_text()
    owner, hidden = (f"_25._tcp.{case.base}." for case in (wrong, sound))
    return (
        f'    local-zone: "{owner}" static\n    local-data: "{owner} 60 IN TLSA {record}"\n'
        f'    local-zone: "{hidden}" always_nxdomain\n'
    )


def _look(
    container: str, address: str, port: int, cases: Sequence[Case], *, anchor: str | None
) -> dict[str, tuple[str, str]]:
    asked = {"domains": [case.domain for case in cases], "resolver": address, "port": port, "anchor": anchor}
    said = podman.execute(
        container,
        ["env", "PYTHONPATH=/root", "python3", "/root/proof_program.py"],
        stdin=json.dumps(asked).encode(),
        timeout=300,
    )
    found = json.loads(said)
    return {case.name: tuple(found[case.domain]) for case in cases}


def _troubles(container: str, address: str, cases: Sequence[Case]) -> list[str]:
    by_word = _look(container, address, _HONEST, cases, anchor=None)
    proven = _look(container, address, _HONEST, cases, anchor=_ANCHOR)
    lied_about = [case for case in cases if case.name in (_MISMATCH, _SOUND)]
    lies = _look(container, address, _LIAR, lied_about, anchor=_ANCHOR)
    return [
        *(
            f"{name}: a resolver elsewhere was believed: {found}"
            for name, found in by_word.items()
            if found != ("unknown", "resolver_remote")
        ),
        *(
            f"{case.name}: {proven[case.name]}, not {(case.verdict, case.cause)}"
            for case in cases
            if proven[case.name] != (case.verdict, case.cause)
        ),
        *(f"{name}: a lie was believed: {found}" for name, found in lies.items() if found[0] != "bogus"),
    ]


if __name__ == "__main__":
    sys.exit(main())
