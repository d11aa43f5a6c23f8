# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The agent on a managed host, used as an administrator uses it: its configuration, its command, certbot, openssl."""

from __future__ import annotations

import json
import time
import typing as t
from dataclasses import dataclass

from lab import acme
from lab.errors import LabError
from rollover import stage

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from rollover.stage import MailHost

COMMAND: t.Final = "/usr/local/sbin/dane-rollover"
SCHEMES: t.Final = ("current+next", "current+issuer", "current")
LINEAGES: t.Final = {"rollover-ecdsa": "ecdsa", "rollover-rsa": "rsa"}

MAX_GAP: t.Final = 3600
"""The role's own. What was there before the agent is held for this long too, which is more than the lab can wait."""
LEAST_GAP: t.Final = 1

_SET: t.Final = """\
import json, os, sys
path, settings = sys.argv[1], json.loads(sys.argv[2])
with open(path) as file:
    config = json.load(file)
with open(path + ".new", "w") as file:
    json.dump(config | settings, file, indent=1)
os.chmod(path + ".new", 0o600)
os.rename(path + ".new", path)
"""
_FRESH: t.Final = "/root/fresh"
_MAKE_KEYS: t.Final = """\
umask 077; mkdir -p {directory}; cd {directory}
for algorithm in 'ec -pkeyopt ec_paramgen_curve:P-256' rsa:2048; do
  kind=${{algorithm%%[ :]*}}
  openssl req -x509 -newkey $algorithm -nodes -days 90 -subj /CN={name} -addext subjectAltName=DNS:{name} \\
    -keyout $kind.key -out $kind.crt 2>/dev/null
done
"""
_DIGEST: t.Final = "openssl x509 -in $crt -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -c1-64"


@dataclass(frozen=True)
class Waits:
    """The times of the lab, in seconds. Postfix keeps a TLSA RRset for ``min(TTL, 100) + 1`` seconds itself."""

    ttl: int
    multiplier: float = 2.0
    margin: int = 2

    @property
    def sender_cache(self) -> int:
        """How long the senders' Postfix may keep an RRset beside its resolver."""
        return min(self.ttl, 100) + 1

    @property
    def safe(self) -> float:
        """The safe wait: DESIGN section 5, rule 4."""
        return max(self.multiplier * self.ttl, self.ttl + self.sender_cache + self.margin)

    @property
    def unknown(self) -> float:
        """How long what was there before the agent is held, when it begins with the least `max_gap`."""
        return self.ttl + self.sender_cache + self.margin + LEAST_GAP

    def settings(self) -> dict[str, object]:
        """Return them as the agent's configuration has them."""
        return {
            "ttl": self.ttl,
            "multiplier": self.multiplier,
            "sender_cache": self.sender_cache,
            "margin": self.margin,
            "unknown_ttl": self.ttl,
            "max_gap": MAX_GAP,
        }


