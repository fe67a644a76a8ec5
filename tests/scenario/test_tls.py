"""TLS from the agent to the intake, and for those who ask: who is let in, and what the others are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from yarl import URL

from agent.ship.client import Client, collector_url
from agent.ship.settings import ShipSettings
from deckwatch.runtime.faults import Retry, Unusable
from deckwatch.runtime.http import serve
from deckwatch.runtime.listen import Listen
from deckwatch.runtime.tls import ClientTls, ServerTls, client_context, server_context
from deckwatch.wire.model import Hello
from tests.chaos.daemons import Daemon, free_port
from tests.runtime.test_http import app

TOKEN = "t0k3n" * 8


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Authorities `ours` and `theirs`, and what they signed: server, elsewhere, client; stranger."""
    folder = tmp_path_factory.mktemp("keys")
    fresh = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ours", "theirs"):
        openssl("req", "-x509", *fresh, "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", name)
    for name, authority, alternative in (
        ("server", "ours", "IP:127.0.0.1"),
        ("elsewhere", "ours", "DNS:elsewhere.example"),
        ("client", "ours", "DNS:client"),
        ("stranger", "theirs", "DNS:client"),
    ):
        openssl("req", "-new", *fresh, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "extensions").write_text(f"subjectAltName={alternative}\n")
        signed = ("-CA", authority, "-CAkey", f"{authority}.key", "-CAcreateserial", "-extfile", "extensions")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-days", "2", "-out", name)
    return folder


@pytest.mark.parametrize(
    ("server", "client", "scheme", "said"),
    [
        ("server", (), "https", r"its certificate is not trusted \(.*\); agent.tls.ca_file names the authority"),
        ("server", ("theirs",), "https", r"its certificate is not trusted \(.*\); agent.tls.ca_file names the"),
        ("elsewhere", ("ours",), "https", "its certificate is for another name: .*127.0.0.1"),
        ("server", (), "http", r"it ended the connection; does it speak https://\?"),
        ("", ("ours",), "https", r"it does not speak TLS; is it http://\?"),
        ("server ours", ("ours",), "https", "where it asks for a client certificate, set agent.tls.cert_file"),
        ("server ours", ("ours", "stranger"), "https", "where it asks for a client certificate, set agent.tls.cert"),
    ],
)
async def test_what_an_agent_says(keys: Path, server: str, client: tuple[str, ...], scheme: str, said: str) -> None:
    cert, _, authority = server.partition(" ")
    tls = ServerTls(keys / cert, keys / f"{cert}.key", keys / authority if authority else None) if cert else ServerTls()
    running = await serve(app(), Listen("127.0.0.1", 0), tls=server_context(tls))
    own = (keys / client[1], keys / f"{client[1]}.key") if client[1:] else (None, None)
    context = client_context(ClientTls(keys / client[0] if client else None, *own))
    try:
        async with Client(URL(running.address).with_scheme(scheme), ShipSettings(), tls=context) as one:
            with pytest.raises(Retry, match=rf"can't reach the collector at {scheme}://127.0.0.1:\d+: .*{said}"):
                await one.hello(Hello((1,), "a", "h", ()))
    finally:
        await running.close()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://127.0.0.1:1", "Connection refused"),
        ("http://collector.invalid:1", "its name is not known"),
    ],
)
async def test_nobody_there(address: str, said: str) -> None:
    async with Client(collector_url(address), ShipSettings()) as one:
        with pytest.raises(Retry, match=f"can't reach the collector at {address}: {said}"):
            await one.hello(Hello((1,), "a", "h", ()))


def test_an_address_with_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(Unusable, match="holds no user or password") as caught:
        collector_url("http://me:hunter2@host:1")
    assert "hunter2" not in str(caught.value)


def test_end_to_end_with_client_certificates_and_a_token_that_nobody_sees(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("hello over tls\n")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "deckwatch.yaml").write_text(
        f"collector: {{tls: {{cert_file: {keys}/server, key_file: {keys}/server.key, client_ca_file: {keys}/ours}}}}\n"
        f"agent: {{tls: {{ca_file: {keys}/ours, cert_file: {keys}/client, key_file: {keys}/client.key}}}}\n"
    )
    options = ("--config", f"{tmp_path}/deckwatch.yaml", "--token-file", f"{tmp_path}/token", "--log-level", "debug")
    data, state, port = tmp_path / "data", tmp_path / "state", free_port()
    url = f"https://127.0.0.1:{port}"
    collector = Daemon(
        "collector",
        tmp_path,
        ["collector", "--data-dir", str(data), "--listen", f"0.0.0.0:{port}", *options],
        data / "address",
    )
    agent = Daemon(
        "agent",
        tmp_path,
        [
            *("agent", "--collector", url, "--state-dir", str(state), "--listen", "127.0.0.1:0"),
            *("--no-docker", "--logs", f"{tmp_path}/a.log", *options),
        ],
        state / "address",
    )
    own = ("--ca-file", f"{keys}/ours", "--cert-file", f"{keys}/client", "--key-file", f"{keys}/client.key")
    asked = [sys.executable, "-m", "deckwatch.cli", "logs", "--collector", url, *own]
    try:
        collector.start(wait=False)
        agent.start(wait=False)
        found, deadline = "", time.monotonic() + 60
        while "hello over tls" not in found:
            assert time.monotonic() < deadline, collector.printed() + agent.printed()
            with_token = {**os.environ, "DECKWATCH_TOKEN": TOKEN}
            found = subprocess.run(asked, env=with_token, capture_output=True, text=True, timeout=30).stdout
        without = subprocess.run(asked, capture_output=True, text=True, timeout=30)
        assert (without.returncode, "wants a token" in without.stderr) == (2, True)
        arguments = b"".join(Path(f"/proc/{one.pid}/cmdline").read_bytes() for one in (agent, collector))
        assert TOKEN.encode() not in arguments
        command = [sys.executable, "-m", "deckwatch.cli", "config", "show", "--config", f"{tmp_path}/deckwatch.yaml"]
        shown = subprocess.run(command, env=with_token, capture_output=True, text=True, timeout=30)
        assert TOKEN not in shown.stdout + shown.stderr
    finally:
        for one in (agent, collector):
            one.stop()
    holders = [path.name for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert holders == ["token"]
    assert [folder.stat().st_mode & 0o777 for folder in (data, state)] == [0o700, 0o700]
