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
from collections.abc import Callable

from lab import images, judge, lifecycle, topology
from lab.errors import LabError
from lab.machine import podman_environment
from lab.topology import Lab

Command = Callable[[Lab, argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        choices = lifecycle.Choices(ttl=getattr(options, "ttl", None), bare=getattr(options, "bare", None))
        run: Command = options.run
        return run(lifecycle.open_lab(options.id, choices), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the next `up` goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--id", type=int, default=int(os.environ.get("LAB_ID", "0")), help="which lab (LAB_ID, 0)")
    raising = argparse.ArgumentParser(add_help=False)
    raising.add_argument("--hosts", help="mail hosts to raise, separated by commas (default: mx1,mx2)")
    raising.add_argument(
        "--bare", action=argparse.BooleanOptionalAction, help="managed hosts without downloaded packages"
    )
    raising.add_argument("--ttl", type=int, help="TTL of every record, in seconds (60)")
    parser = argparse.ArgumentParser(prog="python -m lab", description="An Internet in a box for DANE.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Command, words: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=[shared, *parents], help=words, description=words)
        added.set_defaults(run=run)
        return added

    command("up", _up, "raise the lab; the second time changes nothing", raising)
    command("reset", _reset, "make managed hosts and zones virgin again; raises the lab if need be", raising)
    down = command("down", _down, "remove containers, network and state, or (with --hosts) some hosts only")
    down.add_argument("--hosts", help="hosts to remove, separated by commas; all else stays")
    down.add_argument("--images", action="store_true", help="remove the images too, unless another lab uses them")
    command("status", _status, "list the hosts")
    command("shell", _shell, "a shell on a host").add_argument("host")
    command("reboot", _reboot, "boot hosts anew").add_argument("hosts", help="hosts, separated by commas")
    execute = command("exec", _exec, "run a command on a host")
    execute.add_argument("host")
    execute.add_argument("argument", nargs="+", help="-- COMMAND ...")
    lag = command("lag", _lag, "make the secondary stop following the primary, or resume")
    lag.add_argument("switch", choices=["on", "off"])
    refresh = command("refresh", _refresh, "empty a judge's queue and caches")
    refresh.add_argument("host", nargs="?", default="sender")
    send = command("send", _send, "send a message and print what the sender's log says")
    send.add_argument("--from", dest="sender", default="sender", metavar="HOST")
    send.add_argument("--to", required=True, metavar="ADDRESS")
    send.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    send.add_argument("--until", default="", metavar="STATUS", help="wait for this status (sent, deferred, bounced)")
    send.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _chosen(options: argparse.Namespace) -> tuple[topology.Host, ...] | None:
    return topology.chosen_hosts(options.hosts.split(",")) if options.hosts else None


def _up(lab: Lab, options: argparse.Namespace) -> int:
    lifecycle.up(lab, _chosen(options) or topology.chosen_hosts(None))
    return 0


def _reset(lab: Lab, options: argparse.Namespace) -> int:
    lifecycle.reset(lab, _chosen(options))
    return 0


def _down(lab: Lab, options: argparse.Namespace) -> int:
    if options.hosts:
        lifecycle.dismiss(lab, [topology.host(name) for name in options.hosts.split(",")])
    else:
        lifecycle.down(lab)
    if options.images:
        images.remove()
    return 0


def _reboot(lab: Lab, options: argparse.Namespace) -> int:
    lifecycle.reboot(lab, [topology.host(name) for name in options.hosts.split(",")])
    return 0


def _status(lab: Lab, _options: argparse.Namespace) -> int:
    print(lifecycle.status(lab))
    return 0


def _lag(lab: Lab, options: argparse.Namespace) -> int:
    lifecycle.lag(lab, on=options.switch == "on")
    return 0


def _refresh(lab: Lab, options: argparse.Namespace) -> int:
    lifecycle.refresh(lab, topology.host(options.host))
    return 0


def _shell(lab: Lab, options: argparse.Namespace) -> int:
    terminal = ["--interactive", "--tty"] if sys.stdin.isatty() else ["--interactive"]
    return _inside(lab, options.host, terminal, ["/bin/bash", "--login"])


def _exec(lab: Lab, options: argparse.Namespace) -> int:
    return _inside(lab, options.host, ["--interactive"], options.argument)


def _inside(lab: Lab, name: str, terminal: list[str], command: list[str]) -> int:
    arguments = ["podman", "exec", *terminal, lab.container(topology.host(name)), *command]
    return subprocess.run(arguments, check=False, env=podman_environment()).returncode


def _send(lab: Lab, options: argparse.Namespace) -> int:
    """Return 0 when the message was verified (or has the status that was asked for)."""
    delivery = judge.deliver(lab, topology.host(options.sender), options.to, options.timeout, until=options.until)
    if options.json:
        print(json.dumps({**dataclasses.asdict(delivery), "verified": delivery.verified}))
    else:
        print(delivery.tls_line or "(no TLS connection logged)", delivery.judge_line, sep="\n")
        print("verified" if delivery.verified else f"not verified: status={delivery.status}")
    return 0 if delivery.verified or options.until == delivery.status else 1
