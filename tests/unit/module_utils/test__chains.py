# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._chains import certificate_for_usage, split_chains
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidCertificate

from certificates import HOST, NOW, Holder, authority, issue, key

ROOT = authority()
MIDDLE = authority(ROOT)
LEAF = issue(MIDDLE)
RSA = issue(MIDDLE, key=key("rsa"))
OTHER_ROOT = authority(subject="Other Root", key=key("p256", 8))
CROSS = authority(OTHER_ROOT, subject="Test Root", key=key("p256", 1))
ALONE = issue(subject="a")
ALONE_RSA = issue(subject="a", key=key("rsa"))
CA_ALONE = issue(ca=True, subject="a", names=None)
CA_ALONE_RSA = issue(ca=True, subject="a", names=None, key=key("rsa"))
CA_NAMED = issue(ca=True)
OLD_ROOT = authority(ca=None, signing=None)

TEST_SPLIT: list[tuple[str, list[list[Holder]]]] = [
    ("nothing", []),
    ("one", [[LEAF]]),
    ("one chain", [[LEAF, MIDDLE, ROOT]]),
    ("one chain out of order", [[LEAF, ROOT, MIDDLE]]),
    ("two chains", [[LEAF, MIDDLE], [RSA, MIDDLE]]),
    ("two chains, the first with its root", [[LEAF, MIDDLE, ROOT], [RSA, MIDDLE]]),
    ("two leaves alone", [[LEAF], [RSA]]),
    ("a cross-signed root", [[LEAF, MIDDLE, ROOT, CROSS]]),
    ("a stranger among the CAs", [[LEAF, MIDDLE, CROSS]]),
    ("a root without basic constraints", [[issue(OLD_ROOT), OLD_ROOT]]),
    ("self-signed ones of one name", [[ALONE], [ALONE_RSA]]),
    ("self-signed CAs of one name", [[CA_ALONE], [CA_ALONE_RSA]]),
    ("a self-signed CA that names its host, after a chain", [[LEAF, MIDDLE], [CA_NAMED]]),
    ("CAs only", [[MIDDLE, ROOT]]),
]


@pytest.mark.parametrize("chains", [chains for _name, chains in TEST_SPLIT], ids=[name for name, _chains in TEST_SPLIT])
def test_split_chains(chains: list[list[Holder]]) -> None:
    certificates = [holder.certificate for chain in chains for holder in chain]
    assert split_chains(certificates) == tuple(tuple(holder.certificate for holder in chain) for chain in chains)


@pytest.mark.parametrize(
    ("holders", "stray"),
    [
        ([LEAF, ROOT], "CN=Test Root"),
        ([LEAF, MIDDLE, CA_ALONE], "CN=a"),
        ([CA_ALONE, MIDDLE, OTHER_ROOT], "CN=Other Root"),
    ],
)
def test_split_chains_refuses_to_guess(holders: list[Holder], stray: str) -> None:
    error = (
        f"Self-signed certificate {stray} issued none of the certificates before it: add the missing intermediate, "
        "leave the certificate out, or, if it is a chain of its own, put its private key before it"
    )
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        split_chains([holder.certificate for holder in holders])


TEST_FOR_USAGE: list[tuple[str, list[Holder], int, Holder]] = [
    ("dane-ee", [LEAF, MIDDLE, ROOT], 3, LEAF),
    ("pkix-ee", [LEAF, MIDDLE, ROOT], 1, LEAF),
    ("private", [LEAF, MIDDLE, ROOT], 255, LEAF),
    ("dane-ta", [LEAF, MIDDLE, ROOT], 2, MIDDLE),
    ("pkix-ta", [LEAF, MIDDLE, ROOT], 0, MIDDLE),
    ("dane-ta, out of order", [LEAF, ROOT, MIDDLE], 2, MIDDLE),
    ("dane-ta of a CA alone", [MIDDLE], 2, MIDDLE),
    ("dane-ta of CAs", [MIDDLE, ROOT], 2, MIDDLE),
    ("dane-ee of a CA alone", [MIDDLE], 3, MIDDLE),
]


@pytest.mark.parametrize(
    ("chain", "usage", "expected"), [case[1:] for case in TEST_FOR_USAGE], ids=[case[0] for case in TEST_FOR_USAGE]
)
def test_certificate_for_usage(chain: list[Holder], usage: int, expected: Holder) -> None:
    assert certificate_for_usage([holder.certificate for holder in chain], usage) == expected.certificate


NAMESAKE = authority(ROOT, key=key("p256", 8))


@pytest.mark.parametrize(
    "chain",
    [
        [LEAF],
        [LEAF, ROOT],
        [LEAF, NAMESAKE],
        [CA_NAMED],
        [issue(issue(ca=False, subject="x", names=None, key=key("p256", 7))), issue(subject="x", key=key("p256", 7))],
    ],
    ids=["leaf alone", "issuer missing", "namesake of the issuer", "self-signed leaf", "issuer is no CA"],
)
def test_certificate_for_usage_refuses_what_is_no_anchor(chain: list[Holder]) -> None:
    error = (
        f"Usage dane-ta (2) needs the CA that issued CN={HOST}, and the input lacks it; "
        "give the chain as it is served, or the CA's certificate"
    )
    with pytest.raises(InvalidCertificate, match=f"^{re.escape(error)}$"):
        certificate_for_usage([holder.certificate for holder in chain], 2)


def test_dates_do_not_matter() -> None:
    old = issue(MIDDLE, not_before=NOW.replace(year=2001), not_after=NOW.replace(year=2002))
    assert certificate_for_usage([old.certificate, MIDDLE.certificate], 2) == MIDDLE.certificate
