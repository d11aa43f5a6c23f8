# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The verdicts on an endpoint, what leads to each, and how to mend it.

A :class:`Cause` is one way in which things stand. It belongs to one verdict and has two texts: what is so, and what
to do. Together they are the sentence that a report shows. The texts name their facts in braces.
"""

from __future__ import annotations

import enum
import typing as t

__all__ = ["SEVERITY", "Cause", "Verdict", "reason", "worst"]


class Verdict(enum.StrEnum):
    """What a sender that does DANE (RFC 7672) makes of an endpoint."""

    VERIFIED = "verified"  # authenticated; nobody can intercept the mail
    INSECURE = "insecure"  # not signed: a sender cannot know what is right
    ABSENT = "absent"  # no TLSA record, and DNSSEC proves it: opportunistic TLS
    UNUSABLE = "unusable"  # TLSA records, none of which can be used: TLS, not authenticated
    UNKNOWN = "unknown"  # this host could not find out
    NO_STARTTLS = "no_starttls"  # TLSA records promise TLS, the server offers none: mail waits
    UNREACHABLE = "unreachable"  # no connection or no answer: mail waits, or takes another host
    BOGUS = "bogus"  # DNSSEC validation fails: mail waits
    MISMATCH = "mismatch"  # the served chain is not what the records say: mail waits


SEVERITY: t.Final = tuple(Verdict)
"""The verdicts from the best to the worst."""


def worst(verdicts: t.Iterable[Verdict]) -> Verdict | None:
    """Return the worst of `verdicts`; None of none."""
    return max(verdicts, key=SEVERITY.index, default=None)


class Cause(enum.Enum):
    """One way in which an endpoint stands: its verdict, what is so, and how to mend it (empty: nothing to do)."""

    MATCHED = (Verdict.VERIFIED, "the served chain matches {record}", "")
    MX_UNSIGNED = (
        Verdict.INSECURE,
        (
            "{host} matches {record}, but the MX record of {domain} is not signed, so anybody on the way can lead its "
            "mail to another host"
        ),
        "sign the zone of {domain} with DNSSEC and put its DS record into the parent zone",
    )
    HOST_UNSIGNED = (
        Verdict.INSECURE,
        "the addresses of {host} are not signed, so senders do not look for TLSA records at all",
        (
            "sign the zone of {host} with DNSSEC and put its DS record into the parent zone, or name an MX host whose "
            "zone is signed"
        ),
    )
    ALIAS_UNSIGNED = (
        Verdict.INSECURE,
        "{host} is an alias of {alias}, and that way is not signed, so senders do not look for TLSA records",
        "name the real host in the MX record, in a signed zone",
    )
    TLSA_UNSIGNED = (
        Verdict.INSECURE,
        "{owner} is not signed, though the addresses of {host} are, so its TLSA records count as none",
        "put {owner}, or what it is an alias of, into a zone that is signed up to the root",
    )
    NO_RECORDS = (
        Verdict.ABSENT,
        "{owner} has no TLSA record, proven by DNSSEC, so mail is encrypted at best and never authenticated",
        "publish {wanted} there: ansible-playbook mailsec.dane.site",
    )
    NO_RECORDS_NO_TLS = (
        Verdict.ABSENT,
        "{owner} has no TLSA record, and TLS does not work at {address}, so mail goes in the clear ({detail})",
        "give the server a certificate and TLS first, then publish: ansible-playbook mailsec.dane.site",
    )
    NO_USABLE_RECORD = (
        Verdict.UNUSABLE,
        "no TLSA record at {owner} can be used, so senders encrypt and authenticate nobody: {why}",
        "publish {wanted} in their place: ansible-playbook mailsec.dane.site",
    )
    NO_STARTTLS = (
        Verdict.NO_STARTTLS,
        "TLSA records promise TLS, and the server offers none, so senders keep the mail: {detail}",
        "turn TLS on (role postfix_dane), or find the middlebox that takes STARTTLS out of the answer",
    )
    KEY_NOT_LISTED = (
        Verdict.MISMATCH,
        "the served {key} key is in no TLSA record; its certificate is from {not_before}",
        ("deploy the certificate that {published} stands for, or publish {wanted}: ansible-playbook mailsec.dane.site"),
    )
    AUTHORITY_NOT_SERVED = (
        Verdict.MISMATCH,
        "the certificate of the CA that {published} stands for is not in the served chain",
        "append that CA certificate to the chain that the server sends, even if it is a root",
    )
    AUTHORITY_FAILS = (
        Verdict.MISMATCH,
        "the CA of {record} is in the served chain, but: {why}",
        "mend that in the certificate or the chain, or publish {wanted}, which needs no name, date or CA",
    )
    STRONGER_DIGEST_STALE = (
        Verdict.MISMATCH,
        "{record} matches, but senders pass it over: {why}",
        "bring the records with the stronger digest up to date, or remove them: ansible-playbook mailsec.dane.site",
    )
    CHAIN_UNREADABLE = (
        Verdict.MISMATCH,
        "what the server sends as its chain cannot be read: {why}",
        "issue a new certificate: ansible-playbook mailsec.dane.site",
    )
    NOT_CONNECTED = (
        Verdict.UNREACHABLE,
        "no mail session with {address} port {port}: {detail}",
        "start the service and open the firewall, or take {address} out of the addresses of {host}",
    )
    HANDSHAKE_FAILED = (
        Verdict.UNREACHABLE,
        "TLS is offered at {address} port {port} and does not work, so senders keep the mail: {detail}",
        "look at the server's log for the handshake; most often its key or certificate file cannot be read",
    )
    LOOKUP_FAILED = (
        Verdict.UNREACHABLE,
        "the DNS does not answer {question}, so senders keep the mail: {detail}",
        "mend the authoritative servers of that zone",
    )
    TLSA_UNANSWERED = (
        Verdict.UNREACHABLE,
        "the DNS does not answer {question}, though it answers for the host, so senders keep the mail: {detail}",
        (
            "mend or replace the name servers of that zone, or the firewall before them, which must answer questions "
            "for types that they do not know or do not have"
        ),
    )
    VALIDATION_FAILED = (
        Verdict.BOGUS,
        "{question} does not validate, so senders keep the mail: {detail}",
        "re-sign the zone and compare its DS record with its keys",
    )
    DENIAL_BOGUS = (
        Verdict.BOGUS,
        "the proof that there is no {question} does not validate, so senders keep the mail: {detail}",
        "re-sign the zone, so that NSEC or NSEC3 records prove what it does not have, or publish a TLSA record",
    )
    NO_SUCH_DOMAIN = (
        Verdict.UNREACHABLE,
        "the domain {domain} does not exist in the DNS",
        "correct the name, or register the domain",
    )
    NO_ADDRESS = (
        Verdict.UNREACHABLE,
        "{host} has neither an IPv4 nor an IPv6 address",
        "give it one, or correct the MX record of {domain}",
    )
    ADDRESS_LITERAL = (
        Verdict.INSECURE,
        "{domain} is an address and not a name, so there is nothing that DANE could look up",
        "give the domain's name",
    )
    RESOLVER_REMOTE = (
        Verdict.UNKNOWN,
        "the resolver {resolver} is not on this host, so its word that an answer is signed proves nothing",
        (
            "run the check where a validating resolver listens on 127.0.0.1 (role unbound_resolver), or let it "
            "validate by itself (validation: libunbound)"
        ),
    )
    RESOLVER_NOT_VALIDATING = (
        Verdict.UNKNOWN,
        "the resolver {resolver} does not validate: it does not mark the signed root zone as authentic",
        "make it validate (role unbound_resolver)",
    )
    RESOLVER_SILENT = (
        Verdict.UNKNOWN,
        "the resolver {resolver} does not answer: {detail}",
        "start it, or install one (role unbound_resolver)",
    )
    ROOT_BOGUS = (
        Verdict.UNKNOWN,
        "the signed root zone does not validate, so nothing does: {detail}",
        (
            "set this host's clock, bring its trust anchor up to date (package dns-root-data), or name a resolver that "
            "passes signatures on"
        ),
    )
    NO_ROUTE = (
        Verdict.UNKNOWN,
        "this host has no way to {address}: {detail}",
        "run the check from a host that has one",
    )
    ALGORITHM_NOT_SEEN = (
        Verdict.UNKNOWN,
        "whether {address} port {port} also has an {key} chain could not be seen: {detail}",
        "run the check again, less often if the server limits connections",
    )

    @property
    def verdict(self) -> Verdict:
        return self.value[0]

    @property
    def word(self) -> str:
        """What reports and metrics call it: ``key_not_listed``."""
        return self.name.lower()


def reason(cause: Cause, **facts: object) -> str:
    """Return the sentence: what is so and, unless all is well, how to mend it. Raises KeyError for a missing fact."""
    _verdict, text, cure = cause.value
    sentence = text.format_map(facts)
    return f"{sentence}. To mend: {cure.format_map(facts)}" if cure else sentence
