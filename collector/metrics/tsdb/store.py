"""The history of samples of all tenants: taken in the journal's order, committed with it, written as blocks in a
thread of its own.

    take -> generations (memory)                tenant(...).select -> memory + blocks
    commit -> wal/                              every two hours: generation -> <tenant>/<number>.samples, WAL cut
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.source import SeriesSource
from collector.metrics.remote.wire import read_request
from collector.metrics.tsdb.block_file import Block, BlockInfo, Damaged
from collector.metrics.tsdb.memory import Taken
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.tenant import Tenant, merge_blocks
from collector.metrics.tsdb.upkeep import to_drop, to_merge
from collector.metrics.tsdb.wal import Committed, Wal, Write
from collector.metrics.tsdb.writes import AHEAD_MS, Verdict, unpacked
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject, Retry, Unusable
from deckwatch.runtime.files import write_atomically
from deckwatch.wire.identity import tenant_fault
from deckwatch.wire.model import Samples

log = logging.getLogger(__name__)

VERSION = 1
_ALIVE_MS = 3_600_000  # a series without a sample for so long may be forgotten by memory
_DAY_MS = 86_400_000
_RESTS = 8  # blocks are made for the age of samples at most so often in the time that memory spans
MANIFEST, BLOCKS, WAL = "manifest.json", "blocks", "wal"
_BLOCK_NAME = re.compile(r"(\d{12})\.samples")


class Manifest(msgspec.Struct, frozen=True):
    """What is in force, in one file that is replaced whole."""

    version: int = VERSION
    seq: int = -1  # everything up to it is in blocks, or in the WAL from `wal` on
    wal: int = 0  # number of the first file that is still needed
    next_block: int = 1
    blocks: dict[str, list[str]] = {}  # tenant -> names


class SampleStore:
    """`take` and `commit` in one thread, in the order of the journal; what a Tenant answers is asked in any."""

    name = "samples"

    def __init__(self, folder: Path, settings: HistorySettings, clock: Clock, registry: CollectorRegistry) -> None:
        """Raises Unusable: a folder of a newer version, or one that can't be read."""
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._metrics = _Metrics(registry)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._manifest = read_manifest(folder / MANIFEST)
            self._tenants = {tenant: self._open(tenant, names) for tenant, names in self._manifest.blocks.items()}
            self._drop_strangers()
            self._wal = Wal(folder / WAL, self._manifest.wal)
            self._position = self._manifest.seq
            self._replay()
        except OSError as error:
            raise Unusable(f"{folder}: the history of samples can't be opened: {error}") from None
        self._pending: list[tuple[str, Samples]] = []
        self._pending_writes: list[Write] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sample-blocks")
        self._writing: Future[bool] | None = None
        self._flush: _Flush | None = None  # begun and not yet written
        self._flushed_ms = -(1 << 62)
        self._held: Callable[[], int] = lambda: 1 << 62
        self._tell()

    # In ---------------------------------------------------------------------------------------------------------

    def position(self) -> int:
        return self._position

    def take(self, host: str, samples: Samples) -> None:
        """Raises Reject on a frame that can't be read; it is not taken then."""
        self._take(host, samples)
        self._pending.append((host, samples))

    def take_write(self, write: Write) -> Verdict:
        """Raises Reject on a body that can't be read; nothing of it is taken then."""
        verdict = self._take_write(write)
        self._pending_writes.append(write)
        return verdict

    def commit(self, seq: int) -> None:
        """Durable when it returns. Raises Retry where the disk doesn't take it: nothing is lost, it may be tried
        again."""
        if seq <= self._position and not self._pending and not self._pending_writes:
            return
        try:
            self._wal.append(Committed(max(seq, self._position), self._pending, self._pending_writes))
        except OSError as error:
            raise Retry(f"{self._folder}: samples can't be committed: {error}") from None
        self._position = max(seq, self._position)
        self._pending = []
        self._pending_writes = []
        self._tell()
        if self._is_due():
            self.flush()

    def rewind(self, seq: int) -> None:
        """Before anything is taken: samples that come again are known by their times."""
        self._position = seq

    def flush(self) -> Future[bool] | None:
        """Begin to write what is in memory as blocks, right after a commit. True: it was written; None: there is
        nothing, or it is being done."""
        if self._writing is not None and not self._writing.done():
            return None
        if self._flush is None:
            since_ms = self._now_ms() - _ALIVE_MS
            names = [name for name, tenant in self._tenants.items() if tenant.begin_flush(since_ms)]
            if not names:
                return None
            self._flush = _Flush(tuple(names), self._wal.roll(), self._position)
            self._flushed_ms = self._now_ms()
        self._writing = self._worker.submit(self._write, self._flush)
        return self._writing

    @property
    def wal(self) -> Wal:
        """To be read by whoever sends samples on."""
        return self._wal

    def hold_wal(self, first: Callable[[], int]) -> None:
        """`first` says, from any thread, which is the first file of the WAL that somebody has not sent on yet."""
        self._held = first

    def release_wal(self) -> None:
        """Files that nobody needs any more go. From any thread. Raises OSError."""
        self._wal.drop_before(min(self._manifest.wal, self._held()))

    def close(self) -> None:
        """After the last commit. Idempotent."""
        self._worker.shutdown()
        self._wal.close()

    # Out --------------------------------------------------------------------------------------------------------

    def source(self, tenant: str) -> SeriesSource:
        """For queries; one without series where the tenant never sent a sample."""
        return self._tenants.get(tenant) or MemorySource()

    def tenant(self, tenant: str) -> Tenant | None:
        """What answers for its series; None: it never sent a sample."""
        return self._tenants.get(tenant)

    # Inside -----------------------------------------------------------------------------------------------------

    def _take(self, host: str, samples: Samples) -> None:
        self._metrics.taken(self._of(samples.tenant).take(host, samples))

    def _take_write(self, write: Write) -> Verdict:
        written = read_request(unpacked(write.body))
        keep_ms = int(self._settings.keep_days * _DAY_MS)
        oldest_ms = write.received_ms - keep_ms if keep_ms else -(1 << 62)
        taken, verdict = self._of(write.tenant).take_write(written, oldest_ms, write.received_ms + AHEAD_MS)
        self._metrics.taken(taken)
        return verdict

    def _of(self, name: str) -> Tenant:
        tenant = self._tenants.get(name)
        if tenant is None:
            if fault := tenant_fault(name):
                raise Reject(fault)
            tenant = self._tenants[name] = self._open(name, ())
        return tenant

    def _replay(self) -> None:
        for committed in self._wal.replay(self._manifest.wal):
            for host, samples in committed.frames:
                try:
                    self._take(host, samples)
                except Reject as fault:  # it was taken once, by another version of ours
                    log.error("a committed frame of host %s can't be read and is left out: %s", host, fault)
            for write in committed.writes:
                try:
                    self._take_write(write)
                except Reject as fault:
                    log.error("a committed remote write of tenant %s can't be read: %s", write.tenant, fault)
            self._position = max(self._position, committed.seq)

    def _open(self, tenant: str, names: Iterable[str]) -> Tenant:
        folder = self._folder / BLOCKS / tenant
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        blocks = []
        for name in names:
            try:
                blocks.append(Block.open(folder / name))
            except (Damaged, OSError) as fault:
                self._metrics.damaged.inc()
                log.error("samples of tenant %s are lost to queries: %s", tenant, fault)
        return Tenant(folder, blocks)

    def _is_due(self) -> bool:
        """A sender of old samples must not make a block of each of its requests."""
        now_ms = self._now_ms()
        oldest_ms = now_ms - int(self._settings.memory_s * 1000)
        rested = now_ms - self._flushed_ms >= self._settings.memory_s * 1000 / _RESTS
        return self._flush is not None or any(
            tenant.samples >= self._settings.memory_samples or (rested and (tenant.first_ms or now_ms) <= oldest_ms)
            for tenant in self._tenants.values()
        )

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def _tell(self) -> None:
        self._metrics.series.set(sum(tenant.series for tenant in self._tenants.values()))
        blocks = [block.info for tenant in self._tenants.values() for block in tenant.blocks]
        self._metrics.blocks.set(len(blocks))
        self._metrics.block_bytes.set(sum(block.size_bytes for block in blocks))

    # In the worker's thread -------------------------------------------------------------------------------------

    def _write(self, flush: _Flush) -> bool:
        try:
            self._write_blocks(flush)
            self._flush = None
            for name in list(self._tenants):
                self._keep_up(name)
            self._tell()
        except (OSError, Damaged) as error:
            # What could not be written stays in memory and in the WAL; the next commit tries again.
            self._metrics.failures.inc()
            log.error("%s: samples can't be written as blocks, they stay in memory: %s", self._folder, error)
            return False
        return True

    def _write_blocks(self, flush: _Flush) -> None:
        """Blocks of all tenants and the cut of the WAL come into force together."""
        names = _block_names(self._manifest.next_block)
        written = {tenant: self._tenants[tenant].write_flushed(next(names)) for tenant in flush.tenants}
        blocks = {tenant: list(kept) for tenant, kept in self._manifest.blocks.items()}
        for tenant, block in written.items():
            blocks.setdefault(tenant, []).append(block.info.name)
        self._rewrite(blocks, len(written), wal=flush.wal, seq=flush.seq)
        for tenant, block in written.items():
            self._tenants[tenant].end_flush(block)
        self.release_wal()

    def _keep_up(self, name: str) -> None:
        """Drop what is too old or too much, then merge small blocks."""
        tenant = self._tenants[name]
        keep_ms = int(self._settings.keep_days * _DAY_MS)
        infos = [block.info for block in tenant.blocks]
        self._swap(name, to_drop(infos, self._now_ms(), keep_ms=keep_ms, keep_bytes=self._settings.keep_bytes), None)
        while merging := to_merge([block.info for block in tenant.blocks]):
            old = [block for block in tenant.blocks if block.info in merging]
            path = tenant.folder / next(_block_names(self._manifest.next_block))
            merge_blocks(old, path)
            self._swap(name, merging, Block.open(path))

    def _swap(self, name: str, old: tuple[BlockInfo, ...], new: Block | None) -> None:
        if not old:
            return
        tenant = self._tenants[name]
        gone = {info.name for info in old}
        blocks = {each: list(kept) for each, kept in self._manifest.blocks.items()}
        blocks[name] = [kept for kept in blocks[name] if kept not in gone] + ([new.info.name] if new else [])
        self._rewrite(blocks, 1 if new else 0, wal=self._manifest.wal, seq=self._manifest.seq)
        tenant.replace([block for block in tenant.blocks if block.info in old], [new] if new else [])
        for file in gone:
            (tenant.folder / file).unlink(missing_ok=True)

    def _rewrite(self, blocks: dict[str, list[str]], made: int, *, wal: int, seq: int) -> None:
        manifest = Manifest(VERSION, seq, wal, self._manifest.next_block + made, blocks)
        write_atomically(self._folder / MANIFEST, msgspec.json.encode(manifest))
        self._manifest = manifest

    def _drop_strangers(self) -> None:
        """Blocks that were being written when the process died."""
        for name, tenant in self._tenants.items():
            known = set(self._manifest.blocks[name])
            for path in tenant.folder.iterdir():
                if path.name not in known and (_BLOCK_NAME.fullmatch(path.name) or path.name.endswith(".new")):
                    path.unlink()


