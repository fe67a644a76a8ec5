"""Which file belongs to which known stream. Pure but for the few bytes it reads of each file.

Device and inode are hints: a compressed or copied file has new ones, a new file may have old ones. What decides is the
frozen fingerprint of the first bytes together with the KiB before the acked position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

import msgspec

from agent.tail.logfile import FileId, LogFile
from agent.tail.mark import PROBE_BYTES, crc_up_to, head_holds, probe_holds, same_text
from agent.tail.state import StreamState
from deckwatch.wire.identity import FINGERPRINT_BYTES, is_of_generation
from deckwatch.wire.model import Position

_TELLING_BYTES = FINGERPRINT_BYTES + PROBE_BYTES
"""From this offset on the probe says something that the head doesn't."""


class Fit(IntEnum):
    NO = 0
    WEAK = 1  # the same first bytes, and too little was acked to say more
    STRONG = 2  # the bytes before the position are the same too
    SAME = 3  # and it is the same inode


class Candidate(msgspec.Struct, frozen=True):
    file: LogFile
    head: bytes  # its first bytes, at most FINGERPRINT_BYTES
    live: bool  # it stands at the path of its source
    born: bool = False  # it was created there while we watched: no copy of anything


class Match(msgspec.Struct, frozen=True):
    """By a candidate's place: its stream. A copy holds the text of a stream that another file has already. What can't
    be read now may turn out to be either."""

    streams: dict[int, StreamState]
    copies: dict[int, StreamState]
    unreadable: dict[int, OSError]


def candidate(file: LogFile, *, live: bool, born: bool = False) -> Candidate:
    return Candidate(file, file.pread(FINGERPRINT_BYTES, 0), live, born)


def fit(found: Candidate, state: StreamState) -> Fit:
    """How well. A live file with another inode is another file unless the probe speaks for it; a closed stream's
    copy must end where the stream ended. Raises OSError."""
    if not is_of_generation(state.generation, found.head):
        return Fit.NO
    same_id = found.file.id == state.file
    if same_id and state.compared_mtime_ns and state.compared_mtime_ns == found.file.stat().mtime_ns:
        return Fit.SAME
    if same_id and state.damaged and state.closed_ns and not found.live:
        return Fit.SAME  # what was taken for its text may have been wrong
    if not (state.damaged or head_holds(found.head, state.acked)) or not probe_holds(found.file, state.acked):
        return Fit.NO
    if same_id:
        return Fit.SAME
    if state.acked.offset >= _TELLING_BYTES:
        return Fit.STRONG
    if found.live or found.born or (state.closed_ns and found.file.pread(1, state.acked.offset)):
        return Fit.NO
    return Fit.WEAK


def _fit_beside(found: Candidate, state: StreamState, opened: Mapping[str, LogFile]) -> Fit:
    """Files that begin alike differ somewhere behind: the open one tells."""
    value = fit(found, state)
    file = opened.get(state.generation)
    return Fit.NO if value is Fit.WEAK and file is not None and not same_text(found.file, file) else value


def match_files(
    found: Sequence[Candidate], states: Sequence[StreamState], opened: Mapping[str, LogFile] | None = None
) -> Match:
    """Each stream gets one file, the best first; among equals the one that was read furthest, oldest file first.
    `opened`: files that are open, by generation: a weak fit is compared with what they hold."""
    ordered = sorted(states, key=lambda state: -state.acked.offset)
    fits: dict[tuple[int, int], Fit] = {}
    unreadable: dict[int, OSError] = {}
    for i, one in enumerate(found):
        try:
            fits.update({(i, j): _fit_beside(one, state, opened or {}) for j, state in enumerate(ordered)})
        except OSError as error:
            unreadable[i] = error
    streams: dict[int, StreamState] = {}
    taken: set[int] = set()
    for grade in (Fit.SAME, Fit.STRONG, Fit.WEAK):
        for (i, j), value in fits.items():
            if value is grade and i not in streams and j not in taken:
                streams[i] = ordered[j]
                taken.add(j)
    copies: dict[int, StreamState] = {}
    paths = {id(state): found[i].file.path for i, state in streams.items()}
    for (i, j), value in fits.items():
        if i in streams or i in copies or value is Fit.NO or j not in taken:
            continue
        siblings = {found[i].file.path.removesuffix(".gz"), paths[id(ordered[j])].removesuffix(".gz")}
        if value >= Fit.STRONG or len(siblings) == 1:
            copies[i] = ordered[j]
    return Match(streams, copies, unreadable)


def is_prefix_of(short: LogFile, long: LogFile) -> bool:
    """Is all of one file the beginning of the other, as a copy that is being made? A file too short to tell is not."""
    size = short.stat().size
    start = Position(0, 0)
    return size is not None and size >= _TELLING_BYTES and crc_up_to(short, start, size) == crc_up_to(long, start, size)


def is_compressed_of(file: LogFile, path: str) -> bool:
    """By its name: what compresses a log leaves it beside the plain one."""
    return file.path.endswith(".gz") and file.path.removesuffix(".gz") == path.removesuffix(".gz")


def whose_damaged(file: LogFile, states: Iterable[StreamState], names: Mapping[FileId, str]) -> StreamState | None:
    """Of a file that can't be read as far as it takes to be sure: the stream of this inode, or of the plain file that
    it was made of; else one whose beginning it has, if it was not found elsewhere or was complete before it was closed.
    `names`: where files stood last."""
    head, mtime_ns = file.salvage(FINGERPRINT_BYTES, 0), file.stat().mtime_ns
    begun_alike = None
    for state in states:
        if state.file == file.id or is_compressed_of(file, names.get(state.file, state.path)):
            return state
        if is_of_generation(state.generation, head) and (not state.closed_ns or mtime_ns <= state.closed_ns):
            begun_alike = begun_alike or state
    return begun_alike
