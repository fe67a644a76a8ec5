"""Makes batches: pieces of many streams in, one compressed body out, with what must be known when its ack comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from agent.tail.mark import Mark
from agent.tail.tail import Piece, Tail
from agent.tail.tailer import Closed
from deckwatch.runtime.files import told_path
from deckwatch.wire.codec import BatchCompressor
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, Gap, StreamEnd, StreamInfo

MOST_ENDS = 1000
"""Of closed streams in one batch."""


class Part(msgspec.Struct):
    """What of one stream is in a batch."""

    tail: Tail
    start: Mark
    end: Mark
    data_bytes: int = 0
    gaps: tuple[str, ...] = ()  # reasons
    last_gap: bool = False


class Sealed(msgspec.Struct, frozen=True):
    """A batch ready to be sent, as often as it takes. `turn`: of the pipe when it was made (see Pipe)."""

    body: bytes
    parts: dict[str, Part]
    closed: tuple[Closed, ...]
    raw_bytes: int
    lag_bytes: int
    turn: int

    @property
    def empty(self) -> bool:
        return not self.parts and not self.closed


class _Draft:
    """Lists streams and contexts once each while chunks come in."""

    def __init__(self, host: str, agent: str, timezone: str) -> None:
        self._host = host
        self._timezone = timezone
        self._agent = agent
        self._contexts: dict[Context, int] = {}
        self._streams: dict[str, int] = {}
        self.infos: list[StreamInfo] = []
        self.chunks: list[Chunk] = []
        self.gaps: list[Gap] = []
        self.ends: list[StreamEnd] = []
        self.parts: dict[str, Part] = {}
        self.raw_bytes = 0

    @property
    def contexts(self) -> tuple[Context, ...]:
        return tuple(self._contexts)

    def add(self, piece: Piece) -> None:
        tail = piece.tail
        context = Context(self._host, told_path(tail.path), tail.source.container, self._timezone)
        key = tail.key
        stream = self._stream(key, tail, context)
        part = self.parts.setdefault(key, Part(tail, piece.start, piece.end))
        part.end = piece.end
        if gap := piece.gap:
            self.gaps.append(Gap(stream, gap.start, gap.end, gap.behind.crc, gap.reason, gap.ts_ns, gap.detail))
            part.gaps += (gap.reason.value,)
            part.last_gap = gap.last
            return
        part.data_bytes += len(piece.data)
        self.raw_bytes += len(piece.data)
        self.chunks.append(Chunk(stream, piece.start.offset, piece.start.crc, piece.end.crc, piece.data, piece.eof))

    def _stream(self, key: str, tail: Tail, context: Context) -> int:
        known = self._streams.get(key)
        if known is None:
            known = self._streams[key] = len(self.infos)
            place = self._contexts.setdefault(context, len(self._contexts))
            self.infos.append(StreamInfo(tail.id, tail.source.tenant, tail.format or Format.PLAIN, place))
        return known

    def end(self, closed: Closed) -> None:
        state = closed.state
        known = self._streams.get(closed.key)
        if known is None:
            context = Context(self._host, state.path, state.container, self._timezone)
            place = self._contexts.setdefault(context, len(self._contexts))
            known = self._streams[closed.key] = len(self.infos)
            self.infos.append(StreamInfo(state.id(self._agent), state.tenant, state.format, place))
        self.ends.append(StreamEnd(known, state.acked.offset, state.acked.crc, state.listed))


class Batcher:
    """Holds one compressor; belongs to one thread."""

    def __init__(self, agent: str, host: str, zstd_level: int, timezone: str = "") -> None:
        self._agent = agent
        self._host = host
        self._timezone = timezone
        self._compressor = BatchCompressor(zstd_level)

    def seal(
        self, pieces: Iterable[Piece], closed: Iterable[Closed], *, lag_bytes: Callable[[], int], now_ns: int, turn: int
    ) -> Sealed:
        """Takes all pieces, and some of the closed streams. `lag_bytes` is asked after the pieces were read."""
        draft = _Draft(self._host, self._agent, self._timezone)
        for piece in pieces:
            draft.add(piece)
        ended = tuple(islice(closed, MOST_ENDS))
        for one in ended:
            draft.end(one)
        batch = Batch(
            version=VERSION,
            agent=self._agent,
            host=self._host,
            sent_ns=now_ns,
            contexts=draft.contexts,
            streams=tuple(draft.infos),
            chunks=tuple(draft.chunks),
            gaps=tuple(draft.gaps),
            ends=tuple(draft.ends),
            lag_bytes=lag_bytes(),
        )
        body = self._compressor.encode(batch)
        return Sealed(body, draft.parts, ended, draft.raw_bytes, batch.lag_bytes, turn)
