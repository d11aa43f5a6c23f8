# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the name servers are given: BIND for the root and the primary, Knot DNS for the secondary. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.files import ContainerFile
from lab.signing import signed_in_the_past
from lab.topology import HOSTS, Kind
from lab.zones import (
    ECDSAP256SHA256,
    ED25519,
    RSASHA256,
    ZONES,
    Delegation,
    Denial,
    child_zone,
    example_zone,
    root_zone,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.state import Secrets, ZoneKey
    from lab.topology import Host, Lab
    from lab.zones import Zone

_TRANSFER_KEY = "lab-transfer"
_KEYS = "/var/lib/bind/keys"

_OPTIONS = """\
options {
    directory "/var/cache/bind";
    recursion no;
    dnssec-validation no;
    allow-transfer { none; };
    notify no;
    notify-delay 0;
    listen-on { any; };
    listen-on-v6 { any; };
};
"""
_POLICY = """\
dnssec-policy "NAME" {
    keys { csk lifetime unlimited algorithm ALGORITHM; };
    dnskey-ttl TTL;
    parent-ds-ttl TTL;
    max-zone-ttl 1d;DENIAL
};
"""
_KEY_BITS = {RSASHA256: 2048, ECDSAP256SHA256: 256, ED25519: 256}
_POLICIES = {
    "lab": ("ecdsap256sha256", ""),
    "rsa": ("rsasha256 2048", ""),
    "ed25519": ("ed25519", ""),
    "nsec3": ("ecdsap256sha256", "\n    nsec3param iterations 0 optout no salt-length 0;"),
    "opt-out": ("ecdsap256sha256", "\n    nsec3param iterations 0 optout yes salt-length 0;"),
}


def _policies(lab: Lab) -> str:
    return "".join(
        _POLICY.replace("NAME", name)
        .replace("ALGORITHM", algorithm)
        .replace("DENIAL", denial)
        .replace("TTL", str(lab.ttl))
        for name, (algorithm, denial) in _POLICIES.items()
    )


def _policy(zone: Zone) -> str:
    """The policy by which BIND signs a zone; none where it shall not."""
    if zone.delegation in {Delegation.UNSIGNED, Delegation.EXPIRED}:
        return ""
    by_algorithm = {RSASHA256: "rsa", ED25519: "ed25519"}.get(zone.algorithm, "lab")
    return by_algorithm if zone.denial is Denial.NSEC else zone.denial


def enabled(unit: str) -> ContainerFile:
    """Return the link that makes systemd start ``unit`` at boot."""
    return ContainerFile(f"/etc/systemd/system/multi-user.target.wants/{unit}", link=f"/usr/lib/systemd/system/{unit}")


def root_files(lab: Lab, secrets: Secrets, mirrors: Mapping[str, Iterable[str]]) -> list[ContainerFile]:
    """Return the files of the host that serves ``.`` and ``example.``."""
    keys = secrets.zone_keys
    ds = {name: key.ds for name, key in keys.items()}
    configuration = _OPTIONS + _policies(lab) + _signed_zone(".", "root") + _signed_zone("example", "example")
    return [
        ContainerFile("/etc/bind/named.conf", configuration),
        ContainerFile("/var/lib/bind/root.db", root_zone(lab, ds["example"], mirrors)),
        ContainerFile("/var/lib/bind/example.db", example_zone(lab, ds)),
        *_key_files(keys["."]),
        *_key_files(keys["example"]),
        *_bind_service(),
    ]


def primary_files(lab: Lab, secrets: Secrets) -> list[ContainerFile]:
    """Return the files of the server that takes updates.

    Each mail host has a TSIG key, which may change the TLSA records at its own name and its mail domain's TLSRPT
    record, as docs/guides/publishing.md advises.
    """
    secondary = next(host for host in HOSTS if host.kind is Kind.SECONDARY)
    parts = [
        _OPTIONS,
        _policies(lab),
        *(_bind_key(update_key(name), secret) for name, secret in secrets.update_secrets.items()),
        _bind_key(_TRANSFER_KEY, secrets.transfer_secret),
    ]
    files = []
    tlsa = {name: certificate.tlsa for name, certificate in secrets.certificates.items()}
    for zone in ZONES:
        owners = [host for host in HOSTS if host.name in secrets.update_secrets and host.mail_domain == zone.name]
        grant = "".join(
            f"grant {update_key(host.name)} name _25._tcp.{host.fqdn}. TLSA; "
            f"grant {update_key(host.name)} name _smtp._tls.{zone.name}. TXT; "
            for host in owners
        )
        readers = "".join(f"key {update_key(name)}; " for name in secrets.update_secrets)
        extra = (
            f"allow-transfer {{ {readers}key {_TRANSFER_KEY}; }};\n"
            f"    notify explicit;\n"
            f"    also-notify {{ {lab.ipv4(secondary)} key {_TRANSFER_KEY}; }};\n"
        )
        expired = zone.delegation is Delegation.EXPIRED
        parts.append(_signed_zone(zone.name, zone.name, policy=_policy(zone), grant=grant, extra=extra, fixed=expired))
        text = child_zone(lab, zone, tlsa)
        if expired:
            # Signed anew each time, as ECDSA gives another signature each time: no reason for a new container.
            text = signed_in_the_past(text, secrets.zone_keys[zone.name])
        files.append(ContainerFile(f"/var/lib/bind/{zone.name}.db", text, volatile=expired))
        if _policy(zone):
            files += _key_files(secrets.zone_keys[zone.name])
    return [ContainerFile("/etc/bind/named.conf", "".join(parts), mode=0o640), *files, *_bind_service()]


def secondary_files(lab: Lab, secrets: Secrets) -> list[ContainerFile]:
    """Return the files of the secondary, which transfers every zone of the primary and never signs."""
    primary = next(host for host in HOSTS if host.kind is Kind.PRIMARY)
    lines = [
        "server:",
        "  listen: [0.0.0.0@53, ::@53]",
        *_knot("log", target="syslog", any="info"),
        *_knot("key", id=_TRANSFER_KEY, algorithm="hmac-sha256", secret=secrets.transfer_secret),
        *(
            line
            for name, secret in secrets.update_secrets.items()
            for line in _knot("key", id=update_key(name), algorithm="hmac-sha256", secret=secret)
        ),
        *_knot("remote", id="primary", address=f"{lab.ipv4(primary)}@53", key=_TRANSFER_KEY),
        *_knot("acl", id="notify", key=_TRANSFER_KEY, action="notify"),
        *_knot("acl", id="read", key=f"[{', '.join(map(update_key, secrets.update_secrets))}]", action="transfer"),
        *_knot("template", id="default", storage="/var/lib/knot", master="primary", acl="[notify, read]"),
        "zone:",
        *(f"- domain: {zone.name}" for zone in ZONES),
    ]
    configuration = "\n".join(lines) + "\n"
    return [
        ContainerFile("/etc/knot/knot.conf", configuration, mode=0o640),
        ContainerFile("/etc/tmpfiles.d/lab.conf", "z /etc/knot/knot.conf 0640 root knot\n"),
        enabled("knot.service"),
    ]


def update_key(host: str) -> str:
    """Return the name of the TSIG key of a managed mail host, given by its short name."""
    return f"{host}-tlsa"


def _knot(section: str, **items: str) -> list[str]:
    """Return one list entry of Knot's configuration, which is YAML without flow mappings."""
    first, *others = (f"{name}: {value}" for name, value in items.items())
    return [f"{section}:", f"- {first}", *(f"  {other}" for other in others)]


def served_zones(host: Host) -> dict[str, bool]:
    """Return the zones a name server answers for, and whether each is signed."""
    if host.kind is Kind.ROOT:
        return {".": True, "example": True}
    return {zone.name: zone.signed for zone in ZONES}


def _signed_zone(
    name: str, stem: str, *, policy: str = "lab", grant: str = "", extra: str = "", fixed: bool = False
) -> str:
    signing = f'dnssec-policy {policy};\n    inline-signing no;\n    key-directory "{_KEYS}";\n' if policy else ""
    changes = "" if fixed else f"    update-policy {{ {grant}grant local-ddns zonesub any; }};\n"
    return (
        f'zone "{name}" {{\n'
        "    type primary;\n"
        f'    file "/var/lib/bind/{stem}.db";\n'
        + changes
        + "".join(f"    {part}" for part in (signing, extra) if part)
        + "};\n"
    )


def _bind_key(name: str, secret: str) -> str:
    return f'key "{name}" {{ algorithm hmac-sha256; secret "{secret}"; }};\n'


def _key_files(key: ZoneKey) -> list[ContainerFile]:
    """Return the three files of a key that BIND finds in use: nothing is rolled, nothing is waited for."""
    past = "20250101000000"
    owner = key.zone if key.zone == "." else f"{key.zone}."
    states = "".join(f"{part}State: omnipresent\n" for part in ("DNSKEY", "ZRRSIG", "KRRSIG", "DS", "Goal"))
    changes = "".join(f"{part}Change: {past}\n" for part in ("DNSKEY", "ZRRSIG", "KRRSIG", "DS"))
    times = f"Generated: {past}\nPublished: {past}\nActive: {past}\n"
    # BIND refuses a state file without a first comment line: "unexpected token".
    kind = f"Algorithm: {key.algorithm}\nLength: {_KEY_BITS[key.algorithm]}\nLifetime: 0\nKSK: yes\nZSK: yes\n"
    state = f"; made by the lab\n{kind}{times}{changes}{states}"
    private = f"{key.private}Created: {past}\nPublish: {past}\nActivate: {past}\n"
    stem = f"{_KEYS}/{key.file_stem}"
    return [
        ContainerFile(f"{stem}.key", f"{owner} IN DNSKEY {key.dnskey}\n"),
        ContainerFile(f"{stem}.private", private, mode=0o600),
        ContainerFile(f"{stem}.state", state),
    ]


def _bind_service() -> list[ContainerFile]:
    ownership = "Z /var/lib/bind - bind bind\nz /etc/bind/named.conf 0640 root bind\n"
    return [ContainerFile("/etc/tmpfiles.d/lab.conf", ownership), enabled("named.service")]
