# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sign a zone by hand, in a way in which no name server would: with signatures that hold no longer."""

from __future__ import annotations

import base64
import datetime as dt
import re
from typing import TYPE_CHECKING

import dns.dnssec
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from lab.state import ZoneKey

_INCEPTION = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
_EXPIRATION = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)


def signed_in_the_past(text: str, key: ZoneKey) -> str:
    """Return a zone file with DNSKEY, NSEC and RRSIG records, all valid once. ``key`` has algorithm 13."""
    zone = dns.zone.from_text(text, origin=f"{key.zone}.", relativize=False)
    encoded = re.search(r"^PrivateKey: (\S+)$", key.private, re.MULTILINE)
    if encoded is None:
        raise ValueError(f"the key of {key.zone} has no line PrivateKey; is it one of algorithm 13?")
    private = ec.derive_private_key(int.from_bytes(base64.b64decode(encoded[1]), "big"), ec.SECP256R1())
    dnskey = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DNSKEY, key.dnskey)
    dns.dnssec.sign_zone(
        zone,
        keys=[(private, dnskey)],  # type: ignore[list-item]  # the rdata of a DNSKEY is one
        inception=_INCEPTION,
        expiration=_EXPIRATION,
    )
    return zone.to_text(relativize=False)
