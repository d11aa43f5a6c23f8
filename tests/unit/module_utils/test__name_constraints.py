# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._name_constraints import name_constraint_problem
from cryptography import x509
from cryptography.x509.oid import NameOID

from certificates import HOST, issue

DOMAIN = x509.DNSName("example.org")
ELSEWHERE = x509.DNSName("example.com")
NAMED = issue(subject=HOST)
NAMELESS = issue(subject="", names=["a.example.org", "b.example.net"])


def directory(*names: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in names]))


def limits(permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None) -> x509.NameConstraints:
    return x509.NameConstraints(permitted, excluded)


def test_what_is_permitted_passes() -> None:
    assert name_constraint_problem(limits([DOMAIN], None), NAMED.certificate) is None
    assert name_constraint_problem(limits(None, [ELSEWHERE]), NAMED.certificate) is None


def test_the_first_name_that_is_excluded_is_told() -> None:
    problem = name_constraint_problem(limits([DOMAIN], None), NAMELESS.certificate)
    assert problem == "'b.example.net', which is in no permitted subtree"
    problem = name_constraint_problem(limits(None, [DOMAIN]), NAMELESS.certificate)
    assert problem == "'a.example.org', which is in an excluded subtree"


def test_a_directory_name_is_permitted_from_its_beginning() -> None:
    assert name_constraint_problem(limits([directory()], None), NAMED.certificate) is None
    problem = name_constraint_problem(limits([directory("a")], None), NAMED.certificate)
    assert problem == f"'CN={HOST}', which is in no permitted subtree"


def test_capitals_do_not_matter() -> None:
    assert name_constraint_problem(limits([x509.DNSName("EXAMPLE.ORG")], None), NAMED.certificate) is None


@pytest.mark.parametrize(
    "name", [x509.RFC822Name("a@example.org"), x509.UniformResourceIdentifier("https://example.org")]
)
def test_what_cannot_be_judged_is_refused(name: x509.GeneralName) -> None:
    leaf = issue(names=None, extensions=[(x509.SubjectAlternativeName([name, x509.DNSName(HOST)]), False)])
    problem = name_constraint_problem(limits(None, [name]), leaf.certificate)
    assert problem == f"'{name.value}', a kind of name whose constraints are not supported here"
    assert name_constraint_problem(limits([DOMAIN], None), leaf.certificate) is None


def test_a_common_name_that_can_be_no_host_is_not_judged_as_one() -> None:
    for subject in ("Mail server", "exämple.net"):
        person = issue(subject=subject, names=None)
        assert name_constraint_problem(limits([DOMAIN], None), person.certificate) is None


def test_a_certificate_without_names_has_none_to_judge() -> None:
    bare = issue(subject="", names=None)
    assert name_constraint_problem(limits([DOMAIN, directory("a")], None), bare.certificate) is None
