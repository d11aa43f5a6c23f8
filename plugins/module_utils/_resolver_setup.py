# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""From how a host and its unbound are set up to what that means for DANE."""

from __future__ import annotations

import re
import typing as t

from ._resolv_conf import ResolvConf
from ._resolver_anchor import judge_anchor
from ._resolver_evidence import (
    OUR_WATCH,
    POSTFIX_WATCH,
    Finding,
    Group,
    HostState,
    PostfixState,
    ServerState,
    Verdict,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ._resolv_managers import Manager

__all__ = ["judge_host", "judge_managers", "judge_postfix", "judge_server"]

ROLE: t.Final = "The role unbound_resolver does so."


def judge_host(host: HostState, resolver: str = "127.0.0.1") -> list[Finding]:
    """What /etc/resolv.conf makes programs do; `resolver` is the address that is examined, and should be in it."""
    path = "/etc/resolv.conf"
    conf = ResolvConf.from_text(host.text or "")
    shown = f"nameserver {', '.join(conf.nameservers)}; options {' '.join(conf.options) or 'none'}"
    if conf.writer:
        shown += f"; written by {conf.writer}"
    findings: list[Finding] = []
    if conf.foreign:
        findings.append(
            _failed(
                "nameservers",
                shown,
                f"Make 127.0.0.1 the only nameserver in {path}: an answer that crosses a network can be forged, AD bit "
                f"and all, and glibc asks the next server on a timeout. {ROLE}",
            )
        )
    else:
        findings.append(_judge_local_nameservers(conf, resolver, shown))
    if not conf.trusts_ad:
        findings.append(
            _failed(
                "trust-ad",
                shown,
                f"Add 'options edns0 trust-ad' to {path}: without it the C library hides the AD bit. {ROLE}",
            )
        )
    if host.mounted:
        findings.append(
            Finding(
                Group.HOST,
                "mount",
                Verdict.WARNING,
                f"{path} is mounted into this container",
                "The container engine writes it anew at each start: start the container with --dns=127.0.0.1 "
                "--dns-option=edns0 --dns-option=trust-ad, or with podman's --dns=none.",
            )
        )
    if host.unbound_outdated:
        findings.append(
            Finding(
                Group.HOST,
                "unbound",
                Verdict.WARNING,
                "it was started before its configuration was last written",
                "Restart it (systemctl restart unbound), so that what was proved is what the next start will do.",
            )
        )
    if host.link is not None and not host.mounted:
        findings.append(
            Finding(
                Group.HOST,
                "link",
                Verdict.WARNING,
                f"{path} links to {host.link}",
                f"Make it a plain file, so that nobody else owns what it says. {ROLE}",
            )
        )
    return findings


def _judge_local_nameservers(conf: ResolvConf, resolver: str, shown: str) -> Finding:
    """All of them are on this host; each that is not the one examined may validate or not, and is asked on SERVFAIL."""
    others = [server for server in conf.nameservers if server != resolver]
    if not others:
        return Finding(Group.HOST, "nameservers", Verdict.OK, shown)
    if resolver in conf.nameservers and {resolver, *others} == {"127.0.0.1", "::1"}:
        advice = (
            f"Only {resolver} was examined: see that the same program answers at {others[0]}, or leave that out. {ROLE}"
        )
        return Finding(Group.HOST, "nameservers", Verdict.WARNING, shown, advice)
    return _failed(
        "nameservers",
        shown,
        f"Make {resolver} the only nameserver in /etc/resolv.conf: when it refuses a bogus answer, glibc asks "
        f"{', '.join(others)}, which nobody examined. {ROLE}",
    )


def judge_managers(found: Iterable[Manager]) -> list[Finding]:
    """Who may write /etc/resolv.conf behind our back."""
    return [
        Finding(Group.HOST, manager.name, Verdict.OK, manager.why)
        if manager.held
        else Finding(
            Group.HOST,
            manager.name,
            Verdict.WARNING,
            manager.why,
            f"{manager.name} may rewrite /etc/resolv.conf at any time: keep it from doing so. {ROLE}",
        )
        for manager in found
    ]


def judge_postfix(host: HostState, instances: Iterable[PostfixState]) -> list[Finding]:
    """Whether Postfix's chroot has the same resolv.conf; with a stale one DANE is off, and nothing says so."""
    findings: list[Finding] = []
    chroots = [instance for instance in instances if instance.copy is not None]
    if chroots:
        findings.append(_judge_postfix_watch(host))
    for instance in instances:
        subject = f"Postfix {instance.queue_directory}"
        copy = f"{instance.queue_directory}/etc/resolv.conf"
        if instance.copy is None:
            # glibc then asks 127.0.0.1, and Postfix copies the file when it starts.
            findings.append(Finding(Group.HOST, subject, Verdict.OK, f"{copy} does not exist"))
        elif instance.copy != (host.text or ""):
            findings.append(
                _failed(
                    subject,
                    f"{copy} differs from /etc/resolv.conf: "
                    f"nameserver {', '.join(ResolvConf.from_text(instance.copy).nameservers)}",
                    "Copy /etc/resolv.conf there and run `postfix reload`: `systemctl start dane-resolv-conf` does "
                    "both where the role unbound_resolver was used.",
                )
            )
        else:
            findings.append(Finding(Group.HOST, subject, Verdict.OK, f"{copy} equals /etc/resolv.conf"))
    return findings


def _judge_postfix_watch(host: HostState) -> Finding:
    """Whether a later change of /etc/resolv.conf would reach Postfix, before the next boot and after it."""
    unit = host.postfix_watch
    if unit.active and unit.enabled:
        return Finding(Group.HOST, "Postfix watch", Verdict.OK, f"{OUR_WATCH} brings each change to Postfix")
    if unit.active or unit.enabled:
        seen = f"{OUR_WATCH} {'is not started at boot' if unit.active else 'does not run'}"
        advice = f"Until it does, a change of the file does not reach Postfix: `systemctl enable --now {OUR_WATCH}`."
        return Finding(Group.HOST, "Postfix watch", Verdict.WARNING, seen, advice)
    seen = "nothing brings a change of /etc/resolv.conf to Postfix"
    if host.postfix_watched_by_debian:
        seen = f"{POSTFIX_WATCH} copies some changes of /etc/resolv.conf, and does not reload Postfix"
    advice = f"Postfix's processes go on with the resolver that they started with: copy and reload. {ROLE}"
    return Finding(Group.HOST, "Postfix watch", Verdict.WARNING, seen, advice)


def judge_server(server: ServerState, forwarders: Iterable[str], now: int) -> list[Finding]:
    """Whether unbound is set up to validate. `forwarders` are the addresses it is meant to forward to, if any."""
    if server.failure:
        return [
            Finding(
                Group.SERVER,
                "configuration",
                Verdict.UNKNOWN,
                server.failure,
                "Only what the resolver answers was seen.",
            )
        ]
    modules = " ".join(server.options.get("module-config", ())).split()
    findings = [
        Finding(Group.SERVER, "validator", Verdict.OK, f"module-config: {' '.join(modules)}")
        if "validator" in modules
        else _failed(
            "validator",
            f"module-config: {' '.join(modules)}",
            'Without the validator unbound checks no signature: set module-config: "validator iterator".',
            Group.SERVER,
        )
    ]
    if "yes" in server.options.get("val-permissive-mode", ()):
        findings.append(
            _failed(
                "permissive mode",
                "val-permissive-mode: yes",
                "unbound hands out bogus answers as if they were fine: set val-permissive-mode: no.",
                Group.SERVER,
            )
        )
    if "yes" in server.options.get("serve-expired", ()):
        findings.append(
            Finding(
                Group.SERVER,
                "stale answers",
                Verdict.WARNING,
                "serve-expired: yes",
                "A TLSA record past its TTL breaks a correct key rollover of a peer: set serve-expired: no.",
            )
        )
    findings += [
        Finding(
            Group.SERVER,
            f"domain-insecure {name}",
            Verdict.WARNING,
            "validation is switched off for this domain",
            "Mail to hosts below it is never verified; leave it so only for a private zone without mail.",
        )
        for name in server.options.get("domain-insecure", ())
    ]
    findings += _judge_forwarders(server, tuple(forwarders))
    findings.append(judge_anchor(server, now))
    return findings


def _judge_forwarders(server: ServerState, wanted: tuple[str, ...]) -> list[Finding]:
    if server.forwarders is None:
        return [
            Finding(
                Group.SERVER,
                "forwarders",
                Verdict.UNKNOWN,
                "unbound-control cannot ask unbound",
                "Switch its control socket on, as Debian does in unbound.conf.d/remote-control.conf.",
            )
        ]
    plain = {re.split("[@#]", forwarder)[0] for forwarder in server.forwarders}
    if plain == {re.split("[@#]", forwarder)[0] for forwarder in wanted}:
        return [Finding(Group.SERVER, "forwarders", Verdict.OK, ", ".join(server.forwarders) or "none")]
    return [
        Finding(
            Group.SERVER,
            "forwarders",
            Verdict.WARNING,
            f"unbound forwards to {', '.join(server.forwarders) or 'nobody'}, not to {', '.join(wanted) or 'nobody'}",
            "Something changed it at run time or by a file in /etc/unbound/unbound.conf.d (resolvconf does): find it, "
            "and restart unbound.",
        )
    ]


def _failed(subject: str, evidence: str, advice: str, group: Group = Group.HOST) -> Finding:
    return Finding(group, subject, Verdict.FAILED, evidence, advice)
