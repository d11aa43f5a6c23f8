# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""BIND, Knot DNS and PowerDNS as child processes on loopback, for tests that must not take our word for DNS.

Each is started from its Debian package with a configuration of its own in a directory of its own, on a free high port,
in the foreground, and ended by its process id.
"""

from __future__ import annotations

import base64
import os
import random
import secrets
import shutil
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode

__all__ = ["Bind", "Key", "Knot", "NameServer", "PowerDns", "Unbound", "free_port", "zone_text"]

START_SECONDS: t.Final = 15


@dataclass(frozen=True)
class Key:
    """A TSIG key, made anew for each test run."""

    name: str
    algorithm: str = "hmac-sha256"
    secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())


def free_port() -> int:
    """A port of 127.0.0.1 that is free for UDP and TCP, and stays so until it is bound.

    No outgoing connection is given one from below 32768, and tests that run side by side choose from ranges of their
    own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    while True:
        port = random.randrange(20_000 + worker * 1_500, 20_000 + (worker + 1) * 1_500)  # noqa: S311  # no secret
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def zone_text(zone: str, lines: str = "", *, serial: int = 1, refresh: int = 2) -> str:
    """A small zone whose name server is ``ns`` at 127.0.0.1."""
    return (
        f"$ORIGIN {zone}.\n$TTL 300\n"
        f"@ SOA ns hostmaster {serial} {refresh} 1 86400 60\n@ NS ns\nns A 127.0.0.1\n{lines}\n"
    )


