# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Validation by libunbound, with the library played by the test; tests/conformance/libunbound.py has the real one."""

from __future__ import annotations

import asyncio
import sys
import time
import typing as t
from dataclasses import dataclass, field

import dns.message
import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._errors import InvalidInput, LookupFailed, ProbeImpossible
from ansible_collections.mailsec.dane.plugins.module_utils._libunbound import ValidatingStub
from ansible_collections.mailsec.dane.plugins.module_utils._resolver import Answer, Status
from ansible_collections.mailsec.dane.plugins.module_utils._verification import HostTarget, Report, verify

from scripted_nameserver import reply

if t.TYPE_CHECKING:
    from pathlib import Path

FOUND: t.Final = "mx.example. 60 IN A 192.0.2.1"


@dataclass
class Result:
    """What the binding gives, as far as it is used."""

    packet: bytes | None
    rcode: int = 0
    havedata: int = 1
    secure: int = 1
    bogus: int = 0
    why_bogus: str | None = None


@dataclass
class Library:
    """The module ``unbound``; `answer` is what each question gets."""

    answer: t.Callable[[str, int], tuple[int, Result | None]]
    refuses: str = ""
    done: list[tuple[str, ...]] = field(default_factory=list)

    def ub_ctx(self) -> Library:
        return self

    def ub_strerror(self, status: int) -> str:
        return f"error {status}"

    def _noted(self, *what: str) -> int:
        self.done.append(what)
        return -1 if what[0] == self.refuses else 0

    def set_option(self, name: str, value: str) -> int:
        return self._noted(name, value)

    def set_fwd(self, address: str) -> int:
        return self._noted("forward", address)

    def add_ta_file(self, path: str) -> int:
        return self._noted("anchor", path)

    def resolve(self, name: str, rdtype: int) -> tuple[int, Result | None]:
        return self.answer(name, rdtype)


def packet(*answer: str, name: str = "mx.example.", rdtype: str = "A", rcode: str = "NOERROR") -> bytes:
    wire: bytes = reply(dns.message.make_query(name, rdtype), *answer, rcode=rcode).to_wire()
    return wire


@pytest.fixture
def anchor(tmp_path: Path) -> str:
    path = tmp_path / "root.key"
    path.write_text(". IN DS 1 13 2 00\n", encoding="utf-8")
    return str(path)


def given(monkeypatch: pytest.MonkeyPatch, result: Result | None, status: int = 0) -> Library:
    library = Library(lambda _name, _rdtype: (status, result))
    monkeypatch.setitem(sys.modules, "unbound", t.cast("t.Any", library))
    return library


def ask(anchor: str, *names: str, port: int = 53) -> list[Answer]:
    async def go() -> list[Answer]:
        async with ValidatingStub("192.0.2.53", port, anchor).lookups(signatures=False) as lookup:
            return list(await asyncio.gather(*(lookup(name, "A") for name in names or ("mx.example",))))

    return asyncio.run(go())


@pytest.mark.parametrize("secure", [True, False])
def test_what_libunbound_proves_counts_and_not_the_ad_bit(
    monkeypatch: pytest.MonkeyPatch, anchor: str, secure: bool
) -> None:
    message = dns.message.from_wire(packet(FOUND))
    message.flags ^= 0 if secure else dns.flags.AD
    library = given(monkeypatch, Result(message.to_wire(), secure=int(secure)))
    (answer,) = ask(anchor, port=5353)
    assert (answer.status, answer.secure, answer.records) == (Status.FOUND, secure, ("192.0.2.1",))
    assert ("forward", "192.0.2.53@5353") in library.done
    assert ("anchor", anchor) in library.done


