# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The library octoDNS and one provider of it, by class and settings as in an octoDNS configuration file.

octoDNS is imported when such a provider is asked for, and needed by nobody else. What its providers print, log, warn of
and raise is kept from the module's output but for the message, in which no setting that looks like a secret is shown.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import os
import sys
import typing as t
import warnings
from functools import partial
from importlib import import_module

from .._errors import InvalidInput, PublisherRefused, PublisherUnavailable
from .._names import names_upwards, to_ascii
from .._secrets import secret_values

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["OctodnsProvider", "Plan", "Zone"]

ID: t.Final = "mailsec.dane"
# octodns.zone.Zone, octodns.provider.plan.Plan and octodns.provider.base.BaseProvider; octoDNS has no types.
Zone = t.Any
Plan = t.Any
Provider = t.Any


class OctodnsProvider:
    """A provider of octoDNS, and the zones it may be asked about (all that it lists, where `zones` is empty)."""

    def __init__(
        self,
        name: str,
        make: t.Callable[[], Provider],
        zones: Collection[str],
        hidden: Collection[str] = (),
    ) -> None:
        """`make` makes the provider anew: many remember what they once read, and here nothing may come from a cache."""
        self._name, self._make, self._hidden = name, make, tuple(hidden)
        self._zones = {_zone_name(zone) for zone in zones}
        self._record = import_module("octodns.record").Record
        self._zone = import_module("octodns.zone").Zone

    @classmethod
    def from_options(cls, options: Mapping[str, t.Any], rdtype: str = "TLSA") -> OctodnsProvider:
        """From a module's ``provider``, which must be able to hold `rdtype`.

        Raises InvalidInput, and PublisherUnavailable as the provider's class does.
        """
        name = str(options.get("class") or "")
        if not name:
            raise InvalidInput(
                "Provider octodns needs class: that of an octoDNS provider, such as octodns_hetzner.HetznerProvider"
            )
        made = _class(name)
        settings = _resolved(options.get("settings") or {})
        hidden = secret_values(settings)
        make = partial(made, ID, **settings)
        with _guarded(f"octoDNS provider {name}", hidden):
            try:
                provider = make()
            except TypeError as error:
                raise InvalidInput(f"The settings of octoDNS provider {name} do not fit: {error}") from None
        if rdtype not in provider.SUPPORTS:
            raise InvalidInput(f"octoDNS provider {name} cannot hold {rdtype} records")
        if getattr(provider, "apply_disabled", False):
            raise InvalidInput(f"octoDNS provider {name} has apply_disabled set, so that it changes nothing")
        return cls(name, make, options.get("zones") or (), hidden)

    @property
    def place(self) -> str:
        return f"octoDNS provider {self._name}"

    def zone_of(self, owner: str) -> str:
        """The closest zone above `owner`. Raises PublisherRefused and PublisherUnavailable."""
        zones = self._known_zones()
        for candidate in names_upwards(owner)[1:]:
            if candidate in zones:
                return candidate
        raise PublisherRefused(f"{self.place}: {owner} is in no zone of it")

    def populated(self, zone: str) -> Zone:
        """All that the provider has in `zone`. Raises PublisherUnavailable, and PublisherRefused without such a zone.

        It is asked as a source: as a target some providers say "nothing", because they write zones anew.
        """
        below = {other.removesuffix(f".{zone}") for other in self._known_zones() if other.endswith(f".{zone}")}
        content = self._zone(f"{zone}.", below)
        with _guarded(self.place, self._hidden):
            exists = self._make().populate(content, target=False, lenient=True)
        if exists is False:
            raise PublisherRefused(f"{self.place}: it has no zone {zone}")
        return content

    def replace(self, zone: Zone, owner: str, rdtype: str, ttl: int, values: Sequence[object]) -> None:
        """Exchange the RRset at `owner` in `zone`, which is in memory; without `values` it is taken out."""
        name = zone.hostname_from_fqdn(f"{owner}.")
        with _guarded(self.place, self._hidden):
            for record in zone.get(name, type=rdtype):
                zone.remove_record(record)
            if values:
                data = {"type": rdtype, "ttl": ttl, "values": [*values]}
                zone.add_record(self._record.new(zone, name, data))

    def plan(self, desired: Zone) -> tuple[Plan | None, t.Callable[[], None]]:
        """What would make the provider's zone `desired`, which is read once more for that, and what carries it out.

        Raises PublisherUnavailable; when that comes of carrying it out, what was done by then is not known.
        """
        with _guarded(self.place, self._hidden):
            provider = self._make()
            if desired.root_ns is not None and not provider.SUPPORTS_ROOT_NS:
                desired.remove_record(desired.root_ns)
            plan = provider.plan(desired)

        def carry_out() -> None:
            with _guarded(self.place, self._hidden):
                provider.apply(plan)

        return plan, carry_out

    def _known_zones(self) -> set[str]:
        if not self._zones:
            with _guarded(self.place, self._hidden):
                provider = self._make()
                if not hasattr(provider, "list_zones"):
                    raise InvalidInput(f"{self.place} cannot list its zones; name them by its option zones")
                self._zones = {_zone_name(str(zone)) for zone in provider.list_zones()}
        return self._zones


def _class(name: str) -> t.Callable[..., Provider]:
    module, _dot, wanted = name.rpartition(".")
    try:
        base = import_module("octodns.provider.base").BaseProvider
        zone = import_module("octodns.zone").Zone
        found = getattr(import_module(module), wanted)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"The octoDNS provider {name} cannot be loaded: {error}. On the machine that publishes, install octodns "
            f"and the provider's package from PyPI for {sys.executable}, or set ansible_python_interpreter there to a "
            "virtual environment that has them"
        ) from error
    if not hasattr(zone, "get"):
        raise InvalidInput(f"The library octodns for {sys.executable} is too old; this was made with version 1.22")
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise InvalidInput(f"{name} is no octoDNS provider: it can at most be read from")
    return t.cast("t.Callable[..., Provider]", found)


def _zone_name(name: str) -> str:
    plain = name.lower().removesuffix(".")
    return plain if plain.isascii() else to_ascii(plain)


def _resolved(settings: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Settings with ``env/NAME`` and ``env/NAME/default`` replaced, to numbers where they are, as octoDNS does it."""
    resolved: dict[str, t.Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            resolved[str(key)] = _resolved(value)
        elif isinstance(value, str) and value.startswith("env/"):
            name, slash, default = value[4:].partition("/")
            if name not in os.environ and not slash:
                raise InvalidInput(f"The setting {key} of the octoDNS provider wants the environment variable {name}")
            resolved[str(key)] = _number(os.environ.get(name, default))
        else:
            resolved[str(key)] = value
    return resolved


def _number(text: str) -> str | int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


@contextlib.contextmanager
def _guarded(place: str, hidden: Collection[str]) -> Iterator[None]:
    """What a provider raises, as our error, without its traceback, in which settings may show; its output is dropped.

    Providers raise whatever the libraries beneath them raise, so everything is caught.
    """
    root = logging.getLogger()
    silent = logging.NullHandler()  # with no handler at all, warnings go to standard error
    root.addHandler(silent)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            yield
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001  # see above
        said = f"{type(error).__name__}: {error}"
        for secret in hidden:
            said = said.replace(secret, "********")
        kind = PublisherRefused if type(error).__name__ == "SupportsException" else PublisherUnavailable
        raise kind(f"{place}: {said}") from None
    finally:
        root.removeHandler(silent)
