"""What was written, number by number: in which bytes of which file each stands, and what was destroyed unread."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from deckwatch.wire.identity import FINGERPRINT_BYTES


@dataclass
class Generation:
    """One file's life at a path, from its creation to its last byte, whatever it was renamed to."""

    path: str
    index: int  # among all of the ledger
    number: int  # among those of this path
    head: bytearray = field(default_factory=bytearray)
    size: int = 0
    destroyed: list[tuple[int, int]] = field(default_factory=list)
    """[start, end) that were physically gone before anybody could have read them. Only a row can know that."""

    def grow(self, data: bytes) -> None:
        if len(self.head) < FINGERPRINT_BYTES:
            self.head += data[: FINGERPRINT_BYTES - len(self.head)]
        self.size += len(data)


class Place:
    """Where one number stands."""

    __slots__ = ("end", "generation", "start")

    def __init__(self, generation: Generation, start: int, end: int) -> None:
        self.generation = generation
        self.start = start
        self.end = end

    @property
    def was_destroyed(self) -> bool:
        return any(start < self.end and self.start < end for start, end in self.generation.destroyed)


class Ledger:
    """Numbers are given out once, over all writers. Writers of several threads take turns by `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.generations: list[Generation] = []
        self.copied = 0  # numbers below it stand on two disks, since a host was cloned: both may be sent
        self._counts: Counter[str] = Counter()  # generations of each path
        self._places = array("q")  # index of the generation of each number
        self._starts = array("q")
        self._ends = array("q")

    @property
    def sent(self) -> int:
        return len(self._starts)

    def begin(self, path: str) -> Generation:
        """A new file at a path."""
        with self.lock:
            generation = Generation(path, len(self.generations), self._counts[path])
            self._counts[path] += 1
            self.generations.append(generation)
            return generation

    def note(self, generation: Generation, start: int, lengths: Sequence[int]) -> None:
        """The next `len(lengths)` numbers stand there, one behind the other. The lock is held."""
        for length in lengths:
            self._places.append(generation.index)
            self._starts.append(start)
            start += length
            self._ends.append(start)

    def place(self, number: int) -> Place:
        return Place(self.generations[self._places[number]], self._starts[number], self._ends[number])