def test_denials_are_told_apart(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    given(monkeypatch, Result(packet(), havedata=0))
    assert ask(anchor)[0].status is Status.NODATA
    given(monkeypatch, Result(packet(rcode="NXDOMAIN"), rcode=3, havedata=0))
    assert ask(anchor)[0].status is Status.NXDOMAIN


@pytest.mark.parametrize("havedata", [1, 0])
def test_what_does_not_validate_is_no_answer(monkeypatch: pytest.MonkeyPatch, anchor: str, havedata: int) -> None:
    why = "signature expired"
    given(monkeypatch, Result(packet(FOUND), havedata=havedata, secure=0, bogus=1, why_bogus=why))
    with pytest.raises(
        LookupFailed, match=r"mx.example A failed, as the resolver 192.0.2.53 passes it on: signature"
    ) as caught:
        ask(anchor)
    assert (caught.value.bogus, caught.value.denial) == (True, not havedata)


@pytest.mark.parametrize(
    ("result", "status", "message"),
    [
        (None, -3, "libunbound gives up with error -3"),
        (Result(packet(FOUND)), -3, "libunbound gives up with error -3"),
        (Result(None, rcode=2, secure=0), 0, "by way of the resolver 192.0.2.53: SERVFAIL"),
        (Result(None), 0, "by way of the resolver 192.0.2.53: NOERROR"),
        (Result(b"\x00" * 9), 0, "a malformed answer"),
        (Result(packet("mx.example. 60 IN CNAME a.example.", "a.example. 60 IN CNAME mx.example.")), 0, "malformed"),
    ],
)
def test_failures_are_no_denials(
    monkeypatch: pytest.MonkeyPatch, anchor: str, result: Result | None, status: int, message: str
) -> None:
    given(monkeypatch, result, status)
    with pytest.raises(LookupFailed, match=message) as caught:
        ask(anchor)
    assert not caught.value.bogus


def test_questions_wait_together(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    library = given(monkeypatch, None)

    def slow(name: str, _rdtype: int) -> tuple[int, Result]:
        time.sleep(0.2)
        return 0, Result(packet(f"{name} 60 IN A 192.0.2.1", name=name))

    library.answer = slow
    began = time.monotonic()
    answers = ask(anchor, *(f"h{number}.example" for number in range(20)))
    assert [answer.name for answer in answers] == [f"h{number}.example" for number in range(20)]
    assert time.monotonic() - began < 2  # one after the other they would wait 4 s


@pytest.mark.parametrize(
    ("refuses", "message"),
    [
        ("forward", "libunbound does not take the resolver 192.0.2.53: error -1"),
        ("anchor", "libunbound does not take the trust anchor "),
        ("edns-buffer-size:", "libunbound does not take option edns-buffer-size:"),
    ],
)
def test_what_libunbound_refuses_ends_the_look(
    monkeypatch: pytest.MonkeyPatch, anchor: str, refuses: str, message: str
) -> None:
    given(monkeypatch, None).refuses = refuses
    with pytest.raises(InvalidInput, match=message):
        ask(anchor)


def test_a_missing_anchor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given(monkeypatch, None)
    with pytest.raises(InvalidInput, match=r"no trust anchor in .*; install the Debian package dns-root-data"):
        ask(str(tmp_path / "none"))


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    monkeypatch.setitem(sys.modules, "unbound", t.cast("t.Any", None))
    with pytest.raises(ProbeImpossible, match="install the Debian package python3-unbound"):
        ask(anchor)


def look(anchor: str) -> Report:
    return verify([], [HostTarget("mx.example", 25, Starttls.SMTP)], ValidatingStub("192.0.2.53", 53, anchor))


def test_a_look_believes_libunbound_by_way_of_any_resolver(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    def answer(name: str, _rdtype: int) -> tuple[int, Result]:
        if name == ".":
            return 0, Result(packet(". 60 IN NS a.example.", name=".", rdtype="NS"))
        return 0, Result(packet(name=name), havedata=0)

    given(monkeypatch, None).answer = answer
    (row,) = look(anchor).endpoints
    assert row.cause == "no_address"


def test_a_root_that_does_not_validate_leaves_everything_unknown(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    given(monkeypatch, Result(packet(), secure=0, bogus=1, why_bogus="no signatures from 192.0.2.53"))
    (row,) = look(anchor).endpoints
    assert (row.verdict.value, row.cause) == ("unknown", "root_bogus")
    assert "no signatures from 192.0.2.53" in row.reason
    assert "trust anchor up to date" in row.reason


def test_a_root_that_is_only_insecure_leaves_everything_unknown(monkeypatch: pytest.MonkeyPatch, anchor: str) -> None:
    given(monkeypatch, Result(packet(". 60 IN NS a.example.", name=".", rdtype="NS"), secure=0))
    (row,) = look(anchor).endpoints
    assert (row.verdict.value, row.cause) == ("unknown", "resolver_not_validating")
