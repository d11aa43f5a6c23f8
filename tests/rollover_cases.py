# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chains, answers and observations of a rollover, with keys that are letters."""

from __future__ import annotations

import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._rollover_state import (
    Answer,
    Chain,
    Generation,
    Ledger,
    Observed,
    Policy,
    Scheme,
    Served,
    Version,
)
from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord

NOW: t.Final = 1_800_000_000.0
OWNER: t.Final = "_25._tcp.mx1.example.org"
FAR_OFF: t.Final = NOW + 1e8


def record(text: str) -> TlsaRecord:
    """``3 1 1 a``: the letter stands for the digest."""
    usage, selector, matching_type, letter = text.split()
    return TlsaRecord(int(usage), int(selector), int(matching_type), letter.encode() * 32)


def rrset(*texts: str) -> frozenset[TlsaRecord]:
    return frozenset(record(text if " " in text else f"3 1 1 {text}") for text in texts)


def chain(letter: str, *issuers: str, algorithm: str = "ecdsa", until: float = FAR_OFF) -> Chain:
    above = tuple(record(f"2 1 1 {one}") for one in issuers)
    return Chain(
        algorithm,
        rrset(letter, f"3 0 1 {letter}", f"3 1 2 {letter}") | set(above),
        record(f"3 1 1 {letter}"),
        above,
        until,
    )


def generation(*chains: Chain | str) -> Generation:
    made = tuple(chain(one) if isinstance(one, str) else one for one in chains)
    return Generation("".join(chr(one.key.data[0]) for one in made), made)


def policy(**changes: t.Any) -> Policy:  # noqa: ANN401  # fields of a dataclass by name
    usual: dict[str, t.Any] = {"owners": (OWNER,), "scheme": Scheme.CURRENT, "ttl": 300}
    return Policy(**(usual | changes))


def answer(*texts: str, server: str = "ns1", ttl: int = 300, error: str | None = None) -> Answer:
    return Answer(server, f"address of {server}", rrset(*texts), ttl, error)


def version(*texts: str, **changes: t.Any) -> Version:  # noqa: ANN401  # fields of a dataclass by name
    usual: dict[str, t.Any] = {"owner": OWNER, "records": rrset(*texts), "ttl": 300}
    return Version(**(usual | changes))


def observed(*answers: Answer, **changes: t.Any) -> Observed:  # noqa: ANN401  # fields of a dataclass by name
    """All answers at one owner; the deployed generation is ``a`` and served, and the ledger holds what is served."""
    deployed = changes.get("deployed", generation("a"))
    usual: dict[str, t.Any] = {
        "answers": {OWNER: answers},
        "served": (Served(OWNER, "192.0.2.1", deployed.chains if deployed else ()),),
        "deployed": deployed,
        "staged": None,
        "next": None,
        "former": frozenset(),
        "reload_owed": False,
        "ledger": Ledger(
            tuple({Version(OWNER, one.records, one.ttl): None for one in answers if one.error is None}), NOW, NOW - 1e6
        ),
    }
    return Observed(**(usual | changes))
