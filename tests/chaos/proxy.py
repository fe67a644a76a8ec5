"""Stands between agent and collector and spoils requests to order."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from enum import StrEnum

import aiohttp
import msgspec
from aiohttp import web

from deckwatch.wire.codec import BATCH_TYPE, BatchCompressor, decode_batch
from deckwatch.wire.model import VERSION, Refusal


class Fault(StrEnum):
    """`collector ...`: as if the collector itself had said so; `proxy ...`: as something between would."""

    COLLECTOR_400 = "collector answers 400"
    COLLECTOR_413 = "collector answers 413"
    COLLECTOR_429 = "collector answers 429"
    COLLECTOR_500 = "collector answers 500"
    PROXY_400 = "a proxy answers 400 of its own"
    PROXY_502 = "a proxy answers 502 of its own"
    PROXY_200 = "a proxy answers 200 of its own"
    CUT_IN_BODY = "cut within the body"
    CUT_BEHIND_BODY = "cut behind the body, not forwarded"
    ACK_LOST = "taken, and the ack lost"
    HALF_ANSWER = "half an answer"
    SENT_TWICE = "forwarded twice"
    NO_CONTEXT = "a stream's context is none"
    NO_TENANT = "a stream's tenant is none"


LARGE_BYTES = 8 << 10
"""Smaller bodies are neither too large nor malformed: an agent that gets such an answer sends smaller batches."""

_OURS = {
    Fault.COLLECTOR_400: (400, "malformed"),
    Fault.COLLECTOR_413: (413, "too_large"),
    Fault.COLLECTOR_429: (429, "busy"),
    Fault.COLLECTOR_500: (500, "internal"),
}
_ALTERED = (Fault.NO_CONTEXT, Fault.NO_TENANT)
"""As if the agent had a fault: the collector refuses that stream's part of the batch, and keeps it as a dead letter."""
_BETWEEN = {Fault.PROXY_400: 400, Fault.PROXY_502: 502, Fault.PROXY_200: 200}


class FaultyProxy:
    """Forwards to 127.0.0.1:`port`. A share `chance` of the requests gets one of `faults`, by the seeded `rng`."""

    def __init__(self, port: int, faults: Sequence[Fault], *, chance: float, rng: random.Random) -> None:
        self.port = port
        self.faults = tuple(faults)
        self.chance = chance
        self.done: list[Fault] = []
        self.url = ""
        self._rng = rng
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="faulty proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError("the proxy did not start in 10 s")

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as self._session:
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self._rng.choice(self.faults) if self.faults and self._rng.random() < self.chance else None
        if fault is None:
            return await self._forward(request, body)
        if fault in (Fault.COLLECTOR_400, Fault.COLLECTOR_413) and len(body) <= LARGE_BYTES:
            return await self._forward(request, body)
        if fault in _ALTERED:
            return await self._alter(fault, request, body)
        self.done.append(fault)
        if fault in _OURS:
            status, error = _OURS[fault]
            refusal = Refusal(VERSION, error, f"{error} to order", 0.05)
            return web.Response(status=status, body=msgspec.json.encode(refusal), content_type="application/json")
        if fault in _BETWEEN:
            return web.Response(status=_BETWEEN[fault], text="<html>from between</html>", content_type="text/html")
        return await self._break(fault, request, body)

    async def _alter(self, fault: Fault, request: web.Request, body: bytes) -> web.StreamResponse:
        if request.content_type == BATCH_TYPE:
            self.done.append(fault)
            body = altered(body, fault, self._rng)
        return await self._forward(request, body)

    async def _break(self, fault: Fault, request: web.Request, body: bytes) -> web.StreamResponse:
        if fault is Fault.CUT_IN_BODY:
            await self._forward_half(request, body)
        elif fault is not Fault.CUT_BEHIND_BODY:
            answer = await self._forward(request, body)
            if fault is Fault.SENT_TWICE:
                return await self._forward(request, body)
            if fault is Fault.HALF_ANSWER:
                return await _half(request, answer)
        return _cut(request)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {"Content-Type": request.headers.get("Content-Type", "")}
        try:
            async with self._session.request(
                request.method, f"http://127.0.0.1:{self.port}{request.path_qs}", data=body, headers=headers
            ) as answer:
                kind = answer.content_type
                return web.Response(status=answer.status, body=await answer.read(), content_type=kind)
        except aiohttp.ClientError:
            return web.Response(status=502, text="<html>no collector</html>", content_type="text/html")

    async def _forward_half(self, request: web.Request, body: bytes) -> None:
        """The collector gets the head and half of the body, then an end."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return
        kind = request.headers.get("Content-Type", "")
        head = (
            f"POST {request.path_qs} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body[: len(body) // 2])
        await writer.drain()
        writer.close()


def altered(body: bytes, fault: Fault, rng: random.Random) -> bytes:
    """A batch in which one stream makes no sense."""
    batch = decode_batch(body, limit_bytes=1 << 30)
    streams = list(batch.streams)
    if streams:
        place = rng.randrange(len(streams))
        change = {"context": rng.choice((-1, 99))} if fault is Fault.NO_CONTEXT else {"tenant": rng.choice(("", ".."))}
        streams[place] = msgspec.structs.replace(streams[place], **change)
    return BatchCompressor().encode(msgspec.structs.replace(batch, streams=tuple(streams)))


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _half(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """The head promises all of it."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    half = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
