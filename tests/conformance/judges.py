# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that nobody here wrote, each asked what becomes of mail to a case: Postfix, Exim, OpenSSL."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.mailsec.dane.plugins.module_utils._usability import unusable_reason

from conformance.deployment import tlsa_records
from lab import podman
from lab.errors import LabError

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.cases import Case

__all__ = ["exim_deliveries", "openssl_verdicts", "postfix_deliveries"]

_SEND_POSTFIX: t.Final = """
postsuper -d ALL >/dev/null 2>&1; : > /var/log/mail.log
while read -r to; do printf 'Subject: case\\n\\nx\\n' | sendmail -f '' "$to"; done
"""
_SEND_EXIM: t.Final = """
rm -f /var/log/exim4/mainlog
while read -r to; do
    printf 'Subject: case\\n\\nx\\n' > /tmp/message
    timeout 60 exim4 -odf -f '<>' "$to" < /tmp/message 2>>/tmp/said
done
test -s /var/log/exim4/mainlog || cat /tmp/said
"""
_TLS: t.Final = re.compile(r"/smtp\[(\d+)\]: (\w+) TLS connection (?:established|reused) to (\S+?\[[^\]]+\]:\d+)")
_OUTCOME: t.Final = re.compile(r"/smtp\[(\d+)\]: \w+: to=<x@([^>]+)>, relay=([^,]+),.* status=(\w+) (.*)")
_DELIVERY: t.Final = {"deferred": "waits", "bounced": "refused"}


def postfix_deliveries(container: str, cases: Sequence[Case], patience: float = 180.0) -> dict[str, tuple[str, str]]:
    """Send a message to each case; return, by case, the delivery (a word of cases.txt) and the log line.

    Only `Verified ... established|reused` together with `status=sent` counts as authenticated. The first outcome
    counts: what is deferred is tried again without end. A case without outcome in time is missing.
    """
    addresses = "".join(f"x@{case.domain}\n" for case in cases)
    podman.execute(container, ["/bin/bash", "-c", _SEND_POSTFIX], stdin=addresses.encode(), timeout=300)
    deadline = time.monotonic() + patience
    names = {case.domain: case.name for case in cases}
    found: dict[str, tuple[str, str]] = {}
    while len(found) < len(cases) and time.monotonic() < deadline:
        time.sleep(3)
        found = _read_postfix_log(podman.execute(container, ["cat", "/var/log/mail.log"]), names)
    podman.execute(container, ["postsuper", "-d", "ALL"])
    return found


def _read_postfix_log(log: str, names: dict[str, str]) -> dict[str, tuple[str, str]]:
    trust: dict[str, tuple[str, str]] = {}
    found: dict[str, tuple[str, str]] = {}
    for line in log.splitlines():
        if tls := _TLS.search(line):
            trust[tls[1]] = (tls[2], tls[3])
        elif (outcome := _OUTCOME.search(line)) and outcome[2] in names:
            word, relay = trust.pop(outcome[1], ("", ""))
            delivery = _DELIVERY.get(outcome[4], "unauthenticated")
            if outcome[4] == "sent" and word == "Verified" and relay == outcome[3]:
                delivery = "authenticated"
            found.setdefault(names[outcome[2]], (delivery, f"{word} {outcome[4]} {outcome[5]}".strip()))
    return found


def exim_deliveries(container: str, cases: Sequence[Case]) -> dict[str, tuple[str, str]]:
    """The same by Exim with hosts_try_dane; `CV=dane` is its word for authenticated."""
    addresses = "".join(f"x@{case.domain}\n" for case in cases)
    podman.execute(
        container,
        ["/bin/bash", "-c", _SEND_EXIM],
        stdin=addresses.encode(),
        timeout=590,
    )
    log = podman.execute(container, ["cat", "/var/log/exim4/mainlog"])
    return _read_exim_log(log, {case.domain: case.name for case in cases})


def _read_exim_log(log: str, names: dict[str, str]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for line in log.splitlines():
        event = re.search(r" (=>|==|\*\*) x@([^\s:]+):? ?(.*)", line)
        if not event or event[2] not in names:
            continue
        sign, rest = event[1], event[3]
        delivery = {"==": "waits", "**": "refused"}.get(sign, "unauthenticated")
        if sign == "=>" and "CV=dane" in rest:
            delivery = "authenticated"
        found.setdefault(names[event[2]], (delivery, f"{sign} {rest}"[:300]))
    return found


def openssl_verdicts(
    container: str, cases: Sequence[Case], address: t.Callable[[Case], str]
) -> dict[str, tuple[str, str]]:
    """What `openssl s_client` says of the chain and the usable records; it does no DNS and knows one name only.

    Without -verify_return_error its exit status is 0 on a mismatch, and a record that is unusable makes it fail where
    a sender passes it over: such records are left out, and a case without a usable one is not put to it.
    """
    lines = []
    for case in cases:
        records = [record for record in tlsa_records(case) if unusable_reason(record) is None]
        if records and case.dns == ("signed",) and case.server in ("ok", "tls12", "tls13", "sni"):
            rdata = " ".join(f"-dane_tlsa_rrdata '{record.to_text()}'" for record in records)
            lines.append(
                f"echo '@ {case.name}'; timeout 20 openssl s_client -starttls smtp -connect {address(case)}:25 "
                f"-name probe.example -brief -verify_return_error -dane_ee_no_namechecks -servername {case.base} "
                f'-dane_tlsa_domain {case.base} {rdata} </dev/null 2>&1; echo "status $?"'
            )
    output = podman.execute(container, ["/bin/bash"], stdin="\n".join(lines).encode(), timeout=590)
    found = {}
    for part in output.split("@ ")[1:]:
        name, _unused, said = part.partition("\n")
        good = "status 0" in said and "Verification: OK" in said
        words = re.search(r"DANE TLSA .*|verify error:.*|error:.*", said)
        found[name] = ("authenticated" if good else "waits", words[0] if words else said.strip()[-120:])
    if lines and not found:
        raise LabError(f"openssl s_client said nothing in {container}: {output[:300]}")
    return found
