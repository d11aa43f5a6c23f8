# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from ansible_collections.mailsec.dane.plugins.module_utils._server_chain import (
    ServerChain,
    chain_problems,
    chain_warnings,
    read_server_chain,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from issued import NOW, Issued, ed25519_key_pem, issue, key_of, signed_with_sha1

HOST = "mx1.example.org"
ROOT = issue("Root", key_of("ecdsa", 10))
INTERMEDIATE = issue("Intermediate", key_of("ecdsa", 11), issuer=ROOT)
LEAF = issue(HOST, key_of("ecdsa", 12), issuer=INTERMEDIATE)


def read(key: bytes, chain: bytes) -> ServerChain:
    return read_server_chain(key, chain, key_source="k.pem", chain_source="c.pem")


def chain_of(*links: Issued) -> ServerChain:
    return read(links[0].key_pem, b"".join(link.pem for link in links))


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_key_and_its_certificate_are_read_and_written_key_first(algorithm: str) -> None:
    issued = issue(key=key_of(algorithm))
    chain = read(issued.key_pem, issued.pem)
    assert chain.algorithm == algorithm
    assert chain.pem() == issued.key_pem + issued.pem
    assert chain.certificates_pem() == issued.pem
    assert chain.names == (HOST,)
    assert chain.self_signed


def test_the_record_is_the_digest_of_the_public_key() -> None:
    spki = LEAF.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert chain_of(LEAF).record.to_text() == f"3 1 1 {hashlib.sha256(spki).hexdigest()}"


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_the_form_of_the_key_file_makes_no_difference_to_what_is_written(algorithm: str) -> None:
    issued = issue(key=key_of(algorithm))
    noise = b"Bag Attributes\n    friendlyName: mx1\n"
    assert read(noise + issued.traditional_key_pem, noise + issued.pem) == read(issued.key_pem, issued.pem)


def test_one_file_may_hold_key_and_chain_in_any_order() -> None:
    for data in (LEAF.key_pem + LEAF.pem, LEAF.pem + LEAF.key_pem):
        assert read(data, data).pem() == LEAF.key_pem + LEAF.pem


def test_what_is_written_is_read_again_as_the_same() -> None:
    chain = chain_of(LEAF, INTERMEDIATE)
    assert read(chain.pem(), chain.pem()) == chain


@pytest.mark.parametrize(
    ("key", "chain", "message"),
    [
        (b"", LEAF.pem, "k.pem holds no PEM private key; it must hold one"),
        (LEAF.pem, LEAF.pem, "k.pem holds no PEM private key; it must hold one"),
        (LEAF.key_pem + ROOT.key_pem, LEAF.pem, "k.pem holds 2 PEM private keys; it must hold one"),
        (LEAF.key_pem[:-20], LEAF.pem, "The private key in k.pem cannot be read: Truncated PEM"),
        (
            b"-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n",
            LEAF.pem,
            "The private key in k.pem is damaged or of an unknown kind",
        ),
        (LEAF.encrypted_key_pem, LEAF.pem, "The private key in k.pem is encrypted, and a mail server"),
        (
            ed25519_key_pem(),
            LEAF.pem,
            "The private key in k.pem is an Ed25519 key, which many mail hosts cannot verify",
        ),
        (LEAF.key_pem, b"", "The chain in c.pem cannot be read: "),
        (LEAF.key_pem, LEAF.key_pem, "The chain in c.pem cannot be read: A certificate is wanted"),
        (LEAF.key_pem, LEAF.pem[:-30], "The chain in c.pem cannot be read: Truncated PEM"),
        (
            LEAF.key_pem,
            ROOT.pem,
            (
                "The first certificate in c.pem is not for the private key in k.pem; give the key that the certificate "
                "was issued for"
            ),
        ),
        (
            LEAF.key_pem,
            INTERMEDIATE.pem + LEAF.pem,
            (
                "The first certificate in c.pem is not for the private key in k.pem; it stands later in the file: put "
                "the server's own certificate first"
            ),
        ),
    ],
)
def test_what_cannot_be_served_is_refused(key: bytes, chain: bytes, message: str) -> None:
    with pytest.raises(InvalidCertificate, match=re.escape(message)):
        read(key, chain)


