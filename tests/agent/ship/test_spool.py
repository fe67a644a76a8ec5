from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agent.ship.settings import SpoolSettings
from agent.ship.spool import Spool
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.codec import pack_frame, unpack_frames
from deckwatch.wire.model import Event

SETTINGS = SpoolSettings(limit_bytes=1 << 20, file_bytes=64 << 10)


def event(number: int) -> Event:
    return Event(number, "default", "agent", "test", None, (("filler", "x" * 1000),))


class Told:
    def __init__(self) -> None:
        self.rolled = 0
        self.dropped: list[str] = []

    def roll(self) -> None:
        self.rolled += 1

    def drop(self, path: Path) -> None:
        self.dropped.append(path.name)
        path.unlink()


def spool_at(folder: Path, told: Told) -> Spool:
    return Spool(folder, SETTINGS, told.roll, told.drop)


def test_files_roll_between_frames(tmp_path: Path) -> None:
    told = Told()
    spool = spool_at(tmp_path / "spool", told)
    for i in range(200):
        assert spool.append(event(i))
    files = sorted((tmp_path / "spool").iterdir())
    assert told.rolled == len(files) - 1 > 1
    assert spool.source().path == str(files[-1])
    assert all(path.stat().st_size <= SETTINGS.file_bytes for path in files)
    frames = [frame for path in files for frame in unpack_frames(path.read_bytes())]
    assert frames == [event(i) for i in range(200)]
    spool.close()


def test_over_the_limit_the_oldest_goes(tmp_path: Path) -> None:
    told = Told()
    spool = spool_at(tmp_path / "spool", told)
    for i in range(2000):
        spool.append(event(i))
    assert spool.held_bytes <= SETTINGS.limit_bytes
    assert told.dropped == sorted(told.dropped)
    assert told.dropped[0] == "00000001.frames"
    spool.close()


def test_a_start_begins_a_new_file(tmp_path: Path) -> None:
    told = Told()
    first = spool_at(tmp_path / "spool", told)
    first.append(event(1))
    first.close()
    second = spool_at(tmp_path / "spool", told)
    assert second.source().path.endswith("00000002.frames")
    second.close()


def test_a_disk_that_refuses_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a frame on a full disk is cut off again."""
    spool = spool_at(tmp_path / "spool", Told())
    spool.append(event(0))
    write = __import__("os").write
    with monkeypatch.context() as full, caplog.at_level(logging.INFO):
        full.setattr("agent.ship.spool.os.write", lambda fd, data: write(fd, data[:100]))
        assert not spool.append(event(1))
        assert not spool.append(event(2))
    assert caplog.text.count("samples and events are lost") == 1
    assert spool.append(event(3))
    path = Path(spool.source().path)
    assert list(unpack_frames(path.read_bytes())) == [event(0), event(3)]
    assert path.stat().st_size == len(pack_frame(event(0))) + len(pack_frame(event(3)))
    spool.close()


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(Unusable, match="can't be written"):
        spool_at(tmp_path / "spool", Told())


def test_a_file_that_is_acked_and_deleted_meanwhile_costs_no_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tailer's thread may delete a file between the list of files and the question how large it is."""
    folder = tmp_path / "spool"
    spool = spool_at(folder, Told())
    real = Path.glob

    def with_a_vanished_one(self: Path, pattern: str) -> list[Path]:
        return [folder / "00000000.frames", *real(self, pattern)]

    monkeypatch.setattr(Path, "glob", with_a_vanished_one)
    assert all(spool.append(event(number)) for number in range(100))
    assert spool.failed_frames == 0
    assert spool.held_bytes > 0
    spool.close()
