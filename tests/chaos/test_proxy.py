"""The faulty proxy between a client and a server: what each fault leaves on both sides."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from aiohttp import web

from collector.intake.soundness import unsound_streams
from deckwatch.wire.codec import BatchCompressor, decode_batch
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, Refusal, StreamId, StreamInfo
from tests.chaos.proxy import Fault, FaultyProxy, altered

BODY = b"x" * 100_000
ANSWER = b"an answer that is long enough to be halved"


class Server:
    def __init__(self) -> None:
        self.port = 0
        self.got: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(len(await request.read()))
        return web.Response(body=ANSWER)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    taken = Server()
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/path", taken.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taken.port = runner.addresses[0][1]
    yield taken
    await runner.cleanup()


async def post(server: Server, *faults: Fault) -> tuple[int, bytes] | str:
    proxy = FaultyProxy(server.port, faults, chance=1.0, rng=random.Random(0))
    proxy.start()
    try:
        async with aiohttp.ClientSession() as session, session.post(f"{proxy.url}/path", data=BODY) as answer:
            return answer.status, await answer.read()
    except aiohttp.ClientError as error:
        return type(error).__name__
    finally:
        proxy.stop()


async def test_what_is_not_spoiled_goes_through(server: Server) -> None:
    assert await post(server) == (200, ANSWER)
    assert server.got == [len(BODY)]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault.value.startswith("collector")])
async def test_the_collectors_own_word(server: Server, fault: Fault) -> None:
    answer = await post(server, fault)
    assert isinstance(answer, tuple)
    assert answer[0] == int(fault.value[-3:])
    assert msgspec.json.decode(answer[1], type=Refusal).retry_after_s == 0.05
    assert server.got == []


@pytest.mark.parametrize(("fault", "status"), [(Fault.PROXY_400, 400), (Fault.PROXY_502, 502), (Fault.PROXY_200, 200)])
async def test_somebody_elses_word(server: Server, fault: Fault, status: int) -> None:
    assert await post(server, fault) == (status, b"<html>from between</html>")
    assert server.got == []


@pytest.mark.parametrize(
    ("fault", "got"),
    [
        (Fault.CUT_IN_BODY, []),
        (Fault.CUT_BEHIND_BODY, []),
        (Fault.ACK_LOST, [len(BODY)]),
        (Fault.HALF_ANSWER, [len(BODY)]),
    ],
)
async def test_cut(server: Server, fault: Fault, got: list[int]) -> None:
    assert isinstance(await post(server, fault), str)
    assert server.got == got


async def test_sent_twice(server: Server) -> None:
    assert await post(server, Fault.SENT_TWICE) == (200, ANSWER)
    assert server.got == [len(BODY)] * 2


@pytest.mark.parametrize("fault", [Fault.NO_CONTEXT, Fault.NO_TENANT])
def test_an_altered_batch_has_one_stream_that_makes_no_sense(fault: Fault) -> None:
    infos = tuple(StreamInfo(StreamId("a", str(n), "1-0"), "default", Format.PLAIN, 0) for n in range(5))
    sent = Batch(VERSION, "a", "host", 0, (Context("host"),), infos, (Chunk(0, 0, 0, 0, b"x"),))
    got = decode_batch(altered(BatchCompressor().encode(sent), fault, random.Random(3)), limit_bytes=1 << 20)
    assert len(unsound_streams(got)) == 1
    assert got.chunks == sent.chunks