def test_a_key_encrypted_in_the_traditional_way_is_refused() -> None:
    head, _unused, rest = LEAF.traditional_key_pem.partition(b"\n")
    data = head + b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n" + rest
    with pytest.raises(InvalidCertificate, match="is encrypted"):
        read(data, LEAF.pem)


def test_neither_representation_nor_message_holds_anything_of_a_key() -> None:
    lines = [line for line in LEAF.key_pem.decode().splitlines() if not line.startswith("-----")]
    shown = repr(chain_of(LEAF))
    broken = LEAF.key_pem.replace(b"MIG", b"MIH", 1)
    with pytest.raises(InvalidCertificate) as caught:
        read(broken, LEAF.pem)
    shown += str(caught.value)
    assert not [line for line in lines if line in shown]


def test_a_whole_chain_has_no_problems() -> None:
    assert chain_problems(chain_of(LEAF, INTERMEDIATE, ROOT), NOW) == ()
    assert chain_warnings(chain_of(LEAF, INTERMEDIATE), HOST, NOW) == ()
    assert chain_warnings(chain_of(issue(HOST)), HOST, NOW) == ()


IMPOSTOR = issue("Intermediate", key_of("ecdsa", 13), issuer=ROOT)


@pytest.mark.parametrize(
    ("links", "problem"),
    [
        (
            (LEAF, ROOT),
            (
                "Certificate 2 of the chain is CN=Root, but certificate 1 was issued by CN=Intermediate: each must be "
                "followed by its issuer (RFC 8446 section 4.4.2)"
            ),
        ),
        (
            (LEAF, IMPOSTOR),
            (
                "Certificate 1 of the chain was not signed by the key of certificate 2, though both name "
                "CN=Intermediate: take the chain that the CA issued with this very certificate"
            ),
        ),
        (
            (issue(begins=NOW - timedelta(days=91), days=91),),
            "The certificate of CN=mx1.example.org expired at 2026-11-22 12:00 UTC; renew it, for the same key",
        ),
        (
            (issue(begins=NOW + timedelta(days=1)),),
            (
                "The certificate of CN=mx1.example.org is not valid before 2026-11-23 12:00 UTC; is this host's "
                "clock right?"
            ),
        ),
        (
            (issue(key=key_of("rsa1024")),),
            "The certificate of CN=mx1.example.org has an RSA key of 1024 bits; Debian's OpenSSL loads none below 2048",
        ),
        (
            (issue(key=key_of("secp256k1")),),
            (
                "The certificate of CN=mx1.example.org has a key on the curve secp256k1; mail hosts share P-256, P-384 "
                "and P-521"
            ),
        ),
        (
            (signed_with_sha1(),),
            "The certificate of CN=mx1.example.org is signed with SHA-1 or MD5, which Debian's OpenSSL does not load",
        ),
    ],
)
def test_problems_of_a_chain_are_named(links: tuple[Issued, ...], problem: str) -> None:
    assert chain_problems(chain_of(*links), NOW) == (problem,)


def test_a_slow_clock_does_not_refuse_a_fresh_certificate() -> None:
    assert chain_problems(chain_of(issue(begins=NOW + timedelta(minutes=4))), NOW) == ()


def test_a_certificate_for_another_host_is_a_warning_because_dane_ee_does_not_mind() -> None:
    chain = chain_of(issue("mail.example.org"))
    assert chain_problems(chain, NOW) == ()
    assert chain_warnings(chain, HOST, NOW) == (
        (
            "The certificate is for mail.example.org and not for mx1.example.org: DANE-EE (3 1 1) does not mind, but "
            "mail clients, MTA-STS and DANE-TA do"
        ),
    )


def test_a_wildcard_covers_the_host_and_a_common_name_does_not() -> None:
    assert chain_warnings(chain_of(issue("x", names=("*.example.org",))), HOST, NOW) == ()
    assert "is for no DNS name" in chain_warnings(chain_of(issue(HOST, names=())), HOST, NOW)[0]


def test_a_missing_intermediate_is_a_warning() -> None:
    assert chain_warnings(chain_of(LEAF), HOST, NOW) == (
        (
            "The chain holds only the server's certificate and not its issuer CN=Intermediate: clients that do not "
            "know this issuer itself cannot verify it; append the intermediate certificates"
        ),
    )
