# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
import typing as t
from datetime import UTC, datetime

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._self_signed import self_signed
from ansible_collections.mailsec.dane.plugins.module_utils._server_chain import chain_problems, read_server_chain

if t.TYPE_CHECKING:
    from pathlib import Path

HOST: t.Final = "mx1.example.org"
LONG: t.Final = f"{'a' * 60}.example.org"


def openssl(*arguments: str) -> str:
    return subprocess.run(("openssl", *arguments), capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize(("algorithm", "title"), [("ecdsa", "P-256"), ("rsa", "Public-Key: (2048 bit)")])
@pytest.mark.parametrize("name", [HOST, LONG])
def test_openssl_takes_it_for_a_server_certificate_of_the_host(
    tmp_path: Path, algorithm: str, title: str, name: str
) -> None:
    now = datetime.now(UTC)
    key, certificate = self_signed(algorithm, [name, "other.example.org"], now, days=30, rsa_bits=2048)
    chain = read_server_chain(key, certificate, key_source="key", chain_source="chain")
    assert chain.algorithm == algorithm
    assert chain.self_signed
    assert chain_problems(chain, now) == ()
    path = tmp_path / "certificate.pem"
    path.write_bytes(certificate)
    assert title in openssl("x509", "-in", str(path), "-noout", "-text")
    assert "does match" in openssl("x509", "-in", str(path), "-noout", "-checkhost", name)
    assert "SSL server : Yes" in openssl("x509", "-in", str(path), "-noout", "-purpose")
    assert "Certificate will not expire" in openssl("x509", "-in", str(path), "-noout", "-checkend", str(29 * 86400))
