"""Lines to records: pieces of a line and lines of a trace become one; what may go on stays open.

No text is copied here: a record knows its first and last line. Where its lines do not stand side by side in the text
buffer (stdout and stderr mixed, a group carried over from earlier) it is marked scattered, and `gather` copies it.
"""

from __future__ import annotations

from typing import Any

from collector.parse.kernels.compiling import inner, kernel
from collector.parse.kernels.docker import PIECE_BYTES
from collector.parse.kernels.lines import MAX_PIECE_BYTES
from collector.parse.kernels.traces import BREAK, first_state, next_state
from collector.parse.layout import CRI, CUT, GATHERED, OPEN, Bytes, Table
from collector.records import FLAG_INVALID_UTF8, FLAG_MULTILINE, FLAG_PARTIAL, FLAG_UNPARSED

_IOSTREAMS = 3
_NEW, _JOINS, _CUT = 0, 1, 2  # a record of its own; goes on; goes on in a new record, since a cap is reached


@kernel
def join_lines(
    text: Bytes,
    segments: Table,
    carried: Table,
    lines: Table,
    count: int,
    rules: Table,
    max_lines: int,
    max_bytes: int,
    groups: Table,
    records: Table,
) -> tuple[int, int]:
    """(number of record rows, bytes of scattered records).

    `lines` holds `count` read lines and has room behind them for one a carried group. `groups` has three rows a
    segment, one an iostream; on return `open` says which of them wait on. `rules` are the bits of kernels/traces.py by
    format. Rows of a segment stand in the order of their start.
    """
    rows = 0
    extra = count
    for s in range(len(segments)):
        segment = segments[s]
        for iostream in range(_IOSTREAMS):
            groups[s * _IOSTREAMS + iostream].open = 0
        for c in range(segment.carried_from, segment.carried_to):
            _resume(
                carried[c], lines[extra], extra, groups[s * _IOSTREAMS + carried[c].iostream], records[rows], rows, s
            )
            rows += 1
            extra += 1
        format_rules = rules[segment.format]
        for n in range(segment.lines_from, segment.lines_to):
            line = lines[n]
            group = groups[s * _IOSTREAMS + line.iostream]
            if group.open:
                record = records[group.record]
                verdict = _judge(text, line, group, record, lines, format_rules, max_lines, max_bytes)
                if verdict == _JOINS:
                    _append(group, record, lines, line, n)
                    _close_if_whole(text, group, record, lines, format_rules)
                    continue
                _finish(group, record)
                state = group.state if verdict == _CUT else first_state(text, line.begin, line.length)
            else:
                state = first_state(text, line.begin, line.length)
            _begin(group, records[rows], line, n, s, rows, state)
            _close_if_whole(text, group, records[rows], lines, format_rules)
            rows += 1
        if segment.follow != OPEN:
            for iostream in range(_IOSTREAMS):
                group = groups[s * _IOSTREAMS + iostream]
                if group.open:
                    _flag_unfinished(group, records[group.record], segment)
                    _finish(group, records[group.record])
    scattered = 0
    for r in range(rows):
        if records[r].scattered:
            scattered += records[r].length
    return rows, scattered


@inner
def _judge(
    text: Bytes, line: Any, group: Any, record: Any, lines: Table, rules: int, max_lines: int, max_bytes: int
) -> int:
    """_NEW, _JOINS or _CUT for a line behind an open group; moves the group's state on."""
    if group.more:
        if record.length + line.length <= MAX_PIECE_BYTES:
            return _JOINS
        record.flags |= FLAG_PARTIAL
        return _CUT
    if line.flags & FLAG_UNPARSED:
        return _NEW
    first_begin = lines[record.first].begin
    state = next_state(text, line.begin, line.length, group.state, rules, record.lines, first_begin, group.first_length)
    if state == BREAK:
        return _NEW
    group.state = state
    if record.lines >= max_lines or record.length + 1 + line.length > max_bytes:
        record.flags |= FLAG_PARTIAL
        return _CUT
    return _JOINS


