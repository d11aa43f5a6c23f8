# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Options that several modules share, as dict literals for AnsibleModule's `argument_spec`.

Each has its twin in plugins/doc_fragments; tests/unit/test_doc_fragments.py holds the two equal.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.parameters import env_fallback

__all__ = ["PROVIDER_OPTIONS", "RESOLVER_OPTIONS"]

ArgumentSpec = dict[str, dict[str, t.Any]]

RESOLVER_OPTIONS: t.Final[ArgumentSpec] = {
    "resolver": {"type": "str", "default": "127.0.0.1"},
    "resolver_port": {"type": "int", "default": 53},
    "timeout": {"type": "float", "default": 5.0},
}

PROVIDER_OPTIONS: t.Final[ArgumentSpec] = {
    "type": {"type": "str", "required": True, "choices": ["cloudflare", "exec", "octodns", "rfc2136"]},
    "server": {"type": "str"},
    "port": {"type": "int", "default": 53},
    "transport": {"type": "str", "default": "udp", "choices": ["udp", "tcp"]},
    "timeout": {"type": "float", "default": 10.0},
    "key_name": {"type": "str"},
    "key_secret": {"type": "str", "no_log": True, "fallback": (env_fallback, ["DANE_KEY_SECRET"])},
    "key_secret_file": {"type": "path", "no_log": False},
    "key_algorithm": {
        "type": "str",
        "choices": ["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"],
    },
    "api_token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"])},
    "api_url": {"type": "str", "default": "https://api.cloudflare.com/client/v4"},
    "command": {"type": "list", "elements": "str"},
    "environment": {"type": "dict", "no_log": True},
    "class": {"type": "str"},
    "settings": {"type": "dict", "no_log": True},
    "zones": {"type": "list", "elements": "str"},
}
