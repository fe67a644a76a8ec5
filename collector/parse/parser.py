"""Chunks of bytes to records, in columns, and what is kept from one journal entry for the next."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from prometheus_client import CollectorRegistry, Counter

from collector.accounting.runs import Runs, joined
from collector.parse import closing
from collector.parse.deadlines import Deadlines
from collector.parse.frame import build_frame
from collector.parse.input import Accepted
from collector.parse.layout import CUT, EOF
from collector.parse.scratch import Scratch
from collector.parse.segments import Segment, StreamKeys, cut_into_segments
from collector.parse.settings import ParseSettings
from collector.parse.state import CloseDecision, OpenGroup, OpenStream, decode_state, encode_state
from collector.parse.work import Plan, Work
from collector.records import RecordFrame
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, StreamId, StreamInfo


class Parser:
    """Parses journal entries in the order of `seq`; not for use by two threads at once (the kernels release the GIL).

    What it returns and what it keeps depend on the entries and the close decisions alone, never on the clock: whoever
    restores a state and hands over what came behind it gets the very same records.
    """

    def __init__(self, settings: ParseSettings, registry: CollectorRegistry | None = None) -> None:
        """Raises Unusable where the settings name a time zone that isn't known here."""
        self._settings = settings
        self._open: dict[str, OpenStream] = {}
        self._open_bytes = 0
        self._deadlines = Deadlines()
        self._keys = StreamKeys()
        self._plan = Plan(settings)
        self._scratch = Scratch()
        self._refused_times = Counter(
            "deckwatch_parse_times_refused",
            "Times in lines that were not believed, since they are too far ahead or before 1990",
            registry=registry,
        )

    def parse(self, entry: Accepted) -> RecordFrame:
        """Records that the entry completed. What may still go on is kept; gaps, ends of files and of streams close it.

        Raises Reject where a batch has more than 2 GiB of text. Whatever it raises, nothing has changed then.
        """
        work = self._work(cut_into_segments(entry, self._open, self._keys), entry.received_ns)
        kept = list(work.kept(entry.received_ns))
        frame = build_frame(entry.seq, entry.received_ns, work)
        for segment, stream in zip(work.segments, kept, strict=True):
            self._keep(segment.key, stream)
        return frame

    def close_due(self, now_ns: int, max_age_ns: int = 1_000_000_000) -> CloseDecision | None:
        """What has waited long enough for a next line, to be journaled and handed to `close`; None for nothing.

        To be asked every 100 ms or so. A single line waits for `hold_single_line_ms`, a trace for `max_age_ns`.
        """
        single_ns = self._settings.hold_single_line_ms * 1_000_000
        wait_ns = min(single_ns, max_age_ns)
        due = self._deadlines.take(now_ns, wait_ns)
        too_much = self._open_bytes > self._settings.max_open_bytes
        keys = self._open if due is None or too_much else due
        streams = [stream for key in keys if (stream := self._open.get(key)) is not None]
        for stream in streams:  # until `close` has been called for it, and perhaps that will never be
            if stream.groups:
                first = min(
                    closing.due_ns(group, single_ns=single_ns, max_age_ns=max_age_ns) for group in stream.groups
                )
                self._deadlines.again(stream.key, max(first, now_ns + 1) - wait_ns)
        return closing.decide(
            streams,
            now_ns,
            single_ns=single_ns,
            max_age_ns=max_age_ns,
            max_open_bytes=self._settings.max_open_bytes,
        )

    def close(self, seq: int, received_ns: int, decision: CloseDecision) -> RecordFrame:
        """Records of the groups that were decided upon, as far as they still stand as they did then. Whatever it
        raises, nothing has changed then."""
        segments: list[Segment] = []
        left_open: dict[str, OpenStream | None] = {}
        for key, closed in _by_stream(decision, self._open).items():
            stream = self._open[key]
            left = tuple(group for group in stream.groups if group not in closed)
            segment = Segment.of_open(msgspec.structs.replace(stream, groups=closed), EOF)
            segment.parts, segment.end = [], segment.start  # its line without an end stays
            segments.append(segment)
            stays = left or stream.rest or stream.mid
            left_open[key] = msgspec.structs.replace(stream, groups=left) if stays else None
        for key in decision.cut:
            cut = self._open.get(key)
            if cut is not None:
                segments.append(Segment.of_open(cut, CUT))
                left_open[key] = None
        frame = build_frame(seq, received_ns, self._work(segments, received_ns))
        for key, kept in left_open.items():
            self._keep(key, kept)
        return frame

    def give_up(self, keys: Iterable[str]) -> list[OpenStream]:
        """What is kept of these streams, which is kept no more: it can't be parsed."""
        found = [stream for key in dict.fromkeys(keys) if (stream := self._open.get(key)) is not None]
        for stream in found:
            self._keep(stream.key, None)
        return found

    def is_sound(self, key: str) -> bool:
        """Could what is kept of a stream be closed? It stays as it is."""
        stream = self._open.get(key)
        try:
            if stream is not None:
                build_frame(0, 0, self._work([Segment.of_open(stream, EOF)], 0))
        except Exception:
            return False  # whatever the fault: its text has to be kept elsewhere
        return True

    def key_of(self, stream: StreamId) -> str:
        return self._keys.of(stream)

    @property
    def settings(self) -> ParseSettings:
        return self._settings

    def state(self) -> bytes:
        """Everything that is kept, to be committed together with the position of the last entry."""
        return encode_state(tuple(self._open.values()))

    def restore(self, saved: bytes) -> None:
        """Go on behind the entry at which `saved` was taken. Raises Reject where it can't be read."""
        self._open = {stream.key: stream for stream in decode_state(saved)}
        self._open_bytes = sum(stream.size_bytes for stream in self._open.values())
        self._deadlines = Deadlines()
        for stream in self._open.values():
            self._deadlines.note(stream)

    def open_runs(self) -> dict[str, Runs]:
        """Bytes of each stream that are kept: in records that may go on, in a line that has no end yet."""
        return {key: joined(stream.runs) for key, stream in self._open.items()}

    @property
    def open_streams(self) -> int:
        """Streams of which something is kept."""
        return len(self._open)

    @property
    def open_bytes(self) -> int:
        """Text that is kept: durable in the journal, not yet searchable. Asked after each entry, so it is not summed up
        over all streams then."""
        return self._open_bytes

    def _work(self, segments: list[Segment], received_ns: int) -> Work:
        work = Work(segments, self._plan, self._scratch)
        work.read(received_ns)
        work.join()
        work.describe()
        self._refused_times.inc(work.refused_times)
        return work

    def _keep(self, key: str, stream: OpenStream | None) -> None:
        before = self._open.pop(key, None) if stream is None else self._open.get(key)
        if before is not None:
            self._open_bytes -= before.size_bytes
        if stream is not None:
            self._open[key] = stream
            self._open_bytes += stream.size_bytes
            self._deadlines.note(stream)


