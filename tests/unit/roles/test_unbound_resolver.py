# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role unbound_resolver writes: the lines that protect, and the program that brings resolv.conf to Postfix."""

from __future__ import annotations

import os
import re
import subprocess
import typing as t
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pytest

ROLE: t.Final = Path(__file__).resolve().parents[3] / "roles" / "unbound_resolver"


def rendered(template: str, **variables: t.Any) -> str:  # noqa: ANN401  # variables are of any type
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701  # no HTML
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["comment"] = lambda text, decoration="# ": f"{decoration}{text}"
    environment.tests["match"] = lambda text, pattern: re.match(pattern, text) is not None
    environment.tests["search"] = lambda text, pattern: pattern in text
    text = (ROLE / "templates" / template).read_text(encoding="utf-8")
    return environment.from_string(text).render(ansible_managed="managed", **variables)


def configuration(**variables: t.Any) -> list[str]:  # noqa: ANN401  # variables are of any type
    """The lines of unbound's drop-in that are no comments."""
    given: dict[str, t.Any] = {
        "unbound_resolver_root_hints": [],
        "unbound_resolver_forwarders": [],
        "unbound_resolver_forward_zones": [],
        "unbound_resolver_stub_zones": [],
        "unbound_resolver_cache_max_ttl": 86400,
        "unbound_resolver_cache_megabytes": 5,
        "__unbound_resolver_other_anchors": [],
        **variables,
    }
    zones = given["unbound_resolver_forward_zones"] + given["unbound_resolver_stub_zones"]
    servers = given["unbound_resolver_forwarders"] + [address for zone in zones for address in zone["addresses"]]
    text = rendered(
        "unbound.conf.j2",
        __unbound_resolver_zones=zones,
        __unbound_resolver_servers=servers,
        __unbound_resolver_hints="/etc/unbound/dane-resolver.hints",
        **given,
    )
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize(
    "line",
    [
        'module-config: "validator iterator"',
        "val-permissive-mode: no",
        "harden-dnssec-stripped: yes",
        "harden-below-nxdomain: yes",
        "qname-minimisation: yes",
        "aggressive-nsec: yes",
        "serve-expired: no",
        "interface: 127.0.0.1",
        "interface: ::1",
        "ip-freebind: yes",
    ],
)
def test_what_protects_is_always_written(line: str) -> None:
    lines = configuration()
    assert line in lines
    option = line.partition(":")[0]
    assert option == "interface" or [one for one in lines if one.partition(":")[0] == option] == [line]


def test_by_default_unbound_asks_the_authoritative_servers() -> None:
    lines = configuration()
    assert not any(one.startswith(("forward-", "stub-", "root-hints", "domain-insecure")) for one in lines)
    assert [one for one in lines if one.startswith("interface")] == ["interface: 127.0.0.1", "interface: ::1"]
    assert "msg-cache-size: 3m" in lines


def test_forwarders_and_zones_are_written_as_given() -> None:
    lines = configuration(
        unbound_resolver_forwarders=["192.0.2.53@853#dns.example"],
        unbound_resolver_forward_zones=[{"name": "corp.example", "addresses": ["127.0.0.1@5353"], "insecure": True}],
        unbound_resolver_stub_zones=[{"name": "10.in-addr.arpa", "addresses": ["192.0.2.1", "2001:db8::1"]}],
        unbound_resolver_root_hints=[{"name": "ns.example", "addresses": ["192.0.2.1"]}],
    )
    server, forwarded = lines[: lines.index("forward-zone:")], lines[lines.index("forward-zone:") :]
    assert 'domain-insecure: "corp.example"' in server
    assert 'domain-insecure: "10.in-addr.arpa"' not in server
    assert 'local-zone: "10.in-addr.arpa" transparent' in server
    assert "do-not-query-localhost: no" in server
    assert 'root-hints: "/etc/unbound/dane-resolver.hints"' in server
    assert "tls-cert-bundle: /etc/ssl/certs/ca-certificates.crt" in server
    assert forwarded == [
        "forward-zone:",
        'name: "."',
        "forward-addr: 192.0.2.53@853#dns.example",
        "forward-tls-upstream: yes",
        "forward-zone:",
        'name: "corp.example"',
        "forward-addr: 127.0.0.1@5353",
        "stub-zone:",
        'name: "10.in-addr.arpa"',
        "stub-addr: 192.0.2.1",
        "stub-addr: 2001:db8::1",
    ]


def test_a_private_anchor_of_the_root_takes_the_place_of_the_roots() -> None:
    private = rendered("trust-anchor.conf.j2", __unbound_resolver_root_anchors=[" . IN DS 1 8 2 AB "])
    assert '    trust-anchor: ". IN DS 1 8 2 AB"\n' in private
    assert "auto-trust-anchor-file" not in private


def test_without_one_debians_own_fragment_stays_as_it_is_octet_by_octet() -> None:
    # As unbound 1.17.1 and 1.22.0 ship it: a conffile that differs would make each upgrade ask.
    assert rendered("trust-anchor.conf.j2", __unbound_resolver_root_anchors=[]) == (
        "server:\n"
        "    # The following line will configure unbound to perform cryptographic\n"
        "    # DNSSEC validation using the root trust anchor.\n"
        '    auto-trust-anchor-file: "/var/lib/unbound/root.key"\n'
    )


