# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fuzz target for every parser of the core; see README.md beside it for how to run it.

Whatever the octets, a parser returns a value or raises the typed error; what it returns survives a round trip.
"""

from __future__ import annotations

import contextlib
import sys
import typing as t
import warnings
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # has no stubs

with atheris.instrument_imports(include=["ansible_collections.mailsec.dane"]):
    from ansible_collections.mailsec.dane.plugins.module_utils._associations import tlsa_records_for
    from ansible_collections.mailsec.dane.plugins.module_utils._dane import breaches_of_rfc7671_section8, match
    from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
    from ansible_collections.mailsec.dane.plugins.module_utils._names import tlsa_owner_name
    from ansible_collections.mailsec.dane.plugins.module_utils._tlsa import TlsaRecord
    from ansible_collections.mailsec.dane.plugins.module_utils._x509 import (
        load_certificates,
        load_chains,
        tlsa_record_for,
    )

from certificates import HOST, NOW

ROUND_TRIPS: t.Final[t.Sequence[tuple[t.Callable[[t.Any], TlsaRecord], t.Callable[[TlsaRecord], t.Any]]]] = (
    (TlsaRecord.from_text, TlsaRecord.to_text),
    (TlsaRecord.from_generic, TlsaRecord.to_generic),
    (TlsaRecord.parse, TlsaRecord.to_mapping),
)


def one_input(data: bytes) -> None:
    """The first octet chooses the parser."""
    provider = atheris.FuzzedDataProvider(data)
    choice = provider.ConsumeIntInRange(0, 4)
    if choice == 0:
        text(provider.ConsumeUnicodeNoSurrogates(provider.remaining_bytes()))
    elif choice == 1:
        wire(provider.ConsumeBytes(provider.remaining_bytes()))
    elif choice == 2:
        with contextlib.suppress(InvalidInput):
            name = tlsa_owner_name(provider.ConsumeUnicodeNoSurrogates(300), 25)
            assert tlsa_owner_name(name.removeprefix("_25._tcp."), 25) == name
    elif choice == 3:
        file(provider.ConsumeBytes(provider.remaining_bytes()))
    else:
        chain(provider.ConsumeBytes(provider.remaining_bytes()))


def text(value: str) -> None:
    with contextlib.suppress(InvalidInput):
        record = TlsaRecord.parse(value)
        for read, write in ROUND_TRIPS:
            assert read(write(record)) == record
    with contextlib.suppress(InvalidInput):
        tlsa_records_for(value)


def wire(value: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        record = TlsaRecord.from_wire(value)
        assert record.to_wire() == value
        for read, write in ROUND_TRIPS:
            assert read(write(record)) == record
        record.problems()
        match([record], [], [HOST], NOW)


def file(value: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        load_chains(value)
    for usage in (2, 3):
        with contextlib.suppress(InvalidInput):
            tlsa_records_for(value, usage)


def chain(value: bytes) -> None:
    """A certificate of ``value``, served before itself, judged by every kind of record that speaks of it."""
    with contextlib.suppress(InvalidInput):
        served = [*load_certificates(value)] * 2
        records = [
            tlsa_record_for(served[0], usage, selector, matching_type)
            for usage in (2, 3)
            for selector in (0, 1)
            for matching_type in (0, 1)
        ]
        match(records, served, [HOST], NOW)
        match([record for record in records if record.usage == 2], served, [HOST], NOW)
        breaches_of_rfc7671_section8(records, [served])


def main() -> None:
    warnings.simplefilter("ignore")  # cryptography warns of oddities that it accepts
    corpus = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    if corpus and not corpus[0].is_file():
        seed(corpus[0])
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


def seed(corpus: Path) -> None:
    """Certificates of each kind to begin with; atheris takes the choice of the parser from an input's last octet."""
    from certificates import KEY_KINDS, authority, issue, key  # noqa: PLC0415  # keys take a while to make

    corpus.mkdir(exist_ok=True)
    for kind in KEY_KINDS:
        holder = issue(authority(key=key(kind, 1)), key=key(kind), key_identifiers=True, purposes=None)
        for choice in range(5):
            (corpus / f"{kind}-der-{choice}").write_bytes(holder.der + bytes((choice,)))
        (corpus / f"{kind}-pem").write_bytes(holder.pem.encode() + b"\3")
    (corpus / "record").write_bytes(b"3 1 1 " + b"00" * 32 + b"\0")
    (corpus / "generic").write_bytes(b"\\# 35 030101" + b"00" * 32 + b"\0")


if __name__ == "__main__":
    main()
