"""One pass of segments through the kernels: bytes, lines, records, described records."""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.describe import describe, repair
from collector.parse.kernels.join import gather, join_lines, list_open
from collector.parse.kernels.lines import MAX_PIECE_BYTES, read_lines
from collector.parse.kernels.simd import PAD
from collector.parse.kernels.traces import RULE_INDENTED, RULE_TRACES
from collector.parse.layout import CARRIED, GROUP, LINE, OPEN, OPEN_COLUMNS, RECORD, SEGMENT, Bytes, Table
from collector.parse.scratch import Scratch
from collector.parse.segments import Segment
from collector.parse.settings import JoinSettings, ParseSettings, TimeFrom
from collector.parse.state import MidLine, OpenGroup, OpenStream
from collector.parse.zones import Zones, required_zone
from deckwatch.runtime.faults import Reject

_BYTE = np.dtype(np.uint8)
_PADDING = bytes(PAD)
_NO_BYTES = np.zeros(PAD, np.uint8)
_MAX_TEXT_BYTES = (1 << 31) - 1
"""Offsets in Arrow's string views have 32 bits."""


class Plan:
    """The settings in the form that the kernels take."""

    def __init__(self, settings: ParseSettings) -> None:
        by_format = (settings.docker_json, settings.cri, settings.plain)  # as layout.FORMAT_CODES counts
        self.rules: Bytes = np.array([0, *map(_rules, by_format)], np.uint8)
        times = settings.times
        self.zones = Zones(required_zone(times.timezone, "parse.times.timezone"))
        by_line = [0, times.docker_json is TimeFrom.LINE, times.cri is TimeFrom.LINE, 1]
        self.line_times: Bytes = np.array(by_line, np.uint8)
        self.max_ahead_ns = int(times.max_ahead_s * 1e9)
        self.max_lines = settings.max_joined_lines
        self.max_bytes = settings.max_joined_bytes


def _rules(settings: JoinSettings) -> int:
    return (RULE_TRACES if settings.traces else 0) | (RULE_INDENTED if settings.indented else 0)


def _copy(parts: list[bytes], target: Bytes) -> None:
    view = target.data
    at = 0
    for part in parts:
        view[at : at + len(part)] = part
        at += len(part)