def test_an_anchor_of_another_zone_stands_beside_the_roots() -> None:
    lines = configuration(__unbound_resolver_other_anchors=[" corp.example. IN DS 1 8 2 AB "])
    assert 'trust-anchor: "corp.example. IN DS 1 8 2 AB"' in lines
    assert not any(one.startswith("trust-anchor") for one in configuration())


def test_root_hints_are_a_zone_file() -> None:
    hints = [{"name": "ns.example.", "addresses": ["192.0.2.1", "2001:db8::1"]}]
    assert rendered("root.hints.j2", unbound_resolver_root_hints=hints).splitlines()[1:] == [
        ". 3600000 NS ns.example.",
        "ns.example. 3600000 A 192.0.2.1",
        "ns.example. 3600000 AAAA 2001:db8::1",
    ]


@dataclass
class Host:
    """A folder that stands for a host: its resolv.conf, and programs that note how they were called."""

    root: Path

    def program(self, name: str, body: str) -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def sync(self) -> None:
        script = self.root / "sync"
        text = rendered("sync-resolv-conf.sh.j2").replace("PATH=/usr/sbin:", f"PATH={self.root}/bin:/usr/sbin:")
        assert text.count(str(self.root)) == 1
        script.write_text(
            text.replace("/etc/resolv.conf", f"{self.root}/resolv.conf").replace(
                f"$queue{self.root}/resolv.conf", "$queue/etc/resolv.conf"
            ),
            encoding="utf-8",
        )
        script.chmod(0o755)
        subprocess.run([script], check=True, timeout=20)

    @property
    def reloads(self) -> list[str]:
        log = self.root / "systemctl.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Two Postfix instances that run, and one that was never started."""
    made = Host(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "etc").mkdir(parents=True)
    (tmp_path / "resolv.conf").write_text("new\n", encoding="utf-8")
    made.program(
        "postmulti", f"printf '%s\\n' '-  -  y  {tmp_path}/one' 'b  -  n  {tmp_path}/two' 'c - n {tmp_path}/three'"
    )
    made.program("postconf", 'echo "$2"')
    made.program("systemctl", f'case "$*" in *is-active*) exit 0;; esac; echo "$*" >> {tmp_path}/systemctl.log')
    return made


def copies(host: Host) -> list[str]:
    return [(host.root / name / "etc/resolv.conf").read_text(encoding="utf-8") for name in ("one", "two")]


def test_every_instance_gets_the_file_and_postfix_is_reloaded(host: Host) -> None:
    (host.root / "one/etc/resolv.conf").write_text("old\n", encoding="utf-8")
    host.sync()
    assert copies(host) == ["new\n", "new\n"]
    assert not (host.root / "three").exists()
    # Not waited for: this unit is ordered before Postfix, and the two would wait for each other.
    assert host.reloads == ["--no-block reload postfix.service"]
    assert sorted(path.name for path in (host.root / "one/etc").iterdir()) == ["resolv.conf"]


def test_an_older_file_is_copied_as_well(host: Host) -> None:
    (host.root / "one/etc/resolv.conf").write_text("newer by its date\n", encoding="utf-8")
    os.utime(host.root / "resolv.conf", (1, 1))
    host.sync()
    assert copies(host) == ["new\n", "new\n"]


def test_equal_copies_are_left_alone_but_running_processes_are_told(host: Host) -> None:
    host.sync()
    before = (host.root / "one/etc/resolv.conf").stat().st_mtime_ns
    host.sync()
    assert (host.root / "one/etc/resolv.conf").stat().st_mtime_ns == before
    assert len(host.reloads) == 2


def test_a_link_is_copied_as_a_file(host: Host) -> None:
    (host.root / "resolv.conf").rename(host.root / "target")
    (host.root / "resolv.conf").symlink_to("target")
    host.sync()
    assert copies(host) == ["new\n", "new\n"]
    assert not (host.root / "one/etc/resolv.conf").is_symlink()


def test_a_change_that_comes_meanwhile_is_not_missed(host: Host) -> None:
    host.program(
        "postconf",
        f'echo "$2"; [ -e {host.root}/again ] || {{ touch {host.root}/again; ( sleep 0.2; ) ; }}; '
        f'[ "$2" != {host.root}/three ] || echo newest > {host.root}/resolv.conf',
    )
    host.sync()
    assert copies(host) == ["newest\n", "newest\n"]


def test_postfix_that_does_not_run_is_not_started(host: Host) -> None:
    host.program("systemctl", f'case "$*" in *is-active*) exit 3;; esac; echo "$*" >> {host.root}/systemctl.log')
    host.sync()
    assert (copies(host), host.reloads) == (["new\n", "new\n"], [])


@pytest.mark.parametrize("missing", ["bin/postmulti", "resolv.conf"])
def test_without_postfix_or_resolv_conf_there_is_nothing_to_do(host: Host, missing: str) -> None:
    (host.root / missing).unlink()
    host.sync()
    assert (list((host.root / "one/etc").iterdir()), host.reloads) == ([], [])
