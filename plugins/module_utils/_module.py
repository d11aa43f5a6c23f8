# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The edge of every module: errors become `fail_json` in one place, and diffs have one shape."""

from __future__ import annotations

import traceback
import typing as t

from ._errors import DaneError
from ._secrets import all_values, secret_values

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule

__all__ = ["guarded_run", "hide_secrets_only", "text_diff"]


def guarded_run(module: AnsibleModule, run: Callable[[], dict[str, t.Any]]) -> t.NoReturn:
    """Run a module's work and end the module with its result.

    `run` returns the module's result: ``changed`` and its own keys, and optionally ``diff`` (see :func:`text_diff`),
    ``warnings`` (a list of sentences) and ``failed_msg`` (the work was done as far as possible, and the module fails
    with this message and all the other keys). Diffs are shown only where the user asked for them.

    A :class:`DaneError` is an expected failure: its message is written for the user, its attribute ``details`` (a
    dict, optional) is returned beside it. Anything else is a defect and keeps its traceback.
    """
    try:
        result = run()
    except DaneError as error:
        details: dict[str, t.Any] = dict(getattr(error, "details", None) or {})
        module.fail_json(msg=str(error), error_type=type(error).__name__, exception=traceback.format_exc(), **details)
    diff = result.pop("diff", None)
    if diff and module._diff:
        result["diff"] = diff
    for warning in result.pop("warnings", []):
        module.warn(warning)
    failure = result.pop("failed_msg", None)
    if failure is not None:
        module.fail_json(msg=failure, **result)
    module.exit_json(**result)
    raise AssertionError("exit_json returned")


def hide_secrets_only(module: AnsibleModule, provider: Mapping[str, t.Any]) -> None:
    """Of the options whose keys the user chose, go on hiding the values that are secrets, and show the others.

    Ansible hides every value of an option with ``no_log`` wherever it occurs in the output: a setting of 1 would make
    stars of every `3 1 1`.
    """
    chosen = {name: provider.get(name) or {} for name in ("environment", "settings")}
    secret = secret_values(chosen) | {str(provider[name]) for name in ("key_secret", "api_token") if provider.get(name)}
    module.no_log_values -= all_values(chosen) - secret


def text_diff(header: str, before: str, after: str) -> dict[str, str]:
    """Return a diff of two texts in the shape that Ansible's callbacks print.

    `header` names what is shown, for example a file's path or a zone.
    """
    return {
        "before_header": f"{header} (before)",
        "after_header": f"{header} (after)",
        "before": before,
        "after": after,
    }
