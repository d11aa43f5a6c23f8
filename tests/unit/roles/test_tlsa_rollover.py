# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role tlsa_rollover takes from the roles beside it, whose defaults it sees in a play."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

ROLES: t.Final = Path(__file__).resolve().parents[3] / "roles"
LINEAGES: t.Final = ["mx1.example.org-ecdsa-a", "mx1.example.org-ecdsa-b"]


@pytest.mark.parametrize(
    ("variables", "lineages"),
    [
        ({}, []),
        ({"mail_certificate_source": "acme", "mail_certificate_acme_lineages": LINEAGES}, LINEAGES),
        # Certbot's renewals of the administrator's own lineage are for the host, whatever it is called.
        ({"mail_certificate_source": "files", "mail_certificate_acme_lineages": LINEAGES}, []),
        ({"mail_certificate_source": "self-signed", "mail_certificate_acme_lineages": LINEAGES}, []),
    ],
)
def test_only_lineages_that_the_certificate_role_has_made_are_named(
    variables: dict[str, t.Any], lineages: list[str]
) -> None:
    defaults = yaml.safe_load((ROLES / "tlsa_rollover" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    template = NativeEnvironment().from_string(defaults["tlsa_rollover_certbot_lineages"])
    value: object = template.render(**variables)
    assert value == lineages
