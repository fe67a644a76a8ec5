"""A log's random life, and the account of it: what was written to each generation, whatever became of the file."""

from __future__ import annotations

import gzip
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures.fake_collector import FakeCollector, Held

BANNER = b"service starting, build 1f3a " * 48 + b"\n"
"""Longer than a fingerprint: only its place in time tells one generation from the next."""


@dataclass
class Generation:
    number: int
    text: bytearray = field(default_factory=bytearray)
    seen: bool = False  # the agent was up at some time of its life
    unread_when_dead: bool = False  # its end came while nobody watched, or it was cut without a copy

    @property
    def complete(self) -> bytes:
        return bytes(self.text[: self.text.rfind(b"\n") + 1])


class LogLife:
    """One log at a path, with rotated files `.1` (newest), `.2`, ..."""

    def __init__(self, path: Path, rng: random.Random, *, keep: int = 3, banner: bool = False) -> None:
        self.path = path
        self.generations: list[Generation] = []
        self.agent_up = True
        self._rng = rng
        self._keep = keep
        self._banner = banner
        self._rotated: list[Generation] = []
        self._line = 0
        self._begin()

    @property
    def now(self) -> Generation:
        return self.generations[-1]

    def _begin(self) -> None:
        self.generations.append(Generation(len(self.generations)))
        self.path.touch()
        if self._banner:
            self._write(BANNER)
            self._write(b"generation %d begins\n" % self.now.number)

    def _write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self.now.text += data

    def write(self) -> None:
        lines = []
        for _ in range(self._rng.randint(1, 40)):
            self._line += 1
            filler = b"x" * self._rng.choice((3, 30, 300, 3000))
            lines.append(b"generation %d line %d %s\n" % (self.now.number, self._line, filler))
        self._write(b"".join(lines))

    def write_part(self) -> None:
        """A line without its end; what is written next goes on with it."""
        self._write(b"generation %d part " % self.now.number)

    def write_long(self) -> None:
        self._write(b"generation %d long " % self.now.number + b"y" * self._rng.randint(60_000, 200_000) + b"\n")

    def rotate(self) -> None:
        """As Docker does: rename, drop the oldest, begin anew."""
        self._make_room()
        self.path.rename(self._name(1))
        self._rotated.insert(0, self.now)
        self._begin()

    def copytruncate(self) -> None:
        self._make_room()
        shutil.copyfile(self.path, self._name(1))
        self._rotated.insert(0, self.now)
        with self.path.open("r+b") as file:
            file.truncate(0)
        self._begin()

    def truncate(self) -> None:
        self.now.unread_when_dead = True
        with self.path.open("r+b") as file:
            file.truncate(0)
        self._begin()

    def delete(self) -> None:
        if not self.agent_up:
            self.now.unread_when_dead = True
        self.path.unlink()
        self._begin()

    def compress(self) -> None:
        """The newest that is not compressed yet, as logrotate and Docker do beside the running log."""
        for number in range(1, len(self._rotated) + 1):
            plain = self._name(number)
            if plain.exists() and plain.suffix != ".gz":
                with plain.open("rb") as source, gzip.open(f"{plain}.tmp", "wb") as target:
                    shutil.copyfileobj(source, target)
                Path(f"{plain}.tmp").rename(f"{plain}.gz")
                plain.unlink()
                return

    def _name(self, number: int) -> Path:
        compressed = Path(f"{self.path}.{number}.gz")
        return compressed if compressed.exists() else Path(f"{self.path}.{number}")

    def _make_room(self) -> None:
        for number in range(len(self._rotated), 0, -1):
            old = self._name(number)
            if number >= self._keep:
                old.unlink()
                gone = self._rotated.pop()
                gone.unread_when_dead = gone.unread_when_dead or not self.agent_up
            else:
                suffix = ".gz" if old.suffix == ".gz" else ""
                old.rename(f"{self.path}.{number + 1}{suffix}")


def check(life: LogLife, collector: FakeCollector, source: str) -> None:
    """Every generation is held once and whole, or a gap says what is missing; nothing else is held."""
    streams = [held for held in collector.of_source(source) if held.data or held.gaps]
    for generation in life.generations:
        found = [held for held in streams if _is_of(held, generation)]
        told = f"generation {generation.number}: {[(h.info.id.generation, h.pieces, h.gaps) for h in found]}"
        if not found:
            lost = generation.complete and not generation.unread_when_dead
            assert not lost, f"{told} lost without a word, {len(generation.text)} bytes"
            continue
        assert len(found) == 1, f"{told} repeated"
        streams.remove(found[0])
        _check_one(found[0], generation, told)
    assert not streams, f"streams of nowhere: {[(h.info.id.generation, h.pieces, bytes(h.data[:80])) for h in streams]}"


def _is_of(held: Held, generation: Generation) -> bool:
    mark = b"generation %d " % generation.number
    return mark in held.data


def _check_one(held: Held, generation: Generation, told: str) -> None:
    at, behind = 0, 0
    for start, end in held.pieces:
        assert held.data[at : at + end - start] == generation.text[start:end], f"{told}: other bytes at {start}"
        at += end - start
    covered = sorted([*held.pieces, *((gap.start, gap.end if gap.end >= 0 else 1 << 60) for gap in held.gaps)])
    for start, end in covered:
        assert start <= behind, f"{told}: nothing covers [{behind}, {start})"
        behind = max(behind, end)
    assert behind >= len(generation.complete), f"{told}: nothing covers [{behind}, {len(generation.complete)})"
