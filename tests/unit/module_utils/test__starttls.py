# Copyright: mailsec.dane contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes against real servers in this process, well behaved and hostile."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
import typing as t

import pytest
from ansible_collections.mailsec.dane.plugins.module_utils._dialogues import Starttls
from ansible_collections.mailsec.dane.plugins.module_utils._errors import ProbeImpossible
from ansible_collections.mailsec.dane.plugins.module_utils._sigalgs import KeyAlgorithm, client_context
from ansible_collections.mailsec.dane.plugins.module_utils._starttls import (
    Endpoint,
    Handshake,
    Limits,
    Outcome,
    Prober,
)

from mail_server import SCRIPTS, certificate, der, mail_handler, new_key, running, server_context

if t.TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

QUICK: t.Final = Limits(connect=2, step=1.0, leave=0.2, pause=0.05)
BOTH: t.Final = (KeyAlgorithm.RSA, KeyAlgorithm.ECDSA)
KEYS: t.Final = {kind: new_key(kind) for kind in ("rsa", "ecdsa", "ed25519")}
CERTIFICATES: t.Final = {kind: certificate(key) for kind, key in KEYS.items()}


def context(directory: Path, *kinds: str, only: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    return server_context(directory, *((KEYS[kind], [CERTIFICATES[kind]]) for kind in kinds), only=only)


def inspect(
    port: int,
    kind: Starttls = Starttls.SMTP,
    algorithms: tuple[KeyAlgorithm, ...] = BOTH,
    limits: Limits = QUICK,
    *,
    sni: str = "mx.example",
    client_name: str = "",
    address: str = "127.0.0.1",
) -> tuple[Handshake, ...]:
    async def go() -> tuple[Handshake, ...]:
        return await Prober(limits, client_name).inspect(Endpoint(address, port, kind, sni), algorithms)

    return asyncio.run(go())


def seen(shakes: tuple[Handshake, ...]) -> list[tuple[str, str]]:
    return [(shake.outcome.value, shake.key_name) for shake in shakes]


@pytest.mark.parametrize("only", [None, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocol", list(SCRIPTS))
def test_both_chains_of_a_server_are_seen_whole(tmp_path: Path, protocol: str, only: ssl.TLSVersion | None) -> None:
    with running(mail_handler(context(tmp_path, "rsa", "ecdsa", only=only), protocol)) as port:
        shakes = inspect(port, Starttls(protocol))
    assert seen(shakes) == [("served", "ECDSA"), ("served", "RSA")]
    assert [shake.chain for shake in shakes] == [(der(CERTIFICATES["ecdsa"]),), (der(CERTIFICATES["rsa"]),)]
    assert {shake.tls_version for shake in shakes} == {"TLSv1.2" if only is ssl.TLSVersion.TLSv1_2 else "TLSv1.3"}


@pytest.mark.parametrize("only", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("kind", "name"), [("rsa", "RSA"), ("ecdsa", "ECDSA"), ("ed25519", "Ed25519")])
def test_a_server_with_one_key_is_known_to_have_one(tmp_path: Path, kind: str, name: str, only: ssl.TLSVersion) -> None:
    with running(mail_handler(context(tmp_path, kind, only=only))) as port:
        shakes = inspect(port, algorithms=(KeyAlgorithm.RSA, KeyAlgorithm.ECDSA, KeyAlgorithm.EDDSA))
    assert seen(shakes) == [("served", name), ("tls_failed", ""), ("tls_failed", "")]


def test_a_chain_comes_in_the_order_in_which_it_was_sent(tmp_path: Path) -> None:
    root = new_key("ecdsa")
    authority = certificate(root, "ca.example", ca=True)
    leaf = certificate(KEYS["ecdsa"], issuer=(root, "ca.example"))
    serving = server_context(tmp_path, (KEYS["ecdsa"], [leaf, authority, CERTIFICATES["rsa"]]))
    with running(mail_handler(serving)) as port:
        (shake,) = inspect(port, algorithms=())
    assert shake.chain == (der(leaf), der(authority), der(CERTIFICATES["rsa"]))


def test_sni_is_the_base_domain_and_ehlo_our_address(tmp_path: Path) -> None:
    serving = context(tmp_path, "ecdsa")
    names: list[str | None] = []
    serving.sni_callback = lambda _socket, name, _context: names.append(name)
    said: list[bytes] = []
    with running(mail_handler(serving, seen=said)) as port:
        inspect(port, algorithms=())
        inspect(port, algorithms=(), client_name="probe.example")
    assert names == ["mx.example", "mx.example"]
    assert said[0] == b"EHLO [127.0.0.1]\r\n"
    assert b"EHLO probe.example\r\n" in said
    assert said[-1] == b"QUIT\r\n"


def test_ipv6_is_spelt_as_an_address_literal(tmp_path: Path) -> None:
    said: list[bytes] = []
    with running(mail_handler(context(tmp_path, "ecdsa"), seen=said), "::1") as port:
        shakes = inspect(port, algorithms=(), address="::1")
    assert seen(shakes) == [("served", "ECDSA")]
    assert said[0] == b"EHLO [IPv6:::1]\r\n"


def test_a_name_that_tls_cannot_carry_is_a_failed_handshake(tmp_path: Path) -> None:
    with running(mail_handler(context(tmp_path, "ecdsa"))) as port:
        (shake,) = inspect(port, sni="." + "x" * 70 + "\x00.example")
    assert shake.outcome is Outcome.TLS_FAILED


def test_nobody_listens() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        (shake,) = inspect(held.getsockname()[1])
    assert (shake.outcome, shake.detail) == (Outcome.UNREACHABLE, "Connection refused, in the connection")


def test_no_way_to_an_address_is_a_lack_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", unreachable)
    (shake,) = inspect(25, address="2001:db8::1")
    assert (shake.outcome, shake.detail) == (Outcome.NO_ROUTE, "Network is unreachable")


def test_running_out_of_files_is_no_verdict_on_the_server() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[socket.socket] = []

    async def go() -> None:
        prober = Prober(QUICK)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
            while True:
                try:
                    held.append(socket.socket())
                except OSError:
                    break
            await prober.probe(Endpoint("127.0.0.1", 25, Starttls.SMTP, "mx.example"))
        finally:
            for one in held:
                one.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with pytest.raises(
        ProbeImpossible, match=r"^This host ran out of means to connect with: Too many open files; raise"
    ):
        asyncio.run(go())


def test_no_more_connections_than_half_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (100, 1024))
    assert Limits(connections=512).affordable_connections() == 50
    assert Limits(connections=20).affordable_connections() == 20
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Limits(connections=512).affordable_connections() == 512


# --- servers that mean ill, or are broken -----------------------------------------------------------------------------


async def slow_greeting(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless_banner(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"220-welcome to the machine\r\n" * 100)
        await writer.drain()


async def long_line(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 " + b"x" * 1_000_000)
    await writer.drain()


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def closing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    return


def after_starttls(said: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.readline()
        writer.write(b"250-mx\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n" + said)
        await reader.read(10)
        writer.write(b"garbage " * 100_000)
        await writer.drain()
        await reader.read()

    return handle


@pytest.mark.parametrize(
    ("handler", "outcome", "detail"),
    [
        (slow_greeting, Outcome.UNREACHABLE, "no answer in time, in the dialogue before TLS"),
        (silent, Outcome.UNREACHABLE, "no answer in time, in the dialogue before TLS"),
        (endless_banner, Outcome.UNREACHABLE, "one reply has more than 200 lines"),
        (long_line, Outcome.UNREACHABLE, "it sent a line of more than 8192 octets, in the dialogue before TLS"),
        (closing, Outcome.UNREACHABLE, "it closed the connection, in the dialogue before TLS"),
        (after_starttls(b""), Outcome.TLS_FAILED, "the TLS handshake failed: wrong version number"),
        (
            after_starttls(b"250 injected\r\n"),
            Outcome.TLS_FAILED,
            "it sent data in the clear behind its answer to STARTTLS, in the TLS handshake",
        ),
    ],
)
def test_a_hostile_server_costs_one_step_and_no_more(handler: Handler, outcome: Outcome, detail: str) -> None:
    began = time.monotonic()
    with running(handler) as port:
        (shake,) = inspect(port)
    assert (shake.outcome, shake.detail) == (outcome, detail)
    assert time.monotonic() - began < QUICK.step + 1.5


def test_clear_text_is_bounded_as_a_whole() -> None:
    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK hi\r\n")
        await reader.readline()
        writer.write((b"* " + b"x" * 8000 + b"\r\n") * 100)
        await writer.drain()
        await reader.read()

    with running(chatty) as port:
        (shake,) = inspect(port, Starttls.IMAP)
    assert shake.detail == "it sent more than 65536 octets, in the dialogue before TLS"


def test_a_chain_of_500_certificates_is_refused(tmp_path: Path) -> None:
    serving = server_context(tmp_path, (KEYS["ecdsa"], [CERTIFICATES["ecdsa"], *[CERTIFICATES["rsa"]] * 499]))
    began = time.monotonic()
    with running(mail_handler(serving)) as port:
        (shake,) = inspect(port)
    assert shake.outcome is Outcome.TLS_FAILED
    assert shake.detail == "the TLS handshake failed: excessive message size"
    assert time.monotonic() - began < 3


def test_a_server_that_resets_when_no_key_suits_lacks_that_key(tmp_path: Path) -> None:
    serving = context(tmp_path, "rsa", only=ssl.TLSVersion.TLSv1_3)
    turns = iter(range(10))

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(turns) == 0:
            await writer.start_tls(serving)
            await reader.read()
        else:
            await reader.read(10)

    with running(rude) as port:
        assert seen(inspect(port, Starttls.NONE)) == [("served", "RSA"), ("tls_failed", "")]


def test_a_server_that_stops_answering_is_asked_twice_before_the_key_counts_as_not_seen(tmp_path: Path) -> None:
    serving = context(tmp_path, "rsa")
    turns = iter(range(10))
    served = mail_handler(serving)

    async def limited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(turns) == 0:
            await served(reader, writer)
        else:
            writer.write(b"421 too many connections\r\n")
            await reader.read()

    with running(limited) as port:
        shakes = inspect(port)
    assert seen(shakes) == [("served", "RSA"), ("unreachable", "")]
    assert shakes[1].detail == "the server greets with 421 'too many connections'"
    assert next(turns) == 3


def test_one_address_is_not_stormed() -> None:
    under_way = most = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        writer.write(b"554 no\r\n")
        await reader.read()
        under_way -= 1

    async def go(port: int) -> None:
        prober = Prober(QUICK)
        await asyncio.gather(
            *(prober.probe(Endpoint("127.0.0.1", port, Starttls.SMTP, f"{n}.example")) for n in range(20))
        )

    with running(count) as port:
        asyncio.run(go(port))
    assert most == QUICK.per_address


def test_without_signature_algorithms_the_question_is_asked_in_tls_1_2_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.implementation.name", "other")
    client_context.cache_clear()
    try:
        with running(mail_handler(context(tmp_path, "rsa", "ecdsa"))) as port:
            assert seen(inspect(port)) == [("served", "ECDSA"), ("served", "RSA")]
        with running(mail_handler(context(tmp_path, "rsa", only=ssl.TLSVersion.TLSv1_3))) as port:
            shakes = inspect(port)
    finally:
        client_context.cache_clear()
    assert seen(shakes) == [("served", "RSA"), ("cannot_ask", "")]
    assert shakes[1].detail.startswith("this Python can ask for ECDSA in TLS 1.2 only, where ")