def _by_stream(decision: CloseDecision, opened: dict[str, OpenStream]) -> dict[str, tuple[OpenGroup, ...]]:
    """The open groups of each stream that a decision names and that have not changed since."""
    wanted = {(ref.key, ref.iostream, ref.start, ref.end) for ref in decision.groups}
    found: dict[str, tuple[OpenGroup, ...]] = {}
    for key in dict.fromkeys(ref.key for ref in decision.groups if ref.key not in decision.cut):
        stream = opened.get(key)
        groups = stream.groups if stream is not None else ()
        closed = tuple(g for g in groups if (key, g.iostream, g.start, g.end) in wanted)
        if closed:
            found[key] = closed
    return found


def warm_up() -> None:
    """Load the kernels, or compile them where no cache of them can be read (some 20 s, once after an installation).

    To be called before a daemon says that it is ready: otherwise its first batch waits for it.
    """
    line = '{"log":"%s\\n","stream":"%s","time":"2026-01-01T00:00:00Z"}\n'
    texts = ((" a", "stdout"), ("\x80", "stderr"), (" b", "stdout"))  # scattered lines, and bytes that are no UTF-8
    data = "".join(line % text for text in texts).encode("latin-1")
    stream = StreamInfo(StreamId("", "warm-up", ""), "", Format.DOCKER_JSON, 0)
    batch = Batch(VERSION, "", "", 0, (Context(""),), (stream,), (Chunk(0, 0, 0, 0, data, eof=True),))
    Parser(ParseSettings()).parse(Accepted(0, 0, batch, (0,)))
