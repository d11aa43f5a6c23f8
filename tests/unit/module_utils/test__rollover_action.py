# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the agent tells a provider that holds something else than what name servers serve."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils import _rollover_action
from ansible_collections.mailsec.dane.plugins.module_utils._errors import PublisherConflict
from ansible_collections.mailsec.dane.plugins.module_utils._publication import Change, Published
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.base import Publisher
from ansible_collections.mailsec.dane.plugins.module_utils._rollover_config import RolloverConfig
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

HOST: t.Final = "mx1.example.org"
OWNER: t.Final = f"_25._tcp.{HOST}"
CONFIG: t.Final = RolloverConfig(host=HOST, ports=(25,), provider={"type": "stand-in"}, require_signed=False)
OLD, NEW, OTHER = (TlsaRecord(3, 1, 1, bytes([number]) * 32) for number in (1, 2, 3))


class Provider(Publisher):
    def __init__(self, *records: TlsaRecord) -> None:
        self.records: tuple[TlsaRecord, ...] = records

    @property
    def place(self) -> str:
        return "the stand-in"

    def read(self, names: Collection[str]) -> Mapping[str, Published]:
        ttl = 3600 if self.records else None
        return {name: Published(name, name, "example.org", ttl, tuple(sorted(self.records))) for name in names}

    def apply(self, _zone: str, changes: Sequence[Change]) -> None:
        for change in changes:
            self.records = t.cast("tuple[TlsaRecord, ...]", change.after)


def retire(provider: Provider, monkeypatch: pytest.MonkeyPatch, *, ending: bool = False) -> None:
    """Remove OLD, where what is left fits: with NEW, which is served, or nothing at all when DANE ends."""
    monkeypatch.setattr(_rollover_action, "publisher_from_options", lambda _options: provider)
    _rollover_action.publish(CONFIG, {}, {OWNER: [OLD]}, lambda _owner, rest: NEW in rest or ending)


@pytest.mark.parametrize("others", [(NEW,), (NEW, OTHER)])
def test_a_record_goes_where_what_is_left_fits(monkeypatch: pytest.MonkeyPatch, others: tuple[TlsaRecord, ...]) -> None:
    provider = Provider(OLD, *others)
    retire(provider, monkeypatch)
    assert provider.records == others


def test_when_dane_ends_the_last_record_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(OLD)
    retire(provider, monkeypatch, ending=True)
    assert provider.records == ()


@pytest.mark.parametrize("there", [(OLD,), (OLD, OTHER), ()])
def test_nothing_goes_where_the_provider_lacks_what_is_served(
    monkeypatch: pytest.MonkeyPatch, there: tuple[TlsaRecord, ...]
) -> None:
    provider = Provider(*there)
    with pytest.raises(PublisherConflict, match="so nothing was removed"):
        retire(provider, monkeypatch)
    assert provider.records == there
