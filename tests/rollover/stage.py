# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stage of every case: a lab whose managed hosts the site playbook has set up, and senders at level dane-only."""

from __future__ import annotations

import concurrent.futures
import time
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from demo.playbook import ROOT, run_playbook
from lab import acme, inventory, lifecycle, podman, topology
from lab.errors import LabError

if t.TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lab.topology import Host, Lab

USER: t.Final = "traffic"
"""The local user on every managed host to whom all traffic goes."""
MAILBOX: t.Final = f"/var/mail/{USER}"

RELEASES: t.Final = {topology.Suite.BOOKWORM: "Debian 12", topology.Suite.TRIXIE: "Debian 13"}
SENDERS: t.Final = {topology.host("sender"): 3.0, topology.host("sender12"): 1.0}
"""Messages a second. Debian 12's Postfix sees what Debian 13's cannot: it applies digest agility to certificates."""

_HOOK: t.Final = "/etc/letsencrypt/renewal-hooks/deploy/50-dane-rollover"
_PATIENCE_SECONDS: t.Final = 30.0

T = t.TypeVar("T")


@dataclass(frozen=True)
class MailHost:
    """A managed host of the lab."""

    lab: Lab
    host: Host

    @property
    def owner(self) -> str:
        """The owner name of its TLSA records."""
        return f"_25._tcp.{self.host.fqdn}"

    @property
    def domain(self) -> str:
        """Its mail domain."""
        return self.host.mail_domain

    @property
    def recipient(self) -> str:
        """Whom the traffic goes to."""
        return f"{USER}@{self.host.mail_domain}"

    @property
    def release(self) -> str:
        """Its release, for people."""
        return RELEASES[self.host.suite]

    @property
    def container(self) -> str:
        """The container's name."""
        return self.lab.container(self.host)

    def run(self, script: str, timeout: float = 60.0) -> str:
        """Run a shell script that ends at its first failure; return what it prints. Raises LabError."""
        return podman.execute(self.container, ["/bin/sh", "-ec", script], timeout=timeout)

    def attempt(self, *command: str, timeout: float = 60.0) -> subprocess.CompletedProcess[bytes]:
        """Run a command and return what became of it."""
        return podman.attempt("exec", self.container, *command, timeout=timeout)


def mail_hosts(lab: Lab, names: Iterable[str]) -> list[MailHost]:
    """Return the managed hosts called ``names``."""
    return [MailHost(lab, topology.host(name)) for name in names]


def prepare(lab: Lab, hosts: Sequence[MailHost]) -> None:
    """Raise the lab with ``hosts``, the senders and the authority; where anything is missing, run the site playbook."""
    names = [*(one.host.name for one in hosts), *(sender.name for sender in SENDERS), "acme"]
    lifecycle.up(lab, topology.chosen_hosts(names))
    side_by_side(trust_authority, hosts)
    signs = "test -L /etc/dane/{0}/deployed -a -f /etc/dane/{0}/rollover.json -a -x {1}"
    whole = any(one.attempt("/bin/sh", "-c", signs.format(one.host.fqdn, _HOOK)).returncode for one in hosts)
    # Where all is there, the agent alone is made what the collection says now.
    tags = "" if whole else "tlsa_rollover"
    log = ROOT / "build" / "logs" / "rollover-site.log"
    if not run_playbook(ROOT / "playbooks" / "site.yml", inventory.path(lab), {}, log, tags=tags).succeeded:
        raise LabError(f"the site playbook failed; see {log}")
    for one in hosts:
        one.run(
            # A delivery agent that is killed leaves a dot lock, and the mailbox shut for stale_lock_time, 500 s.
            "postconf -e mailbox_delivery_lock=fcntl; systemctl reload postfix\n"
            f"id {USER} >/dev/null 2>&1 || useradd --create-home {USER}\n"
            f"install --owner={USER} --group=mail --mode=0660 /dev/null {MAILBOX}"
        )


def trust_authority(host: MailHost) -> None:
    """Install certbot, and have the host trust the web server of the lab's certificate authority."""
    path = "/usr/local/share/ca-certificates/lab-acme.crt"
    host.run(f"mkdir -p {path.rpartition('/')[0]}; cat > {path} <<'PEM'\n{acme.server_certificate(host.lab)}PEM\n")
    host.run(
        "update-ca-certificates >/dev/null 2>&1\n"
        "command -v certbot >/dev/null || { apt-get update -qq; "
        "DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends certbot >/dev/null; }",
        timeout=600,
    )


