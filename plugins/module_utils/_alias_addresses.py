# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Whether an address at a mail domain leads somewhere, by the class that Postfix has the domain in.

An alias is for the domains in mydestination alone (aliases(5)); at every other domain a virtual alias must lead to it,
or a mailbox must be there (ADDRESS_CLASS_README).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ._alias_routes import Host, survey
from ._alias_settings import AliasSettings, Table, tables
from ._alias_syntax import fold
from ._errors import PostfixError
from ._postfix_lists import listed_as, lists_any, read_list

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["AddressCheck"]

# Where Postfix looks the recipients of each class of domains up.
_CLASSES: t.Final = {
    "virtual_alias_domains": "virtual_alias_maps",
    "virtual_mailbox_domains": "virtual_mailbox_maps",
    "relay_domains": "relay_recipient_maps",
}


@dataclass(frozen=True)
class AddressCheck:
    """What is known of the host; ``in_table`` gives the value of a key, None where it is not there."""

    settings: AliasSettings
    host: Host
    in_table: Callable[[str, Table], str | None]

    def warnings(self, addresses: Iterable[str]) -> list[str]:
        """Of each address that leads nowhere: why, and how to mend it."""
        found = []
        for address in dict.fromkeys(addresses):
            try:
                why = self._why_nowhere(address)
            except (OSError, PostfixError) as exc:
                why = f"whether it reaches somebody could not be checked: {exc}"
            if why:
                found.append(f"{address}: {why}")
        return found

    def _why_nowhere(self, address: str) -> str:
        local, _sign, domain = fold(address).rpartition("@")
        if self._has("virtual_alias_maps", local, domain):
            return ""
        if self.host.is_here(domain):
            # Loops, and what is wrong with the required names, stopped the run before.
            return ". ".join(survey([local], self.host).errors)
        for domains, recipients in _CLASSES.items():
            if self._lists(domains, domain):
                if self._has(recipients, local, domain) or self._open(domains, recipients):
                    return ""
                return (
                    f"{domain} is in {domains}, and {recipients} has no such address. "
                    f"Add a virtual alias that leads it to {local} on this host"
                )
        return f"Postfix takes no mail for {domain}. Add it to mydestination, or to another class of domains"

    def _open(self, domains: str, recipients: str) -> bool:
        """Whether a class takes every address, and leaves the rest to the next host or to whoever keeps mailboxes."""
        return domains != "virtual_alias_domains" and not self._tables(recipients)

    def _has(self, parameter: str, local: str, domain: str) -> bool:
        """Whether the tables of a parameter have the address, or all of its domain (virtual(5))."""
        keys = (f"{local}@{domain}", f"@{domain}")
        return any(self.in_table(key, table) is not None for key in keys for table in self._tables(parameter))

    def _tables(self, parameter: str) -> tuple[Table, ...]:
        return tables(self.settings.values[parameter], self.settings.values["default_database_type"])

    def _lists(self, parameter: str, domain: str) -> bool:
        keys = listed_as(domain, parameter, self.settings.values["parent_domain_matches_subdomains"])
        return lists_any(self.settings.values[parameter], keys, self._contains, read_list)

    def _contains(self, table: str, domain: str) -> bool:
        return self.in_table(domain, tables(table, "")[0]) is not None
