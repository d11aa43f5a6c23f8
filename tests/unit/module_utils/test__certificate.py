# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._certificate import (
    certificate_parts,
    extension,
    host_names,
    is_ca,
    load_der_certificate,
    not_after,
    not_before,
    shown_name,
)
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate
from cryptography import x509

from certificates import HOST, NOW, authority, issue

LEAF = issue()
BROKEN_EXTENSION = issue(extensions=[(x509.UnrecognizedExtension(x509.OID_KEY_USAGE, b"\x04\x00"), False)])


def test_load() -> None:
    assert load_der_certificate(LEAF.der) == LEAF.certificate
    assert certificate_parts(LEAF.certificate).der == LEAF.der


def test_what_only_the_library_refuses() -> None:
    # version 9, which neither RFC 5280 nor cryptography knows
    odd = LEAF.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020108"), 1)
    with pytest.raises(InvalidCertificate, match=r"^The certificate cannot be read: "):
        load_der_certificate(odd)


def test_extension() -> None:
    assert extension(LEAF.certificate, x509.BasicConstraints) == x509.BasicConstraints(ca=False, path_length=None)
    assert extension(LEAF.certificate, x509.KeyUsage) is None


@pytest.mark.parametrize("kind", [x509.KeyUsage, x509.BasicConstraints])
def test_a_certificate_that_is_understood_in_part_is_not_understood(kind: type[x509.ExtensionType]) -> None:
    error = f"The extensions of certificate CN={HOST} cannot be read: "
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}"):
        extension(BROKEN_EXTENSION.certificate, kind)


def test_is_ca() -> None:
    assert is_ca(authority().certificate)
    assert not is_ca(LEAF.certificate)
    assert not is_ca(issue(ca=None).certificate)


MAIL_ONLY = [(x509.SubjectAlternativeName([x509.RFC822Name("a@example.org")]), False)]

TEST_HOST_NAMES: list[tuple[dict[str, object], tuple[str, ...]]] = [
    ({"names": ["a.example", "*.b.example"], "subject": "c.example"}, ("a.example", "*.b.example")),
    ({"names": None, "subject": "c.example"}, ("c.example",)),
    ({"names": None, "subject": "c.example", "extensions": MAIL_ONLY}, ("c.example",)),
    ({"names": None, "subject": ""}, ()),
]


@pytest.mark.parametrize(("wishes", "expected"), TEST_HOST_NAMES)
def test_host_names(wishes: dict[str, object], expected: tuple[str, ...]) -> None:
    assert host_names(issue(None, **wishes).certificate) == expected


BROKEN_SUBJECT = load_der_certificate(
    # a common name that is marked as UTF-8 text and is not
    issue(names=None).der.replace(b"\x0c\x0fmx1", b"\x0c\x0f\xff\xfe1")
)


def test_a_subject_that_cannot_be_read() -> None:
    error = f"The subject of certificate {BROKEN_SUBJECT.serial_number:x} cannot be read: "
    with pytest.raises(InvalidCertificate, match=f"^{error}"):
        host_names(BROKEN_SUBJECT)


def test_shown_name() -> None:
    assert shown_name(LEAF.certificate) == f"CN={HOST}"
    nameless = issue(subject="").certificate
    assert shown_name(nameless) == f"with serial number {nameless.serial_number:x}"
    assert shown_name(BROKEN_SUBJECT) == f"with serial number {BROKEN_SUBJECT.serial_number:x}"


class Old:
    """A certificate as cryptography 38 has it: its dates know no time zone."""

    not_valid_before = datetime(2025, 1, 2, 3, 4, 5)  # noqa: DTZ001  # that is the point
    not_valid_after = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001  # that is the point


def test_dates_have_a_time_zone() -> None:
    assert not_before(LEAF.certificate) < NOW < not_after(LEAF.certificate)
    assert not_after(LEAF.certificate).tzinfo is UTC


def test_dates_of_the_old_library() -> None:
    assert not_before(Old()) == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)  # type: ignore[arg-type]  # stands in for one
    assert not_after(Old()) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)  # type: ignore[arg-type]  # stands in for one
