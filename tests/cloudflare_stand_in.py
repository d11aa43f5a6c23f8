# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for Cloudflare's API on loopback that enforces what the real one documents.

Authorisation, paging, structured TLSA data, TXT data as text, refusal of identical records, least TTL, and the batch:
one transaction, removals first, no more than 200 operations; and a limit on calls, after which it answers 429 until the
window is over. Other faults are put in by hand. It gives hexadecimal back as the real one does, in upper case and
re-spaced.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["ApiError", "CloudflareStandIn", "Fault"]

BATCH_LIMIT: t.Final = 200
ZONES_PER_PAGE: t.Final = 50
RECORDS_PER_PAGE: t.Final = 5000
FIELDS: t.Final = ("usage", "selector", "matching_type", "certificate")


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Fault:
    """What the next `times` calls whose method and path begin so get instead of an answer; after it, if `late`."""

    method: str
    path: str
    status: int
    content: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    late: bool = False  # the call takes effect, and the answer is lost
    seconds: float = 0.0  # until the answer comes


@dataclass
class CloudflareStandIn:
    """Use as a context manager. ``zones`` maps names to records, each a dictionary as the API gives it."""

    zones: list[str]
    token: str = "a-token-of-the-tests"  # noqa: S105  # opens nothing
    read_only: bool = False
    with_batch: bool = True
    rate_limit: int = 1200  # calls in one window; the real one allows as many in five minutes
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    history: list[dict[str, list[str]]] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> t.Self:
        self._identifiers = (f"{number:032x}" for number in itertools.count(1))
        self._microseconds = itertools.count(1)
        self._calls_left = self.rate_limit
        self.records: dict[str, dict[str, dict[str, t.Any]]] = {zone: {} for zone in self.zones}
        self._lock = threading.Lock()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                stand_in._handle(self)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  # names of the base class

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/client/v4"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    # --- for tests ----------------------------------------------------------------------------------------------------

    def add(self, name: str, *records: str, ttl: int = 300) -> None:
        """Put TLSA records there, as another program would."""
        for record in records:
            values = record.split(None, 3)
            data = dict(zip(FIELDS, [*map(int, values[:3]), values[3]], strict=True))
            self._create({"type": "TLSA", "name": name, "ttl": ttl, "data": data}, self._zone_of(name))

    def add_text(self, name: str, content: str, ttl: int = 300) -> None:
        """Put a TXT record there, as another program would."""
        self._create({"type": "TXT", "name": name, "ttl": ttl, "content": content}, self._zone_of(name))

    def texts(self, name: str) -> list[str]:
        """The TXT records at `name` as they were given, sorted."""
        records = self.records[self._zone_of(name)].values()
        return sorted(one["content"] for one in records if (one["name"], one["type"]) == (name, "TXT"))

    def alias(self, name: str, target: str) -> None:
        self._put(name, "CNAME", target)

    def delegate(self, name: str) -> None:
        """Give a name to other servers."""
        self._put(name, "NS", "ns.elsewhere.example")

    def wait(self, _seconds: float) -> None:
        """Let the window of the limit on calls end."""
        self._calls_left = self.rate_limit

    def _put(self, name: str, rdtype: str, content: str) -> None:
        record = {"type": rdtype, "name": name, "content": content, "ttl": 1}
        self.records[self._zone_of(name)][next(self._identifiers)] = record

    def published(self, name: str) -> list[str]:
        """The TLSA records at `name` in presentation form, sorted."""
        return self._all().get(name, [])

    def ttls(self, name: str) -> set[int]:
        return {one["ttl"] for one in self.records[self._zone_of(name)].values() if one["name"] == name}

    def _all(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for records in self.records.values():
            for one in records.values():
                if one["type"] == "TLSA":
                    text = " ".join(str(one["data"][name]) for name in FIELDS).lower()
                    found.setdefault(one["name"], []).append(text)
        return {name: sorted(records) for name, records in found.items()}

    def _zone_of(self, name: str) -> str:
        return max((zone for zone in self.zones if name.endswith(zone)), key=len)

    # --- the API ------------------------------------------------------------------------------------------------------

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        parts = urllib.parse.urlsplit(handler.path)
        path = parts.path.removeprefix("/client/v4")
        query = dict(urllib.parse.parse_qsl(parts.query))
        headers: dict[str, str] = {}
        with self._lock:
            self.calls.append((handler.command, path))
            self._calls_left -= 1
            fault = self._fault(handler.command, path)
            if self._calls_left < 0:
                fault = Fault(handler.command, path, 429, headers={"Retry-After": "30"})
            if fault is None or fault.late:
                status, content = self._answer(handler, path, query, body)
                self.history.append(self._all())
            if fault is not None:
                status, content, headers = fault.status, fault.content, fault.headers
        time.sleep(fault.seconds if fault else 0)
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and (fault.method, path[: len(fault.path)]) == (method, fault.path):
                fault.times -= 1
                return fault
        return None

    def _answer(
        self,
        handler: BaseHTTPRequestHandler,
        path: str,
        query: dict[str, str],
        body: t.Any,  # noqa: ANN401  # JSON
    ) -> tuple[int, bytes]:
        try:
            self._authorise(handler)
            result, info = self._route(handler.command, path.strip("/").split("/"), query, body)
        except ApiError as error:
            answer = {"success": False, "errors": [{"code": error.code, "message": str(error)}], "result": None}
            return error.status, json.dumps(answer).encode()
        return 200, json.dumps({"success": True, "errors": [], "result": result, "result_info": info}).encode()

    def _authorise(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != f"Bearer {self.token}":
            raise ApiError(401, 10000, "Authentication error")
        if self.read_only and handler.command != "GET":
            raise ApiError(403, 10000, "Authentication error")

    def _route(
        self,
        method: str,
        path: list[str],
        query: dict[str, str],
        body: t.Any,  # noqa: ANN401  # JSON
    ) -> tuple[object, object]:
        if (method, path) == ("GET", ["zones"]):
            zones = [{"id": f"zone{number}", "name": name} for number, name in enumerate(self.zones)]
            return self._page(zones, query, ZONES_PER_PAGE)
        if path[0] != "zones" or path[2:3] != ["dns_records"]:
            raise ApiError(404, 7000, "No route for that URI")
        zone = self.zones[int(path[1].removeprefix("zone"))]
        rest = path[3:]
        if method == "GET" and not rest:
            records = [
                {"id": identifier, **self._shown(one)}
                for identifier, one in self.records[zone].items()
                if one["type"] == query.get("type", one["type"])
            ]
            return self._page(records, query, RECORDS_PER_PAGE)
        if method == "POST" and rest == ["batch"] and self.with_batch:
            return self._batch(body, zone), None
        if method == "POST" and not rest:
            return self._create(body, zone), None
        if method == "PATCH" and len(rest) == 1:
            return self._patch({"id": rest[0], **body}, zone), None
        if method == "DELETE" and len(rest) == 1:
            return self._delete({"id": rest[0]}, zone), None
        raise ApiError(405, 7001, "Method not allowed for this endpoint")

    def _page(self, entries: list[dict[str, t.Any]], query: dict[str, str], limit: int) -> tuple[object, object]:
        page, per_page = int(query.get("page", 1)), int(query.get("per_page", 20))
        if not 1 <= per_page <= limit:
            raise ApiError(400, 1004, "per_page is out of range")
        info = {
            "page": page,
            "per_page": per_page,
            "total_pages": -(-len(entries) // per_page),
            "total_count": len(entries),
        }
        return entries[(page - 1) * per_page : page * per_page], info

    def _shown(self, one: dict[str, t.Any]) -> dict[str, t.Any]:
        if one["type"] != "TLSA":
            return one
        digits = str(one["data"]["certificate"]).upper()
        spaced = " ".join(digits[at : at + 56] for at in range(0, len(digits), 56))
        data = {**one["data"], "certificate": spaced}
        content = "\t".join(str(data[name]) for name in FIELDS)
        return {**one, "data": data, "content": content}

    def _batch(self, body: dict[str, list[dict[str, t.Any]]], zone: str) -> object:
        if sum(len(operations) for operations in body.values()) > BATCH_LIMIT:
            raise ApiError(400, 9207, "Too many operations in one batch")
        before = json.loads(json.dumps(self.records))
        try:
            for kind, run in (("deletes", self._delete), ("patches", self._patch), ("posts", self._create)):
                for operation in body.get(kind, []):
                    run(operation, zone)
        except ApiError:
            self.records = before  # one transaction
            raise
        return {}

    def _create(self, body: dict[str, t.Any], zone: str) -> dict[str, t.Any]:
        name, data = body["name"], body.get("data") or {}
        missing = [one for one in FIELDS if one not in data] if body["type"] != "TXT" else []
        if body["type"] not in {"TLSA", "TXT"} or missing or (body["type"] == "TXT" and not body.get("content")):
            raise ApiError(400, 9101, f"{', '.join(missing)} is a required data field.")
        if name != zone and not name.endswith(f".{zone}"):
            raise ApiError(400, 9000, "DNS name is invalid.")
        self._check_ttl(body["ttl"])
        for one in self.records[zone].values():
            if one["name"] == name and one["type"] == "CNAME":
                raise ApiError(400, 81053, "A CNAME record with that host already exists.")
            if one["name"] == name and one["type"] == body["type"] == "TXT" and one["content"] == body["content"]:
                raise ApiError(400, 81058, "An identical record already exists.")
            if one["name"] == name and one["type"] == body["type"] == "TLSA":
                known = {**one["data"], "certificate": one["data"]["certificate"].upper()}
                if known == {**data, "certificate": data["certificate"].upper()}:
                    raise ApiError(400, 81058, "An identical record already exists.")
        identifier = next(self._identifiers)
        content = {"data": dict(data)} if body["type"] == "TLSA" else {"content": body["content"]}
        created = f"2026-01-01T05:20:00.{next(self._microseconds):06d}Z"
        common = {"type": body["type"], "name": name, "ttl": body["ttl"], "created_on": created}
        self.records[zone][identifier] = {**common, **content}
        return {"id": identifier}

    def _patch(self, body: dict[str, t.Any], zone: str) -> dict[str, t.Any]:
        one = self._known(body["id"], zone)
        self._check_ttl(body["ttl"])
        one["ttl"] = body["ttl"]
        return one

    def _delete(self, body: dict[str, t.Any], zone: str) -> dict[str, t.Any]:
        self._known(body["id"], zone)
        return self.records[zone].pop(body["id"])

    def _known(self, identifier: str, zone: str) -> dict[str, t.Any]:
        if identifier not in self.records[zone]:
            raise ApiError(404, 81044, "Record does not exist.")
        return self.records[zone][identifier]

    @staticmethod
    def _check_ttl(ttl: int) -> None:
        if ttl != 1 and not 60 <= ttl <= 86400:
            raise ApiError(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
