# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a judge's container: lets OpenSSL's client judge served chains by TLSA records over loopback.

Input: a list of {key, leaf, chain, records, host}, PEM text and presentation form. Output: a list of {verified, words}.
The security level is 0, as in Postfix's client, which leaves weak keys to the DNS. Standard library only.
"""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def judge(case: dict[str, Any]) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("key", "leaf", "chain"):
            (folder / name).write_text(case[name])
        chain = ["-cert_chain", str(folder / "chain")] if case["chain"] else []
        with subprocess.Popen(
            [
                "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(folder / "leaf"),
                "-key", str(folder / "key"), *chain, "-cipher", "DEFAULT:@SECLEVEL=0", "-naccept", "1",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as server:  # fmt: skip
            try:
                return ask(case, listening(server))
            finally:
                server.terminate()


def listening(server: subprocess.Popen[str]) -> str:
    """The address that the server says it listens on."""
    assert server.stdout is not None
    said = ""
    for line in server.stdout:
        said += line
        if line.startswith("ACCEPT "):
            return line.split()[1]
    raise RuntimeError(said)


def ask(case: dict[str, Any], address: str) -> dict[str, object]:
    records = [argument for record in case["records"] for argument in ("-dane_tlsa_rrdata", record)]
    client = subprocess.run(
        [
            "openssl", "s_client", "-connect", address, "-brief", "-verify_return_error", "-cipher",
            "DEFAULT:@SECLEVEL=0", "-dane_ee_no_namechecks", "-dane_tlsa_domain", case["host"], *records,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    words = [line for line in client.stderr.splitlines() if "erif" in line or "error" in line or "DANE" in line]
    verified = client.returncode == 0 and any(line.startswith("DANE TLSA") for line in words)
    return {"verified": verified, "words": words}


def main() -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        json.dump(list(pool.map(judge, json.load(sys.stdin))), sys.stdout)


main()
