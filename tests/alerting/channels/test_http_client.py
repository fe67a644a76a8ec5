"""`http_config`: credentials, proxies, TLS, redirects, time-outs, over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from alerting.notify.channels.http_client import retry_after_s
from alerting.notify.channels.http_config import through_proxy
from alerting.notify.channels.model import Answer, Outcome
from tests.fixtures.channels import integrations, notification
from tests.fixtures.chat_services import Canned, ChatService, Got, chat_service, hook


async def sent(url: str, http_config: dict[str, Any] | None = None, folder: Path = Path(), **config: Any) -> Answer:
    receiver = {"webhook_configs": [{"url": url, "http_config": http_config or {}, **config}]}
    (made,) = integrations(receiver, folder=folder, timeout_s=0.5)
    (answer,) = (await made.send(notification())).answers
    await made.close()
    return answer


@pytest.mark.parametrize(
    ("config", "header"),
    [
        ({}, None),
        ({"basic_auth": {"username": "u", "password": "pässword"}}, "Basic dTpww6Rzc3dvcmQ="),
        ({"basic_auth": {"username_file": "user", "password_file": "secret"}}, "Basic ZnJvbS1maWxlOmZyb20tZmlsZQ=="),
        ({"authorization": {"credentials": "t0ken"}}, "Bearer t0ken"),
        ({"authorization": {"type": "GenieKey", "credentials_file": "secret"}}, "GenieKey from-file"),
        ({"bearer_token": "t0ken"}, "Bearer t0ken"),
        ({"bearer_token_file": "secret"}, "Bearer from-file"),
    ],
)
async def test_credentials(config: dict[str, Any], header: str | None, tmp_path: Path) -> None:
    for name in ("user", "secret"):
        (tmp_path / name).write_text("from-file\n")
    async with chat_service(hook) as service:
        answer = await sent(service.url, config, tmp_path)
    assert answer.outcome is Outcome.DELIVERED
    assert service.got[0].headers.get("Authorization") == header
    assert service.got[0].headers["User-Agent"] == "Deckwatch"


async def test_headers_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file")
    headers = {"X-Team": {"values": ["a", "b"]}, "X-Key": {"secrets": ["s3cret"], "files": ["secret"]}}
    async with chat_service(hook) as service:
        await sent(service.url, {"http_headers": headers}, tmp_path)
    assert (service.got[0].headers["X-Team"], service.got[0].headers["X-Key"]) == ("a, b", "s3cret, from-file")


async def test_a_secret_file_that_is_missing_holds_the_message_up(tmp_path: Path) -> None:
    async with chat_service(hook) as service:
        answer = await sent(service.url, {"bearer_token_file": "gone"}, tmp_path)
    assert answer.outcome is Outcome.RETRY
    assert answer.error == f"{tmp_path}/gone can't be read: No such file or directory"


def tokens(got: Got) -> Canned:
    """An OAuth 2 server."""
    if got.headers.get("Authorization") != "Basic aWQ6czNjcmV0":
        return Canned(401, {"error": "invalid_client"})
    fields = dict(part.split("=") for part in got.raw.decode().split("&"))
    if fields != {"grant_type": "client_credentials", "scope": "a+b", "audience": "x"}:
        return Canned(400, {"error": "invalid_request"})
    return Canned(200, {"access_token": "acc3ss", "token_type": "bearer", "expires_in": 3600})


async def test_oauth2() -> None:
    async with chat_service(tokens) as server, chat_service(hook) as service:
        oauth = {
            "client_id": "id",
            "client_secret": "s3cret",
            "token_url": f"{server.url}/token",
            "scopes": ["a", "b"],
            "endpoint_params": {"audience": "x"},
        }
        (made,) = integrations({"webhook_configs": [{"url": service.url, "http_config": {"oauth2": oauth}}]})
        assert (await made.send(notification())).outcome is Outcome.DELIVERED
        assert (await made.send(notification())).outcome is Outcome.DELIVERED
        await made.close()
        wrong = await sent(service.url, {"oauth2": {**oauth, "client_secret": "wr0ng"}})
        server.answers = [Canned(503)]
        later = await sent(service.url, {"oauth2": oauth})
        server.answers = [Canned(200, "no json")]
        odd = await sent(service.url, {"oauth2": oauth})
    assert [got.headers["Authorization"] for got in service.got] == ["Bearer acc3ss"] * 2
    assert len(server.got) == 4
    assert (wrong.outcome, wrong.error) == (Outcome.REFUSED, f"token_url {server.url} gave no token: it answered 401")
    assert (later.outcome, odd.outcome) == (Outcome.RETRY, Outcome.RETRY)


async def test_an_answer_that_comes_in_pieces_is_read_whole() -> None:
    """Else a message that was taken counts as failed and is sent again."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b'{"errcode": 0,')
        await asyncio.sleep(0.05)
        await answer.write(b' "errmsg": "ok"}')
        return answer

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    async with TestServer(app) as server:
        url = str(server.make_url("/cgi-bin/webhook/send?key=k"))
        (made,) = integrations({"wecom_bot_configs": [{"webhook_url": url}]}, timeout_s=2)
        (answer,) = (await made.send(notification())).answers
        await made.close()
    assert (answer.outcome, answer.business_code) == (Outcome.DELIVERED, "0")


