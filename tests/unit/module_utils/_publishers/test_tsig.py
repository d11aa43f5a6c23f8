# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import re
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._publishers.tsig import ALGORITHMS, tsig_key

if t.TYPE_CHECKING:
    from pathlib import Path

# With two slashes: some secrets have them, and they are no comment.
SECRET: t.Final = base64.b64encode(b"\xff\xff\xff" + b"s" * 29).decode()
KEY_FILE: t.Final = f"""# made by hand
key "mx-tlsa" {{
\talgorithm hmac-sha512;
\tsecret "{SECRET}";
}};
"""


def test_without_a_key_nothing_is_signed() -> None:
    assert tsig_key({}) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_from_options(algorithm: str) -> None:
    key = tsig_key({"key_name": "mx-tlsa", "key_secret": SECRET, "key_algorithm": algorithm})
    assert key is not None
    assert (str(key.name), key.secret, str(key.algorithm)) == ("mx-tlsa.", base64.b64decode(SECRET), f"{algorithm}.")


def test_sha256_is_the_default() -> None:
    key = tsig_key({"key_name": "mx-tlsa", "key_secret": SECRET})
    assert key is not None
    assert str(key.algorithm) == "hmac-sha256."


def test_a_file_with_the_secret_alone(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    key = tsig_key({"key_name": "mx-tlsa", "key_secret_file": tmp_path / "key"})
    assert key is not None
    assert key.secret == base64.b64decode(SECRET)


@pytest.mark.parametrize("options", [{}, {"key_name": "MX-TLSA."}, {"key_algorithm": "hmac-sha512"}])
def test_a_file_as_tsig_keygen_writes_it(tmp_path: Path, options: dict[str, str]) -> None:
    (tmp_path / "key").write_text(KEY_FILE)
    key = tsig_key({"key_secret_file": tmp_path / "key", **options})
    assert key is not None
    assert (str(key.name).lower(), key.secret, str(key.algorithm)) == (
        "mx-tlsa.",
        base64.b64decode(SECRET),
        "hmac-sha512.",
    )


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (KEY_FILE, {"key_name": "other"}, "says 'mx-tlsa', but key_name is 'other'"),
        (KEY_FILE, {"key_algorithm": "hmac-sha256"}, "says 'hmac-sha512', but key_algorithm is 'hmac-sha256'"),
        ("key k { algorithm hmac-sha256; };", {}, "has no secret in its key statement"),
        ("key k { algorithm hmac-md5; secret AAAA; };", {}, "TSIG algorithm 'hmac-md5' is none of hmac-sha224"),
        (SECRET, {}, "A TSIG key has a name and a secret; set key_name too"),
        ("", {"key_name": "k"}, "set key_secret or key_secret_file"),
        ("s\u00e9cret", {"key_name": "k"}, "it is not ASCII text"),
    ],
)
def test_files_that_do_not_do(tmp_path: Path, content: str, options: dict[str, str], message: str) -> None:
    (tmp_path / "key").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=re.escape(message)):
        tsig_key({"key_secret_file": tmp_path / "key", **options})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    message = f"Cannot read the TSIG key file {tmp_path / 'key'}: No such file or directory"
    with pytest.raises(InvalidInput, match=re.escape(message)):
        tsig_key({"key_name": "k", "key_secret_file": tmp_path / "key"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_name": "k"}, "set key_secret or key_secret_file (or the environment variable DANE_KEY_SECRET) too"),
        ({"key_secret": SECRET}, "set key_name too"),
        ({"key_name": "k", "key_secret": SECRET, "key_secret_file": "/x"}, "Give the TSIG secret once"),
        ({"key_name": "k", "key_secret": SECRET, "key_algorithm": "hmac-md5"}, "older ones are broken or deprecated"),
        ({"key_name": "k..k", "key_secret": SECRET}, "TSIG key name 'k..k' is not a domain name"),
    ],
)
def test_options_that_do_not_do(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        tsig_key(options)


@pytest.mark.parametrize("secret", ["not base64!", SECRET[:-1], "AAA"])
def test_a_bad_secret_is_not_shown(secret: str) -> None:
    with pytest.raises(InvalidInput, match="The secret of the TSIG key 'k' is not base64") as caught:
        tsig_key({"key_name": "k", "key_secret": secret})
    assert secret not in str(caught.value)
    assert caught.value.__suppress_context__
