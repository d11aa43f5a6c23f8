# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The one gate for libraries that a target may lack.

Core and adapter files import dnspython and cryptography inside :func:`importing`, and make what they need of them at
import time inside :func:`built_of_libraries`. A module calls :func:`require` first thing in ``main()``: where a library
is missing, the user reads which Debian package brings it instead of a traceback, and ``ansible-test sanity`` can import
every file without it.
"""

from __future__ import annotations

import traceback
import typing as t
from contextlib import contextmanager
from importlib import import_module

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.module_utils.basic import AnsibleModule

__all__ = ["MINIMUM_VERSIONS", "built_of_libraries", "importing", "require"]

# What Debian 12 ships: python3-dnspython 2.3.0 and python3-cryptography 38.0.4.
# Kept equal to plugins/doc_fragments/_attributes.py by a unit test.
MINIMUM_VERSIONS: t.Final = {"dnspython": (2, 3), "cryptography": (38, 0)}

_IMPORT_NAMES: t.Final = {"dnspython": "dns.version", "cryptography": "cryptography"}
_DEBIAN_PACKAGES: t.Final = {"dnspython": "python3-dnspython", "cryptography": "python3-cryptography"}

_import_failure: list[str] = []


@contextmanager
def importing() -> Iterator[None]:
    """Import dnspython or cryptography; where one is missing, that is remembered for :func:`require`.

    An ImportError for anything else (a file of ours, a misspelt name) is a defect and is raised.
    """
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"dns", "cryptography"}:
            raise
        _import_failure.append(traceback.format_exc())


@contextmanager
def built_of_libraries() -> Iterator[None]:
    """Define constants and classes that are made of a library's names; without the library they are left out.

    A NameError while every library is there is a defect and is raised.
    """
    try:
        yield
    except NameError:
        if not _import_failure:
            raise


def require(module: AnsibleModule, *libraries: str) -> None:
    """Fail the module, with the package to install, unless every one of `libraries` is there and recent enough.

    `libraries` are keys of :data:`MINIMUM_VERSIONS`.
    """
    for library in libraries:
        minimum = MINIMUM_VERSIONS[library]
        wanted = ".".join(str(number) for number in minimum)
        remedy = f"Install the Debian package {_DEBIAN_PACKAGES[library]}, or {library} >= {wanted} from PyPI."
        try:
            found = import_module(_IMPORT_NAMES[library])
        except ImportError:
            module.fail_json(
                msg=f"The Python library {library} is missing on this host. {remedy}",
                exception=_import_failure[0] if _import_failure else traceback.format_exc(),
            )
        version = str(getattr(found, "__version__", "") or getattr(found, "version", ""))
        if _leading_numbers(version) < minimum:
            module.fail_json(msg=f"{library} on this host ({found.__file__}) is version {version}, too old. {remedy}")


def _leading_numbers(version: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
