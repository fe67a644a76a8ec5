"""Chunks of bytes to records, in columns, and what is kept from one journal entry for the next."""

from __future__ import annotations

import msgspec
import numpy as np

from collector.parse import closing
from collector.parse.frame import build_rows, empty_rows
from collector.parse.input import Accepted
from collector.parse.kernels.traces import RULE_INDENTED, RULE_TRACES
from collector.parse.layout import CUT, EOF, Table
from collector.parse.segments import Segment, StreamKeys, cut_into_segments
from collector.parse.settings import JoinSettings, ParseSettings
from collector.parse.state import CloseDecision, OpenGroup, OpenStream, decode_state, encode_state
from collector.parse.work import Work
from collector.records import Origin, RecordFrame


class Parser:
    """Parses journal entries in the order of `seq`; not for use by two threads at once (the kernels release the GIL).

    What it returns and what it keeps depend on the entries and the close decisions alone, never on the clock: whoever
    restores a state and hands over what came behind it gets the very same records.
    """

    def __init__(self, settings: ParseSettings) -> None:
        self._settings = settings
        self._open: dict[str, OpenStream] = {}
        self._keys = StreamKeys()
        self._rules = np.array([0, *map(_rules, (settings.docker_json, settings.cri, settings.plain))], np.uint8)

    def parse(self, entry: Accepted) -> RecordFrame:
        """Records that the entry completed. What may still go on is kept; gaps, ends of files and of streams close it.

        Raises Reject where a batch has more than 2 GiB of text; nothing has changed then.
        """
        segments = cut_into_segments(entry, self._open, self._keys)
        if not segments:
            return _nothing(entry.seq, entry.received_ns)
        work = self._work(segments, entry.received_ns)
        for segment, kept in zip(segments, work.kept(entry.received_ns), strict=True):
            self._keep(segment.key, kept)
        return _frame(entry.seq, entry.received_ns, work)

    def close_due(self, now_ns: int, max_age_ns: int = 1_000_000_000) -> CloseDecision | None:
        """What has waited long enough for a next line, to be journaled and handed to `close`; None for nothing.

        To be asked every 100 ms or so. A single line waits for `hold_single_line_ms`, a trace for `max_age_ns`.
        """
        if not self._open:
            return None
        return closing.decide(
            self._open.values(),
            now_ns,
            single_ns=self._settings.hold_single_line_ms * 1_000_000,
            max_age_ns=max_age_ns,
            max_open_bytes=self._settings.max_open_bytes,
        )

    def close(self, seq: int, received_ns: int, decision: CloseDecision) -> RecordFrame:
        """Records of the groups that were decided upon, as far as they still stand as they did then."""
        segments: list[Segment] = []
        for key, closed in _by_stream(decision, self._open).items():
            stream = self._open[key]
            left = tuple(group for group in stream.groups if group not in closed)
            segment = Segment.of_open(msgspec.structs.replace(stream, groups=closed), EOF)
            segment.parts, segment.end = [], segment.start  # its line without an end stays
            segments.append(segment)
            self._keep(key, msgspec.structs.replace(stream, groups=left) if left or stream.rest or stream.mid else None)
        for key in decision.cut:
            cut = self._open.pop(key, None)
            if cut is not None:
                segments.append(Segment.of_open(cut, CUT))
        if not segments:
            return _nothing(seq, received_ns)
        return _frame(seq, received_ns, self._work(segments, received_ns))

    def state(self) -> bytes:
        """Everything that is kept, to be committed together with the position of the last entry."""
        return encode_state(tuple(self._open.values()))

    def restore(self, saved: bytes) -> None:
        """Go on behind the entry at which `saved` was taken. Raises Reject where it can't be read."""
        self._open = {stream.key: stream for stream in decode_state(saved)}

    @property
    def open_streams(self) -> int:
        """Streams of which something is kept."""
        return len(self._open)

    @property
    def open_bytes(self) -> int:
        """Text that is kept: durable in the journal, not yet searchable."""
        return sum(stream.size_bytes for stream in self._open.values())

    def _work(self, segments: list[Segment], received_ns: int) -> Work:
        work = Work(segments)
        work.read(received_ns, self._settings.plain_zone_offset_minutes * 60)
        work.join(self._rules, self._settings.max_joined_lines, self._settings.max_joined_bytes)
        work.describe()
        return work

    def _keep(self, key: str, stream: OpenStream | None) -> None:
        if stream is None:
            self._open.pop(key, None)
        else:
            self._open[key] = stream


def _rules(settings: JoinSettings) -> int:
    return (RULE_TRACES if settings.traces else 0) | (RULE_INDENTED if settings.indented else 0)


def _nothing(seq: int, received_ns: int) -> RecordFrame:
    return RecordFrame(seq, received_ns, (), empty_rows())


def _frame(seq: int, received_ns: int, work: Work) -> RecordFrame:
    origins, places = _origins(work.segments)
    rows = build_rows((work.text, work.gathered, work.repaired), work.records, work.rows, work.done, places)
    return RecordFrame(seq, received_ns, origins, rows)


def _origins(segments: list[Segment]) -> tuple[tuple[Origin, ...], Table]:
    """The origins of a frame, each (key, context) once, and the place of each segment's."""
    places: dict[tuple[str, int], int] = {}
    origins: list[Origin] = []
    of_segment = np.empty(len(segments), np.uint32)
    for n, segment in enumerate(segments):
        # A stream comes with one context object in a batch; comparing their values would cost more than it saves.
        place = places.setdefault((segment.key, id(segment.context)), len(origins))
        if place == len(origins):
            origins.append(Origin(segment.key, segment.tenant, segment.context))
        of_segment[n] = place
    return tuple(origins), of_segment


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