@contextmanager
def strict_senders(lab: Lab) -> Iterator[None]:
    """Have the senders deliver over DANE or not at all, with queue IDs that are never used twice; then as before."""
    for sender in SENDERS:
        _configure(lab, sender, "postconf -e smtp_tls_security_level=dane-only enable_long_queue_ids=yes")
    try:
        yield
    finally:
        for sender in SENDERS:
            _configure(lab, sender, "postconf -e smtp_tls_security_level=dane; postconf -X enable_long_queue_ids")


def _configure(lab: Lab, sender: Host, script: str) -> None:
    podman.execute(lab.container(sender), ["/bin/sh", "-ec", f"{script}; systemctl reload postfix"])


def forget_caches(lab: Lab) -> None:
    """Empty the senders' queues and caches, so that a case begins with what DNS says now."""
    for sender in SENDERS:
        lifecycle.refresh(lab, sender)


def serve_store(host: MailHost, ttl: int) -> None:
    """Have Postfix serve what the store has deployed, and publish the records of exactly these keys."""
    deployed = f"/etc/dane/{host.host.fqdn}/deployed"
    host.run(
        f'postconf -e smtpd_tls_chain_files="$(ls {deployed}/*.pem | paste --serial --delimiters=,)"\n'
        "systemctl reload postfix"
    )
    digests = host.run(
        f"for crt in {deployed}/*.crt; do openssl x509 -in $crt -noout -pubkey "
        "| openssl pkey -pubin -outform DER | sha256sum | cut -c1-64; done"
    ).split()
    added = [f"add {host.owner}. {ttl} TLSA 3 1 1 {digest}" for digest in digests]
    update(host.lab, host.domain, [f"delete {host.owner}. TLSA", *added])
    wait_served(host.lab, host.owner, {f"3 1 1 {digest}" for digest in digests})


def update(lab: Lab, zone: str, lines: Sequence[str]) -> None:
    """Send one DNS update to the primary, by the server's own key."""
    primary = next(host for host in topology.HOSTS if host.kind is topology.Kind.PRIMARY)
    text = "\n".join([f"zone {zone}", *(f"update {line}" for line in lines), "send", ""])
    podman.execute(lab.container(primary), ["nsupdate", "-l"], stdin=text.encode())


def served(lab: Lab, owner: str, name_server: Host) -> frozenset[str]:
    """Return the TLSA records that ``name_server`` serves: numbers and hexadecimal data in lower case."""
    query = dns.message.make_query(owner, "TLSA", want_dnssec=True)
    try:
        answer = dns.query.udp(query, lab.ipv4(name_server), timeout=2)
    except (dns.exception.DNSException, OSError) as error:
        raise LabError(f"{name_server.fqdn} does not answer for {owner}: {error!r}") from error
    if answer.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        raise LabError(f"{name_server.fqdn} answers {dns.rcode.to_text(answer.rcode())} for {owner}")
    return frozenset(
        f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}"
        for rrset in answer.answer
        if rrset.rdtype == dns.rdatatype.TLSA
        for rdata in rrset
    )


def wait_served(lab: Lab, owner: str, records: set[str]) -> None:
    """Wait, bounded, until both name servers serve exactly ``records``."""
    servers = [host for host in topology.HOSTS if host.kind in {topology.Kind.PRIMARY, topology.Kind.SECONDARY}]

    def serve_them() -> bool:
        try:
            return all(served(lab, owner, server) == records for server in servers)
        except LabError:
            return False  # on a busy machine an answer may come late

    wait_for(f"both name servers serve {len(records)} TLSA records for {owner}", serve_them)


def side_by_side(work: Callable[[T], object], items: Sequence[T]) -> None:
    """Do the same for every item at once; the first failure is raised when all have ended."""
    with concurrent.futures.ThreadPoolExecutor(len(items)) as pool:
        list(pool.map(work, items))


def wait_for(what: str, holds: Callable[[], bool], patience: float = _PATIENCE_SECONDS) -> None:
    """Wait, bounded, until something holds. Raises LabError."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise LabError(f"waited {patience:.0f} s in vain for this: {what}")
        time.sleep(0.3)
