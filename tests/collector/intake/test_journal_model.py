"""The journal against a list: appending, failing writes, crashes at any byte, damage, trimming, readers anywhere."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collector.intake.journal import Journal
from collector.intake.journal_file import FILE_HEADER, FORMAT, MAGIC, Entry, Kind, record_of
from deckwatch.runtime.faults import Retry

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
payloads = st.binary(max_size=300)


def full(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


class JournalLife(RuleBasedStateMachine):
    """`entries` is what is durable and not trimmed for good; a consumer stands at `position` and needs all behind."""

    @initialize(segment_bytes=st.sampled_from([64, 400, 4000]))
    def begin(self, segment_bytes: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="journal-model-", dir=MEMORY))
        self.runner = asyncio.Runner()
        self.segment_bytes = segment_bytes
        self.entries: list[Entry] = []
        self.position = -1
        self.highest = -1
        self.journal = self.opened()

    def opened(self) -> Journal:
        self.visited: list[Entry] = []
        return Journal(
            self.folder, segment_bytes=self.segment_bytes, next_seq=self.position + 1, visit=self.visited.append
        )

    @rule(several=st.lists(payloads, min_size=1, max_size=5))
    def append(self, several: list[bytes]) -> None:
        """One group: written and synced together."""

        async def submit() -> None:
            await asyncio.gather(*(self.journal.submit(Kind.BATCH, 7, payload) for payload in several))

        self.runner.run(submit())
        for payload in several:
            self.highest += 1
            self.entries.append(Entry(self.highest, 7, Kind.BATCH, payload))

    @rule(several=st.lists(payloads, min_size=1, max_size=3))
    def fail_to_append(self, several: list[bytes]) -> None:
        async def submit() -> None:
            waits = [self.journal.submit(Kind.BATCH, 7, payload) for payload in several]
            for found in await asyncio.gather(*waits, return_exceptions=True):
                assert isinstance(found, Retry)

        with mock.patch("os.fdatasync", full):
            self.runner.run(submit())

    @rule(share=st.floats(0, 1))
    def consume_and_trim(self, share: float) -> None:
        """What a sealing does: the position moves, and the files before it may go."""
        self.position += int(share * (self.highest - self.position))
        self.journal.trim(self.position)

    @rule(payload=payloads, share=st.floats(0, 0.999), new_file=st.booleans())
    def crash(self, payload: bytes, share: float, new_file: bool) -> None:
        """In the middle of a write that nobody was told of."""
        self.close()
        record = b"".join(record_of(Entry(self.highest + 1, 7, Kind.BATCH, payload)))
        files = sorted(self.folder.glob("*.journal"))
        if new_file or not files:
            path = self.folder / f"{self.highest + 1:016x}.journal"
            record = FILE_HEADER.pack(MAGIC, FORMAT, self.highest + 1) + record
        else:
            path = files[-1]
        with path.open("ab") as file:
            file.write(record[: int(share * len(record))])
        self.journal = self.opened()
        assert self.journal.damage is None
        self.sees_all()

    @rule(file=st.integers(0, 1000), at=st.floats(0, 0.999), flip=st.integers(1, 255))
    def damage(self, file: int, at: float, flip: int) -> None:
        """What is left is a prefix, and no number is given a second time."""
        self.close()
        files = sorted(self.folder.glob("*.journal"))
        if files:
            path = files[file % len(files)]
            data = bytearray(path.read_bytes())
            place = int(at * len(data))
            if place not in (6, 7):  # the format's version: another one is a file of a newer Deckwatch, and refused
                data[place] ^= flip
            path.write_bytes(data)
        self.journal = self.opened()
        self.keeps_a_prefix()

    @rule(file=st.integers(0, 1000))
    def lose_a_file(self, file: int) -> None:
        self.close()
        files = sorted(self.folder.glob("*.journal"))
        if files:
            files[file % len(files)].unlink()
        self.journal = self.opened()
        self.keeps_a_prefix()

    @rule(share=st.floats(0, 0.999))
    def lose_the_end(self, share: float) -> None:
        """Of what was acked: cut anywhere, at a whole entry as well."""
        self.close()
        files = sorted(self.folder.glob("*.journal"))
        if files:
            os.truncate(files[-1], int(share * files[-1].stat().st_size))
        self.journal = self.opened()
        self.keeps_a_prefix()

    def keeps_a_prefix(self) -> None:
        needed = [entry for entry in self.entries if entry.seq > self.position]
        found = [entry for entry in self.journal.read(self.position) if entry.kind is not Kind.HOLE]
        assert found == needed[: len(found)]
        assert found == needed or self.journal.damage is not None
        self.entries = found
        assert self.journal.durable_seq >= self.highest
        self.highest = self.journal.durable_seq

    @rule(share=st.floats(0, 1))
    def read_from_anywhere(self, share: float) -> None:
        after = self.position + int(share * (self.highest - self.position))
        found = [entry for entry in self.journal.read(after) if entry.kind is not Kind.HOLE]
        assert found == [entry for entry in self.entries if entry.seq > after]

    @invariant()
    def the_newest_is_known(self) -> None:
        assert self.journal.durable_seq == self.highest

    def sees_all(self) -> None:
        needed = [entry for entry in self.entries if entry.seq > self.position]
        assert [entry for entry in self.visited if entry.kind is not Kind.HOLE] == needed
        assert [entry for entry in self.journal.read(self.position) if entry.kind is not Kind.HOLE] == needed

    def close(self) -> None:
        self.runner.run(self.journal.close())

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.close()
            self.runner.close()
            shutil.rmtree(self.folder)


TestJournalLife = JournalLife.TestCase
TestJournalLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