class _Flush(msgspec.Struct, frozen=True):
    tenants: tuple[str, ...]
    wal: int  # number of the WAL's first file behind what is flushed
    seq: int


def _block_names(first: int) -> Iterator[str]:
    return (f"{number:012}.samples" for number in count(first))


def read_manifest(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except msgspec.DecodeError as error:
        raise Unusable(
            f"{path}: is not the manifest of a history of samples: {error}; restore it from a backup"
        ) from None
    if manifest.version > VERSION:
        raise Unusable(
            f"{path}: is of version {manifest.version}, this Deckwatch reads up to {VERSION}; start a newer one"
        )
    return manifest


class _Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        counted = Counter("deckwatch_history_samples", "Samples by what became of them", ["outcome"], registry=registry)
        self._added, self._repeated, self._late = (counted.labels(how) for how in ("added", "repeated", "late"))
        self.series = Gauge("deckwatch_history_series", "Series in memory.", registry=registry)
        self.blocks = Gauge("deckwatch_history_blocks", "Blocks of samples on disk.", registry=registry)
        self.block_bytes = Gauge("deckwatch_history_block_bytes", "Their size.", registry=registry)
        self.damaged = Counter("deckwatch_history_damaged_blocks", "Blocks that could not be opened", registry=registry)
        self.failures = Counter(
            "deckwatch_history_write_failures", "Times that blocks could not be written", registry=registry
        )

    def taken(self, taken: Taken) -> None:
        self._added.inc(taken.added)
        self._repeated.inc(taken.repeated)
        self._late.inc(taken.late)
