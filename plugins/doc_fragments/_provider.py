# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE to the collection. It can have breaking changes at any time.

"""The DNS provider that TLSA records are published at; its twin is PROVIDER_OPTIONS in module_utils/_argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    """Option O(provider)."""

    DOCUMENTATION = r"""
options:
  provider:
    description:
      - Where the records are held, and how to change them there.
      - The records are read from this provider too, not from a cache or a secondary.
    type: dict
    required: true
    suboptions:
      type:
        description:
          - V(rfc2136) is DNS UPDATE, spoken by BIND, Knot DNS, PowerDNS and many others.
          - V(cloudflare) is Cloudflare's API. It has no condition on what was read, so do not run two at once.
          - V(octodns) is any provider of octoDNS that can hold TLSA records. The libraries octodns and that of the
            provider must be installed for the Python that the module runs with. It has no condition on what was read.
          - V(exec) is a program of yours, for every other case; it may also tell a person what to publish.
          - See the guide C(docs/guides/publishing.md) of this collection for each of them.
        type: str
        required: true
        choices:
          - cloudflare
          - exec
          - octodns
          - rfc2136
      server:
        description:
          - The primary name server, by address or name. Required with O(provider.type=rfc2136).
        type: str
      port:
        description:
          - Its port.
        type: int
        default: 53
      transport:
        description:
          - V(udp) sends what is small by UDP and the rest by TCP, V(tcp) sends all by TCP.
        type: str
        default: udp
        choices:
          - udp
          - tcp
      timeout:
        description:
          - Seconds to wait for each answer; with O(provider.type=exec), for each run of the program to end. With
            O(provider.type=octodns) it has no effect, as octoDNS's providers have settings of their own for it.
        type: float
        default: 10.0
      key_name:
        description:
          - Name of the TSIG key. Without a key, messages are not signed.
          - Give the key the right to change TLSA records at the names of the mail hosts and no other. A key that can
            change all of the zone can take over its mail.
          - In a zone of BIND's C(named.conf), one line for each name,
            C(update-policy { grant "mx-tlsa" name _25._tcp.mx1.example.org. TLSA; };).
          - >-
            In the C(acl) section of Knot DNS 3.2 or later, for the zone to name,
            C({id: mx-tlsa, key: mx-tlsa, action: update, update-type: [ TLSA ], update-owner: name,
            update-owner-match: equal, update-owner-name: [ _25._tcp.mx1.example.org. ]}), each item on a line of its
            own.
          - >-
            PowerDNS ties a key to a zone, by C(pdnsutil set-meta example.org TSIG-ALLOW-DNSUPDATE mx-tlsa), and to
            names and types by the function C(updatepolicy) of the file that C(lua-dnsupdate-policy-script) names, with
            V(return input:getTsigName(\):toString(\) == "mx-tlsa." and input:getQType(\) == pdns.TLSA and
            input:getQName(\):toString(\):lower(\) == "_25._tcp.mx1.example.org.").
          - The guide C(docs/guides/publishing.md) of this collection has them whole.
        type: str
      key_secret:
        description:
          - The secret of the TSIG key, in base64.
          - If unset, the environment variable E(DANE_KEY_SECRET) is used, as it is where the module runs.
          - Mutually exclusive with O(provider.key_secret_file).
        type: str
      key_secret_file:
        description:
          - A file where the module runs that holds the secret in base64, or the key as C(tsig-keygen) writes it. In the
            latter case name and algorithm are taken from it, too.
        type: path
      key_algorithm:
        description:
          - The algorithm of the TSIG key. Unset means what O(provider.key_secret_file) says, else V(hmac-sha256).
          - V(hmac-md5) must not be used (RFC 8945) and is refused.
        type: str
        choices:
          - hmac-sha224
          - hmac-sha256
          - hmac-sha384
          - hmac-sha512
      api_token:
        description:
          - The API token for O(provider.type=cloudflare), with the permissions Zone Read and DNS Write for the zones of
            the mail hosts and no others.
          - If unset, the environment variable E(CLOUDFLARE_API_TOKEN) is used, as it is where the module runs.
        type: str
      api_url:
        description:
          - Where the API of O(provider.type=cloudflare) is.
        type: str
        default: https://api.cloudflare.com/client/v4
      command:
        description:
          - The program for O(provider.type=exec), by its full path, and its arguments. No shell is involved.
          - It is given JSON on standard input and answers with JSON on standard output, as the guide describes.
          - Arguments are seen by everybody on that machine, so give secrets by O(provider.environment).
        type: list
        elements: str
      environment:
        description:
          - Variables for O(provider.command), beside C(PATH), C(LC_ALL), and C(HOME), C(LOGNAME), C(TZ) and C(USER)
            where they are set. No other variable reaches it.
          - Values whose name contains words like C(token), C(secret), C(password) or C(key) are hidden in all output.
        type: dict
      class:
        description:
          - The class of the octoDNS provider for O(provider.type=octodns), as in octoDNS's configuration file, for
            example V(octodns_hetzner.HetznerProvider).
        type: str
      settings:
        description:
          - The settings of the octoDNS provider, as in octoDNS's configuration file. V(env/NAME) and
            V(env/NAME/default) stand for environment variables where the module runs.
          - Values whose key contains words like C(token), C(secret), C(password) or C(key) are hidden in all output.
        type: dict
      zones:
        description:
          - The zones in which O(provider.type=octodns) may change records. If unset, all that the provider lists;
            required where it cannot list them.
        type: list
        elements: str
"""
