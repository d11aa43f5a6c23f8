# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a judge's container: makes certificates of every kind that its OpenSSL can, and asks for their digests.

Input: nothing (JSON null). Output: a list of {kind, pem, openssl: {"3 0 1": digest, ...}, postfix, hash_slinger}; what
a program cannot read is null. Standard library only.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HOST = "mx1.example.org"
DIGESTS = ("sha224", "sha256", "sha384", "sha512", "sha3-256", "sha512-256", "sha1", "md5", "ripemd160")


def run(*command: str, stdin: bytes | None = None) -> bytes | None:
    """Standard output; None when the program fails."""
    result = subprocess.run(
        command, input=stdin, capture_output=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    return result.stdout if result.returncode == 0 else None


def openssl(*arguments: str, stdin: bytes | None = None) -> bytes | None:
    return run("openssl", *arguments, stdin=stdin)


Kind = tuple[str, list[str], list[str]]
"""A kind's name, options of ``openssl genpkey``, options of ``openssl req``."""


def self_signed() -> list[Kind]:
    """Kinds of key that sign."""
    rsa = ["-algorithm", "RSA", "-pkeyopt"]
    p256 = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    plain = ["ED25519", "ED448", "SM2", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", *slh_dsa()]
    return [
        *((f"RSA {bits}", [*rsa, f"rsa_keygen_bits:{bits}"], []) for bits in (1024, 1536, 2048, 3072, 4096)),
        ("RSA, exponent 3", [*rsa, "rsa_keygen_pubexp:3"], []),
        *((f"RSA signed with {digest}", [*rsa, "rsa_keygen_bits:2048"], [f"-{digest}"]) for digest in DIGESTS),
        *((f"RSA signed with PSS and {digest}", [*rsa, "rsa_keygen_bits:2048"], pss(digest)) for digest in DIGESTS),
        *((f"ECDSA signed with {digest}", p256, [f"-{digest}"]) for digest in DIGESTS),
        ("RSA-PSS", ["-algorithm", "RSA-PSS"], []),
        *(
            (f"RSA-PSS for {digest} only", pss_only(digest), [f"-{digest}"])
            for digest in ("sha256", "sha384", "sha512")
        ),
        *(
            (f"EC {curve}, {encoding}", ec(curve, encoding), [])
            for curve in curves()
            for encoding in ("named_curve", "explicit")
        ),
        *((name, ["-algorithm", name], []) for name in plain),
    ]


def pss(digest: str) -> list[str]:
    return [f"-{digest}", "-sigopt", "rsa_padding_mode:pss"]


def pss_only(digest: str) -> list[str]:
    limits = [f"rsa_pss_keygen_md:{digest}", f"rsa_pss_keygen_mgf1_md:{digest}"]
    return ["-algorithm", "RSA-PSS", *(word for limit in limits for word in ("-pkeyopt", limit))]


def ec(curve: str, encoding: str) -> list[str]:
    return ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-pkeyopt", f"ec_param_enc:{encoding}"]


def slh_dsa() -> list[str]:
    sizes = [f"{bits}{speed}" for bits in (128, 192, 256) for speed in "sf"]
    return [f"SLH-DSA-{digest}-{size}" for digest in ("SHA2", "SHAKE") for size in sizes]


def curves() -> list[str]:
    listed = (openssl("ecparam", "-list_curves") or b"").decode()
    return re.findall(r"(?m)^  ?([\w-]+)\s*:", listed)


def make(kind: Kind, folder: Path) -> tuple[str, bytes, bytes] | None:
    """A kind's name, key and certificate; None when this OpenSSL does not make it."""
    name, options, signing = kind
    key = openssl("genpkey", *options)
    if not key:
        return None
    path = folder / f"{re.sub(r'[^A-Za-z0-9]', '_', name)}.key"
    path.write_bytes(key)
    certificate = openssl("req", "-x509", "-new", "-key", str(path), "-subj", f"/CN={HOST}", *signing)
    return (name, key, certificate) if certificate else None


def make_compressed(folder: Path) -> list[tuple[str, bytes, bytes] | None]:
    """EC keys whose point is written in its compressed and its hybrid form."""
    made = []
    for curve in ("P-256", "P-384", "P-521", "secp256k1", "brainpoolP256r1"):
        for form in ("compressed", "hybrid"):
            key = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}") or b""
            key = openssl("ec", "-conv_form", form, stdin=key) or b""
            path = folder / f"{curve}_{form}.key"
            path.write_bytes(key)
            certificate = openssl("req", "-x509", "-new", "-key", str(path), "-subj", f"/CN={HOST}")
            made.append((f"EC {curve}, {form}", key, certificate) if certificate else None)
    return made


def make_dsa(folder: Path) -> list[tuple[str, bytes, bytes] | None]:
    made = []
    for bits in (1024, 2048):
        parameters = folder / f"dsa{bits}.param"
        text = openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", f"dsa_paramgen_bits:{bits}")
        parameters.write_bytes(text or b"")
        made.append(make((f"DSA {bits}", ["-paramfile", str(parameters)], ["-sha256"]), folder))
    return made


def make_issued(folder: Path) -> list[tuple[str, bytes, bytes] | None]:
    """Certificates of keys that cannot sign, issued by a CA."""
    made: list[tuple[str, bytes, bytes] | None] = []
    ca = make(("CA", ["-algorithm", "ED25519"], []), folder)
    if ca is None:
        return made
    (folder / "ca.pem").write_bytes(ca[2])
    for name in ("X25519", "X448", "ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"):
        key = openssl("genpkey", "-algorithm", name)
        public = openssl("pkey", "-pubout", stdin=key) if key else None
        if not key or not public:
            continue
        (folder / "public.pem").write_bytes(public)
        certificate = openssl(
            "x509", "-new", "-subj", f"/CN={HOST}", "-force_pubkey", str(folder / "public.pem"),
            "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "CA.key"),
        )  # fmt: skip
        made.append((name, key, certificate) if certificate else None)
    return made


def judge(made: tuple[str, bytes, bytes], number: int, folder: Path) -> dict[str, object]:
    name, key, pem = made
    place = folder / str(number)
    place.mkdir()
    for file, content in (("key.pem", key), ("cert.pem", pem)):
        (place / file).write_bytes(content)
    der = openssl("x509", "-outform", "DER", stdin=pem)
    public = openssl("x509", "-noout", "-pubkey", stdin=pem)
    spki = openssl("pkey", "-pubin", "-outform", "DER", stdin=public) if public else None
    digests = {
        f"3 {selector} {matching_type}": digest(octets, algorithm)
        for selector, octets in ((0, der), (1, spki))
        for matching_type, algorithm in ((1, "sha256"), (2, "sha512"))
        if octets
    }
    return {
        "kind": name,
        "pem": pem.decode(),
        "openssl": digests,
        "postfix": record(run("postfix", "tls", "output-server-tlsa", "-h", HOST, str(place / "key.pem"))),
        "hash_slinger": {
            f"3 {selector} {matching_type}": slinger(place / "cert.pem", selector, matching_type)
            for selector, matching_type in ((0, 1), (1, 1))
        },
    }


def digest(octets: bytes, algorithm: str) -> str:
    return (openssl("dgst", f"-{algorithm}", "-r", stdin=octets) or b"").split()[0].decode()


def slinger(certificate: Path, selector: int, matching_type: int) -> str | None:
    parameters = ["--usage", "3", "--selector", str(selector), "--mtype", str(matching_type)]
    return record(run("tlsa", "--create", "--certificate", str(certificate), *parameters, "--port", "25", HOST))


def record(output: bytes | None) -> str | None:
    """The data of the record in a program's output."""
    found = re.search(r" IN TLSA \d \d \d ([0-9a-fA-F]+)\s*$", (output or b"").decode(errors="replace"))
    return found[1].lower() if found else None


def main() -> None:
    json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as temporary, concurrent.futures.ThreadPoolExecutor(2) as pool:
        folder = Path(temporary)
        made = [*pool.map(lambda kind: make(kind, folder), self_signed()), *make_compressed(folder), *make_dsa(folder)]
        made += make_issued(folder)
        there = [one for one in made if one is not None]
        json.dump(list(pool.map(lambda pair: judge(pair[1], pair[0], folder), enumerate(there))), sys.stdout)


main()
