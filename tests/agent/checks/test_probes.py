"""Probes against real servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from agent.checks.certificate import expiry_s
from tests.agent.checks.rig import Rig
from tests.fixtures.exporters import Exporter, exporter


@pytest.fixture
async def server() -> AsyncIterator[Exporter]:
    async with exporter() as running:
        yield running


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of localhost for two days, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@contextlib.asynccontextmanager
async def https(pair: tuple[Path, Path]) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="hello over TLS", headers={"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_http(server: Exporter) -> None:
    rig = Rig(http=[{"url": f"{server.url}/redirect", "labels": {"team": "a"}}])
    found = await rig.look()
    assert dict(rig.frames[0].targets[0].labels) == {"job": "probe", "instance": f"{server.url}/redirect", "team": "a"}
    phases = {name: value for name, value in found.items() if name.startswith("probe_http_duration_seconds")}
    assert {name.partition("phase=")[2] for name in phases} == {"resolve", "connect", "tls", "processing", "transfer"}
    assert 0 < sum(phases.values()) <= found["probe_duration_seconds"]
    wanted = {
        "probe_success": 1,
        "probe_http_status_code": 200,
        "probe_http_content_length": 4,
        "probe_http_uncompressed_body_length": 4,
        "probe_http_redirects": 1,
        "probe_http_ssl": 0,
        "probe_http_version": 1.1,
    }
    assert {name: found[name] for name in wanted} == wanted
    assert "probe_ssl_earliest_cert_expiry" not in found


@pytest.mark.parametrize(
    ("path", "options", "success", "code"),
    [
        ("/metrics", {}, 1, 200),
        ("/nowhere", {}, 0, 404),
        ("/nowhere", {"valid_status_codes": [404]}, 1, 404),
        ("/metrics", {"valid_status_codes": [404]}, 0, 200),
        ("/redirect", {"follow_redirects": False}, 0, 302),
        ("/metrics", {"fail_if_not_ssl": True}, 0, 200),
        ("/metrics", {"fail_if_body_matches_regexp": ["a \\d"]}, 0, 200),
        ("/metrics", {"fail_if_body_not_matches_regexp": ["a \\d"]}, 1, 200),
        ("/metrics", {"fail_if_body_not_matches_regexp": ["b"]}, 0, 200),
        ("/huge", {"body_limit_bytes": 1000}, 0, 200),
        ("/circle", {}, 0, None),
        ("/close", {}, 0, None),
    ],
)
async def test_what_is_a_success(
    server: Exporter, path: str, options: dict[str, object], success: float, code: float | None
) -> None:
    rig = Rig(http=[{"url": server.url + path, **options}])
    found = await rig.look()
    assert (found["probe_success"], found.get("probe_http_status_code")) == (success, code)
    regex_failed = not success and any("regexp" in option for option in options)
    assert found.get("probe_failed_due_to_regex", 0) == regex_failed
    assert rig.runs("http", "ok" if success else "failed") == 1


async def test_a_page_that_hangs_fails_in_time(server: Exporter, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(http=[{"url": f"{server.url}/hang", "timeout_s": 0.2}])
    found = await rig.look()
    await rig.look()
    assert found["probe_success"] == 0
    assert 0.2 <= found["probe_duration_seconds"] < 3
    assert rig.runs("http", "timeout") == 2
    assert caplog.text.count("not over within 0.2 s") == 1


async def test_nobody_listens() -> None:
    found = await Rig(http=[{"url": "http://127.0.0.1:1/"}]).look()
    assert found["probe_success"] == 0
    assert "probe_http_status_code" not in found


@pytest.mark.parametrize("verify", [True, False])
async def test_https_tells_when_the_certificate_expires(pair: tuple[Path, Path], verify: bool) -> None:
    tls = {"ca_file": str(pair[0])} if verify else {"insecure_skip_verify": True}
    async with https(pair) as port:
        found = await Rig(http=[{"url": f"https://127.0.0.1:{port}/", "tls_config": tls}]).look()
    assert (found["probe_success"], found["probe_http_ssl"]) == (1, 1)
    assert found["probe_ssl_earliest_cert_expiry"] - time.time() == pytest.approx(2 * 86400, abs=600)
    assert found["probe_http_duration_seconds phase=tls"] > 0
    assert found["probe_tls_version_info version=TLS 1.3"] == 1
    assert found["probe_http_last_modified_timestamp_seconds"] == 1445412480


async def test_a_certificate_of_nobody_fails(pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    async with https(pair) as port:
        found = await Rig(http=[{"url": f"https://127.0.0.1:{port}/"}]).look()
    assert found["probe_success"] == 0
    assert "certificate" in caplog.text


@pytest.mark.parametrize(
    ("options", "success"),
    [
        ({}, 1),
        ({"expect": "^220 .*ESMTP"}, 1),
        ({"expect": "^500"}, 0),
        ({"send": "hello\r\n", "expect": "^250 hello"}, 1),
    ],
)
async def test_tcp(options: dict[str, object], success: float) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(b"220 mail ESMTP\r\n")
            line = await asyncio.wait_for(reader.readline(), 0.3)
            writer.write(b"250 " + line)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        found = await Rig(tcp=[{"target": f"127.0.0.1:{port}", "timeout_s": 5, **options}]).look()
        await gone.wait()
    assert found["probe_success"] == success
    assert found["probe_failed_due_to_regex"] == 1 - success
    assert found["probe_tcp_connect_duration_seconds"] > 0


async def test_tcp_with_tls(pair: tuple[Path, Path]) -> None:
    async with https(pair) as port:
        tls = {"ca_file": str(pair[0]), "server_name": "localhost"}
        found = await Rig(tcp=[{"target": f"127.0.0.1:{port}", "tls": True, "tls_config": tls}]).look()
        wrong = await Rig(tcp=[{"target": f"127.0.0.1:{port}", "tls": True}]).look()
    assert found["probe_success"] == 1
    assert found["probe_ssl_earliest_cert_expiry"] - time.time() == pytest.approx(2 * 86400, abs=600)
    assert wrong["probe_success"] == 0


async def test_tcp_that_nobody_takes() -> None:
    assert (await Rig(tcp=[{"target": "127.0.0.1:1"}]).look())["probe_success"] == 0


@pytest.mark.parametrize(("days", "year"), [(2, 0), (20_000, 2080)])
def test_dates_of_certificates(tmp_path: Path, days: int, year: int) -> None:
    """Before 2050 a date is written with two digits of its year, then with four (RFC 5280 4.1.2.5)."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=x", "-days", str(days), "-keyout", "/dev/null", "-outform", "DER", "-out"]
    subprocess.run([*command, tmp_path / "cert.der"], check=True, capture_output=True)
    found = expiry_s((tmp_path / "cert.der").read_bytes())
    assert found - time.time() == pytest.approx(days * 86400, abs=600)
    assert not year or time.gmtime(found).tm_year >= year


@pytest.mark.parametrize("der", [b"", b"\x30\x03\x02\x01\x00", b"\x02\x01\x00", b"\x30\x82\xff\xff"])
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        expiry_s(der)
