#!/usr/bin/env python3
# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for postconf, postfix, postmulti and postmap where a test needs them to misbehave.

How real Postfix behaves is tested against real Postfix (tests/integration/postfix). Every call is logged to
``calls`` beside this program; a file there named as a fault has it happen: ``check-fails``, ``reload-kills``,
``stopped``, ``edits-more``, ``somebody-edits``.
"""

from __future__ import annotations

import sys
from pathlib import Path

HOME = Path(sys.argv[0]).parent


def has(fault: str) -> bool:
    return (HOME / fault).exists()


def read(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def edit(path: Path, remove: list[str], assign: dict[str, str]) -> None:
    lines = []
    for line in path.read_text().splitlines():
        name = line.partition("=")[0].strip()
        if name not in remove:
            lines.append(f"{name} = {assign.pop(name)}" if name in assign else line)
    lines += [f"{name} = {value}" for name, value in assign.items()]
    path.write_text("\n".join(lines) + "\n")


def postconf(arguments: list[str]) -> None:
    directory = Path(arguments[arguments.index("-c") + 1])
    main = read(directory / "main.cf")
    rest = arguments[2:]
    if "-e" in rest:
        edit(directory / "main.cf", [], dict(pair.split("=", 1) for pair in rest[1:]))
        if has("edits-more"):
            edit(directory / "main.cf", ["relayhost"], {})
        if has("somebody-edits"):
            edit(Path((HOME / "somebody-edits").read_text()), [], {"biff": "no"})
    elif "-X" in rest:
        edit(directory / "main.cf", rest[1:], {})
    elif "-x" in rest:
        main = read(HOME / "defaults") | main
        print("".join(f"{name} = {value}\n" for name, value in main.items()), end="")
    elif "-n" in rest:
        print("".join(f"{name} = {value}\n" for name, value in main.items()), end="")
    elif "-M" in rest:
        print((directory / "master.cf").read_text(), end="")


def postfix(arguments: list[str]) -> None:
    command = arguments[-1]
    if command == "check" and has("check-fails"):
        sys.exit("postfix: fatal: it will not do")
    if command == "status" and has("stopped"):
        sys.exit(1)
    if command == "reload" and has("reload-kills"):
        (HOME / "stopped").touch()


def main() -> None:
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (HOME / "calls").open("a") as log:
        log.write(" ".join([program, *arguments]) + "\n")
    if program == "postconf":
        postconf(arguments)
    elif program == "postfix":
        postfix(arguments)
    elif program == "postmulti":
        print("-               -               y         /etc/postfix")
        print(f"postfix-out     -               n         {HOME / 'out'}")
    elif program == "postmap" and "-q" in arguments:
        table = Path(arguments[-1].partition(":")[2])
        if not table.exists():
            sys.exit(f"postmap: fatal: open {table}: No such file or directory")
        if arguments[arguments.index("-q") + 1] not in table.read_text():
            sys.exit(1)
    elif program == "postmap":
        table = Path(arguments[-1].partition(":")[2])
        if not table.exists():
            sys.exit(f"postmap: fatal: open {table}: No such file or directory")
        print(table.read_text(), end="")


main()