@dataclass
class NameServer:
    """What the three have in common. Zones are given as text, and written where the server may change them."""

    directory: Path
    zones: dict[str, str]
    key: Key
    port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"  # Knot: where it listens, in 127.0.0.0/8
    primary: NameServer | None = None  # zones are transferred from there instead
    secondaries: list[int] = field(default_factory=list)  # ports on 127.0.0.1 to notify
    # BIND: update-policy lines; Knot: lines of the ACL; PowerDNS: a Lua policy. Empty: the key may change all.
    grant: str = ""
    allow_transfer: bool = True
    signed: frozenset[str] = frozenset()  # BIND: zones to sign; their DS records are not put anywhere
    api_port: int = 0  # PowerDNS: where its HTTP API listens; the key to it is the secret of `key`
    query_log: bool = False  # BIND: every question goes to the log
    other_keys: tuple[Key, ...] = ()  # BIND: further keys, for `grant` to name
    _process: subprocess.Popen[bytes] | None = None

    program: t.ClassVar[str]
    package: t.ClassVar[str]

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers for every zone."""
        if shutil.which(self.program) is None:
            msg = f"{self.program} is missing: apt-get install {self.package}"
            raise FileNotFoundError(msg)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.configure()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.directory)
        deadline = time.monotonic() + START_SECONDS
        waiting = list(self.zones)
        while waiting:
            if self.serial(waiting[0]) is not None:
                waiting.pop(0)
            elif self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                msg = f"{self.program} does not answer for {waiting[0]}:\n{self.log()[-3000:]}"
                raise RuntimeError(msg)
            else:
                time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def ask(self, name: str, rdtype: str) -> dns.message.Message:
        """An answer without recursion; raises dns.exception.Timeout."""
        query = dns.message.make_query(name, rdtype, flags=0, use_edns=0, want_dnssec=True)
        return dns.query.tcp(query, self.address, timeout=2, port=self.port)

    def serial(self, zone: str) -> int | None:
        try:
            answer = self.ask(zone, "SOA")
        except (dns.exception.DNSException, OSError, EOFError):
            return None
        if answer.rcode() != dns.rcode.NOERROR or not answer.answer or not answer.flags & dns.flags.AA:
            return None
        return int(answer.answer[0][0].serial)

    def records(self, name: str, rdtype: str = "TLSA") -> list[str]:
        """The records at a name in presentation form, sorted; without white space inside long data."""
        rrset = self.ask(name, rdtype).get_rrset(
            dns.message.ANSWER, dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.from_text(rdtype)
        )
        return sorted(str(rdata) for rdata in rrset) if rrset is not None else []

    def ttl(self, name: str) -> int:
        return int(self.ask(name, "TLSA").answer[0].ttl)

    def configure(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError


class Bind(NameServer):
    """BIND 9."""

    program = "named"
    package = "bind9"

    def configure(self) -> None:
        statements = []
        for zone, text in self.zones.items():
            file = self.directory / f"{zone}.zone"
            if self.primary is not None:
                role = f'type secondary; primaries {{ 127.0.0.1 port {self.primary.port} key "{self.key.name}"; }};'
            else:
                file.write_text(text)
                grant = self.grant or f'grant "{self.key.name}" zonesub ANY;'
                role = f"type primary; update-policy {{ {grant} }};"
                if zone in self.signed:
                    role += f' dnssec-policy default; inline-signing no; key-directory "{self.directory}";'
            transfer = f'key "{self.key.name}";' if self.allow_transfer else "none;"
            notify = "".join(f"127.0.0.1 port {port}; " for port in self.secondaries)
            statements.append(
                f'zone "{zone}" {{ {role} file "{file}"; allow-transfer {{ {transfer} }};'
                f" notify explicit; also-notify {{ {notify} }}; }};"
            )
        (self.directory / "named.conf").write_text(
            "".join(
                f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret}"; }};\n'
                for key in (self.key, *self.other_keys)
            )
            + f'options {{ directory "{self.directory}"; pid-file "{self.directory}/pid"; session-keyfile none;\n'
            f"  listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;\n"
            f"  notify-delay 0; serial-query-rate 1000; dnssec-validation no; masterfile-format text;\n"
            f"  querylog {'yes' if self.query_log else 'no'}; }};\n"
            "controls { };\n" + "\n".join(statements) + "\n"
        )

    def command(self) -> list[str]:
        return ["named", "-g", "-n", "1", "-c", str(self.directory / "named.conf")]


class Knot(NameServer):
    """Knot DNS."""

    program = "knotd"
    package = "knot"

    def configure(self) -> None:
        zones = []
        for zone, text in self.zones.items():
            file = self.directory / f"{zone}.zone"
            lines = [f"  - domain: {zone}", f"    file: {file}", "    acl: [ changes, reads ]"]
            if self.primary is not None:
                lines.append("    master: primary")
            else:
                file.write_text(text)
                lines += [f"    notify: [ {', '.join(f's{port}' for port in self.secondaries)} ]"] * bool(
                    self.secondaries
                )
                lines += ["    zonefile-load: difference-no-serial", "    journal-content: all"]
            zones += lines
        remotes = [f"  - id: s{port}\n    address: 127.0.0.1@{port}" for port in self.secondaries]
        if self.primary is not None:
            remotes.append(f"  - id: primary\n    address: 127.0.0.1@{self.primary.port}\n    key: {self.key.name}")
        grant = self.grant or "    action: update"
        actions = "[ transfer, query ]" if self.allow_transfer else "[ query ]"
        (self.directory / "knot.conf").write_text(
            f"server:\n  listen: {self.address}@{self.port}\n  rundir: {self.directory}\n  user: root:root\n"
            "  udp-workers: 1\n  tcp-workers: 2\n  background-workers: 1\n"
            f"database:\n  storage: {self.directory}\n"
            f"key:\n  - id: {self.key.name}\n    algorithm: {self.key.algorithm}\n    secret: {self.key.secret}\n"
            + ("remote:\n" + "\n".join(remotes) + "\n" if remotes else "")
            + f"acl:\n  - id: changes\n    key: {self.key.name}\n{grant}\n"
            f"  - id: reads\n    key: {self.key.name}\n    action: {actions}\n"
            f"  - id: notified\n    address: 127.0.0.1\n    action: notify\n"
            "zone:\n" + "\n".join(zones).replace("[ changes, reads ]", "[ changes, reads, notified ]") + "\n"
            "log:\n  - target: stderr\n    any: info\n"
        )

    def command(self) -> list[str]:
        return ["knotd", "-c", str(self.directory / "knot.conf")]


class PowerDns(NameServer):
    """PowerDNS Authoritative Server with SQLite."""

    program = "pdns_server"
    package = "pdns-server pdns-backend-sqlite3"

    def configure(self) -> None:
        database = self.directory / "pdns.sqlite3"
        schema = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql").read_text()
        import sqlite3  # noqa: PLC0415  # only this server needs it

        with sqlite3.connect(database) as connection:
            connection.executescript(schema)
        # A primary notes in the database whom it has notified, and a change through the API may find that locked then.
        kind = f"primary={'yes' if self.secondaries else 'no'}\nsecondary={'yes' if self.primary else 'no'}\n"
        (self.directory / "pdns.conf").write_text(
            f"launch=gsqlite3\ngsqlite3-database={database}\ngsqlite3-dnssec=yes\nlocal-address=127.0.0.1\n"
            f"local-port={self.port}\nsocket-dir={self.directory}\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.1\n"
            f"setuid=\nsetgid=\n{kind}"
            "disable-axfr=no\nallow-axfr-ips=\nxfr-cycle-interval=1\nsecurity-poll-suffix=\n"
            f"also-notify={','.join(f'127.0.0.1:{port}' for port in self.secondaries)}\nonly-notify=\n"
            + self._policy()
            + self._api()
        )
        self._util("import-tsig-key", self.key.name, self.key.algorithm, self.key.secret)
        for zone, text in self.zones.items():
            if self.primary is not None:
                self._util("create-secondary-zone", zone, f"127.0.0.1:{self.primary.port}")
                self._util("set-meta", zone, "AXFR-MASTER-TSIG", self.key.name)
                continue
            file = self.directory / f"{zone}.zone"
            file.write_text(text)
            self._util("load-zone", zone, str(file))
            self._util("set-kind", zone, "primary")
            self._util("set-meta", zone, "TSIG-ALLOW-DNSUPDATE", self.key.name)
            self._util("set-meta", zone, "NOTIFY-DNSUPDATE", "1")
            self._util("set-meta", zone, "ALLOW-DNSUPDATE-FROM", "127.0.0.0/8")
            if self.allow_transfer:
                self._util("set-meta", zone, "TSIG-ALLOW-AXFR", self.key.name)

    def _policy(self) -> str:
        if not self.grant:
            return ""
        script = self.directory / "policy.lua"
        script.write_text(self.grant)
        return f"lua-dnsupdate-policy-script={script}\n"

    def _api(self) -> str:
        if not self.api_port:
            return ""
        return (
            f"api=yes\napi-key={self.key.secret}\nwebserver=yes\nwebserver-address=127.0.0.1\n"
            f"webserver-port={self.api_port}\nwebserver-allow-from=127.0.0.1\nwebserver-loglevel=none\n"
        )

    def _util(self, *arguments: str) -> None:
        subprocess.run(["pdnsutil", "--config-dir", str(self.directory), *arguments], check=True, capture_output=True)

    def command(self) -> list[str]:
        return ["pdns_server", f"--config-dir={self.directory}", "--daemon=no", "--guardian=no"]


@dataclass
class Unbound:
    """A validating resolver that knows one branch of the DNS: `top`, below which everything is at `authority`."""

    directory: Path
    top: str
    anchor: str  # the DNSKEY record of `top`, as data
    authority: int  # port on 127.0.0.1
    stubs: tuple[str, ...] = ()  # zones below `top` that the same port serves
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> t.Self:
        if shutil.which("unbound") is None:
            msg = "unbound is missing: apt-get install unbound"
            raise FileNotFoundError(msg)
        self.directory.mkdir(parents=True, exist_ok=True)
        stubs = "".join(
            f"stub-zone:\n  name: {zone}.\n  stub-addr: 127.0.0.1@{self.authority}\n  stub-prime: no\n"
            for zone in (self.top, *self.stubs)
        )
        (self.directory / "unbound.conf").write_text(
            f'server:\n  interface: 127.0.0.1@{self.port}\n  directory: "{self.directory}"\n  chroot: ""\n'
            f'  username: ""\n  pidfile: ""\n  use-syslog: no\n  do-daemonize: no\n  do-not-query-localhost: no\n'
            f'  local-zone: "{self.top}." nodefault\n  trust-anchor: "{self.top}. IN DNSKEY {self.anchor}"\n'
            f"  num-threads: 1\n  ede: yes\n{stubs}remote-control:\n  control-enable: no\n"
        )
        with (self.directory / "log").open("ab") as log:
            command = ["unbound", "-d", "-c", str(self.directory / "unbound.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            query = dns.message.make_query(self.top, "SOA")
            try:
                dns.query.tcp(query, "127.0.0.1", timeout=2, port=self.port)
            except (dns.exception.DNSException, OSError, EOFError):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    msg = f"unbound does not answer:\n{(self.directory / 'log').read_text()[-3000:]}"
                    raise RuntimeError(msg) from None
                time.sleep(0.05)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
