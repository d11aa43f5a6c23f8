# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the agent on a host was told: ``/etc/dane/HOST/rollover.json``, written by the role, read whole or refused."""

from __future__ import annotations

import grp
import json
import typing as t
from dataclasses import dataclass, field, fields
from pathlib import Path

from ._dialogues import Starttls, starttls_of_port
from ._errors import InvalidInput, InvalidName
from ._names import to_ascii
from ._publication import MAX_TTL
from ._rollover_state import Policy, Scheme
from ._tlsa import TlsaRecord, tlsa_owner_name

if t.TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FILE_NAME", "RolloverConfig", "config_of", "configured_hosts", "read_config"]

FILE_NAME: t.Final = "rollover.json"
STORES: t.Final = Path("/etc/dane")
STATE: t.Final = Path("/var/lib/dane")
MAX_MULTIPLIER: t.Final = 50  # with the largest TTL there is, the end is still a date
MAX_SECONDS: t.Final = 10 * 366 * 86400


@dataclass(frozen=True, kw_only=True)
class RolloverConfig:
    """Times are in seconds. ``provider`` is what tlsa_record takes; None: the user publishes by hand."""

    host: str
    ports: tuple[int, ...]
    starttls: Mapping[int, str] = field(default_factory=dict)
    """By port, where the port does not tell."""
    scheme: str = "current+next"
    provider: Mapping[str, t.Any] | None = field(default=None, repr=False)
    require_signed: bool = True
    resolver: str = "127.0.0.1"
    resolver_port: int = 53
    timeout: float = 5.0
    servers: tuple[str, ...] = ()
    """Addresses of authoritative servers to ask, instead of those that the DNS names."""
    addresses: tuple[str, ...] = ()
    """Where this host's endpoints are looked at, instead of at the addresses that the DNS has of the host."""
    units: tuple[str, ...] = ()
    ttl: int = 3600
    multiplier: float = 2.0
    sender_cache: int = 101
    margin: int = 60
    unknown_ttl: int = 86400
    max_gap: int = 3600
    retire_after: int = 0
    exclusive: bool = True
    alias_exclusive: bool = False
    extra_records: tuple[str, ...] = ()
    relax_on_expiry: bool = False
    next_keys: str = "self-signed"
    """Who makes next keys: ``self-signed``, the agent; ``certbot``, it has certbot do it; ``given``, the user."""
    names: tuple[str, ...] = ()
    """DNS names for certificates that the agent makes; empty: the host."""
    valid_days: int = 3650
    rsa_bits: int = 3072
    lineages: tuple[str, ...] = ()
    """Names of certbot's lineages that are for this host."""
    keep: int = 3
    group: str | None = None
    metrics: str | None = None

    @property
    def store(self) -> Path:
        return STORES / self.host

    @property
    def state(self) -> Path:
        return STATE / self.host

    @property
    def owners(self) -> dict[str, int]:
        """Owner name to port."""
        return {tlsa_owner_name(self.host, port): port for port in self.ports}

    @property
    def gid(self) -> int | None:
        """The group that may read keys beside root. Raises InvalidInput."""
        try:
            return None if self.group is None else grp.getgrnam(self.group).gr_gid
        except KeyError as exc:
            msg = f"There is no group {self.group!r} on this host; install the service that brings it"
            raise InvalidInput(msg) from exc

    def starttls_of(self, port: int) -> Starttls:
        return Starttls(self.starttls[port]) if port in self.starttls else starttls_of_port(port) or Starttls.NONE

    def policy(self, *, compromised: frozenset[TlsaRecord] = frozenset(), shared: bool = False) -> Policy:
        """The policy for the core. ``compromised`` are ``3 1 1`` of keys that somebody else may have; ``shared``: the
        records are reached by an alias, so others may rely on them."""
        return Policy(
            owners=tuple(self.owners),
            scheme=Scheme(self.scheme),
            ttl=self.ttl,
            multiplier=self.multiplier,
            sender_cache=self.sender_cache,
            margin=self.margin,
            unknown_ttl=self.unknown_ttl,
            max_gap=self.max_gap,
            exclusive=self.exclusive and not shared,
            aliased=shared and not self.alias_exclusive,
            extra=frozenset(TlsaRecord.parse(record) for record in self.extra_records),
            compromised=compromised,
            relax_on_expiry=self.relax_on_expiry,
            retire_after=self.retire_after,
        )


def configured_hosts(stores: Path | None = None) -> tuple[str, ...]:
    """The names of the stores that have a configuration, sorted."""
    return tuple(sorted(path.parent.name for path in (stores or STORES).glob(f"*/{FILE_NAME}")))


