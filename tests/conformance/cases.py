# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases as data: one line of cases.txt each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Case", "read_cases"]

VERDICTS = frozenset(
    "verified insecure absent unusable unknown no_starttls unreachable bogus mismatch none".split()  # noqa: SIM905
)
DELIVERIES = frozenset({"authenticated", "unauthenticated", "waits", "refused"})


@dataclass(frozen=True)
class Case:
    """A deployment and what the RFC expects; ``number`` gives it an address of its own."""

    number: int
    name: str
    rfc: str
    dns: tuple[str, ...]
    records: tuple[str, ...]
    chain: str
    server: str
    verdict: str
    delivery: str
    cause: str

    @property
    def zone(self) -> str:
        """The zone that the mail domain is in: not that of the hosts, as BIND refuses MX records that it finds bad."""
        return {"unsigned-mx": "unsigned.example", "bogus-mx": "bogus.example"}.get(self.dns[0], "two.example")

    @property
    def host_zone(self) -> str:
        """The zone that the MX host is in."""
        return {
            "unsigned-host": "unsigned.example",
            "no-address": "unsigned.example",
            "island-host": "island.example",
            "bogus-host": "bogus.example",
            "bogus-mx": "bogus.example",
        }.get(self.dns[0], "one.example")

    @property
    def domain(self) -> str:
        return f"{self.name}.{self.zone}"

    @property
    def host(self) -> str:
        """The MX host; where there is no MX record, the domain itself."""
        return self.domain if "no-mx" in self.dns else f"mx.{self.name}.{self.host_zone}"

    @property
    def target(self) -> str:
        """What the host is an alias of, or the host itself."""
        if "host-alias-unsigned" in self.dns:
            return f"real.{self.name}.unsigned.example"
        return f"real.{self.name}.one.example" if "host-alias" in self.dns else self.host

    @property
    def base(self) -> str:
        """The TLSA base domain."""
        return self.host if "tlsa-at-alias" in self.dns else self.target


def read_cases(path: Path | None = None) -> list[Case]:
    """Read the cases. Raises ValueError, with the line, for one that is malformed."""
    path = path or Path(__file__).with_name("cases.txt")
    cases: list[Case] = []
    for line in path.read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 9 or fields[6] not in VERDICTS or fields[7] not in DELIVERIES:
            raise ValueError(f"cases.txt: {line!r}")
        name, rfc, dns, records, chain, server, verdict, delivery, cause = fields
        wanted = () if records == "-" else tuple(record.strip() for record in records.split(","))
        cases.append(Case(len(cases), name, rfc, tuple(dns.split()), wanted, chain, server, verdict, delivery, cause))
    if len({case.name for case in cases}) != len(cases):
        raise ValueError("cases.txt: two cases have the same name")
    return cases
