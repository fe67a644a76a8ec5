"""The other end of an answer: work that is done for a client ends when the client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")

_LOOK_S = 0.25
"""Between two looks at the connection: how long a scan may go on for nobody."""


def is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


async def for_client(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client disconnects (then raises ConnectionResetError)."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=_LOOK_S))[0]:
            if is_gone(request):
                raise ConnectionResetError("the client went away")
        return task.result()
    finally:
        await cancel(task)


async def pages_for_client(request: web.Request, pages: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The pages, as long as the client is there; the iterator is closed at the end in any case."""
    try:
        while (page := await for_client(request, _next(pages))) is not None:
            yield page
    finally:
        await close(pages)


async def _next(pages: AsyncIterator[T]) -> T | None:
    """The next page, None at the end. A StopAsyncIteration can't leave a task's coroutine as it is."""
    return await anext(pages, None)


async def close(pages: AsyncIterator[Any]) -> None:
    """An async generator frees what it holds only when it is closed."""
    if isinstance(pages, AsyncGenerator):
        await pages.aclose()


async def cancel(*futures: asyncio.Future[Any]) -> None:
    """Cancel what still runs and wait for its end; what it raised is of no interest any more."""
    for future in futures:
        future.cancel()
    await asyncio.wait(futures)
    for future in futures:
        if not future.cancelled():
            future.exception()


def break_off(request: web.Request) -> None:
    """Cut a streamed answer so that the client sees that it has no proper end."""
    if request.transport is not None:
        request.transport.abort()
