# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter mailsec.dane.dane_report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dane_report
short_description: Report on what dane_info found
version_added: 0.1.0
author:
  - mailsec.dane contributors
description:
  - Merges results of M(mailsec.dane.dane_info), from one host or many, into one report and gives it in the wanted form.
  - Of an endpoint that several hosts looked at, the worst verdict is kept.
  - What other mail hosts reported on their TLS connections (RFC 8460) can be a part of it.
  - Names and texts that come from others' servers are made harmless for terminals and browsers.
positional: format
options:
  _input:
    description: A result of M(mailsec.dane.dane_info), or a list of them.
    type: raw
    required: true
  format:
    description:
      - V(dict) gives the report as data; the docs' page on the report's schema describes it.
      - V(json) gives the same as text.
      - V(table) gives lines for a terminal, as a list.
      - V(html) gives one self-contained HTML page.
      - V(metrics) gives metrics for the textfile collector of Prometheus' node exporter.
    type: string
    choices:
      - dict
      - json
      - table
      - html
      - metrics
    default: dict
  width:
    description: Columns for V(table).
    type: integer
    default: 150
  previous:
    description:
      - The report before this one, as data or as JSON text, such as what C(dane.json) held.
      - Since when each record and certificate has been seen goes on from there; the page shows it as a time line.
    type: raw
  tls_reports:
    description:
      - Results of M(mailsec.dane.tlsrpt_info), by the name of the machine that read the reports.
      - A report that arrived on two machines counts twice.
    type: dict
    default: {}
  only_problems:
    description: For V(table), leave out what is verified without a remark.
    type: bool
    default: false
seealso:
  - module: mailsec.dane.dane_info
"""

EXAMPLES = r"""
- name: Look at a mail domain
  mailsec.dane.dane_info:
    domains: [example.org]
  register: mail

- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ mail | mailsec.dane.dane_report('table') }}"

- name: Keep a page of it
  ansible.builtin.copy:
    content: "{{ mail | mailsec.dane.dane_report('html') }}"
    dest: /var/www/html/dane.html
    mode: "0644"

- name: Keep the report, and in it since when each record has been seen
  ansible.builtin.copy:
    content: "{{ mail | mailsec.dane.dane_report('json', previous=before) }}"
    dest: /var/lib/mail/dane.json
    mode: "0644"
  vars:
    before: "{{ lookup('ansible.builtin.file', '/var/lib/mail/dane.json', errors='ignore') | default('', true) }}"
"""

RETURN = r"""
_value:
  description: The report in the form that O(format) names.
  type: raw
"""

import json
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput
from ansible_collections.mailsec.dane.plugins.module_utils._report import merged
from ansible_collections.mailsec.dane.plugins.module_utils._report_html import page
from ansible_collections.mailsec.dane.plugins.module_utils._report_metrics import metrics
from ansible_collections.mailsec.dane.plugins.module_utils._report_table import table
from ansible_collections.mailsec.dane.plugins.module_utils._report_tlsrpt import merged_tls_reports
from ansible_collections.mailsec.dane.plugins.plugin_utils._filter import filter_errors, to_bool

_WRITERS: t.Final[t.Mapping[str, t.Callable[[dict[str, t.Any]], object]]] = {
    "dict": lambda report: report,
    "json": lambda report: json.dumps(report, indent=2) + "\n",
    "html": page,
    "metrics": metrics,
}


def dane_report(
    value: object,
    format: object = "dict",  # noqa: A002  # the option's name
    width: object = 150,
    only_problems: object = False,
    previous: object = None,
    tls_reports: object = None,
) -> object:
    """See DOCUMENTATION. Raises AnsibleFilterError."""
    with filter_errors("dane_report"):
        results = [value] if isinstance(value, Mapping) else value
        if not isinstance(results, Sequence) or not all(isinstance(result, Mapping) for result in results):
            msg = f"The input must be a result of mailsec.dane.dane_info or a list of them, not {type(value).__name__}"
            raise InvalidInput(msg)
        if not isinstance(tls_reports or {}, Mapping):
            msg = f"tls_reports must be a dictionary of results of mailsec.dane.tlsrpt_info, not {tls_reports!r}"
            raise InvalidInput(msg)
        reported = merged_tls_reports(t.cast("Mapping[str, t.Any]", tls_reports or {}))
        report = merged(results, _previous(previous), tls_reports=reported)
        if format == "table":
            if not str(width).isdigit():
                msg = f"width must be a number of columns, not {width!r}"
                raise InvalidInput(msg)
            return table(report, width=int(str(width)), only_problems=to_bool("only_problems", only_problems))
        write = _WRITERS.get(str(format))
        if write is None:
            msg = f"format is one of {', '.join(_WRITERS)} and table, not {format!r}"
            raise InvalidInput(msg)
        return write(report)


def _previous(given: object) -> Mapping[str, t.Any] | None:
    """The report before, if there is one: an empty text is none."""
    if given is None or given == "":
        return None
    try:
        report = json.loads(given) if isinstance(given, str) else given
    except ValueError as error:
        msg = f"previous is no JSON: {error}. Move that file away to begin a new history; nothing was written"
        raise InvalidInput(msg) from error
    if not isinstance(report, Mapping):
        msg = f"previous must be a report as dane_report gives it, not {type(report).__name__}"
        raise InvalidInput(msg)
    return report


class FilterModule:
    """Ansible's way to find the filter."""

    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"dane_report": dane_report}
