# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""TLSA records as they are on the wire, right or wrong."""

from __future__ import annotations

from ._deps import importing

with importing():
    from dns.rdtypes import tlsabase


__all__ = ["accept_any_digest_length"]


def accept_any_digest_length() -> None:
    """Let dnspython read TLSA records whose digest has the wrong length.

    Recent releases refuse the whole answer for one of them, so one malformed record would look like a server that
    does not answer. RFC 7671 section 9 wants it passed over, and the others used. Older releases check nothing.
    """
    if hasattr(tlsabase.TLSABase, "_cert_length_by_mtype"):
        tlsabase.TLSABase._cert_length_by_mtype = {}
