"""What the kernels hand to each other: one row for each segment, line, open group and record.

Structured arrays, so that a kernel takes one argument for a table, and one place says what its columns mean.
Begin, at, to and rest are places in a buffer; start and end are offsets in the stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from deckwatch.wire.model import Format

Table = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

FORMAT_CODES = {Format.DOCKER_JSON: 1, Format.CRI: 2, Format.PLAIN: 3}
DOCKER_JSON, CRI, PLAIN = 1, 2, 3

OPEN, EOF, CUT = 0, 1, 2
"""What follows a segment: more bytes some day; nothing, the stream is complete; bytes that will never come."""

SEGMENT = np.dtype(
    [
        ("at", "i8"),  # [at, to) in the input buffer: contiguous bytes of one stream
        ("to", "i8"),
        ("start", "i8"),  # offset in the stream of the byte `at`
        ("carried_from", "i4"),  # [carried_from, carried_to) in the table of open groups
        ("carried_to", "i4"),
        ("lines_from", "i4"),  # out: its rows in the table of lines
        ("lines_to", "i4"),
        ("rest", "i8"),  # out: where in the input the line begins that has no end yet
        ("zone_from", "i4"),  # [zone_from, zone_to) in the table of zones: of times that name none
        ("zone_to", "i4"),
        ("mid_ts", "i8"),  # in/out, with mid: the time of the line that the first bytes go on with
        ("format", "u1"),
        ("follow", "u1"),  # OPEN, EOF or CUT
        ("mid", "u1"),  # in/out: 1 where `at` (out: `rest`) is inside a line whose beginning was handed on
        ("mid_iostream", "u1"),
        ("mid_flags", "u1"),
    ],
    align=True,
)

LINE = np.dtype(
    [
        ("begin", "i8"),  # its text in the text buffer, without line end
        ("start", "i8"),  # [start, end) in the stream, line end included
        ("end", "i8"),
        ("ts", "i8"),
        ("length", "i4"),
        ("next", "i4"),  # the line that was joined to it, or -1
        ("iostream", "u1"),
        ("flags", "u1"),  # of collector.records
        ("more", "u1"),  # 1: a piece, the next line of the same iostream goes on with the same line
    ],
    align=True,
)

CARRIED = np.dtype(
    [
        ("begin", "i8"),  # its text so far in the text buffer
        ("start", "i8"),
        ("end", "i8"),
        ("ts", "i8"),
        ("length", "i4"),
        ("lines", "i4"),
        ("first_length", "i4"),  # of its first line: what the level is read from
        ("iostream", "u1"),
        ("flags", "u1"),
        ("more", "u1"),
        ("state", "u1"),  # of kernels/traces.py
    ],
    align=True,
)
"""An open group from an earlier entry. Segments say which of the rows are theirs."""

GROUP = np.dtype(
    [
        ("record", "i4"),  # its row in the table of records
        ("first_length", "i4"),
        ("iostream", "u1"),
        ("more", "u1"),
        ("state", "u1"),
        ("open", "u1"),  # waiting for its next line
    ],
    align=True,
)
"""The record that the next line of a segment and iostream may go on with: three rows a segment."""

OPEN_COLUMNS = (
    "segment",
    "buffer",
    "begin",
    "length",
    "iostream",
    "start",
    "end",
    "ts",
    "lines",
    "first_length",
    "flags",
    "more",
    "state",
)
"""What is asked about a group that stays open."""

RECORD = np.dtype(
    [
        ("begin", "i8"),  # its text in `buffer`
        ("start", "i8"),
        ("end", "i8"),
        ("ts", "i8"),
        ("length", "i4"),
        ("first", "i4"),  # line
        ("last", "i4"),
        ("segment", "i4"),
        ("lines", "i4"),
        ("iostream", "u1"),
        ("flags", "u1"),
        ("level", "u1"),
        ("body", "u1"),
        ("buffer", "u1"),  # TEXT, GATHERED or REPAIRED
        ("scattered", "u1"),  # 1: its lines do not stand side by side in the text buffer
        ("invalid", "u1"),  # 1: it is no UTF-8
        ("done", "u1"),  # 0: still open, or a leftover row
    ],
    align=True,
)

TEXT, GATHERED, REPAIRED = 0, 1, 2
