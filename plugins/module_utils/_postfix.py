# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""One Postfix instance as ``postconf`` tells of it: the model that all decisions are taken on.

``postconf`` is the authority on the syntax of main.cf and master.cf; nothing here parses those files. What is parsed
is the output of ``postconf -n`` (what main.cf sets), ``postconf -x -C builtin`` (what is in force, every parameter that
this version knows), ``postconf -M`` (services) and ``postconf -P -x`` (their ``-o``
overrides, expanded).
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ._errors import PostfixError

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MINIMUM_VERSION",
    "Finding",
    "PostfixState",
    "Service",
    "Severity",
    "parse_parameters",
    "parse_services",
    "split_list",
    "version_numbers",
]

# smtpd_tls_chain_files came with 3.4, protocol ranges (">=TLSv1.2") with 3.6; Debian 12 has 3.7.
MINIMUM_VERSION: t.Final = (3, 6)

# Names that services listen by in Debian's master.cf and /etc/services.
_SERVICE_PORTS: t.Final = {"smtp": 25, "smtps": 465, "submissions": 465, "submission": 587}

Severity = t.Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A setting in the way of DANE.

    ``setting`` is what to look for: a parameter, ``service/type/parameter`` as ``postconf -P`` writes it, or
    ``table/key``. ``severity`` is ``error`` (DANE cannot work so; a run refuses), ``warning`` (it works in part, or
    will cease to) or ``notice`` (worth knowing).
    """

    setting: str
    severity: Severity
    problem: str
    remedy: str

    def sentence(self) -> str:
        """Return the finding as one line for a person."""
        return f"{self.setting}: {self.problem} {self.remedy}"

    def to_mapping(self) -> dict[str, str]:
        """Return the finding as the module returns it."""
        return {
            "setting": self.setting,
            "severity": self.severity,
            "problem": self.problem,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Service:
    """A service of master.cf: its name, type (``inet``, ``unix``, ``pass``, ...), chroot column, program, overrides."""

    name: str
    kind: str
    chroot: str
    command: str
    overrides: tuple[tuple[str, str], ...] = ()

    @property
    def port(self) -> int | None:
        """The TCP port that an ``inet`` service listens on, None for others or for a name that is not known here."""
        if self.kind != "inet":
            return None
        label = self.name.rpartition(":")[2]
        return int(label) if label.isdigit() else _SERVICE_PORTS.get(label)

    @property
    def loopback_only(self) -> bool:
        """Whether an ``inet`` service is bound to a loopback address in master.cf, as content filters' inlets are."""
        host = self.name.rpartition(":")[0].strip("[]")
        return host in {"localhost", "::1"} or host.startswith("127.")

    def override(self, parameter: str) -> str | None:
        """The value that ``-o parameter=value`` gives to this service, None when it gives none."""
        return dict(self.overrides).get(parameter)

    def setting(self, parameter: str) -> str:
        """Return the name of this service's override as ``postconf -P`` writes it."""
        return f"{self.name}/{self.kind}/{parameter}"


@dataclass(frozen=True, slots=True)
class PostfixState:
    """What ``postconf`` tells of one configuration directory.

    ``explicit`` maps the parameters that main.cf sets to their raw values, ``effective`` maps every parameter of this
    version to its value in force, with ``$name`` expanded.
    """

    directory: str
    explicit: Mapping[str, str]
    effective: Mapping[str, str]
    services: tuple[Service, ...]

    @property
    def version(self) -> str:
        """Postfix's version, for example ``3.7.11``."""
        return self.effective.get("mail_version", "")

    def knows(self, parameter: str) -> bool:
        """Whether this version of Postfix has the parameter."""
        return parameter in self.effective

    def value(self, parameter: str) -> str:
        """Return the parameter's value in force, empty when this version does not have it."""
        return self.effective.get(parameter, "")

    def yes(self, parameter: str) -> bool:
        """Whether a boolean parameter is on."""
        return self.value(parameter).lower() == "yes"

    def named(self, name: str, kind: str) -> Service | None:
        """Return the service of that name and type."""
        return next((service for service in self.services if (service.name, service.kind) == (name, kind)), None)

    def chrooted(self, service: Service) -> bool:
        """Whether the service runs chrooted; ``-`` means yes before compatibility level 1 (master(5))."""
        if service.chroot == "-":
            return version_numbers(self.value("compatibility_level") or "0") < (1,)
        return service.chroot == "y"

    def with_settings(self, assignments: Mapping[str, str], removals: Iterable[str] = ()) -> PostfixState:
        """Return the state as it will be once main.cf has these settings and lacks the removed ones."""
        gone = frozenset(removals)
        explicit = {name: value for name, value in self.explicit.items() if name not in gone} | dict(assignments)
        # What is removed is removed for the sake of its default, and that is empty or off for all of them.
        effective = {name: "" if name in gone else value for name, value in self.effective.items()} | dict(assignments)
        return replace(self, explicit=explicit, effective=effective)


def parse_parameters(output: str) -> dict[str, str]:
    """Parse ``name = value`` lines as ``postconf`` prints them. Raises PostfixError for anything else."""
    parameters = {}
    for line in output.splitlines():
        name, separator, value = line.partition(" =")
        if not separator or not re.fullmatch(r"\S+", name):
            msg = f"postconf printed a line that is no setting: {line!r}"
            raise PostfixError(msg)
        parameters[name] = value.strip()
    return parameters


def parse_services(services: str, overrides: str) -> tuple[Service, ...]:
    """Parse the output of ``postconf -M`` and of ``postconf -P``. Raises PostfixError for a malformed line."""
    given: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, value in parse_parameters(overrides).items():
        service, kind, parameter = _override_name(name)
        given.setdefault((service, kind), []).append((parameter, value))
    parsed = []
    for line in services.splitlines():
        fields = line.split(None, 8)
        if len(fields) < 8:
            msg = f"postconf printed a line that is no master.cf service: {line!r}"
            raise PostfixError(msg)
        name, kind, chroot, command = fields[0], fields[1], fields[4], fields[7]
        parsed.append(Service(name, kind, chroot, command, tuple(given.get((name, kind), ()))))
    return tuple(parsed)


def _override_name(name: str) -> tuple[str, str, str]:
    parts = name.rsplit("/", 2)
    if len(parts) != 3:
        msg = f"postconf printed an override that is no service/type/parameter: {name!r}"
        raise PostfixError(msg)
    return parts[0], parts[1], parts[2]


def split_list(value: str) -> list[str]:
    """Split a list-valued parameter at commas and blanks; what is in braces stays together (postconf(5))."""
    items: list[str] = []
    item, depth = "", 0
    for character in value:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth <= 0 and (character == "," or character.isspace()):
            items.append(item)
            item = ""
        else:
            item += character
    items.append(item)
    return [entry for entry in items if entry]


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``3.10.13`` is (3, 10, 13), ``3.11-20251122`` is (3, 11)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
