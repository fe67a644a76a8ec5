"""A log on a real file system beside a model of it: which bytes each generation got, and which of them could be read.

A byte *could be read* if some file that the agent watches, or a descriptor that it held, still had it when it looked.
The others are *at risk*: only they may be missing in the end, and only as a declared gap.
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.fake_collector import FakeCollector, Held

BANNER = b"service starting, build 1f3a " * 48 + b"\n"
"""Longer than a fingerprint."""


@dataclass(eq=False)
class Generation:
    number: int
    text: bytearray = field(default_factory=bytearray)
    names: set[Path] = field(default_factory=set)  # files that hold all of it
    held: bool = False  # the agent has seen it while it had a name, and runs since
    seen: bool = False  # by any agent, while it had a name
    at_risk: list[tuple[int, int]] = field(default_factory=list)
    unwatched: bool = False  # its last file went while nobody looked: its end can't be known

    @property
    def mark(self) -> bytes:
        return b"generation %d " % self.number

    @property
    def complete(self) -> int:
        """Bytes in whole lines."""
        return self.text.rfind(b"\n") + 1

    def risked(self, start: int, end: int) -> bool:
        """Is all of it at risk?"""
        return all(any(a <= at < b for a, b in self.at_risk) for at in range(start, end))


class ModelledLog:
    """One log at a path, with rotated files `.1` (newest) to `.<keep>`."""

    def __init__(self, path: Path, collector: FakeCollector, *, keep: int = 3, banner: bool = False) -> None:
        self.path = path
        self.keep = keep
        self.generations: list[Generation] = []
        self.rotated: list[Generation] = []  # the newest first
        self.exists = False
        self._collector = collector
        self._banner = banner
        self._line = 0

    @property
    def now(self) -> Generation:
        return self.generations[-1]

    # What writers and rotators do -------------------------------------------------------------------------------

    def create(self) -> None:
        self.generations.append(Generation(len(self.generations), names={self.path}))
        self.path.touch()
        self.exists = True
        if self._banner:
            self._append(BANNER)

    def write(self, lines: int, size: int) -> None:
        self._append(b"".join(self._text(size) for _ in range(lines)))

    def write_part(self) -> None:
        """Without its end: what is written next goes on with it."""
        self._append(self.now.mark + b"part ")

    def _text(self, size: int) -> bytes:
        self._line += 1
        return self.now.mark + b"line %d " % self._line + b"x" * size + b"\n"

    def _append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self.now.text += data

    def rotate(self, *, copy: bool) -> None:
        """By rename, or copied and cut in place. The oldest goes."""
        self._shift()
        first = self._numbered(1)
        if copy:
            shutil.copyfile(self.path, first)
            self.now.names = {first}
            self.now.held = False  # what was open is cut; the copy has yet to be found
            with self.path.open("r+b") as file:
                file.truncate(0)
        else:
            self.path.rename(first)
            self.now.names = {first}
        self.rotated.insert(0, self.now)
        if copy:
            self.generations.append(Generation(len(self.generations), names={self.path}))
            if self._banner:
                self._append(BANNER)
        else:
            self.create()

    def _shift(self) -> None:
        while len(self.rotated) >= self.keep:
            oldest = self.rotated.pop()
            self._file_of(oldest).unlink()
            oldest.names.clear()
            self._went(oldest, cut=False)
        for number in range(len(self.rotated), 0, -1):
            generation = self.rotated[number - 1]
            file = self._file_of(generation)
            further = self._numbered(number + 1, compressed=file.suffix == ".gz")
            file.rename(further)
            generation.names = {further}

    def compress(self) -> bool:
        """The newest rotated file that is not compressed yet."""
        for generation in self.rotated:
            file = self._file_of(generation)
            if file.suffix != ".gz":
                packed = Path(f"{file}.gz")
                with file.open("rb") as source, gzip.open(f"{packed}.tmp", "wb") as target:
                    shutil.copyfileobj(source, target)
                Path(f"{packed}.tmp").rename(packed)
                file.unlink()
                generation.names = {packed}
                return True
        return False

    def truncate(self) -> None:
        self.now.names.clear()
        self._went(self.now, cut=True)
        with self.path.open("r+b") as file:
            file.truncate(0)
        self.generations.append(Generation(len(self.generations), names={self.path}))
        if self._banner:
            self._append(BANNER)

    def delete(self) -> None:
        self.now.names.clear()
        self._went(self.now, cut=False)
        self.path.unlink()
        self.exists = False

    def _file_of(self, generation: Generation) -> Path:
        (file,) = generation.names
        return file

    def _numbered(self, number: int, *, compressed: bool = False) -> Path:
        return Path(f"{self.path}.{number}{'.gz' if compressed else ''}")

    # What the agent can know ------------------------------------------------------------------------------------

    def looked(self) -> None:
        """The agent has looked at everything that has a name."""
        for generation in self.generations:
            if generation.names:
                generation.held = generation.seen = True

    def agent_ended(self) -> None:
        """What had no name any more went with its descriptors."""
        for generation in self.generations:
            if generation.held and not generation.names:
                self._risk(generation)
            generation.held = False

    def _went(self, generation: Generation, *, cut: bool) -> None:
        if cut or not generation.held:
            self._risk(generation)
        generation.unwatched = generation.unwatched or not generation.held

    def _risk(self, generation: Generation) -> None:
        stored = max((end for held in self.streams_of(generation) for _, end in held.pieces), default=0)
        if stored < len(generation.text):
            generation.at_risk.append((stored, len(generation.text)))
        generation.unwatched = True

    def streams_of(self, generation: Generation) -> list[Held]:
        return [held for held in self._collector.of_source(str(self.path)) if self._is_of(held, generation)]

    def _is_of(self, held: Held, generation: Generation) -> bool:
        return bool(held.data) and generation.mark in held.data

    # The verdict ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Every byte once, or in a declared gap and truly gone; no gap over what could be read."""
        streams = [held for held in self._collector.of_source(str(self.path)) if held.data or held.gaps]
        for generation in self.generations:
            mine = self.streams_of(generation)
            assert len(mine) <= 1, f"{self._told(generation)}: held by {len(mine)} streams"
            if not mine:
                self._check_absent(generation)
                continue
            streams.remove(mine[0])
            self._check_held(mine[0], generation)
        for held in streams:
            assert not held.data or BANNER.startswith(bytes(held.data)), f"bytes of nowhere: {bytes(held.data[:80])!r}"

    def _check_absent(self, generation: Generation) -> None:
        if generation.mark in generation.text[: generation.complete]:
            told = f"{self._told(generation)}: nothing of it is held"
            assert generation.risked(0, generation.complete), told

    def _check_held(self, held: Held, generation: Generation) -> None:
        told = f"{self._told(generation)}, held {held.pieces}, gaps {[(g.start, g.end, g.reason) for g in held.gaps]}"
        at = behind = 0
        for start, end in held.pieces:
            assert start >= behind, f"{told}: [{start}, {end}) twice"
            assert held.data[at : at + end - start] == generation.text[start:end], f"{told}: other bytes at {start}"
            at, behind = at + end - start, end
        for gap in held.gaps:
            self._check_gap(gap.start, gap.end, generation, told)
        gaps = [(gap.start, gap.end if gap.end >= 0 else 1 << 60) for gap in held.gaps]
        behind = 0
        for start, end in sorted([*held.pieces, *gaps]):
            assert start <= behind, f"{told}: nothing covers [{behind}, {start})"
            behind = max(behind, end)
        assert behind >= generation.complete, f"{told}: nothing covers [{behind}, {generation.complete})"

    def _check_gap(self, start: int, end: int, generation: Generation, told: str) -> None:
        if end >= 0:
            assert generation.risked(start, end), f"{told}: the gap [{start}, {end}) could be read"
            return
        unseen = any(not one.seen for one in self.generations)  # who counts files can't know that they were empty
        assert generation.unwatched or unseen, f"{told}: nothing could be missing behind {start}"
        assert generation.risked(start, generation.complete) or unseen, f"{told}: what is behind {start} could be read"

    def _told(self, generation: Generation) -> str:
        return f"generation {generation.number} ({len(generation.text)} bytes, at risk {generation.at_risk})"
