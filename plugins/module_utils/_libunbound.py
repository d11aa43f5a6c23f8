# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Answers whose signatures this process has verified itself, whoever brought them: validation by libunbound.

The only file that knows the binding, Debian's ``python3-unbound``. It gives the same :class:`_resolver.Answer` and
raises the same LookupFailed as a validating resolver does, from a resolver of which nothing is believed: a lie of its
own, or of anybody on the way, fails validation or proves that there is nothing to verify (RFC 4035 section 4.3).
"""

from __future__ import annotations

import asyncio
import typing as t
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ._deps import importing

with importing():
    import dns.exception
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdatatype

from ._errors import InvalidInput, LookupFailed, ProbeImpossible
from ._resolver import Answer, absolute_name, name_text, read_response

if t.TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._lookups import Lookup

__all__ = ["TRUST_ANCHOR", "ValidatingStub"]

TRUST_ANCHOR: t.Final = "/usr/share/dns/root.key"
"""Where Debian's package dns-root-data has that of the root zone."""

_AT_ONCE: t.Final = 32
"""Threads that wait for libunbound, which gives the interpreter's lock back meanwhile."""

# What differs from libunbound's defaults, which are those of unbound.
_OPTIONS: t.Final = {
    "do-not-query-localhost:": "no",  # the resolver may be here after all
    "trust-anchor-signaling:": "no",  # a query of its own in each run, which tells nobody anything
    "edns-buffer-size:": "1232",  # never fragmented (DNS flag day 2020)
    "val-log-level:": "2",  # without it libunbound says that validation failed, and not why
}


@dataclass(frozen=True, slots=True)
class ValidatingStub:
    """Asks the resolver at ``address`` and verifies what it says, from the anchors in the file ``trust_anchor`` down.

    The file has the form of a zone file with DS or DNSKEY records. The resolver must pass signatures on. Waiting times
    are libunbound's own: it gives a resolver that does not answer up some 20 seconds after the first question.
    """

    address: str
    port: int = 53
    trust_anchor: str = TRUST_ANCHOR

    @property
    def believable(self) -> bool:
        """Always: nothing is believed on anybody's word."""
        return True

    @asynccontextmanager
    async def lookups(self, *, signatures: bool) -> AsyncIterator[Lookup]:
        """Give a look-up as :meth:`Resolver.lookups` does; what it verifies needs ``signatures`` in any case.

        Raises InvalidInput for an anchor that cannot be read, and ProbeImpossible where the library is missing.
        """
        del signatures
        context = self._context()
        with ThreadPoolExecutor(_AT_ONCE, "libunbound") as threads:
            yield _Validation(context, self.address, threads).lookup

    def _context(self) -> t.Any:  # noqa: ANN401  # a class of a library without types
        try:
            unbound = import_module("unbound")
        except ImportError as error:
            msg = f"libunbound's Python binding is missing: install the Debian package python3-unbound ({error})"
            raise ProbeImpossible(msg) from error
        if not Path(self.trust_anchor).is_file():
            msg = f"there is no trust anchor in {self.trust_anchor}; install the Debian package dns-root-data"
            raise InvalidInput(msg)
        context = unbound.ub_ctx()
        steps = [(f"option {option}", context.set_option(option, value)) for option, value in _OPTIONS.items()]
        steps.append((f"the resolver {self.address}", context.set_fwd(f"{self.address}@{self.port}")))
        steps.append((f"the trust anchor {self.trust_anchor}", context.add_ta_file(self.trust_anchor)))
        for what, status in steps:
            if status:
                raise InvalidInput(f"libunbound does not take {what}: {unbound.ub_strerror(status)}")
        return context


class _Validation:
    def __init__(self, context: t.Any, address: str, threads: ThreadPoolExecutor) -> None:  # noqa: ANN401  # see above
        self._context, self._address, self._threads = context, address, threads

    async def lookup(self, name: str, rdtype: str) -> Answer:
        """See :meth:`Resolver.lookup`."""
        asked = absolute_name(name)
        number = int(dns.rdatatype.from_text(rdtype))
        status, result = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._context.resolve, asked.to_text(), number
        )
        if status or result is None:
            raise self._failed(asked, rdtype, f"libunbound gives up with error {status}")
        if result.bogus:
            denial = not result.havedata
            raise LookupFailed(
                f"DNSSEC validation of {'the denial of ' if denial else ''}{name_text(asked)} {rdtype} failed, as the "
                f"resolver {self._address} passes it on: {result.why_bogus or 'no reason is given'}",
                bogus=True,
                denial=denial,
            )
        if result.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not result.packet:
            raise self._failed(asked, rdtype, dns.rcode.to_text(dns.rcode.Rcode(result.rcode)))
        try:
            response = dns.message.from_wire(result.packet)
            return read_response(asked, rdtype, response, secure=bool(result.secure))
        except (dns.exception.DNSException, ValueError) as error:
            raise self._failed(asked, rdtype, f"a malformed answer ({error})") from error

    def _failed(self, name: dns.name.Name, rdtype: str, cause: str) -> LookupFailed:
        return LookupFailed(
            f"libunbound got no answer to {name_text(name)} {rdtype} by way of the resolver {self._address}: {cause}"
        )
