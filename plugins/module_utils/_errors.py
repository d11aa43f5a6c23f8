# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Every error that the collection raises on purpose.

They are raised by the core and the adapters, and translated once at the edge: into ``fail_json`` by modules, into
``AnsibleFilterError`` by filters. Anything that is not a ``DaneError`` is a defect of ours and keeps its traceback.

::

    DaneError
    ├── InvalidInput (also a ValueError)   what the user gave, or a peer served, is malformed
    │   ├── InvalidRecord                  a TLSA record, in any of its forms
    │   ├── InvalidCertificate             a certificate, public key or chain file
    │   ├── InvalidReport                  a TLS report (RFC 8460), or the mail or file that carries it
    │   └── InvalidName                    a host name, port, transport or owner name
    ├── LookupFailed                       a DNS question could not be answered; this never means "there is none"
    ├── ProbeImpossible                    this host lacks what it needs to look at servers, so nothing is known of them
    ├── PublisherError                     a DNS provider did not do what it was asked
    │   ├── PublisherRefused               it answered no: wrong key, not authoritative, not allowed
    │   ├── PublisherUnavailable           it did not answer, or not in time
    │   ├── PublisherConflict              the RRset changed between reading and writing, and went on doing so
    │   └── PublisherPending               it passed the change on to a person, who has not made it yet
    ├── PostfixError                       postconf or Postfix itself refused
    │   └── PostfixMissing                 Postfix is not installed
    └── StoreError                         the certificate store on disk is not what it should be, or in use
"""

from __future__ import annotations

__all__ = [
    "DaneError",
    "InvalidCertificate",
    "InvalidInput",
    "InvalidName",
    "InvalidRecord",
    "InvalidReport",
    "LookupFailed",
    "PostfixError",
    "PostfixMissing",
    "ProbeImpossible",
    "PublisherConflict",
    "PublisherError",
    "PublisherPending",
    "PublisherRefused",
    "PublisherUnavailable",
    "StoreError",
]


class DaneError(Exception):
    """Root of the tree. The message is one sentence or two: what, where, and how to mend it."""


class InvalidInput(DaneError, ValueError):  # noqa: N818  # reads as what it is; every class of the tree is an error
    """Something that was given is malformed. The message names the offending value."""


class InvalidRecord(InvalidInput):
    """A TLSA record is malformed, or well formed and unfit to be published."""


class InvalidCertificate(InvalidInput):
    """A certificate, public key or chain file cannot be read as what it should be."""


class InvalidName(InvalidInput):
    """A host name, port or transport cannot be part of a TLSA owner name."""


class InvalidReport(InvalidInput):
    """A TLS report (RFC 8460), or the mail or file that carries it, is malformed, too large, or none at all."""


class LookupFailed(DaneError):  # noqa: N818  # see InvalidInput
    """A DNS look-up could not be answered: timeout, SERVFAIL, refusal, or validation failed (``bogus``).

    It must never be read as "there is no such record": RFC 7672 section 2.1.2 wants delivery to wait.
    """

    def __init__(self, message: str, *, bogus: bool = False, denial: bool = False, silent: bool = False) -> None:
        """``bogus`` is true when the same question is answered once validation is off, so the signatures are wrong.

        ``denial``: what that answer says is that there is nothing, so it is this that the zone fails to prove.
        ``silent``: the server did not answer in time, and asked again at once it would hardly do so either.
        """
        super().__init__(message)
        self.bogus, self.denial, self.silent = bogus, denial, silent


class ProbeImpossible(DaneError):  # noqa: N818  # see InvalidInput
    """This host lacks what it needs to look at servers, such as files it may open; it says nothing of the servers."""


class PublisherError(DaneError):
    """A DNS provider did not do what it was asked."""


class PublisherRefused(PublisherError):  # noqa: N818  # see InvalidInput
    """The provider answered, and its answer is no. Trying again without a change does not help."""


class PublisherUnavailable(PublisherError):  # noqa: N818  # see InvalidInput
    """The provider did not answer, or not in time. What it holds is unknown, and is never taken as empty."""


class PublisherConflict(PublisherError):  # noqa: N818  # see InvalidInput
    """Somebody else changed the RRset after it was read, as often as it was tried."""


class PublisherPending(PublisherError):  # noqa: N818  # see InvalidInput
    """The provider took the change and passed it on, for example to a person; it is not made yet."""


class PostfixError(DaneError):
    """Postfix or one of its tools refused, or its configuration defeats DANE; the message carries what was said.

    ``details`` is returned beside the message by modules.
    """

    def __init__(self, message: str, *, details: dict[str, object] | None = None) -> None:
        """``details`` are for programs, for example the findings behind a refusal."""
        super().__init__(message)
        self.details = details or {}


class PostfixMissing(PostfixError):  # noqa: N818  # see InvalidInput
    """There is no Postfix on this host."""


class StoreError(DaneError):
    """The certificate store on disk is damaged, tampered with, unwritable or in use; nothing was switched."""

    def __init__(self, message: str, *, details: dict[str, object] | None = None) -> None:
        """``details`` is returned by a module beside the message."""
        super().__init__(message)
        self.details = details
