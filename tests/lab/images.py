# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images made by mmdebstrap: no image registry is needed. Each is named after a digest of its recipe.

``bare`` holds a minimal Debian with systemd; ``managed`` adds apt lists and downloaded packages; ``service`` has the
lab's own programs installed, none of them enabled; ``acme`` has Pebble and a resolver. Package sources are those that
mmdebstrap chooses.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab import podman
from lab.errors import LabError
from lab.machine import build_directory, podman_environment
from lab.progress import run_long, say
from lab.state import locked
from lab.topology import Flavour, Suite

if TYPE_CHECKING:
    from collections.abc import Iterable

Image = tuple[Flavour, Suite]

_BASE_PACKAGES = (
    "adduser,ca-certificates,dbus,iproute2,iputils-ping,netbase,openssh-server,procps,python3,python3-apt,systemd,"
    "systemd-sysv,tzdata"
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*/examples/*")
_MASKED = "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer"
MANAGED_PACKAGES = (
    "unbound dns-root-data postfix openssl python3-dnspython python3-cryptography",
    "postfix-lmdb nftables",
    "python3-unbound",
)
"""What roles and tests install on the managed hosts; downloaded line by line, so that an extra drags nothing along."""

_SERVICE_PACKAGES = (
    "bind9 bind9-dnsutils bind9-utils knot knot-dnsutils unbound postfix openssl nftables python3-dnspython"
)
_SERVICES = "named bind9 knot unbound unbound-resolvconf postfix nftables ssh"

_BUILDER = "dane-lab-build-"

_QUIET_INSTALL = """\
set -eu
export DEBIAN_FRONTEND=noninteractive
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get update
"""
_DERIVED = {
    Flavour.MANAGED: _QUIET_INSTALL
    + "".join(f"apt-get install --yes --no-install-recommends --download-only {line}\n" for line in MANAGED_PACKAGES)
    + "rm /usr/sbin/policy-rc.d\n",
    Flavour.SERVICE: _QUIET_INSTALL
    + f"""\
echo 'postfix postfix/main_mailer_type select Local only' | debconf-set-selections
echo 'postfix postfix/mailname string lab.invalid' | debconf-set-selections
apt-get install --yes --no-install-recommends {_SERVICE_PACKAGES}
for unit in {_SERVICES}; do systemctl disable "$unit" || true; done
rm -f /etc/unbound/unbound.conf.d/root-auto-trust-anchor-file.conf /etc/postfix/main.cf.proto
useradd --create-home inbox
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
""",
    Flavour.ACME: _QUIET_INSTALL
    + """\
apt-get install --yes --no-install-recommends pebble unbound openssl
systemctl disable unbound unbound-resolvconf || true
rm -f /etc/unbound/unbound.conf.d/root-auto-trust-anchor-file.conf
apt-get clean
rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
""",
}


def reference(flavour: Flavour, suite: Suite) -> str:
    """Return the image's name; it changes with the recipe."""
    recipe = [str(suite), *_mmdebstrap(suite, Path("image.tar")), _DERIVED.get(flavour, "")]
    return f"localhost/dane-lab/{flavour}-{suite}:{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]}"


def ensure(images: Iterable[Image]) -> None:
    """Make the images that are not there yet; both releases side by side."""
    wanted = sorted(set(images))
    missing = _missing(wanted)
    if not missing:
        return
    with locked(build_directory() / "images.lock", "the images"):
        missing = _missing(wanted)
        _sweep()
        bases = sorted({suite for _flavour, suite in missing})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(_make_base, bases))
            list(pool.map(_make_derived, [image for image in missing if image[0] is not Flavour.BARE]))


def mirror_names(suite: Suite) -> list[str]:
    """Return the host names of the package sources inside the bare image of ``suite``."""
    inspected: list[dict[str, Any]] = json.loads(podman.call("image", "inspect", reference(Flavour.BARE, suite)))
    names: str = (inspected[0].get("Labels") or {}).get("dane-lab.mirrors", "")
    return names.split()


def remove() -> None:
    """Remove every image that no container uses; the next ``up`` makes them anew, with today's packages."""
    with locked(build_directory() / "images.lock", "the images"):
        _sweep()
        for row in podman.listing("images", "--filter", "reference=localhost/dane-lab/*"):
            for name in row.get("Names") or ():
                say(f"removed {name}" if podman.attempt("rmi", name).returncode == 0 else f"{name} is still in use")


def _missing(images: Iterable[Image]) -> list[Image]:
    rows = podman.listing("images", "--filter", "reference=localhost/dane-lab/*")
    present = {name for row in rows for name in row.get("Names") or ()}
    return [image for image in images if reference(*image) not in present]


def _mmdebstrap(suite: Suite, target: Path) -> list[str]:
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={_BASE_PACKAGES}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        "--dpkgopt=force-unsafe-io",
        '--aptopt=Acquire::Languages "none"',
        f'--customize-hook=chroot "$1" systemctl mask {_MASKED}',
        suite,
        str(target),
        *os.environ.get("LAB_MIRROR", "").split(),
    ]


def _workshop() -> Path:
    return build_directory() / "images"


def _sweep() -> None:
    """Remove what a killed run left: half-made trees and build containers."""
    mounted = Path("/proc/self/mounts").read_text("utf-8")
    if str(_workshop()) in mounted:
        raise LabError(f"something is still mounted below {_workshop()} (see /proc/self/mounts); unmount it first")
    shutil.rmtree(_workshop(), ignore_errors=True)
    _workshop().mkdir(parents=True)
    for row in podman.listing("ps", "--all", "--filter", f"name=^{_BUILDER}"):
        podman.remove_container(row["Id"])


def _make_base(suite: Suite) -> None:
    image = (Flavour.BARE, suite)
    if not _missing([image]):
        return
    say(f"making the base image of Debian {suite} (about a minute)")
    temporary = Path(tempfile.mkdtemp(prefix=f"{suite}-", dir=_workshop()))
    temporary.chmod(0o755)  # apt's own user downloads there
    archive = temporary / "image.tar"
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = ["setpriv", "--pdeathsig", "TERM", *_mmdebstrap(suite, archive)]  # it must not outlive a killed run
    run_long(f"mmdebstrap {suite}", command, _log(image), environment)
    labels = f"LABEL dane-lab.mirrors={' '.join(_source_hosts(archive))}"
    podman.call(
        "import", "--quiet", "--change", 'CMD ["/sbin/init"]', "--change", labels, str(archive), reference(*image),
        timeout=600,
    )  # fmt: skip
    shutil.rmtree(temporary)
    _retire(image)
    say(f"the base image of Debian {suite} is there")


def _source_hosts(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        member = tar.extractfile("./etc/apt/sources.list")
        text = member.read().decode() if member else ""
    return sorted({host for word in text.split() if (host := urlsplit(word).hostname)})


def _make_derived(image: Image) -> None:
    flavour, suite = image
    say(f"making the {flavour} image of Debian {suite}")
    name = f"{_BUILDER}{flavour}-{suite}"
    podman.remove_container(name)
    command = [
        "podman", "run", "--name", name, "--network", "host",
        reference(Flavour.BARE, suite), "/bin/sh", "-c", _DERIVED[flavour],
    ]  # fmt: skip
    run_long(f"{flavour} image of {suite}", command, _log(image), podman_environment())
    podman.call("commit", "--quiet", "--change", 'CMD ["/sbin/init"]', name, reference(*image), timeout=600)
    podman.remove_container(name)
    _retire(image)
    say(f"the {flavour} image of Debian {suite} is there")


def _log(image: Image) -> Path:
    return build_directory() / "logs" / f"image-{image[0]}-{image[1]}.log"


def _retire(image: Image) -> None:
    """Remove images of the same name made by earlier recipes; one that a container still uses stays."""
    current = reference(*image)
    repository = current.rpartition(":")[0]
    for row in podman.listing("images", "--filter", f"reference={repository}"):
        for name in row.get("Names") or ():
            if name != current:
                podman.attempt("rmi", name)
