# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidName
from ansible_collections.mailsec.dane.plugins.module_utils._names import (
    matches_reference,
    names_upwards,
    tlsa_owner_name,
    to_ascii,
)
from hypothesis import given
from hypothesis import strategies as st

LONG = ".".join(["a" * 63] * 3)  # 191 characters

TEST_TO_ASCII: list[tuple[str, str]] = [
    ("mx1.example.org", "mx1.example.org"),
    ("MX1.Example.ORG.", "mx1.example.org"),
    (" mx1.example.org\n", "mx1.example.org"),
    ("mx1", "mx1"),
    ("1.mx.example", "1.mx.example"),
    ("a-b--c.example", "a-b--c.example"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("BÜCHER.Example", "xn--bcher-kva.example"),
    ("bu\u0308cher.example", "xn--bcher-kva.example"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("xn--fa-hia.example", "xn--fa-hia.example"),  # faß: IDNA 2008 only, but already encoded
    ("例え.jp", "xn--r8jz45g.jp"),
    (f"{LONG}.{'b' * 61}", f"{LONG}.{'b' * 61}"),
]


@pytest.mark.parametrize(("name", "expected"), TEST_TO_ASCII)
def test_to_ascii(name: str, expected: str) -> None:
    assert to_ascii(name) == expected


DIFFERS = (
    "has characters that IDNA 2003 and IDNA 2008 encode differently; write this label in its A-label form (xn--...)"
)
LDH = "may hold letters, digits and inner hyphens only; give a host name such as mx1.example.org"

TEST_TO_ASCII_FAIL: list[tuple[str, str]] = [
    ("", "Host name '' is empty"),
    (".", "Host name '.' is empty"),
    ("   ", "Host name '   ' is empty"),
    ("a..b", "Host name 'a..b' has an empty label"),
    (".a", "Host name '.a' has an empty label"),
    ("mx1.example.org..", "Host name 'mx1.example.org..' has an empty label"),
    ("192.0.2.1", "'192.0.2.1' is an address, not a host name; TLSA records belong to names"),
    ("2001:db8::1", f"Label '2001:db8::1' of host name '2001:db8::1' {LDH}"),
    ("*.example.org", f"Label '*' of host name '*.example.org' {LDH}"),
    ("_25._tcp.mx1", f"Label '_25' of host name '_25._tcp.mx1' {LDH}"),
    ("-a.example", f"Label '-a' of host name '-a.example' {LDH}"),
    ("a-.example", f"Label 'a-' of host name 'a-.example' {LDH}"),
    ("a b.example", f"Label 'a b' of host name 'a b.example' {LDH}"),
    ("a\n.example", f"Label 'a\\n' of host name 'a\\n.example' {LDH}"),
    ("straße.example", f"Label 'straße' of host name 'straße.example' {DIFFERS}"),
    ("ας.example", f"Label 'ας' of host name 'ας.example' {DIFFERS}"),
    ("a\u200db.example", rf"Label 'a\u200db' of host name 'a\u200db.example' {DIFFERS}"),
    ("\uff4dx.example", f"Label '\uff4dx' of host name '\uff4dx.example' {DIFFERS}"),
    (
        "a\u0378.example",
        r"Label 'a\u0378' of host name 'a\u0378.example' has U+0378, which Unicode does not assign",
    ),
    ("mx。example", f"Label 'mx。example' of host name 'mx。example' {DIFFERS}"),
    (f"{'a' * 64}.example", f"Label '{'a' * 64}' of host name '{'a' * 64}.example' is longer than 63 characters"),
    (f"{LONG}.{'b' * 62}", f"Host name '{LONG}.{'b' * 62}' is longer than 253 characters"),
]


@pytest.mark.parametrize(("name", "error"), TEST_TO_ASCII_FAIL)
def test_to_ascii_fail(name: str, error: str) -> None:
    with pytest.raises(InvalidName, match=f"^{re.escape(error)}$"):
        to_ascii(name)


@pytest.mark.parametrize("label", ["ü" * 60, "\u06dda", "אa"])
def test_what_cannot_be_encoded_is_refused(label: str) -> None:
    # the codec's own words, at the end of the message, differ between releases of Python
    with pytest.raises(InvalidName, match=r"^Label '.+' of host name '.+' is no valid internationalised label: "):
        to_ascii(f"{label}.example")


@given(st.text(max_size=300))
def test_any_text_is_a_host_name_or_refused(name: str) -> None:
    with contextlib.suppress(InvalidName):
        found = to_ascii(name)
        assert re.fullmatch(r"[a-z0-9.-]{1,253}", found)
        assert to_ascii(found) == found


def test_owner_name() -> None:
    assert tlsa_owner_name("MX1.example.org.", 25) == "_25._tcp.mx1.example.org"
    assert tlsa_owner_name("bücher.example", 65535, "sctp") == "_65535._sctp.xn--bcher-kva.example"


TEST_OWNER_NAME_FAIL: list[tuple[str, int, str, str]] = [
    ("mx1.example.org", 0, "tcp", "Port 0 is no number from 1 to 65535"),
    ("mx1.example.org", 65536, "tcp", "Port 65536 is no number from 1 to 65535"),
    ("mx1.example.org", 25, "TCP", "Transport 'TCP' is none of tcp, udp, sctp"),
    (f"{LONG}.{'b' * 53}", 25, "tcp", f"Owner name '_25._tcp.{LONG}.{'b' * 53}' is longer than 253 characters"),
]


@pytest.mark.parametrize(("host", "port", "transport", "error"), TEST_OWNER_NAME_FAIL)
def test_owner_name_fail(host: str, port: int, transport: str, error: str) -> None:
    with pytest.raises(InvalidName, match=f"^{re.escape(error)}$"):
        tlsa_owner_name(host, port, transport)


def test_names_upwards() -> None:
    assert names_upwards("_25._tcp.example.org") == ["_25._tcp.example.org", "_tcp.example.org", "example.org", "org"]
    assert names_upwards("org") == ["org"]


TEST_MATCHES_REFERENCE: list[tuple[str, str, bool]] = [
    ("mx1.example.org", "mx1.example.org", True),
    ("MX1.EXAMPLE.ORG.", "mx1.example.org", True),
    ("mx2.example.org", "mx1.example.org", False),
    ("*.example.org", "mx1.example.org", True),
    ("*.EXAMPLE.org", "mx1.example.org", True),
    ("*.example.org", "example.org", False),
    ("*.example.org", "a.mx1.example.org", False),
    ("*.org", "example.org", False),
    ("*.org", "org", False),
    ("*", "org", False),
    ("mx*.example.org", "mx1.example.org", False),
    ("*.*.org", "mx1.example.org", False),
    ("mx1.*.org", "mx1.example.org", False),
    ("", "mx1.example.org", False),
    ("mx1.example.org\0.evil.example", "mx1.example.org", False),
]


@pytest.mark.parametrize(("presented", "reference", "expected"), TEST_MATCHES_REFERENCE)
def test_matches_reference(presented: str, reference: str, expected: bool) -> None:
    assert matches_reference(presented, reference) is expected
