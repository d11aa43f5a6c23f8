# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real name servers for the tests of publication; run them by `pytest tests/integration/publish`.

They need Debian's bind9, knot, pdns-server and pdns-backend-sqlite3, and fail with the package's name without it.
"""

from __future__ import annotations

import typing as t

import pytest

from loopback_nameservers import Bind, Key, Knot, NameServer, PowerDns, free_port, zone_text

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE: t.Final = "a.example"
OTHER_ZONE: t.Final = "b.example"
LINES: t.Final = """
mx1 A 192.0.2.1
www A 192.0.2.2
_443._tcp.www TLSA 3 1 1 1111111111111111111111111111111111111111111111111111111111111111
_25._tcp.mx1 TXT "not a TLSA record"
_25._tcp.alias CNAME tlsa.b.example.
_465._tcp.alias CNAME tlsa.b.example.
"""
ZONES: t.Final = {ZONE: zone_text(ZONE, LINES), OTHER_ZONE: zone_text(OTHER_ZONE, "dname DNAME target\n")}

MAKES: t.Final[dict[str, tuple[type[NameServer], type[NameServer]]]] = {
    "bind": (Bind, Knot),
    "knot": (Knot, PowerDns),
    "powerdns": (PowerDns, Bind),
}
"""The primary's make, and that of its secondary."""


class Pair(t.NamedTuple):
    primary: NameServer
    secondary: NameServer


@pytest.fixture(params=sorted(MAKES))
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A primary and a secondary of another make."""
    primary_make, secondary_make = MAKES[request.param]
    key = Key("mx-tlsa")
    port = free_port()
    primary = primary_make(tmp_path / "primary", dict(ZONES), key, secondaries=[port])
    with primary:
        secondary = secondary_make(tmp_path / "secondary", dict(ZONES), key, port=port, primary=primary)
        with secondary:
            yield Pair(primary, secondary)


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Bind]:
    """BIND alone."""
    with Bind(tmp_path / "bind", dict(ZONES), Key("mx-tlsa")) as server:
        yield server
