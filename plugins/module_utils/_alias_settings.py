# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Postfix's parameters around aliases, and what they mean for local(8) and newaliases(1)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ._postfix import split_list

__all__ = ["PARAMETERS", "SUFFIXES", "AliasSettings", "Table", "tables"]

SUFFIXES: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    "hash": (".db",),
    "btree": (".db",),
    "lmdb": (".lmdb",),
    "cdb": (".cdb",),
    "dbm": (".dir", ".pag"),
    "sdbm": (".dir", ".pag"),
}
"""Types of tables that newaliases builds, and the files that it builds beside the text (DATABASE_README)."""

PARAMETERS: t.Final = (
    "alias_database",
    "alias_maps",
    "allow_mail_to_commands",
    "allow_mail_to_files",
    "allow_percent_hack",
    "default_database_type",
    "fallback_transport",
    "fallback_transport_maps",
    "local_transport",
    "luser_relay",
    "mailbox_transport",
    "mailbox_transport_maps",
    "mydestination",
    "myorigin",
    "parent_domain_matches_subdomains",
    "recipient_delimiter",
    "relay_domains",
    "relay_recipient_maps",
    "smtputf8_enable",
    "swap_bangpath",
    "virtual_alias_domains",
    "virtual_alias_maps",
    "virtual_mailbox_domains",
    "virtual_mailbox_maps",
)

# With any of these, local(8) does not return mail to a name without an account.
_CATCHING: t.Final = (
    "fallback_transport",
    "fallback_transport_maps",
    "luser_relay",
    "mailbox_transport",
    "mailbox_transport_maps",
)


@dataclass(frozen=True)
class Table:
    """A lookup table by type and name, ``hash:/etc/aliases``."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold it."""
        return tuple(Path(self.name + suffix) for suffix in SUFFIXES.get(self.type, ()))


@dataclass(frozen=True)
class AliasSettings:
    """Postfix's parameters around aliases, expanded.

    ``local_program`` is the program in master.cf of the service that local_transport names.
    """

    values: t.Mapping[str, str]
    local_program: str = "local"

    @property
    def databases(self) -> tuple[Table, ...]:
        """What newaliases builds (alias_database)."""
        return tables(self.values["alias_database"], self.values["default_database_type"])

    @property
    def maps(self) -> tuple[Table, ...]:
        """Where local(8) looks names up, in order (alias_maps); whether through proxymap(8) makes no difference."""
        return tables(self.values["alias_maps"], self.values["default_database_type"])

    @property
    def utf8_only(self) -> bool:
        """Whether postalias passes over lines that are not UTF-8 (smtputf8_enable)."""
        return self.yes("smtputf8_enable")

    def yes(self, parameter: str) -> bool:
        """Whether a boolean parameter is on."""
        return self.values[parameter].lower() == "yes"

    def allows(self, what: t.Literal["commands", "files"], origin: str) -> bool:
        """Whether local(8) delivers to commands or files of an ``alias`` or an ``include`` file."""
        return origin in split_list(self.values[f"allow_mail_to_{what}"].lower())

    @property
    def delivers_unknown(self) -> bool:
        """Whether mail to a name without an account may still be delivered."""
        return any(self.values[name] for name in _CATCHING) or not self.uses_aliases

    @property
    def uses_aliases(self) -> bool:
        """Whether mail to this host's domains goes to local(8), the only program that reads aliases."""
        return self.local_program == "local"


def tables(value: str, default_type: str) -> tuple[Table, ...]:
    """The tables of a parameter such as alias_maps."""
    found = []
    for item in split_list(value):
        kind, colon, name = item.removeprefix("proxy:").partition(":")
        found.append(Table(kind, name) if colon else Table(default_type, item))
    return tuple(found)
