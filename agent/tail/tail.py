"""One stream being read: an open file, how far it was read, how far it is acked."""

from __future__ import annotations

import errno
from typing import Protocol

import msgspec

from agent.model import LogSource
from agent.tail.damage import Damage, survey
from agent.tail.framing import Cut, cut_frames, cut_lines, naming_bytes, sniff
from agent.tail.logfile import NO_FILE, LogFile, PlainFile
from agent.tail.mark import PROBE_BYTES, START, Mark, crc_up_to, head_holds, mark_at, mark_behind, probe_holds
from agent.tail.rotation import Look, Place, Step, is_final, next_step
from agent.tail.state import PlannedGap, StreamState
from deckwatch.runtime.files import told_path
from deckwatch.wire.identity import FINGERPRINT_BYTES, is_of_generation, stream_key
from deckwatch.wire.model import Format, GapReason, Position, StreamId

MOST_FRAME_BYTES = 16 << 20
"""A frame of the spool is never cut; a larger one than this means that the spool file is damaged."""


class Names(Protocol):
    """Who knows which names the log's other files have."""

    def name_generation(self, first_bytes: bytes) -> str: ...


class Truncated(Exception):
    """The file was cut and written anew since it was read."""


class Piece(msgspec.Struct, frozen=True):
    """Bytes of a stream, or a gap in it, with the mark behind."""

    tail: Tail
    start: Mark
    end: Mark
    data: bytes = b""
    eof: bool = False
    gap: PlannedGap | None = None


