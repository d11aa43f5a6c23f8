# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The orders of common how-to pages and of peers, under the same traffic as ours: what each costs.

Waits are scaled: where a page with TTL 3600 sleeps 300 seconds, the lab sleeps 300/3600 of its own TTL.
"""

from __future__ import annotations

import concurrent.futures
import random
import time
import typing as t
from dataclasses import dataclass

from lab import lifecycle
from rollover import cases, stage, tally
from rollover.traffic import Traffic

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.topology import Lab
    from results import Row
    from rollover.stage import MailHost

_PUBLISHED_TTL: t.Final = 3600  # what the pages recommend
_DIRECTORY: t.Final = "/etc/naive"
_LIVE: t.Final = f"{_DIRECTORY}/live.pem"
_NEW: t.Final = f"{_DIRECTORY}/new.pem"

# Key and self-signed certificate in one file, and the digest of its public key.
_MAKE: t.Final = """\
mkdir -p -m 0700 {directory}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={name} \
  -addext subjectAltName=DNS:{name} -keyout {directory}/key -out {directory}/crt 2>/dev/null
cat {directory}/key {directory}/crt > {target}.part
mv {target}.part {target}
openssl x509 -in {directory}/crt -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -c1-64
"""


class ByHand:
    """A mail host whose administrator follows a recipe by hand. Each method is one line of such a recipe."""

    def __init__(self, host: MailHost, ttl: int) -> None:
        """``ttl`` is that of the TLSA records, in seconds."""
        self.host = host
        self._ttl = ttl
        self._old = ""
        self._new = ""

    def begin(self) -> None:
        """Serve one key, and publish its record and no other."""
        self._new = self._make(_LIVE)
        self.host.run(f"postconf -e smtpd_tls_chain_files={_LIVE}")
        self.reload()
        self.replace()
        stage.wait_served(self.host.lab, self.host.owner, {self._record(self._new)})
        self._old = self._new

    def end(self) -> None:
        """Have Postfix serve the store of the roles again, and publish the records of what it serves."""
        stage.serve_store(self.host, self._ttl)

    def renew_live(self) -> None:
        """Put a new key where Postfix loads from, as an ACME client does in its live directory."""
        self._new = self._make(_LIVE)

    def issue(self) -> None:
        """Make a new key aside."""
        self._new = self._make(_NEW)

    def deploy(self) -> None:
        """Put the new key where Postfix loads from."""
        self.host.run(f"mv {_NEW} {_LIVE}")

    def reload(self) -> None:
        """Reload Postfix."""
        self.host.run("systemctl reload postfix")

    def add_new(self) -> None:
        """Publish the new record beside the old one."""
        self._update(self._added(self._new))

    def delete_old(self) -> None:
        """Remove the old record."""
        self._update(f"delete {self.host.owner}. TLSA {self._record(self._old)}")

    def delete_all(self) -> None:
        """Remove all records."""
        self._update(f"delete {self.host.owner}. TLSA")

    def replace(self) -> None:
        """Put the new record in place of all others, in one update."""
        self._update(f"delete {self.host.owner}. TLSA", self._added(self._new))

    def sleep(self, seconds: float) -> None:
        """Sleep as long as a page says, scaled to the lab's TTL."""
        time.sleep(seconds * self._ttl / _PUBLISHED_TTL)

    def sleep_ttls(self, times: float) -> None:
        """Sleep some TTLs."""
        time.sleep(times * self._ttl)

    def _make(self, target: str) -> str:
        script = _MAKE.format(directory=_DIRECTORY, target=target, name=self.host.host.fqdn)
        return self.host.run(script).strip()

    def _record(self, digest: str) -> str:
        return f"3 1 1 {digest}"

    def _added(self, digest: str) -> str:
        return f"add {self.host.owner}. {self._ttl} TLSA {self._record(digest)}"

    def _update(self, *lines: str) -> None:
        stage.update(self.host.lab, self.host.domain, lines)


@dataclass(frozen=True)
class Order:
    """A recipe. ``lagging``: the secondary does not follow while it is carried out."""

    name: str
    seen_in: str
    steps: Callable[[ByHand], None]
    lagging: bool = False


