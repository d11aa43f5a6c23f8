# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Module ``dane_info``: from its options to what is looked at, and from the report to its result."""

from __future__ import annotations

import ipaddress
import typing as t
from datetime import UTC, datetime

from ._dialogues import Starttls, starttls_of_port
from ._endpoint_report import plain, timestamp
from ._errors import InvalidInput, InvalidName
from ._libunbound import ValidatingStub
from ._names import to_ascii
from ._resolver import Resolver
from ._sigalgs import KeyAlgorithm
from ._starttls import Limits
from ._verdicts import Verdict
from ._verification import HostTarget, Settings, is_address_literal, verify

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["run"]


def run(params: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Look at what `params` name and return the module's result. Raises InvalidInput, ProbeImpossible."""
    domains = list(dict.fromkeys(name if is_address_literal(name) else to_ascii(name) for name in params["domains"]))
    targets = [*_host_targets(params["hosts"]), *_endpoint_targets(params["endpoints"])]
    if not domains and not targets:
        raise InvalidInput("domains, hosts and endpoints are all empty; name at least one to look at")
    started = datetime.now(UTC)
    report = verify(domains, targets, _source(params), _settings(params))
    rows = [row.to_mapping() for row in report.endpoints]
    return {
        "changed": False,
        "verified": report.verified,
        "checked_at": timestamp(started),
        "summary": {verdict.value: sum(row.verdict is verdict for row in report.endpoints) for verdict in Verdict},
        "domains": [plain(domain) for domain in report.domains],
        "endpoints": rows,
    }


def _source(params: Mapping[str, t.Any]) -> Resolver | ValidatingStub:
    address = _address("resolver", params["resolver"])
    if params["validation"] == "libunbound":
        return ValidatingStub(address, params["resolver_port"], params["trust_anchor"])
    return Resolver(address, params["resolver_port"], params["timeout"])


def _host_targets(hosts: list[dict[str, t.Any]]) -> Iterator[HostTarget]:
    for host in hosts:
        name = to_ascii(host["name"])
        for port in host["ports"]:
            yield HostTarget(name, _port(port), _kind(name, port))


def _endpoint_targets(endpoints: list[dict[str, t.Any]]) -> Iterator[HostTarget]:
    for endpoint in endpoints:
        name, port = to_ascii(endpoint["host"]), _port(endpoint["port"])
        kind = Starttls(endpoint["starttls"]) if endpoint["starttls"] else _kind(name, port)
        address = endpoint["address"]
        yield HostTarget(name, port, kind, _address("endpoints.address", address) if address else None)


def _kind(host: str, port: int) -> Starttls:
    kind = starttls_of_port(port)
    if kind is None:
        msg = (
            f"How TLS begins on port {port} of {host} does not follow from the port; "
            f"list it under endpoints with starttls, one of {', '.join(Starttls)}"
        )
        raise InvalidInput(msg)
    return kind


def _port(port: int) -> int:
    if not 1 <= port <= 65535:
        msg = f"Port {port} is no number from 1 to 65535"
        raise InvalidInput(msg)
    return port


def _address(option: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        msg = f"{option} must be an IPv4 or IPv6 address such as 127.0.0.1, not {text!r}"
        raise InvalidInput(msg) from error


def _settings(params: Mapping[str, t.Any]) -> Settings:
    for option in ("connect_timeout", "step_timeout", "connections", "timeout"):
        if params[option] <= 0:
            msg = f"{option} must be more than 0, not {params[option]}"
            raise InvalidInput(msg)
    return Settings(
        algorithms=tuple(KeyAlgorithm[name.upper()] for name in params["key_algorithms"]),
        limits=Limits(
            connect=params["connect_timeout"], step=params["step_timeout"], connections=params["connections"]
        ),
        client_name=_client_name(params["client_name"]),
        trust_resolver=params["trust_resolver"],
    )


def _client_name(name: str | None) -> str:
    try:
        return to_ascii(name) if name else ""
    except InvalidName as error:
        msg = f"client_name must be a host name or be left out: {error}"
        raise InvalidInput(msg) from error