@pytest.mark.parametrize("code", [307, 308])
async def test_redirects_that_keep_the_body_are_followed(code: int) -> None:
    async with chat_service(hook) as first, chat_service(hook) as second:
        first.answers = [Canned(code, "", {"Location": f"{second.url}/there"})]
        answer = await sent(first.url, {"authorization": {"credentials": "t0ken"}})
    assert answer.outcome is Outcome.DELIVERED
    assert (second.got[0].path, second.got[0].method) == ("/there", "POST")
    assert second.got[0].raw == first.got[0].raw
    assert "Authorization" not in second.got[0].headers


async def test_another_host_gets_no_secret_header(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file")
    headers = {"X-Team": {"values": ["a"]}, "X-Key": {"secrets": ["s3cret"]}, "X-File": {"files": ["secret"]}}
    async with chat_service(hook) as first, chat_service(hook) as second:
        first.answers = [Canned(307, "", {"Location": f"{first.url}/again"}), Canned(307, "", {"Location": second.url})]
        await sent(first.url, {"http_headers": headers}, tmp_path)
    names = ("X-Team", "X-Key", "X-File")
    assert [[got.headers.get(name) for name in names] for got in (*first.got, *second.got)] == [
        ["a", "s3cret", "from-file"],
        ["a", "s3cret", "from-file"],
        ["a", None, None],
    ]


@pytest.mark.parametrize(("code", "follow"), [(301, True), (302, True), (303, True), (307, False)])
async def test_other_redirects_are_not_followed(code: int, follow: bool) -> None:
    """They would make a GET of it, which a server may answer with 200."""
    async with chat_service(hook) as first, chat_service(hook) as second:
        first.answers = [Canned(code, "", {"Location": second.url})]
        answer = await sent(first.url, {"follow_redirects": follow})
    assert (answer.outcome, answer.code, second.got) == (Outcome.REFUSED, code, [])


async def test_redirects_without_end() -> None:
    async with chat_service(lambda got: Canned(307, "", {"Location": "/again"})) as service:
        answer = await sent(service.url)
    assert (answer.outcome, len(service.got)) == (Outcome.REFUSED, 5)
    assert answer.error == f"{service.url} redirects more than 5 times"


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A forward proxy that answers itself: (its URL, the URLs that it was asked for)."""
    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        asked.append(str(request.url))
        return web.Response()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}", asked
    finally:
        await runner.cleanup()


async def test_a_proxy() -> None:
    async with proxy() as (url, asked):
        answer = await sent("http://hooks.example.org/x", {"proxy_url": url, "no_proxy": "127.0.0.1"})
        async with chat_service(hook) as service:
            direct = await sent(service.url, {"proxy_url": url, "no_proxy": "127.0.0.1"})
    assert (answer.outcome, direct.outcome) == (Outcome.DELIVERED, Outcome.DELIVERED)
    assert asked == ["http://hooks.example.org/x"]
    assert answer.target == "http://hooks.example.org"


@pytest.mark.parametrize(
    ("host", "no_proxy", "through"),
    [
        ("a.example.org", "", True),
        ("a.example.org", "example.org", False),
        ("a.example.org", " .example.org , b", False),
        ("badexample.org", "example.org", True),
        ("B", "a,b", False),
        ("x", "*", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, through: bool) -> None:
    assert through_proxy(host, no_proxy) is through


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server", folder / "server.key")
    service = ChatService(hook)
    app = web.Application()
    app.add_routes([web.post("/", service.handle)])
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()


@pytest.mark.parametrize(
    ("tls", "outcome", "words"),
    [
        ({"ca_file": "ca"}, Outcome.DELIVERED, ""),
        ({"insecure_skip_verify": True}, Outcome.DELIVERED, ""),
        ({}, Outcome.RETRY, "its certificate is not trusted"),
        ({"ca_file": "ca", "server_name": "other.example.org"}, Outcome.RETRY, "its certificate is not trusted"),
    ],
)
async def test_tls(tls: dict[str, Any], outcome: Outcome, words: str, certificates: Path) -> None:
    async with tls_server(certificates) as url:
        answer = await sent(url, {"tls_config": tls}, certificates)
    assert answer.outcome is outcome
    assert words in answer.error


async def test_an_authority_as_text(certificates: Path) -> None:
    async with tls_server(certificates) as url:
        answer = await sent(url, {"tls_config": {"ca": (certificates / "ca").read_text()}})
    assert answer.outcome is Outcome.DELIVERED


async def test_a_slow_service() -> None:
    async with chat_service(hook) as service:
        service.delay_s = 1.0
        answer = await sent(service.url)
        quick = await sent(service.url, timeout="100ms")
    assert (answer.outcome, answer.code) == (Outcome.RETRY, 0)
    assert answer.error == f"{service.url} did not answer within 0.5 s"
    assert "within 0.1 s" in quick.error
    assert 0.4 < answer.latency_s < 1.0


async def test_a_url_that_a_template_writes() -> None:
    async with chat_service(hook) as service:
        answer = await sent(service.url + "/{{ .CommonLabels.container }}?a=1")
        wrong = await sent("{{ .CommonLabels.container }}")
    assert (answer.outcome, service.got[0].path, service.got[0].query) == (Outcome.DELIVERED, "/web", {"a": "1"})
    assert (wrong.outcome, wrong.error) == (
        Outcome.REFUSED,
        "the url's template does not give an http:// or https:// URL",
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0.75", 0.75),
        ("86400", 3600.0),
        ("-5", None),
        (" 5 ", 5.0),
        ("nan", None),
        ("soon", None),
        (format_datetime(datetime.fromtimestamp(1_000_060, UTC), usegmt=True), 60.0),
        (format_datetime(datetime.fromtimestamp(0, UTC), usegmt=True), 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, 1_000_000) == seconds
