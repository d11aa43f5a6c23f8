# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for postconf, postfix, postmulti and postmap where a test needs them to misbehave.

How real Postfix behaves is tested against real Postfix (tests/integration/postfix).
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = tuple[int, str, str]


@dataclass
class FakePostfix:
    """Takes the place of the adapter's `_run`.

    ``faults`` holds what goes wrong: ``check-fails``, ``reload-kills``, ``stopped``, ``edits-more``, and
    ``names-directory``: -n lists config_directory every other time, as real ones do with main.cf of another age.
    ``victim`` is a main.cf that somebody else edits while ours is made.
    """

    defaults: Mapping[str, str]
    instances: Mapping[str, Path]
    faults: set[str] = field(default_factory=set)
    victim: Path | None = None
    log: list[str] = field(default_factory=list)

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Do what the program would do, as far as the adapter can tell."""
        program, arguments = command[0], list(command[1:])
        shown = [word for at, word in enumerate(command) if "-c" not in {word, command[at - 1]}]
        self.log.append(" ".join(shown))
        status, output, error = {
            "postconf": self._postconf,
            "postfix": self._postfix,
            "postmulti": self._postmulti,
            "postmap": self._postmap,
        }[program](arguments)
        return subprocess.CompletedProcess(command, status, output, error)

    def calls(self) -> list[str]:
        """What was called since the last look, without configuration directories."""
        log, self.log = self.log, []
        return log

    def _postconf(self, arguments: list[str]) -> Answer:
        if arguments[0] != "-c":
            return 0, self.defaults["mail_version"] + "\n", ""
        directory, rest = Path(arguments[1]), arguments[2:]
        main = _read(directory / "main.cf")
        if "-e" in rest:
            _edit(directory / "main.cf", [], dict(pair.split("=", 1) for pair in rest[1:]))
            if "edits-more" in self.faults:
                _edit(directory / "main.cf", ["relayhost"], {})
            if self.victim:
                _edit(self.victim, [], {"biff": "no"})
        elif "-X" in rest:
            _edit(directory / "main.cf", rest[1:], {})
        elif "-P" in rest:
            return 0, "", ""
        elif "-x" in rest:
            given = dict(word.split("=", 1) for at, word in enumerate(rest) if rest[at - 1] == "-o")
            raw = {**self.defaults, **main, **given}
            return (
                0,
                _settings({name: re.sub(r"\$(\w+)", lambda at: raw.get(at[1], at[0]), raw[name]) for name in raw}),
                "",
            )
        elif "-n" in rest:
            listed = "names-directory" in self.faults and self.log.count("postconf -n") % 2
            return 0, _settings({**main, "config_directory": str(directory)} if listed else main), ""
        elif "-M" in rest:
            return 0, (directory / "master.cf").read_text(), ""
        return 0, "", ""

    def _postfix(self, arguments: list[str]) -> Answer:
        command = arguments[-1]
        if command == "check" and "check-fails" in self.faults:
            return 1, "", "postfix: fatal: it will not do\n"
        if command == "status" and "stopped" in self.faults:
            return 1, "", ""
        if command == "reload" and "reload-kills" in self.faults:
            self.faults.add("stopped")
        return 0, "", ""

    def _postmulti(self, arguments: list[str]) -> Answer:
        assert arguments == ["-l"]
        return 0, "".join(f"{name} - y {path}\n" for name, path in self.instances.items()), ""

    def _postmap(self, arguments: list[str]) -> Answer:
        table = Path(arguments[-1].partition(":")[2])
        if not table.exists():
            return 1, "", f"postmap: fatal: open {table}: No such file or directory\n"
        if "-q" not in arguments:
            return 0, table.read_text(), ""
        found = arguments[arguments.index("-q") + 1] in table.read_text()
        return (0, "found\n", "") if found else (1, "", "")


def _read(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _unused, value in (line.partition("=") for line in lines)}


def _settings(parameters: Mapping[str, str]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in parameters.items())


def _edit(path: Path, remove: list[str], assign: dict[str, str]) -> None:
    lines = []
    for line in path.read_text().splitlines():
        name = line.partition("=")[0].strip()
        if name not in remove:
            lines.append(f"{name} = {assign.pop(name)}" if name in assign else line)
    lines += [f"{name} = {value}" for name, value in assign.items()]
    path.write_text("\n".join(lines) + "\n")