@dataclass(frozen=True)
class HostAgent:
    """The agent of one host."""

    host: MailHost
    """The role tlsa_rollover must have run on it."""

    @property
    def _store(self) -> str:
        return f"/etc/dane/{self.host.host.fqdn}"

    def begin_anew(self, scheme: str, waits: Waits) -> None:
        """Serve and publish what the store has deployed, with the lab's times, remember nothing, do not run yet."""
        self.pause()
        self.host.run(f"rm -rf {self._store}/staged {self._store}/next /var/lib/dane/{self.host.host.fqdn}")
        self.choose(scheme, waits, max_gap=LEAST_GAP)
        stage.serve_store(self.host, waits.ttl)

    def open_ledger(self, scheme: str, waits: Waits) -> None:
        """Begin a ledger, and wait until it no longer has what nobody can know: what was there before the agent.

        The senders' caches must have been emptied, and then the lab can know, which it tells by a least `max_gap`.
        """
        self.command("step", "--patience", "0")
        self.choose(scheme, waits)
        time.sleep(waits.unknown)

    def choose(self, scheme: str, waits: Waits, **others: object) -> None:
        """Write the configuration, as the role does for these choices."""
        next_keys = "self-signed" if scheme == "current+next" else "given"
        settings = {**waits.settings(), "scheme": scheme, "next_keys": next_keys, "lineages": [], **others}
        path = f"{self._store}/rollover.json"
        done = self.host.attempt("python3", "-c", _SET, path, json.dumps(settings))
        if done.returncode:
            raise LabError(f"{path} on {self.host.host.fqdn}: {done.stderr.decode('utf-8', 'replace')}")

    def pause(self) -> None:
        """Have no timer start the agent."""
        self.host.run(
            "systemctl stop dane-rollover.timer; systemctl stop dane-rollover-wake.timer 2>/dev/null || true\n"
            "systemctl stop dane-rollover.service; systemctl reset-failed dane-rollover.service 2>/dev/null || true"
        )

    def resume(self) -> None:
        """Have its timers start the agent, as on any host."""
        self.host.run("systemctl start dane-rollover.timer; systemctl start --no-block dane-rollover.service")

    def rest(self, patience: float) -> None:
        """Wait, bounded, until the agent says that there is nothing to do."""
        deadline = time.monotonic() + patience
        while (said := self.status()).get("decision") != "done":
            if time.monotonic() > deadline:
                raise LabError(f"{self.host.host.fqdn}: not at rest after {patience:.0f} s: {words(said)}")
            time.sleep(1)

    def status(self) -> dict[str, t.Any]:
        """Return what ``status --json`` says."""
        done = self.host.attempt(COMMAND, "--host", self.host.host.fqdn, "status", "--json")
        try:
            said: list[dict[str, t.Any]] = json.loads(done.stdout)
        except ValueError as error:
            raise LabError(f"{self.host.host.fqdn}: status says {done.stderr.decode('utf-8', 'replace')!r}") from error
        return said[0]

    def deployed(self) -> tuple[str, float, frozenset[str]]:
        """Return the deployed generation, when its link was made (POSIX seconds), and the 3 1 1 records of its keys."""
        script = (
            f"find {self._store}/deployed -maxdepth 0 -printf '%l %T@\\n'\n"
            f"for crt in {self._store}/deployed/*.crt; do {_DIGEST}; done"
        )
        (generation, moment), *digests = (line.split() for line in self.host.run(script).splitlines())
        return generation, float(moment), frozenset(f"3 1 1 {digest}" for (digest,) in digests)

    # --- beginning a rollover -----------------------------------------------------------------------------------------

    def begin(self, scheme: str) -> float:
        """Begin one rollover in the way that belongs to ``scheme``; return when (POSIX seconds) all was staged."""
        if scheme == "current+next":
            started = time.time()
            self.to_next()
            return started
        if scheme == "current+issuer":
            self.renew_by_acme()
        else:
            self.stage_new_keys()
        return time.time()

    def to_next(self) -> None:
        """Roll over to the next keys; the command goes on with the steps itself for some seconds."""
        self.command("now")

    def command(self, *words: str) -> None:
        """Run the agent's command. Raises LabError when it failed; that a step was refused is no failure."""
        done = self.host.attempt(COMMAND, "--host", self.host.host.fqdn, *words, timeout=180)
        if done.returncode not in {0, 3}:
            said = done.stderr.decode("utf-8", "replace")
            raise LabError(f"{self.host.host.fqdn}: dane-rollover {words[0]} failed: {said}")

    def stage_new_keys(self) -> None:
        """Make new self-signed keys with openssl, ECDSA and RSA, and stage them."""
        self.command(*self.make_keys())

    def make_keys(self) -> list[str]:
        """Make new self-signed keys with openssl, ECDSA and RSA; return the command, after --host, that stages them."""
        self.host.run(_MAKE_KEYS.format(name=self.host.host.fqdn, directory=_FRESH), timeout=120)
        pairs = [(f"--key {_FRESH}/{kind}.key", f"--chain {_FRESH}/{kind}.crt") for kind in ("ec", "rsa")]
        return ["stage", *(word for pair in pairs for option in pair for word in option.split())]

    def renew_by_acme(self) -> None:
        """Have certbot renew both lineages with new keys; its deploy hook stages them."""
        self.host.run("certbot renew --quiet --non-interactive --force-renewal --no-random-sleep-on-renew", timeout=300)

    def issue_by_acme(self) -> None:
        """Get the first certificates, ECDSA and RSA, from the lab's authority. certbot's deploy hook stages them."""
        for name, algorithm in LINEAGES.items():
            self.host.run(
                f"certbot certonly --quiet --non-interactive --standalone --server {acme.DIRECTORY} --agree-tos "
                f"--register-unsafely-without-email --cert-name {name} --key-type {algorithm} --rsa-key-size 2048 "
                f"--force-renewal -d {self.host.host.fqdn}",
                timeout=300,
            )


def words(said: dict[str, t.Any]) -> str:
    """Return the sentence that matters of what status says."""
    text = said.get("error") or f"{said.get('decision')}: {said.get('why')} (until {said.get('until')})"
    failed = (said.get("last_step") or {}).get("error")
    return f"{text}; the last step failed: {failed}" if failed else text


def settle(schemes: Mapping[HostAgent, str], waits: Waits) -> None:
    """Bring every host to rest in its scheme with the lab's times, and the senders to what DNS says then."""
    agents = list(schemes)
    for agent in agents:
        agent.begin_anew(_first_scheme(schemes[agent]), waits)
    stage.forget_caches(agents[0].host.lab)

    def go(agent: HostAgent) -> None:
        agent.open_ledger(_first_scheme(schemes[agent]), waits)
        agent.resume()
        agent.rest(waits.safe + 60)
        if schemes[agent] == "current+issuer":
            agent.issue_by_acme()
            agent.rest(2 * waits.safe + 60)
            agent.choose(schemes[agent], waits)
            agent.resume()
            agent.rest(waits.safe + 60)

    stage.side_by_side(go, agents)


def _first_scheme(scheme: str) -> str:
    """What a host begins with: `current+issuer` wants certificates of the authority, which come later."""
    return "current" if scheme == "current+issuer" else scheme
