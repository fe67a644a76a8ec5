"""Bytes of streams to lines: the text of each, when, by which iostream, from where to where.

The text goes into one buffer, lines in the order of the input, a newline behind each complete one, so that lines that
are joined later mostly stand side by side already. It is raw: whether it is UTF-8 is asked of whole records, since
a CRI runtime may cut a line inside a character.
"""

from __future__ import annotations

from typing import Any

from collector.parse.kernels.compiling import inner, kernel
from collector.parse.kernels.docker import PIECE_BYTES, docker_line
from collector.parse.kernels.simd import copy16, find_newline
from collector.parse.kernels.stamps import parse_stamp
from collector.parse.layout import CRI, CUT, DOCKER_JSON, OPEN, Bytes, Table
from collector.records import FLAG_CLOCK, FLAG_UNPARSED

MAX_PIECE_BYTES = 1 << 20
"""A longer line is cut: pieces of this many bytes, a few less where a character would be torn. The cut must not
depend on how the bytes came in chunks, so it counts from the beginning of the line."""


@kernel
def read_lines(data: Bytes, segments: Table, received_ns: int, out: Bytes, o: int, lines: Table) -> tuple[int, int]:
    """(end of text in `out`, number of lines). Fills the out columns of `segments`.

    `data` and `out` are padded; `out` needs room for the bytes of all segments and a newline for each line.
    """
    count = 0
    for s in range(len(segments)):
        segment = segments[s]
        segment.lines_from = count
        i, to = segment.at, segment.to
        while i < to:
            limit = min(to, i + MAX_PIECE_BYTES + 1)
            newline = find_newline(data, i, limit)
            cut = False
            if newline >= 0:
                stop, behind = newline, newline + 1
            elif limit - i > MAX_PIECE_BYTES:
                stop = behind = character_start(data, i + MAX_PIECE_BYTES)
                cut = True
            elif segment.follow == OPEN:
                break
            else:
                stop = behind = to
                cut = segment.follow == CUT
            line = lines[count]
            line.start = segment.start + (i - segment.at)
            line.end = segment.start + (behind - segment.at)
            line.next = -1
            o = _read_line(data, i, stop, cut, segment, received_ns, out, o, line)
            count += 1
            i = behind
        segment.lines_to = count
        segment.rest = i
    return o, count


@inner
def _read_line(
    data: Bytes,
    i: int,
    stop: int,
    cut: bool,
    segment: Any,
    received_ns: int,
    out: Bytes,
    o: int,
    line: Any,
) -> int:
    """The line [i, stop) into `line` and its text into `out`; the place behind the text. `cut`: the line goes on."""
    line.begin = o
    more = cut
    text_end = -1
    if segment.mid:
        line.iostream = segment.mid_iostream
        line.ts = segment.mid_ts
        line.flags = segment.mid_flags
        text_end = copy_text(data, i, stop, out, o)
    elif segment.format == DOCKER_JSON:
        if not cut:
            text_end, line.ts, line.iostream, line.flags = docker_line(data, i, stop, out, o)
            if text_end > o and out[text_end - 1] == 10:
                text_end -= 1
            elif text_end >= 0:
                more = text_end - o >= PIECE_BYTES
    elif segment.format == CRI:
        text, line.ts, line.iostream, partial = cri_head(data, i, stop)
        line.flags = 0
        if text >= 0:
            text_end = copy_text(data, text, stop, out, o)
            more = cut or partial
    else:
        line.iostream = 0
        line.flags = FLAG_CLOCK  # `describe` looks for a time in the whole record
        text_end = copy_text(data, i, stop, out, o)
        if cut:  # what comes behind can't tell: of so long a line an ISO time with its zone is taken for all pieces
            line.ts, stamp_end = leading_stamp(data, i, stop)
            line.flags = FLAG_CLOCK if stamp_end < 0 else 0
    if text_end < 0:
        line.iostream = 0
        line.flags = FLAG_UNPARSED | FLAG_CLOCK
        text_end = copy_text(data, i, stop, out, o)
    if line.flags & FLAG_CLOCK and not segment.mid:
        line.ts = received_ns
    segment.mid = cut
    segment.mid_iostream = line.iostream
    segment.mid_ts = line.ts
    segment.mid_flags = line.flags
    return _end_line(out, o, text_end, more, line)


@inner
def _end_line(out: Bytes, o: int, text_end: int, more: bool, line: Any) -> int:
    """A complete line loses its \r and gets a newline behind it, a piece is followed by the next one at once."""
    if not more and text_end > o and out[text_end - 1] == 13:
        text_end -= 1
    line.length = text_end - o
    line.more = more
    if more:
        return text_end
    out[text_end] = 10
    return text_end + 1


@inner
def copy_text(data: Bytes, i: int, end: int, out: Bytes, o: int) -> int:
    """Copy [i, end) to out[o]; the place behind it. Writes up to 15 bytes more."""
    behind = o + (end - i)
    while i < end:
        copy16(data, i, out, o)
        i += 16
        o += 16
    return behind


@inner
def character_start(data: Bytes, i: int) -> int:
    """The place at or at most 3 bytes before i where a UTF-8 character begins; i itself in text that is no UTF-8."""
    for back in range(4):
        if data[i - back] & 0xC0 != 0x80:
            return i - back
    return i


@inner
def cri_head(data: Bytes, i: int, end: int) -> tuple[int, int, int, bool]:
    """(where the text begins, Unix ns, iostream code, is a piece) of `<RFC 3339> <stdout|stderr> <tags> <text>`.

    Tags are separated by colons and the first is P or F (Kubernetes, CRI log format). Text is at -1 if it is none.
    """
    ts, at = parse_stamp(data, i, end, 0)
    if at < 0 or at + 9 > end or data[at] != 32 or data[at + 7] != 32:
        return -1, 0, 0, False
    if data[at + 1] != 115 or data[at + 2] != 116 or data[at + 3] != 100:  # std
        return -1, 0, 0, False
    out = data[at + 4] == 111 and data[at + 5] == 117 and data[at + 6] == 116
    err = data[at + 4] == 101 and data[at + 5] == 114 and data[at + 6] == 114
    tag = data[at + 8]
    if not (out or err) or (tag != 80 and tag != 70):
        return -1, 0, 0, False
    at += 9
    while at < end and data[at] != 32:
        at += 1
    return min(at + 1, end), ts, 1 if out else 2, tag == 80


@inner
def leading_stamp(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """(Unix ns, place behind it) of a full date and time at a line's start, also in brackets or quotes; or (0, -1)."""
    i += data[i] == 91 or data[i] == 34 or data[i] == 40
    if data[i] < 49 or data[i] > 50:  # years begin with 1 or 2
        return 0, -1
    return parse_stamp(data, i, end, 0)