def config_of(host: str) -> RolloverConfig:
    """The configuration of one host name. Raises InvalidInput."""
    return read_config(STORES / host / FILE_NAME)


def read_config(path: Path) -> RolloverConfig:
    """Raises InvalidInput: what, where, and how to mend it."""
    try:
        options = json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        msg = f"There is no {path}; the role mailsec.dane.tlsa_rollover writes it"
        raise InvalidInput(msg) from exc
    except PermissionError as exc:
        msg = f"{path} is for root alone, as it may hold a provider's secret; be root, for example with sudo"
        raise InvalidInput(msg) from exc
    except (OSError, ValueError) as exc:
        msg = f"{path} cannot be read: {exc}; run the role mailsec.dane.tlsa_rollover again"
        raise InvalidInput(msg) from exc
    try:
        config = config_from(options)
    except (InvalidInput, ValueError, TypeError, AttributeError) as exc:
        msg = f"{path}: {exc}; nothing was done. Set it with the role mailsec.dane.tlsa_rollover"
        raise InvalidInput(msg) from exc
    if config.host != path.parent.name:
        msg = (
            f"{path} is the configuration of {config.host}, which belongs into {STORES / config.host}; nothing was "
            "done. If this directory is a copy, move it out of the way: both would work on the same keys"
        )
        raise InvalidInput(msg)
    return config


def config_from(options: object) -> RolloverConfig:
    """The configuration of a parsed file. Raises InvalidInput, ValueError, TypeError, AttributeError."""
    if not isinstance(options, dict):
        msg = "it must be a JSON object"
        raise InvalidInput(msg)
    known = {one.name for one in fields(RolloverConfig)}
    if unknown := sorted(set(options) - known):
        msg = f"{', '.join(unknown)} is unknown to this release"
        raise InvalidInput(msg)
    values: dict[str, t.Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    values["starttls"] = {int(port): kind for port, kind in (values.get("starttls") or {}).items()}
    config = RolloverConfig(**values)
    _check_types(config)
    _check(config)
    return config


def _check_types(config: RolloverConfig) -> None:
    """To Python the text "false" is true, and would have records removed that others need."""
    for one in fields(config):
        value = getattr(config, one.name)
        if one.type == "bool" and not isinstance(value, bool):
            msg = f"{one.name} must be true or false, not {value!r}"
            raise InvalidInput(msg)
        if one.type in {"int", "float"} and (isinstance(value, bool) or not isinstance(value, (int, float))):
            msg = f"{one.name} must be a number, not {value!r}"
            raise InvalidInput(msg)


def _check(config: RolloverConfig) -> None:
    if to_ascii(config.host) != config.host or "/" in config.host:
        msg = f"host {config.host!r} is not in lower case and A-labels"
        raise InvalidName(msg)
    if not config.ports:
        msg = "ports is empty; a rollover needs endpoints to prove"
        raise InvalidInput(msg)
    for port in config.ports:
        if port not in config.starttls and starttls_of_port(port) is None:
            msg = f"how TLS begins on port {port} does not follow from the port; say it in starttls"
            raise InvalidInput(msg)
        config.starttls_of(port)
    _check_times(config)
    if config.keep < 2:
        msg = "keep must be 2 or more"
        raise InvalidInput(msg)
    if config.next_keys not in {"self-signed", "certbot", "given"}:
        msg = f"next_keys {config.next_keys!r} is not self-signed, certbot or given"
        raise InvalidInput(msg)
    config.policy()


def _check_times(config: RolloverConfig) -> None:
    if not 1 <= config.ttl <= MAX_TTL:
        msg = f"ttl {config.ttl} is not from 1 to {MAX_TTL}"
        raise InvalidInput(msg)
    if not 1 <= config.multiplier <= MAX_MULTIPLIER:  # which JSON's NaN is not either
        msg = f"multiplier must be from 1 to {MAX_MULTIPLIER}"
        raise InvalidInput(msg)
    for seconds in (config.sender_cache, config.margin, config.unknown_ttl, config.retire_after):
        if not 0 <= seconds <= MAX_SECONDS:
            msg = f"sender_cache, margin, unknown_ttl and retire_after must be from 0 to {MAX_SECONDS}"
            raise InvalidInput(msg)
    if not 1 <= config.max_gap <= MAX_SECONDS:
        msg = f"max_gap must be from 1 to {MAX_SECONDS}"
        raise InvalidInput(msg)
