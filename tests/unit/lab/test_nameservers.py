# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the name servers are given: the update key's rights, and keys that BIND takes as they are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import dns.dnssec
import dns.exception
import dns.name
import dns.rdata
import dns.zone
import pytest

from lab.nameservers import primary_files, root_files, secondary_files
from lab.state import Secrets, load_secrets
from lab.topology import Lab
from lab.zones import KEY_ALGORITHMS, ZONES

if TYPE_CHECKING:
    from pathlib import Path

    from lab.files import ContainerFile


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(0, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def secrets(lab: Lab) -> Secrets:
    return load_secrets(lab)


def content(files: list[ContainerFile], path: str) -> str:
    return next(file.content for file in files if file.path == path)


def test_a_mail_hosts_key_may_change_its_own_records_only(lab: Lab, secrets: Secrets) -> None:
    configuration = content(primary_files(lab, secrets), "/etc/bind/named.conf")
    grants = re.findall(r"grant (?!local-ddns)([^;]+);", configuration)
    assert grants == [
        "mx1-tlsa name _25._tcp.mx1.one.example. TLSA",
        "mx1-tlsa name _smtp._tls.one.example. TXT",
        "mx2-tlsa name _25._tcp.mx2.two.example. TLSA",
        "mx2-tlsa name _smtp._tls.two.example. TXT",
    ]


def test_transfers_need_a_key(lab: Lab, secrets: Secrets) -> None:
    configuration = content(primary_files(lab, secrets), "/etc/bind/named.conf")
    assert set(re.findall(r"allow-transfer \{([^}]*)\}", configuration)) == {
        " none; ",
        " key mx1-tlsa; key mx2-tlsa; key lab-transfer; ",
    }


def test_every_signed_zone_has_a_key_and_a_ds_of_that_key(secrets: Secrets) -> None:
    assert set(secrets.zone_keys) == set(KEY_ALGORITHMS)
    for name, key in secrets.zone_keys.items():
        dnskey = dns.rdata.from_text("IN", "DNSKEY", key.dnskey)
        assert dns.dnssec.make_ds(dns.name.from_text(name), dnskey, "SHA256").to_text() == key.ds
        assert dns.dnssec.key_id(dnskey) == key.tag  # type: ignore[arg-type]


def test_key_files_are_complete_and_private(lab: Lab, secrets: Secrets) -> None:
    files = {file.path: file for file in root_files(lab, secrets, {})}
    stem = f"/var/lib/bind/keys/{secrets.zone_keys['example'].file_stem}"
    assert files[f"{stem}.private"].mode == 0o600
    assert files[f"{stem}.key"].content.startswith("example. IN DNSKEY 257 3 13 ")
    assert files[f"{stem}.state"].content.startswith(";"), "BIND refuses a state file without a comment line"


def test_the_expired_zone_is_signed_by_its_key_but_long_ago(lab: Lab, secrets: Secrets) -> None:
    name, key = "expired.example.", secrets.zone_keys["expired.example"]
    zone = dns.zone.from_text(
        content(primary_files(lab, secrets), "/var/lib/bind/expired.example.db"), origin=name, relativize=False
    )
    signed = zone.find_rrset(name, "SOA")
    signatures = zone.find_rrset(name, "RRSIG", covers="SOA")
    published = zone.find_rrset(name, "DNSKEY")
    assert [rdata.to_text() for rdata in published] == [key.dnskey]
    keys = {dns.name.from_text(name): published.to_rdataset()}
    once = signatures[0].expiration - 1
    dns.dnssec.validate(signed, signatures, keys, now=once)  # type: ignore[arg-type]  # a mapping is covariant
    with pytest.raises(dns.exception.ValidationFailure):
        dns.dnssec.validate(signed, signatures, keys)  # type: ignore[arg-type]


def test_a_zone_that_is_new_to_a_lab_gets_a_key_and_the_others_keep_theirs(tmp_path: Path) -> None:
    lab = Lab(1, tmp_path)
    known = load_secrets(lab)
    path = tmp_path / "secrets.json"
    content = json.loads(path.read_text("utf-8"))
    del content["zone_keys"]["rsa.example"]
    path.write_text(json.dumps(content), encoding="utf-8")
    completed = load_secrets(lab)
    assert set(completed.zone_keys) == set(KEY_ALGORITHMS)
    assert {**completed.zone_keys, "rsa.example": ""} == {**known.zone_keys, "rsa.example": ""}
    assert load_secrets(lab) == completed


def test_the_secondary_serves_every_zone_of_the_primary(lab: Lab, secrets: Secrets) -> None:
    configuration = content(secondary_files(lab, secrets), "/etc/knot/knot.conf")
    assert re.findall(r"^- domain: (\S+)$", configuration, re.MULTILINE) == [zone.name for zone in ZONES]


def test_secrets_are_made_once_and_kept_private(lab: Lab, secrets: Secrets) -> None:
    path = lab.directory / "secrets.json"
    assert load_secrets(lab) == secrets
    assert path.stat().st_mode & 0o777 == 0o600
