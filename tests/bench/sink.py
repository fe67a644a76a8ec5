"""A collector that acks what it decodes and keeps nothing: the other end of the agent's throughput bench.

Prints its address, then one line `<raw bytes so far>` for each batch, so that the bench need not ask the agent.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec
from aiohttp import web

from deckwatch.wire.codec import ACK_TYPE, decode_batch, encode_ack
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import VERSION, Ack, Format, Hello, Outcome, Position, StreamResult, Welcome


class Sink:
    def __init__(self) -> None:
        self.raw_bytes = 0
        self.positions: dict[str, Position] = {}

    async def hello(self, request: web.Request) -> web.Response:
        hello = msgspec.json.decode(await request.read(), type=Hello)
        known = {key: self.positions[key] for key in hello.streams if key in self.positions}
        welcome = Welcome(VERSION, "bench", "sink", 64 << 20, 16 << 20, known)
        return web.Response(body=msgspec.json.encode(welcome), content_type="application/json")

    async def ingest(self, request: web.Request) -> web.Response:
        batch = decode_batch(await request.read(), limit_bytes=1 << 30)
        moved: dict[str, Position] = {}
        for chunk in batch.chunks:
            info = batch.streams[chunk.stream]
            moved[stream_key(info.id)] = Position(chunk.end, chunk.crc_end)
            self.raw_bytes += len(chunk.data) if info.format is not Format.FRAMES else 0
        self.positions.update(moved)
        print(self.raw_bytes, flush=True)
        results = tuple(StreamResult(key, Outcome.ACCEPTED, position) for key, position in moved.items())
        return web.Response(body=encode_ack(Ack(VERSION, "bench", results)), content_type=ACK_TYPE)


async def main() -> None:
    sink = Sink()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/api/v1/ingest/hello", sink.hello)
    app.router.add_post("/api/v1/ingest", sink.ingest)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
