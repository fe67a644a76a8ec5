"""Where and to whom a daemon speaks: listen policy, ports, tokens, host names, TLS, graceful end. Real sockets."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Middleware

from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.http import HttpServer, serve
from deckwatch.runtime.listen import Listen, check_listen, parse_listen
from deckwatch.runtime.settings import Secret
from deckwatch.runtime.tls import ClientTls, ServerTls, client_context, server_context
from deckwatch.runtime.tokens import read_token
from deckwatch.wire.auth import guard

TOKEN = Secret("0123456789abcdef")
LOCAL = Listen("127.0.0.1", 0)


async def say_ok(request: web.Request) -> web.Response:
    return web.Response(text="ok")


def app(*middlewares: Middleware) -> web.Application:
    made = web.Application(middlewares=middlewares)
    made.add_routes([web.get("/healthz", say_ok), web.get("/x", say_ok)])
    return made


@asynccontextmanager
async def served(application: web.Application, listen: Listen = LOCAL) -> AsyncIterator[HttpServer]:
    server = await serve(application, listen)
    try:
        yield server
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("[::1]:9428", Listen("::1", 9428)),
        (":80", Listen("0.0.0.0", 80)),
        ("box.example:1", Listen("box.example", 1)),
        ("9428", None),
        ("a:b", None),
        ("a:-1", None),
        ("a:65536", None),
        ("::1:80", None),
        ("", None),
    ],
)
def test_parse_listen(text: str, want: Listen | None) -> None:
    if want is None:
        with pytest.raises(Unusable, match="expected HOST:PORT"):
            parse_listen(text)
    else:
        assert parse_listen(text) == want


@pytest.mark.parametrize(
    ("host", "token", "insecure", "allowed"),
    [
        ("127.0.0.1", None, False, True),
        ("127.8.8.8", None, False, True),
        ("localhost", None, False, True),
        ("::1", None, False, True),
        ("::ffff:127.0.0.1", None, False, True),
        ("0.0.0.0", None, False, False),
        ("::", None, False, False),
        ("10.0.0.5", None, False, False),
        ("127.0.0.1.example.org", None, False, False),
        ("0.0.0.0", TOKEN, False, True),
        ("0.0.0.0", None, True, True),
    ],
)
def test_elsewhere_only_with_a_token_or_by_explicit_wish(
    host: str, token: Secret | None, insecure: bool, allowed: bool
) -> None:
    if allowed:
        check_listen(Listen(host, 1), token=token, insecure=insecure)
    else:
        with pytest.raises(Unusable, match="reachable from other machines, but no bearer token is set"):
            check_listen(Listen(host, 1), token=token, insecure=insecure)


async def test_the_chosen_address_stands_in_the_data_directory(tmp_path: Path) -> None:
    with DataDir.open(tmp_path / "d", 1, part="agent") as data_dir:
        server = await serve(app(), LOCAL, data_dir=data_dir)
        assert (tmp_path / "d" / "address").read_text() == server.address + "\n"
        async with aiohttp.ClientSession() as session, session.get(server.address + "/x") as answer:
            assert answer.status == 200
        await server.close()
        await server.close()


async def test_a_port_in_use_and_a_foreign_address_name_the_option() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unusable, match=rf"--listen 127.0.0.1:{port}: the port is in use"):
            await serve(app(), Listen("127.0.0.1", port))
    with pytest.raises(Unusable, match="this machine has no such address"):
        await serve(app(), Listen("192.0.2.1", 0))
    with pytest.raises(Unusable, match="give an address of this machine"):
        await serve(app(), Listen("no such host", 0))


@pytest.mark.parametrize(
    ("token", "insecure", "path", "headers", "status"),
    [
        (TOKEN, False, "/x", {}, 401),
        (TOKEN, False, "/x", {"Authorization": "Bearer 0123456789abcdeX"}, 401),
        (TOKEN, False, "/x", {"Authorization": "Basic 0123456789abcdef"}, 401),
        (TOKEN, False, "/x", {"Authorization": "Bearer 0123456789abcdef"}, 200),
        (TOKEN, False, "/x", {"Authorization": "bearer 0123456789abcdef", "Host": "logs.example"}, 200),
        (TOKEN, False, "/healthz", {}, 200),
        (TOKEN, False, "/healthz/../x", {}, 401),
        (None, False, "/x", {}, 200),
        (None, False, "/x", {"Host": "localhost:1"}, 200),
        (None, False, "/x", {"Host": "[::1]:1"}, 200),
        (None, False, "/x", {"Host": "evil.example"}, 403),
        (None, False, "/x", {"Host": "127.0.0.1.evil.example:80"}, 403),
        (None, True, "/x", {"Host": "logs.example"}, 200),
        (None, False, "/x", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}, 403),
        (None, False, "/x", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "empty"}, 403),
        (None, True, "/x", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, 403),
        (None, False, "/x", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 200),
        (
            None,
            False,
            "/x",
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:1", "Host": "localhost"},
            200,
        ),
        (None, False, "/x", {"Origin": "https://evil.example"}, 403),
        (None, False, "/x", {"Origin": "http://localhost:7", "Host": "localhost:7"}, 200),
        (TOKEN, False, "/x", {"Authorization": "Bearer 0123456789abcdef", "Origin": "https://grafana.example"}, 200),
    ],
)
async def test_who_may_talk(
    token: Secret | None, insecure: bool, path: str, headers: dict[str, str], status: int
) -> None:
    async with (
        served(app(guard(token, insecure=insecure))) as server,
        aiohttp.ClientSession() as session,
        session.get(server.address + path, headers=headers) as answer,
    ):
        body = await answer.text()
        assert answer.status == status, body
        assert TOKEN.reveal() not in body
        if status >= 400:
            assert (await answer.json())["deckwatch"] == 1


async def test_a_connection_without_a_whole_request_is_closed() -> None:
    server = await serve(app(), LOCAL, silent_s=0.3)
    port = int(server.address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n")
    dripping = asyncio.create_task(_drip(writer))
    try:
        async with asyncio.timeout(5):
            await reader.read()
    finally:
        dripping.cancel()
        writer.close()
        await server.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(0.05)
        writer.write(b"X: y\r\n")


async def test_huge_heads_are_refused() -> None:
    server = await serve(app(), LOCAL)
    port = int(server.address.rpartition(":")[2])
    try:
        for head in (b"X: " + b"a" * (1 << 20), b"X: y\r\n" * 100_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.0 400")
            writer.close()
    finally:
        await server.close()


async def test_a_running_request_ends_before_the_server_does() -> None:
    started = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        started.set()
        await asyncio.sleep(0.3)
        return web.Response(text="done")

    application = app()
    application.router.add_get("/slow", slow)
    server = await serve(application, LOCAL)
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(server.address + "/slow"))
        await started.wait()
        await server.close()
        assert await (await asking).text() == "done"


@pytest.mark.parametrize(
    ("text", "want"),
    [("0123456789abcdef\n", TOKEN), ("hunter2", None), ("", None), ("0123456789 abcdef", None), ("é" * 20, None)],
    ids=range(5),
)
def test_tokens(tmp_path: Path, text: str, want: Secret | None) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    if want is None:
        with pytest.raises(Unusable) as caught:
            read_token(path, {})
        assert str(path) in str(caught.value)
        assert not text or text not in str(caught.value)
    else:
        assert read_token(path, {"DECKWATCH_TOKEN": "z" * 20}) == want


def test_the_environment_is_the_second_place_of_a_token(tmp_path: Path) -> None:
    assert read_token(None, {"DECKWATCH_TOKEN": TOKEN.reveal()}) == TOKEN
    assert read_token(None, {}) is None
    with pytest.raises(Unusable, match="can't be read: No such file"):
        read_token(tmp_path / "none", {})
    with pytest.raises(Unusable, match="DECKWATCH_TOKEN: a token has"):
        read_token(None, {"DECKWATCH_TOKEN": ""})


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return cert, key


async def test_tls_with_client_certificates(pair: tuple[Path, Path]) -> None:
    cert, key = pair
    inside = server_context(ServerTls(cert_file=cert, key_file=key, client_ca_file=cert))
    server = await serve(app(), LOCAL, tls=inside)
    assert server.address.startswith("https://127.0.0.1:")
    try:
        async with aiohttp.ClientSession() as session:
            known = client_context(ClientTls(ca_file=cert, cert_file=cert, key_file=key))
            async with session.get(server.address + "/x", ssl=known) as answer:
                assert answer.status == 200
            for refused in (ClientTls(), ClientTls(ca_file=cert)):
                with pytest.raises(aiohttp.ClientError):
                    await session.get(server.address + "/x", ssl=client_context(refused))
    finally:
        await server.close()


def test_tls_faults(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    cert, key = pair
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    assert server_context(ServerTls()) is None
    for tls, want in (
        (ServerTls(cert_file=cert), "tls.key_file: not set"),
        (ServerTls(key_file=key), "tls.cert_file: not set"),
        (ServerTls(cert_file=broken, key_file=key), "no usable PEM"),
        (ServerTls(cert_file=tmp_path / "none", key_file=key), "No such file"),
        (ServerTls(client_ca_file=cert), "tls.client_ca_file: needs"),
        (ServerTls(cert_file=cert, key_file=key, client_ca_file=broken), "tls.client_ca_file"),
    ):
        with pytest.raises(Unusable, match=want):
            server_context(tls)
    with pytest.raises(Unusable, match=r"tls\.ca_file"):
        client_context(ClientTls(ca_file=tmp_path / "none"))


async def test_connections_beyond_the_most_are_turned_away_in_words() -> None:
    server = await serve(app(), LOCAL, most_connections=2)
    host, port = server.address.removeprefix("http://").split(":")
    held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    try:
        for _, writer in held:
            writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\n")  # and never the end of the header
            await writer.drain()
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection(host, int(port))
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in answer
        assert answer.endswith(b"2 connections are open, more are not taken: come back later\n")
        held.pop()[1].close()
        await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as session, session.get(f"{server.address}/x") as good:
            assert (good.status, await good.text()) == (200, "ok")
    finally:
        for _, writer in held:
            writer.close()
        await server.close()