class Tail:
    """Not shared between threads. `read` runs ahead of `acked` by what is in flight; `rewind` takes it back."""

    # Thousands of files are followed: what one takes in memory counts.
    __slots__ = ("_agent", "_mtime_ns", "_names", "_need_bytes", "_retry_at", "acked", "changed_at", "damaged",
                 "declared_last", "failing_since", "file", "file_id", "format", "gaps", "generation", "lost", "lost_at",
                 "over", "path", "place", "read", "resting", "seen", "size", "source", "stored_bytes",
                 "unseen")  # fmt: skip

    def __init__(
        self,
        agent: str,
        source: LogSource,
        file: LogFile | None,
        place: Place,
        now: float,
        names: Names,
        state: StreamState | None = None,
    ) -> None:
        self._agent = agent
        self._names = names
        self.source = source
        self.file = file
        self.place = place
        self.path = file.path if file else (state.path if state else source.path)
        self.file_id = file.id if file else (state.file if state else NO_FILE)
        self.generation = state.generation if state else ""
        self.format: Format | None = state.format if state else source.format
        self.acked: Mark = state.acked if state else START
        self.read: Mark = self.acked
        self.gaps: tuple[PlannedGap, ...] = state.gaps if state else ()
        self.unseen = state.unseen if state else ""  # see StreamState
        self.damaged = state.damaged if state else False  # see StreamState
        self.failing_since: float | None = None  # reading ends in an error
        self._retry_at = 0.0
        self.lost: GapReason | None = None  # why there is no file
        self.lost_at = now
        self.size: int | None = None
        self.stored_bytes = 0
        self.seen = self.read.offset  # bytes up to here were looked at for a newline
        self.changed_at = now
        self.resting = False  # reading failed, and is not tried again before some time
        self.declared_last = False  # the last gap is on its way
        self.over = False  # the last gap is acked: let it go
        self._mtime_ns = -1
        self._need_bytes = 0

    @property
    def key(self) -> str:
        """Empty: it has no name yet. Made when it is asked for."""
        return stream_key(self.id) if self.generation else ""

    @property
    def id(self) -> StreamId:
        return StreamId(self._agent, self.source.name, self.generation)

    def attach(self, file: LogFile, place: Place, now: float) -> None:
        """Go on in another file that has the same text."""
        if self.file:
            self.file.close()
        self.file, self.file_id, self.path, self.place = file, file.id, file.path, place
        self.lost = self.size = None
        self.gaps = tuple(gap for gap in self.gaps if not gap.last)
        self.changed_at, self.declared_last, self._mtime_ns = now, False, -1
        self.failing_since = None

    def look(self, now: float, late_write_s: float) -> Step:
        """Raises OSError."""
        if self.file is None:
            return Step.CLOSE if self.over or (self.lost is None and not self.gaps) else Step.WAIT
        self.resting = self.failing_since is not None and now < self._retry_at
        stat = self.file.stat()
        if stat.size != self.size or (stat.size is None and stat.mtime_ns != self._mtime_ns):
            self.size, self.changed_at = stat.size, now
        if stat.stored_bytes != self.stored_bytes:
            self.stored_bytes = stat.stored_bytes
        if self.place is Place.ROTATED and stat.links == 0:
            self.place = Place.DELETED
        holds = True
        if stat.mtime_ns != self._mtime_ns and stat.size is not None and stat.size >= self.read.offset:
            holds = self._is_what_was_read()
        self._mtime_ns = stat.mtime_ns
        if self.format is Format.FRAMES and self.place is not Place.LIVE and self.seen == self.size:
            self.size = self.read.offset  # a frame torn by a crash: it was never whole
        if self.over:  # its last gap is acked: what is behind that can't be read
            return Step.WAIT if self.place is Place.LIVE else Step.CLOSE
        return next_step(self._seen_as(now, holds), late_write_s)

    def _seen_as(self, now: float, holds: bool) -> Look:
        return Look(
            place=self.place,
            read_to=self.read.offset,
            acked=self.acked.offset,
            size=self.size,
            probe_holds=holds,
            still_s=now - self.changed_at,
            ended=self.source.ended,
        )

    def next_piece(self, chunk_bytes: int, now: float, late_write_s: float) -> Piece | None:
        """What comes next, at most `chunk_bytes`. Raises Truncated, OSError."""
        gap = self._gap_here()
        if gap is not None:
            return self._pass_gap(gap)
        if self.file is None or self.declared_last:
            return None
        limit = max(chunk_bytes, self._need_bytes)
        room = min((gap.start for gap in self.gaps if gap.start > self.read.offset), default=1 << 62)
        limit = min(limit, room - self.read.offset)
        block = self.file.pread(limit, self.read.offset)
        self.seen = self.read.offset + len(block)
        if len(block) < limit:
            self.size = self.seen  # a look may have seen more: it was cut since, as the next look will find
        if not block:
            return None
        if not self._is_what_was_read():
            raise Truncated
        cut = self._cut(block, limit, now, late_write_s, ends_at_gap=self.seen == room)
        if not cut.length:
            return None
        return self._pass(block if cut.length == len(block) else block[: cut.length], cut.eof)

    def _is_what_was_read(self) -> bool:
        """Lines that differ in their beginning alone can stand before the position of a file that was cut and has grown
        again: its first bytes are looked at too, where that is cheap. Raises OSError."""
        assert self.file is not None  # noqa: S101 - asked where there is one
        if not probe_holds(self.file, self.read):
            return False
        if not self.generation or self.damaged or not isinstance(self.file, PlainFile):
            return True
        head = self.file.pread(FINGERPRINT_BYTES, 0)
        return head_holds(head, self.read) and is_of_generation(self.generation, head)

    def _cut(self, block: bytes, limit: int, now: float, late_write_s: float, *, ends_at_gap: bool) -> Cut:
        if ends_at_gap:
            return Cut(len(block))
        if self.format is Format.FRAMES:
            cut = cut_frames(block)
            if cut.need_bytes > MOST_FRAME_BYTES:
                raise OSError(errno.EBADMSG, f"a frame of {cut.need_bytes} bytes at {self.read.offset}: damaged")
            self._need_bytes = cut.need_bytes if len(block) == limit else 0
            return cut
        final = len(block) < limit and is_final(self._seen_as(now, True), late_write_s)
        return cut_lines(block, full=len(block) == limit, final=final)

    def _pass(self, data: bytes, eof: bool) -> Piece:
        assert self.file is not None  # noqa: S101 - next_piece has read from it
        if not self.generation:
            self.take_name(data)
        start, self.read = self.read, mark_behind(self.read, data, self.file)
        return Piece(self, start, self.read, data, eof)

    def _gap_here(self) -> PlannedGap | None:
        if self.declared_last or not self.generation:
            return None
        return next((gap for gap in self.gaps if gap.start == self.read.offset), None)

    def _pass_gap(self, gap: PlannedGap) -> Piece:
        start = self.read
        self.declared_last = gap.last
        if not gap.last or gap.end >= 0:
            self.read = gap.behind
        self.seen = max(self.seen, self.read.offset)
        return Piece(self, start, self.read, gap=gap)

    def rewind(self) -> None:
        """Read again from what is acked. A file that is gone can't be: its gap grows down to there."""
        self.read = self.acked
        self.seen = self.acked.offset
        self.declared_last = self.resting = False
        if self.file is None and self.gaps and self.gaps[0].start > self.acked.offset:
            self.gaps = (msgspec.structs.replace(self.gaps[0], start=self.acked.offset), *self.gaps[1:])

    def ack(self, mark: Mark, *, last_gap: bool = False) -> None:
        self.acked = mark
        self.over = self.over or last_gap
        left = (gap for gap in self.gaps if gap.last or gap.end > mark.offset)
        self.gaps = tuple(msgspec.structs.replace(gap, start=max(gap.start, mark.offset)) for gap in left)
        if mark.offset > self.read.offset:
            self.read, self.seen = mark, mark.offset

    def plan(self, gap: PlannedGap) -> None:
        """Gaps that lie within it fall away: it says the same of more bytes."""
        before = [g for g in self.gaps if g.start < gap.start]
        after = [g for g in self.gaps if g.start >= gap.end >= 0]
        self.gaps = (*before, gap, *after)

    def declare_unseen(self, ts_ns: int) -> bool:
        """At its end: what came behind it and was never seen becomes a gap. False: there is nothing to declare, or the
        collector has it."""
        if not self.unseen or self.over:
            return False
        if not self.generation:
            self.take_name(b"")
        if not any(gap.last for gap in self.gaps):
            detail = f"{told_path(self.path)}: behind its end at {self.read.offset}: {self.unseen}"
            self.plan(PlannedGap(self.read.offset, -1, START, GapReason.ROTATED_AWAY, ts_ns, detail, last=True))
        return True

    def fail(self, now: float, retry_s: float) -> float:
        """Reading ended in an error. For how many seconds has it, with a compressed file that did not change?"""
        self.failing_since = now if self.failing_since is None else self.failing_since
        self._retry_at, self.resting = now + retry_s, True
        return now - (max(self.failing_since, self.changed_at) if self.size is None else self.failing_since)

    def pass_damage(self, ts_ns: int) -> bool:
        """Give up what can't be read: a gap, and reading goes on behind it. False: all can be read, but for bytes
        before the position, which are acked or on their way. Raises OSError."""
        assert self.file is not None  # noqa: S101 - it was read from
        self.failing_since, self.resting, self.damaged = None, False, True
        found = Damage(self.read.offset, -1) if self.format is Format.FRAMES else survey(self.file, self.read.offset)
        if found is None:
            self.read = msgspec.structs.replace(self.read, probe_bytes=0)
            self.acked = msgspec.structs.replace(self.acked, probe_bytes=0)
            return False
        if not self.generation:
            self.take_name(self.file.salvage(FINGERPRINT_BYTES, 0))
        detail = f"{told_path(self.path)}: can't be read behind {found.start}"
        last = found.end < 0
        self.plan(PlannedGap(found.start, found.end, found.behind, GapReason.UNREADABLE, ts_ns, detail, last=last))
        return True

    def begin_at_end(self, ts_ns: int) -> None:
        """Start behind the last whole line that is there now; what is before is declared, not read. Raises OSError."""
        assert self.file is not None  # noqa: S101 - only called for a file just opened
        size = self.file.stat().size or 0
        block_at = max(0, size - PROBE_BYTES * PROBE_BYTES)
        end = block_at + self.file.pread(size - block_at, block_at).rfind(b"\n") + 1
        crc = crc_up_to(self.file, START.position, end)
        if end <= block_at or crc is None:
            return
        self.name_now()
        behind = self.mark_at(Position(end, crc))
        self.plan(PlannedGap(0, end, behind, GapReason.BEFORE_START, ts_ns, told_path(self.path)))

    def mark_at(self, position: Position) -> Mark:
        """Of a position that its file is known to hold. Raises OSError."""
        assert self.file is not None  # noqa: S101 - it was read from
        head = self.file.pread(FINGERPRINT_BYTES, 0) if isinstance(self.file, PlainFile) else b""
        return mark_at(self.file, position, head)

    def name_now(self) -> None:
        """Give it its name before anything of it is sent. Raises OSError."""
        head = self.file.pread(FINGERPRINT_BYTES, 0) if self.file and not self.generation else b""
        if head:
            self.take_name(head)

    def take_name(self, first_bytes: bytes) -> None:
        self.format = self.format or sniff(first_bytes)
        self.generation = self._names.name_generation(naming_bytes(first_bytes, self.format))

    def resume_as(self, generation: str) -> None:
        """The collector knows it under this name."""
        self.generation = generation
        self.format = self.format or sniff(self.file.pread(FINGERPRINT_BYTES, 0) if self.file else b"")

    def lose(self, reason: GapReason, now: float) -> LogFile | None:
        """Its bytes can't be read any more, unless another file with them turns up. Returns the file it had."""
        file, self.file = self.file, None
        self.place, self.lost, self.lost_at = Place.GONE, reason, now
        return file

    @property
    def unread(self) -> bool:
        """Might reading give something? An unterminated line that was seen does not count."""
        if self.declared_last:
            return False
        if self._gap_here() is not None:
            return not self.over
        return self.file is not None and not self.resting and (self.size is None or self.size > self.seen)

    @property
    def is_worth_a_link(self) -> bool:
        """If it was deleted while we are down, would something be lost?"""
        if not self.generation or self.format is Format.FRAMES:
            return False
        over = self.source.ended or self.place is not Place.LIVE
        return not over or self.size != self.acked.offset

    @property
    def may_close(self) -> bool:
        """Worth a look after an ack."""
        return self.place is not Place.LIVE or self.over

    @property
    def lag_bytes(self) -> int:
        """Complete lines that are not acked: all of the file behind `acked`, without the unterminated end. What nobody
        could read counts as a byte until it is declared."""
        undeclared = 1 if self.unseen and not self.over else 0
        if self.file is None:
            return undeclared + sum(gap.end - gap.start for gap in self.gaps if gap.end >= 0)
        if self.over:
            return 0
        if self.size is None:
            return max(1, self.stored_bytes)
        held = 0
        if self.place is Place.LIVE and not self.source.ended:
            held = max(0, min(self.seen, self.size) - self.read.offset)
        return undeclared + max(0, self.size - self.acked.offset - held)

    def remember(self) -> StreamState | None:
        """None: nothing of it was sent, so it has no name yet."""
        if not self.generation or self.format is None:
            return None
        return StreamState(
            source=self.source.name,
            generation=self.generation,
            format=self.format,
            path=told_path(self.path),
            file=self.file_id,
            acked=self.acked,
            tenant=self.source.tenant,
            container=self.source.container,
            gaps=self.gaps,
            complete=self.source.ended and self.size == self.acked.offset,
            damaged=self.damaged,
            unseen=self.unseen,
        )

    def close(self) -> None:
        if self.file:
            self.file.close()
            self.file = None
