# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m lab``: raise, look at, reset and remove a lab, and send mail in it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys

from lab import judge, lifecycle, topology
from lab.errors import LabError
from lab.machine import podman_environment


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the next `up` goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--id", type=int, default=int(os.environ.get("LAB_ID", "0")), help="which lab (LAB_ID, 0)")
    parser = argparse.ArgumentParser(prog="python -m lab", description="An Internet in a box for DANE.")
    commands = parser.add_subparsers(dest="command", required=True)
    raise_ = commands.add_parser("up", parents=[shared], help="raise the lab; the second time changes nothing")
    raise_.add_argument("--hosts", help="mail hosts to raise, separated by commas (default: mx1,mx2)")
    raise_.add_argument(
        "--bare", action=argparse.BooleanOptionalAction, help="managed hosts without downloaded packages"
    )
    raise_.add_argument("--ttl", type=int, help="TTL of every record, in seconds (60)")
    commands.add_parser("down", parents=[shared], help="remove containers, network and state; images stay")
    commands.add_parser("reset", parents=[shared], help="make the managed hosts and the zones virgin again")
    commands.add_parser("status", parents=[shared], help="list the hosts")
    shell = commands.add_parser("shell", parents=[shared], help="a shell on a host")
    shell.add_argument("host")
    execute = commands.add_parser("exec", parents=[shared], help="run a command on a host")
    execute.add_argument("host")
    execute.add_argument("argument", nargs="+", help="-- COMMAND ...")
    lag = commands.add_parser("lag", parents=[shared], help="make the secondary stop following the primary")
    lag.add_argument("switch", choices=["on", "off"])
    refresh = commands.add_parser("refresh", parents=[shared], help="empty a judge's queue and caches")
    refresh.add_argument("host", nargs="?", default="sender")
    send = commands.add_parser("send", parents=[shared], help="send a message and print what the sender's log says")
    send.add_argument("--from", dest="sender", default="sender", metavar="HOST")
    send.add_argument("--to", required=True, metavar="ADDRESS")
    send.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    send.add_argument("--until", default="", metavar="STATUS", help="wait for this status (sent, deferred, bounced)")
    send.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _run(options: argparse.Namespace) -> int:
    choices = lifecycle.Choices(ttl=getattr(options, "ttl", None), bare=getattr(options, "bare", None))
    lab = lifecycle.open_lab(options.id, choices)
    match options.command:
        case "up":
            lifecycle.up(lab, topology.chosen_hosts(options.hosts.split(",") if options.hosts else None))
        case "down":
            lifecycle.down(lab)
        case "reset":
            lifecycle.reset(lab)
        case "status":
            print(lifecycle.status(lab))
        case "lag":
            lifecycle.lag(lab, on=options.switch == "on")
        case "refresh":
            lifecycle.refresh(lab, topology.host(options.host))
        case "shell":
            return _inside(lab, options.host, ["/bin/bash", "--login"], interactive=True)
        case "exec":
            return _inside(lab, options.host, options.argument, interactive=False)
        case "send":
            return _send(lab, options)
    return 0


def _inside(lab: topology.Lab, name: str, command: list[str], *, interactive: bool) -> int:
    terminal = ["--interactive", "--tty"] if interactive and sys.stdin.isatty() else ["--interactive"]
    container = lab.container(topology.host(name))
    arguments = ["podman", "exec", *terminal, container, *command]
    return subprocess.run(arguments, check=False, env=podman_environment()).returncode


def _send(lab: topology.Lab, options: argparse.Namespace) -> int:
    """Return 0 when the message was verified (or has the status that was asked for)."""
    delivery = judge.deliver(lab, topology.host(options.sender), options.to, options.timeout, until=options.until)
    if options.json:
        print(json.dumps({**dataclasses.asdict(delivery), "verified": delivery.verified}))
    else:
        print(delivery.tls_line or "(no TLS connection logged)", delivery.judge_line, sep="\n")
        print("verified" if delivery.verified else f"not verified: status={delivery.status}")
    return 0 if delivery.verified or options.until == delivery.status else 1