@inner
def _begin(group: Any, record: Any, line: Any, n: int, segment: int, row: int, state: int) -> None:
    record.begin = line.begin
    record.start = line.start
    record.end = line.end
    record.ts = line.ts
    record.length = line.length
    record.first = n
    record.last = n
    record.segment = segment
    record.lines = 1
    record.iostream = line.iostream
    record.flags = line.flags
    record.buffer = 0
    record.scattered = 0
    record.invalid = 0
    record.done = 0
    group.open = 1
    group.record = row
    group.iostream = line.iostream
    group.first_length = line.length
    group.more = line.more
    group.state = state


@inner
def _resume(carried: Any, line: Any, n: int, group: Any, record: Any, row: int, segment: int) -> None:
    """A group from earlier stands as one line of its text so far, and as the record that this line begins."""
    line.begin = carried.begin
    line.start = carried.start
    line.end = carried.end
    line.ts = carried.ts
    line.length = carried.length
    line.next = -1
    line.iostream = carried.iostream
    line.flags = carried.flags
    line.more = carried.more
    _begin(group, record, line, n, segment, row, carried.state)
    record.lines = carried.lines
    group.first_length = carried.first_length


@inner
def _append(group: Any, record: Any, lines: Table, line: Any, n: int) -> None:
    separator = 0 if group.more else 1
    if line.begin != record.begin + record.length + separator:
        record.scattered = 1
    record.length += separator + line.length
    record.lines += separator
    record.end = line.end
    record.flags |= line.flags & FLAG_INVALID_UTF8
    lines[record.last].next = n
    record.last = n
    group.more = line.more


@inner
def _close_if_whole(text: Bytes, group: Any, record: Any, lines: Table, rules: int) -> None:
    """A complete JSON object, a line that was not parsed, and everything where nothing is joined waits for nothing."""
    if group.more or record.lines > 1:
        return
    whole = rules == 0 or record.flags & FLAG_UNPARSED
    if not whole and record.length > 1:
        last = lines[record.last]
        ends = last.length > 0 and text[last.begin + last.length - 1] == 125
        whole = ends and text[lines[record.first].begin] == 123
    if whole:
        _finish(group, record)


@inner
def _finish(group: Any, record: Any) -> None:
    record.done = 1
    if record.lines > 1:
        record.flags |= FLAG_MULTILINE
    group.open = 0


@inner
def _flag_unfinished(group: Any, record: Any, segment: Any) -> None:
    """A piece whose line has no end: does the rest exist somewhere?"""
    if group.more and (segment.follow == CUT or segment.format == CRI or record.length >= PIECE_BYTES):
        record.flags |= FLAG_PARTIAL


@kernel
def list_open(groups: Table, records: Table, found: Table) -> int:
    """The groups that wait on as rows of int64 in the order of layout.OPEN_COLUMNS; how many. To be called behind
    `gather`."""
    count = 0
    for g in range(len(groups)):
        group = groups[g]
        if not group.open:
            continue
        record = records[group.record]
        found[count, 0] = record.segment
        found[count, 1] = record.buffer
        found[count, 2] = record.begin
        found[count, 3] = record.length
        found[count, 4] = record.iostream
        found[count, 5] = record.start
        found[count, 6] = record.end
        found[count, 7] = record.ts
        found[count, 8] = record.lines
        found[count, 9] = group.first_length
        found[count, 10] = record.flags
        found[count, 11] = group.more
        found[count, 12] = group.state
        count += 1
    return count


@kernel
def gather(text: Bytes, lines: Table, records: Table, rows: int, gathered: Bytes) -> None:
    """Copy the text of scattered records side by side, a newline between lines and none between pieces of one."""
    o = 0
    for r in range(rows):
        record = records[r]
        if not record.scattered:
            continue
        record.buffer = GATHERED
        record.begin = o
        n = record.first
        while n >= 0:
            line = lines[n]
            gathered[o : o + line.length] = text[line.begin : line.begin + line.length]
            o += line.length
            n = line.next
            if n >= 0 and not line.more:
                gathered[o] = 10
                o += 1
