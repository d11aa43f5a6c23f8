# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Calls of Cloudflare's API, version 4: authorisation, paging, back-off, and its errors as ours. No DNS in here."""

from __future__ import annotations

import json
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

from .._errors import InvalidInput, PublisherConflict, PublisherRefused, PublisherUnavailable

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["CloudflareApi", "Unsupported"]

API_URL: t.Final = "https://api.cloudflare.com/client/v4"
PER_PAGE: t.Final = (
    50  # the most that a list of zones gives; records allow more, and this is taken from what they answer
)
RECORDS_PER_PAGE: t.Final = 1000
ATTEMPTS: t.Final = 5
LONGEST_WAIT: t.Final = 60.0
"""Seconds. Whoever is locked out for longer (Cloudflare does so for up to five minutes) is told when to come again."""

_EXISTS: t.Final = frozenset({81057, 81058})  # an identical record
_GONE: t.Final = frozenset({81044})  # no record with this identifier


class Unsupported(PublisherRefused):
    """This API does not have the call; older and imitating ones lack the batch."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to another server."""

    def redirect_request(self, *_: object) -> None:
        return None


class CloudflareApi:
    """One token's view of the API. `timeout` is in seconds, for each call. The token is in no message."""

    def __init__(
        self,
        token: str,
        *,
        url: str = API_URL,
        timeout: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidInput("The api_token of provider cloudflare has characters that no token has")
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
            raise InvalidInput(
                f"The api_url {url!r} of provider cloudflare is no https URL; the token would be readable"
            )
        self.url = url.rstrip("/")
        self._token, self._timeout, self._sleep = token, timeout, sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def pages(self, path: str, query: Mapping[str, str], per_page: int = PER_PAGE) -> Iterator[dict[str, t.Any]]:
        """Every object of a list, over all its pages. Raises as :meth:`call`."""
        page = 1
        while True:
            arguments = urllib.parse.urlencode({**query, "page": page, "per_page": per_page})
            answer = self.call("GET", f"{path}?{arguments}")
            result, info = answer.get("result"), answer.get("result_info")
            if not isinstance(result, list) or not isinstance(info, dict):
                raise PublisherUnavailable(f"{self._place(path)} gave no list")
            yield from result
            # Without a count it cannot be known that the list is whole, and what is not listed would be added again.
            if not isinstance(info.get("total_pages"), int):
                raise PublisherUnavailable(f"{self._place(path)} does not say how many pages there are")
            if page >= info["total_pages"]:
                return
            page += 1

    def call(self, method: str, path: str, body: object = None) -> dict[str, t.Any]:
        """One call; 429 and 5xx are tried again, which is harmless as an identical record is refused.

        Raises PublisherRefused for what will not get better, PublisherConflict when a record that is to be added is
        there or one that is to be removed is not, PublisherUnavailable for all else, and Unsupported.
        """
        for attempt in range(ATTEMPTS):
            status, content, retry_after = self._once(method, path, body)
            if status != 429 and status < 500:
                return self._judged(path, status, content)
            wait = retry_after if retry_after is not None else 2.0**attempt
            if wait > LONGEST_WAIT:
                raise PublisherUnavailable(f"{self._place(path)} takes no more calls for {wait:.0f} s (HTTP {status})")
            if attempt + 1 < ATTEMPTS:
                self._sleep(wait)
        raise PublisherUnavailable(f"{self._place(path)} answered HTTP {status} {ATTEMPTS} times")

    def _once(self, method: str, path: str, body: object) -> tuple[int, bytes, float | None]:
        """HTTP status, content, and what Retry-After says, in seconds."""
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked when the URL was given
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.status, response.read(), None
        except urllib.error.HTTPError as error:
            with error:
                after = error.headers.get("Retry-After", "")
                return error.code, error.read(), float(after) if after.isdigit() else None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise PublisherUnavailable(f"{self._place(path)} does not answer: {reason}") from error

    def _judged(self, path: str, status: int, content: bytes) -> dict[str, t.Any]:
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            if status in (404, 405):
                raise Unsupported(f"{self._place(path)} is not there (HTTP {status})")
            raise PublisherUnavailable(f"{self._place(path)} answered HTTP {status} with something that is not JSON")
        if status < 300 and answer.get("success") is True:
            return answer
        errors = [error for error in answer.get("errors") or [] if isinstance(error, dict)]
        codes = {error.get("code") for error in errors}
        said = "; ".join(f"{error.get('message')} ({error.get('code')})" for error in errors) or "no reason given"
        if codes & (_EXISTS | _GONE):
            raise PublisherConflict(f"the records changed between reading and writing: {said}")
        if status in (401, 403):
            raise PublisherRefused(
                f"{self._place(path)} refuses the token (HTTP {status}): {said}. It needs the permissions Zone Read "
                "and DNS Write for this zone"
            )
        if status in (404, 405):
            raise Unsupported(f"{self._place(path)} is not there (HTTP {status}): {said}")
        raise PublisherRefused(f"{self._place(path)} says no (HTTP {status}): {said}")

    def _place(self, path: str) -> str:
        return f"{self.url}{path.partition('?')[0]}"