class Work:
    """Call read, join, describe in this order. Tables are those of layout.py."""

    def __init__(self, segments: list[Segment], plan: Plan, scratch: Scratch) -> None:
        """Raises Reject where there is more text than one frame can hold. Valid until `scratch` is used again."""
        self.segments = segments
        self._plan = plan
        parts = [part for segment in segments for part in segment.parts]
        size = sum(map(len, parts))
        line_bound = sum(part.count(b"\n") for part in parts) + size // (MAX_PIECE_BYTES - 4) + 2 * len(segments)
        carried_text = b"\n".join([group.text for segment in segments for group in segment.carried]) + b"\n"
        text_size = len(carried_text) + size + line_bound + PAD
        if text_size > _MAX_TEXT_BYTES:
            raise Reject(f"a batch of {text_size} bytes of text: at most {_MAX_TEXT_BYTES} are parsed at once")
        self.data: Bytes = scratch.take("data", size + PAD, _BYTE)
        _copy([*parts, _PADDING], self.data)
        self.table = _segment_table(segments, plan.zones)
        self.carried = _carried_table(segments)
        self.text: Bytes = scratch.take("text", text_size, _BYTE)
        self.text_end = 0
        _copy([carried_text], self.text)
        self._text_from = len(carried_text)
        self.gathered: Bytes = _NO_BYTES
        self.repaired: Bytes = _NO_BYTES
        self.lines = scratch.take("lines", line_bound + len(self.carried), LINE)
        self.groups = scratch.take("groups", 3 * len(segments), GROUP)
        self.records = scratch.take("records", len(self.lines), RECORD)
        self.line_count = self.rows = self.done = self.refused_times = 0

    def read(self, received_ns: int) -> None:
        self.text_end, self.line_count = read_lines(
            self.data, self.table, received_ns, self.text, self._text_from, self.lines
        )

    def join(self) -> None:
        self.rows, scattered = join_lines(
            self.text,
            self.table,
            self.carried,
            self.lines,
            self.line_count,
            self._plan.rules,
            self._plan.max_lines,
            self._plan.max_bytes,
            self.groups,
            self.records,
        )
        if scattered:
            self.gathered = np.empty(scattered + PAD, np.uint8)
            gather(self.text, self.lines, self.records, self.rows, self.gathered)

    def describe(self) -> None:
        plan = self._plan
        self.done, invalid, self.refused_times = describe(
            self.text,
            self.gathered,
            self.records,
            self.rows,
            self.table,
            plan.zones.rows,
            plan.line_times,
            plan.max_ahead_ns,
        )
        if invalid:
            self.repaired = np.empty(3 * invalid + PAD, np.uint8)
            repair(self.text, self.gathered, self.records, self.rows, self.repaired)

    def kept(self, received_ns: int) -> list[OpenStream | None]:
        """What is to be kept of the stream of each segment; None for nothing."""
        groups = self._open_groups(received_ns)
        starts, rests, mids = (self.table[name].tolist() for name in ("rest", "to", "mid"))
        kept: list[OpenStream | None] = []
        for place, segment in enumerate(self.segments):
            open_groups = tuple(groups.get(place, ()))
            has_rest = rests[place] > starts[place]
            if segment.follow != OPEN or not (open_groups or has_rest or mids[place]):
                kept.append(None)
                continue
            rest = self.data[starts[place] : rests[place]].tobytes() if has_rest else b""
            mid = self._mid(place) if mids[place] else None
            kept.append(
                OpenStream(
                    segment.key, segment.tenant, segment.context, segment.format, segment.end, rest, mid, open_groups
                )
            )
        return kept

    def _mid(self, place: int) -> MidLine:
        row = self.table[place]
        return MidLine(int(row["mid_iostream"]), int(row["mid_ts"]), int(row["mid_flags"]))

    def _open_groups(self, received_ns: int) -> dict[int, list[OpenGroup]]:
        """By the place of their segment, by start in each."""
        table = np.empty((len(self.groups), len(OPEN_COLUMNS)), np.int64)
        count = list_open(self.groups, self.records, table)
        buffers = (self.text.data, self.gathered.data)
        found: dict[int, list[OpenGroup]] = {}
        for row in table[:count].tolist():
            segment, buffer, begin, length, iostream, start, end, ts, lines, first, flags, more, state = row
            text = buffers[buffer][begin : begin + length].tobytes()
            arrived_ns = _arrival_ns(self.segments[segment], iostream, end, received_ns)
            group = OpenGroup(iostream, start, end, ts, text, lines, first, flags, more == 1, state, arrived_ns)
            found.setdefault(segment, []).append(group)
        for groups in found.values():
            if len(groups) > 1:
                groups.sort(key=_start)
        return found


def _start(group: OpenGroup) -> int:
    return group.start


def _arrival_ns(segment: Segment, iostream: int, end: int, received_ns: int) -> int:
    """When its last line came: with this entry, unless it is carried through as it was."""
    for group in segment.carried:
        if group.iostream == iostream and group.end == end:
            return group.arrived_ns
    return received_ns


def _segment_table(segments: list[Segment], zones: Zones) -> Table:
    rows = []
    at = carried = 0
    for segment in segments:
        size = segment.end - segment.start
        behind = carried + len(segment.carried)
        mid = segment.mid
        rows.append(
            (
                at,
                at + size,
                segment.start,
                carried,
                behind,
                0,
                0,
                at,
                *zones.place(segment.context.timezone),
                mid.ts if mid else 0,
                segment.format,
                segment.follow,
                1 if mid else 0,
                mid.iostream if mid else 0,
                mid.flags if mid else 0,
            )
        )
        at += size
        carried = behind
    return np.array(rows, SEGMENT)


def _carried_table(segments: list[Segment]) -> Table:
    rows = []
    begin = 0
    for segment in segments:
        for g in segment.carried:
            length = len(g.text)
            rows.append(
                (begin, g.start, g.end, g.ts, length, g.lines, g.first_length, g.iostream, g.flags, g.more, g.state)
            )
            begin += length + 1
    return np.array(rows, CARRIED)