def _how_to(host: ByHand) -> None:
    host.renew_live()
    host.add_new()
    host.sleep(300)
    host.reload()
    host.delete_old()


def _replace_at_deployment(host: ByHand) -> None:
    host.issue()
    host.deploy()
    host.reload()
    host.replace()


def _remove_before_switch(host: ByHand) -> None:
    host.issue()
    host.add_new()
    host.sleep_ttls(1)
    host.delete_old()
    host.sleep_ttls(1)  # services are reloaded by another job, later
    host.deploy()
    host.reload()


def _publish_after_deployment(host: ByHand) -> None:
    host.issue()
    host.deploy()
    host.reload()
    host.add_new()
    host.sleep_ttls(2)
    host.delete_old()


def _fixed_wait(host: ByHand) -> None:
    host.issue()
    host.add_new()
    host.sleep(300)
    host.deploy()
    host.reload()
    host.delete_old()


def _empty_window(host: ByHand) -> None:
    host.issue()
    host.deploy()
    host.reload()
    host.delete_all()
    host.add_new()


def _one_server(host: ByHand) -> None:
    host.issue()
    host.add_new()
    host.sleep_ttls(2)
    host.deploy()
    host.reload()
    host.delete_old()


ORDERS: t.Final = (
    Order("renew in place, publish, sleep 300, reload, delete", "how-to pages with certbot's live directory", _how_to),
    Order("replace at deployment", "Stalwart, homebox, Virtualmin", _replace_at_deployment),
    Order("remove before the switch", "alnitak", _remove_before_switch),
    Order(
        "publish after deployment, wait 2 TTL, delete", "gotlsaflare, certbot deploy hooks", _publish_after_deployment
    ),
    Order("fixed wait of 300 s at TTL 3600", "how-to pages, cron jobs", _fixed_wait),
    Order("delete all, then add", "LetsDNS with Hetzner, cf-tlsa-acmesh", _empty_window),
    Order("wait 2 TTL from the primary while a secondary lags", "every tool that asks one server", _one_server, True),
)


def run(lab: Lab, hosts: Sequence[MailHost], order: Order, *, ttl: int, repeats: int, seed: int) -> list[Row]:
    """Carry out ``order`` some times on all hosts under traffic; return a row for each host."""
    moments = random.Random(seed)  # noqa: S311  # the same moments in every run, and no secret
    admins = [ByHand(host, ttl) for host in hosts]
    seen: dict[str, list[tally.Tally]] = {host.domain: [] for host in hosts}
    try:
        for turn in range(repeats):
            for admin in admins:
                admin.begin()
            stage.forget_caches(lab)
            with Traffic(lab, stage.SENDERS, [host.recipient for host in hosts], _tag(order, turn)) as traffic:
                time.sleep(3 + moments.uniform(0, ttl))
                _carry_out(lab, admins, order)
                time.sleep(2 * ttl + 5)
                sent = traffic.stop()
            for domain, counted in tally.settle(lab, sent, hosts).items():
                seen[domain].append(counted)
    finally:
        for admin in admins:
            admin.end()
    return [_row(host, order, tally.join(seen[host.domain]), repeats) for host in hosts]


def _carry_out(lab: Lab, admins: Sequence[ByHand], order: Order) -> None:
    if order.lagging:
        lifecycle.lag(lab, on=True)
    try:
        with concurrent.futures.ThreadPoolExecutor(len(admins)) as pool:
            list(pool.map(order.steps, admins))
    finally:
        if order.lagging:
            lifecycle.lag(lab, on=False)


def _tag(order: Order, turn: int) -> str:
    return f"naive-{ORDERS.index(order)}-{turn}-{time.time_ns()}"


def _row(host: MailHost, order: Order, counted: tally.Tally, repeats: int) -> Row:
    faults = counted.faults()
    return cases.row(
        f"naive: {order.name}",
        host,
        counted,
        f"noticed: {faults} in {repeats} rollovers" if faults else f"unnoticed in {repeats} rollovers",
    )
