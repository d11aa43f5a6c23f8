# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container of one Debian release with the programs that judge: OpenSSL, Postfix and hash-slinger."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import images, podman
from lab.machine import prepare
from lab.topology import Flavour, Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive; "
    "apt-get update -qq && apt-get install --yes -qq --no-install-recommends hash-slinger openssl"
)


@dataclass(frozen=True)
class Judge:
    """A running container."""

    suite: Suite
    container: str

    def ask(self, program: str, question: object, *, timeout: float) -> Any:  # noqa: ANN401  # whatever it answers
        """Run a program of this folder inside, which reads JSON from its input and writes JSON to its output."""
        code = (Path(__file__).parent / program).read_text("utf-8")
        place = f"/root/{program}"
        podman.call("exec", "--interactive", self.container, "tee", place, stdin=code.encode())
        answer = podman.execute(
            self.container, ["python3", place], stdin=json.dumps(question).encode(), timeout=timeout
        )
        return json.loads(answer)


@contextmanager
def judges(suite: Suite) -> Iterator[Judge]:
    """Start the container of a release, with hash-slinger installed, and remove it in the end."""
    prepare()
    image = (Flavour.SERVICE, suite)
    images.ensure([image])
    name = f"dane-conformance-{suite}"
    podman.remove_container(name)
    podman.call("run", "--detach", "--name", name, "--network", "host", images.reference(*image), "sleep", "infinity")
    try:
        podman.execute(name, ["sh", "-c", _INSTALL], timeout=300)
        yield Judge(suite, name)
    finally:
        podman.remove_container(name)
