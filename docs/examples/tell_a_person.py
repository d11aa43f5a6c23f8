# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program for the provider `exec` of mailsec.dane, for a DNS host that has no API: it tells a person what to publish.

    python3 tell_a_person.py --zone example.org --server ns1.hosting.example --mail hostmaster@example.org

What is published it reads from the name server. What is to be changed it sends by mail, once for each change, and
says so with exit status 12. Needs python3-dnspython and a sendmail command. The guide
docs/guides/publishing.md describes the protocol.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

REFUSED, PENDING, FAILED = 10, 12, 1


def main() -> int:
    """Read the request from standard input, and do what it asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--zone", required=True)
    parser.add_argument("--server", required=True, help="an authoritative name server of the zone")
    parser.add_argument("--port", type=int, default=53)
    parser.add_argument("--mail", required=True, help="who publishes what is asked for")
    parser.add_argument("--sendmail", default="/usr/sbin/sendmail")
    parser.add_argument(
        "--told", type=Path, default=Path.home() / ".dane-told", help="remembers what was sent last, for each zone"
    )
    options = parser.parse_args()
    request = json.load(sys.stdin)
    if request["version"] != 1 or request["type"] != "TLSA":
        return complain("only TLSA records, and version 1 of the protocol, are known here", REFUSED)
    if request["action"] == "read":
        try:
            rrsets = [published(name, options) for name in request["names"]]
        except (dns.exception.DNSException, OSError, ValueError) as error:
            return complain(f"{options.server} could not be asked: {error}", FAILED)  # never "no records"
        json.dump({"rrsets": rrsets}, sys.stdout)
        return 0
    return tell(request, options)


def published(name: str, options: argparse.Namespace) -> dict[str, object]:
    """What the server has at `name`. Whatever is not a clear answer is an error."""
    if not f".{name}".endswith(f".{options.zone}"):
        raise ValueError(f"{name} is not in {options.zone}")
    query = dns.message.make_query(name, "TLSA", flags=0)
    address = socket.getaddrinfo(options.server, options.port, type=socket.SOCK_STREAM)[0][4][0]
    answer = dns.query.tcp(query, str(address), timeout=5, port=options.port)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not answer.flags & dns.flags.AA:
        raise ValueError(f"no authoritative answer for {name} ({dns.rcode.to_text(answer.rcode())})")
    if any(rrset.rdtype == dns.rdatatype.CNAME for rrset in answer.answer):
        raise ValueError(f"{name} is an alias")
    found = answer.get_rrset(answer.answer, answer.question[0].name, dns.rdataclass.IN, dns.rdatatype.TLSA)
    records = [f"{one.usage} {one.selector} {one.mtype} {one.cert.hex()}" for one in found or ()]
    return {"name": name, "zone": options.zone, "ttl": found.ttl if found else None, "records": records}


def tell(request: dict[str, Any], options: argparse.Namespace) -> int:
    """Mail what is to be added and removed, unless that was the last thing mailed about this zone."""
    lines = [f"Please change these TLSA records in the zone {request['zone']}. Add first, then remove.", ""]
    for change in request["changes"]:
        lines += [f"add     {change['name']}. {change['ttl']} IN TLSA {record}" for record in change["add"]]
        lines += [f"remove  {change['name']}. IN TLSA {record}" for record in change["remove"]]
        if change["after"] and change["ttl"] != change["ttl_before"]:
            lines.append(f"set     the TTL of {change['name']}. to {change['ttl']}")
    message = EmailMessage()
    message["To"] = options.mail
    message["Subject"] = f"TLSA records of {request['zone']}"
    message.set_content("\n".join([*lines, ""]))
    digest = hashlib.sha256(bytes(message)).hexdigest()
    told = dict(line.split() for line in memory(options.told) if len(line.split()) == 2)
    if told.get(request["zone"]) != digest:
        try:
            subprocess.run([options.sendmail, "-i", "-t"], input=bytes(message), check=True, timeout=20)
        except (OSError, subprocess.SubprocessError) as error:
            return complain(f"the mail to {options.mail} could not be sent: {error}", FAILED)
        told[request["zone"]] = digest
        options.told.write_text("".join(f"{zone} {last}\n" for zone, last in sorted(told.items())), "ascii")
    return complain(f"{options.mail} was told what to publish", PENDING)


def memory(told: Path) -> list[str]:
    """Lines with a zone and the digest of the last mail about it."""
    return told.read_text("ascii").splitlines() if told.exists() else []


def complain(message: str, status: int) -> int:
    """What goes to standard error becomes part of the module's message."""
    sys.stderr.write(f"{message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
