"""Compiles the numeric kernels, or loads them from numba's cache: `python -m collector.warm` after an installation,
and the pipeline's first act, so that the first batch doesn't wait for a compiler (10 to 20 s without a cache)."""

from __future__ import annotations

import numpy as np

from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.store.embedded import wordfilter
from deckwatch.wire.identity import crc32c
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, StreamId, StreamInfo

_SAMPLES = {
    Format.DOCKER_JSON: b'{"log":"level=info n=1 \\u00e9\\n","stream":"stdout","time":"2026-01-01T00:00:00.5Z"}\n',
    Format.CRI: b"2026-01-01T00:00:00.5Z stdout F Traceback (most recent call last):\n",
    Format.PLAIN: b'2026-01-01 00:00:00 ERROR {"a":1}\n\tat x\n',
}


def warm() -> None:
    """Run every kernel once, on a line of each format."""
    wordfilter.build(np.frombuffer(b"a", np.uint8), np.array([0, 1], np.int64))
    parser = Parser(ParseSettings())
    streams = tuple(StreamInfo(StreamId("warm", form, "0-0"), "default", form, 0) for form in _SAMPLES)
    chunks = tuple(Chunk(place, 0, 0, crc32c(data), data) for place, data in enumerate(_SAMPLES.values()))
    batch = Batch(VERSION, "warm", "warm", 0, (Context("warm"),), streams, chunks)
    parser.parse(Accepted(0, 0, batch, (0,) * len(chunks)))
    decision = parser.close_due(1 << 62)
    if decision is not None:
        parser.close(1, 0, decision)


if __name__ == "__main__":
    warm()
