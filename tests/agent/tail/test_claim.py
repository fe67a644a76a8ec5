from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import pytest

from agent.tail.claim import Candidate, Fit, candidate, fit, match_files
from agent.tail.framing import naming_bytes
from agent.tail.logfile import FileId, LogFile, open_log
from agent.tail.mark import START, mark_at
from agent.tail.state import StreamState
from deckwatch.wire.identity import crc32c, fingerprint
from deckwatch.wire.model import Format, Position

BANNER = b"starting\n" * 150
LONG = BANNER + b"".join(b"first life %d\n" % i for i in range(500))
HEAD_DIFFERS = LONG[:500] + b"?" + LONG[501:]
OTHER = BANNER + b"".join(b"other life %d\n" % i for i in range(500))


def write(path: Path, text: bytes) -> LogFile:
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return open_log(str(path))


def state_of(file: LogFile, text: bytes, acked: int, *, closed: bool = False, number: int = 0) -> StreamState:
    name = fingerprint(naming_bytes(text, Format.PLAIN)) + (f".{number}" if number else "")
    mark = mark_at(file, Position(acked, crc32c(text[:acked])), text[:1024]) if acked else START
    return StreamState("s", name, Format.PLAIN, file.path, file.id, mark, closed_ns=1 if closed else 0)


@pytest.mark.parametrize(
    ("text", "acked", "closed", "same_inode", "live", "name", "value"),
    [
        (LONG, 5000, False, True, True, "a.log", Fit.SAME),
        (LONG, 5000, False, False, True, "a.log", Fit.STRONG),  # moved to another disk
        (LONG, 5000, False, False, False, "a.log.1.gz", Fit.STRONG),
        (OTHER, 5000, False, True, True, "a.log", Fit.NO),  # the inode was used again
        (HEAD_DIFFERS, 5000, False, True, True, "a.log", Fit.NO),  # and the KiB before the position is the same
        (HEAD_DIFFERS, 5000, False, False, False, "a.log.1.gz", Fit.NO),
        (LONG[:100], 5000, False, True, True, "a.log", Fit.NO),  # truncated
        (LONG, 500, False, False, True, "a.log", Fit.NO),  # a live file must prove it
        (LONG, 500, False, False, False, "a.log.1", Fit.WEAK),
        (LONG, 500, True, False, False, "a.log.1", Fit.NO),  # closed at 500, this one goes on
        (LONG, len(LONG), True, False, False, "a.log.1.gz", Fit.STRONG),
        (b"something else\n" * 99, 500, False, True, True, "a.log", Fit.NO),
    ],
)
def test_fit(
    tmp_path: Path, text: bytes, acked: int, closed: bool, same_inode: bool, live: bool, name: str, value: Fit
) -> None:
    state = state_of(write(tmp_path / "was.log", LONG), LONG, acked, closed=closed)
    file = write(tmp_path / name, text)
    at = file.id if same_inode else FileId(0, 0)
    assert fit(candidate(file, live=live), msgspec.structs.replace(state, file=at)) is value


def test_two_with_the_same_banner_find_their_own(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.log.1", LONG), write(tmp_path / "a.log", OTHER)
    states = [state_of(first, LONG, 3000), state_of(second, OTHER, 2500, number=1)]
    found = [candidate(first, live=False), candidate(second, live=True)]
    match = match_files(found, states[::-1])
    assert match.streams == {0: states[0], 1: states[1]}


def test_a_compressed_copy_beside_its_file_is_a_copy(tmp_path: Path) -> None:
    plain, packed = write(tmp_path / "a.log.1", LONG), write(tmp_path / "a.log.1.gz", LONG)
    state = state_of(plain, LONG, 0)
    match = match_files([candidate(packed, live=False), candidate(plain, live=False)], [state])
    assert match.streams == {1: state}
    assert match.copies == {0: state}


def test_a_file_that_begins_like_an_open_one_is_compared_with_it(tmp_path: Path) -> None:
    live, rotated = write(tmp_path / "a.log", OTHER), write(tmp_path / "a.log.1", LONG)
    state = state_of(live, OTHER, 0)
    match = match_files([candidate(rotated, live=False)], [state], {state.generation: live})
    assert not match.streams


def test_a_torn_file_is_nobodys_yet(tmp_path: Path) -> None:
    packed = write(tmp_path / "a.log.1.gz", LONG)
    state = state_of(packed, LONG, 5000)
    path = tmp_path / "torn.gz"
    path.write_bytes((tmp_path / "a.log.1.gz").read_bytes()[:400])
    torn = open_log(str(path))
    match = match_files([Candidate(torn, LONG[:1024], False)], [state])
    assert not match.streams
    assert list(match.unreadable) == [0]
