"""What travels between agent and collector. Everything here is frozen: enrichment wraps, it does not mutate.

The life of a byte: a *stream* is one generation of one log; a *chunk* is a run of its raw bytes with the CRC-32C
of everything up to its start and up to its end; a *batch* carries chunks of many streams; an *ack* answers with the
collector's durable position of each. Samples and events have no file behind them: the agent appends them as
*frames* to a spool file of its own, and that file is a stream like any other, so the same positions, CRCs and acks
make them exactly-once too.

A record's identity is (stream key, [start, end) in bytes). It needs no counter and never changes.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

VERSION = 1
"""Of the batch format. Both sides state what they speak (Hello, Welcome); one version back is kept."""

DEFAULT_TENANT = "default"

Labels = tuple[tuple[str, str], ...]
"""Sorted (name, value) pairs."""


class Format(StrEnum):
    """How the bytes of a stream are to be read."""

    DOCKER_JSON = "docker-json"  # {"log":"...\n","stream":"stdout","time":"..."} a line; 16 KiB pieces
    CRI = "cri"  # 2016-10-06T00:17:09.669794202Z stdout F text
    PLAIN = "plain"  # a line is a line
    FRAMES = "frames"  # the agent's spool: length-prefixed msgpack of Frame (see codec.pack_frame)


class StreamId(msgspec.Struct, frozen=True, array_like=True):
    """One generation of one log. `deckwatch.wire.identity.stream_key` makes its short key."""

    agent: str
    """Agent instance: machine id and a random id from the state folder."""
    source: str
    """`<container id>/<log name>`, or the real path of a file, or `spool`."""
    generation: str
    """`<length>-<hash>` of the first bytes, taken once and frozen; `.n` follows where the same first bytes
    come again in the same place."""


class Workload(msgspec.Struct, frozen=True, array_like=True):
    """Whom a container belongs to, in the words of its orchestrator (reference: attribution)."""

    orchestrator: str  # kubernetes | compose | swarm | marathon | nomad | ecs | mesos | systemd ...
    namespace: str = ""  # Kubernetes namespace, Compose project, Swarm stack, Nomad namespace
    name: str = ""  # pod owner or pod, Compose service, Swarm service, Marathon app, Nomad job
    instance: str = ""  # pod name, replica number, task or allocation id
    component: str = ""  # container in the pod, Nomad task


class Container(msgspec.Struct, frozen=True, array_like=True):
    id: str
    name: str = ""
    image: str = ""
    runtime: str = ""  # docker | containerd | cri-o | podman
    labels: Labels = ()  # only those on the agent's allow list
    workload: Workload | None = None
    service: str = ""  # service.name: OTEL_SERVICE_NAME, DD_SERVICE, compose service ...


class Context(msgspec.Struct, frozen=True, array_like=True):
    """Where a stream comes from. Records refer to it; it is sent once a batch."""

    host: str
    path: str = ""  # of the log file
    container: Container | None = None
    timezone: str = ""  # of times in its lines that name none: an IANA name, `+02:00`, or "" for the collector's choice


class StreamInfo(msgspec.Struct, frozen=True, array_like=True):
    """A stream as a batch lists it; chunks and gaps refer to it by its place in `Batch.streams`."""

    id: StreamId
    tenant: str
    format: Format
    context: int  # place in Batch.contexts


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Raw bytes [start, end) of a stream, `len(data) == end - start`, cut behind a newline.

    Only two kinds of chunk end elsewhere: a piece of a line longer than a chunk (the next one goes on), and, with
    `eof`, the unterminated last line of a file that will not grow any more.
    """

    stream: int  # place in Batch.streams
    start: int
    crc_start: int  # running CRC-32C of [0, start)
    crc_end: int  # running CRC-32C of [0, end)
    data: bytes
    eof: bool = False

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class GapReason(StrEnum):
    TRUNCATED = "truncated"  # the file was cut before its bytes were read
    DELETED = "deleted"  # the file went while nobody held it
    ROTATED_AWAY = "rotated away"  # the engine dropped the oldest rotated file
    SPOOL_FULL = "spool full"  # samples, events: the bounded spool dropped its oldest
    HELD_TOO_MUCH = "held too much"  # deleted files held open reached their cap
    RESTORED = "restored"  # a collector restored from a backup no longer has what was acked, nor do we
    REFUSED = "refused"  # the collector refused these very bytes for good; they are among the dead letters
    UNREADABLE = "unreadable"  # the file system answered with an error
    BEFORE_START = "before start"  # configured to begin at the end of existing files


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """Bytes [start, end) that will never come. `end` is -1 where nobody can know it."""

    stream: int
    start: int
    end: int
    crc_end: int  # the running CRC that the next chunk starts from (0 where the stream ends here)
    reason: GapReason
    ts_ns: int
    detail: str = ""


class StreamEnd(msgspec.Struct, frozen=True, array_like=True):
    """The agent has read a stream to its end, all of it is acked, and it lets the stream go.

    `listed=False`: its file is gone too; the collector may forget the position after its grace time.
    """

    stream: int
    end: int
    crc: int
    listed: bool = False


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one POST carries, in the order of the fields: chunks and gaps of a stream in the order of its bytes."""

    version: int
    agent: str
    host: str
    sent_ns: int
    contexts: tuple[Context, ...] = ()
    streams: tuple[StreamInfo, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    gaps: tuple[Gap, ...] = ()
    ends: tuple[StreamEnd, ...] = ()
    lag_bytes: int = 0  # complete lines in the watched files that are not acked yet, this batch included


class Outcome(StrEnum):
    """What became of a stream's part of a batch."""

    ACCEPTED = "accepted"  # durable up to `position.offset`; a repeated part was recognised and dropped
    EXPECTED = "expected"  # it did not start at our position: go to `position` and check its CRC there
    DIVERGED = "diverged"  # the overlap's CRC differs: this is another generation, take a new stream
    REFUSED = "refused"  # never as it is (reason says why): kept as a dead letter, reading goes on behind it
    RETRY = "retry"  # not now


class Position(msgspec.Struct, frozen=True, array_like=True):
    offset: int
    crc: int


class StreamResult(msgspec.Struct, frozen=True, array_like=True):
    key: str
    outcome: Outcome
    position: Position
    reason: str = ""


class Ack(msgspec.Struct, frozen=True, array_like=True):
    """Given only after fsync. One result for each stream that had a chunk or a gap, in Batch.streams' order."""

    version: int
    epoch: str
    results: tuple[StreamResult, ...]


class Hello(msgspec.Struct, frozen=True):
    """The first words of an agent, and again whenever the collector's epoch has changed."""

    versions: tuple[int, ...]
    agent: str
    host: str
    streams: tuple[str, ...] = ()  # keys whose positions it wants: open ones and its ledger of closed ones


class Welcome(msgspec.Struct, frozen=True):
    version: int  # the newest that both speak
    epoch: str
    collector: str
    max_batch_bytes: int  # compressed size of a POST body
    max_chunk_bytes: int
    positions: dict[str, Position] = {}  # only streams that it knows


class Refusal(msgspec.Struct, frozen=True):
    """Body of every answer >= 400 of ours (JSON). What lacks it is not from us: wait and try again."""

    deckwatch: int  # VERSION; marks the answer as ours
    error: str  # one of: unauthorized, too_large, busy, full, malformed, version, tenant, internal
    detail: str
    retry_after_s: float | None = None


# Frames: samples and events -----------------------------------------------------------------------------------
# Without gc: they hold strings and tuples of them, never each other, and come by tens of thousands; Python's collector,
# looking through them again and again, took two thirds of the time in which they are decoded.


MEASURED_NAN_BITS = 0x7FF8000000000001
"""Of the NaN that an application really exposes (a quantile of nothing): Prometheus' value.NormalNaN."""


class Column(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One series of a target: its name and the labels that tell it from its neighbours (device, cpu, mode...)."""

    name: str
    labels: Labels = ()


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was measured: a container, the host. `values` has one float64 (little endian) for each column of its
    schema; NaN = absent, but for MEASURED_NAN_BITS."""

    labels: Labels
    schema: int  # place in Samples.schemas
    values: bytes


class Description(msgspec.Struct, frozen=True, array_like=True):
    """What an application says of a family of its metrics. `name` is the one of Prometheus' text format (a counter's
    with `_total`, a histogram's without `_bucket`)."""

    name: str
    type: str  # counter | gauge | histogram | gaugehistogram | summary | info | stateset | unknown
    help: str = ""
    unit: str = ""


class ScrapeTarget(msgspec.Struct, frozen=True, array_like=True):
    """A target that is scraped, as its agent knows it."""

    url: str
    discovered: Labels  # before relabelling
    labels: Labels
    interval_s: float
    timeout_s: float
    trouble: str = ""  # why the last scrape failed


class ScrapePool(msgspec.Struct, frozen=True, array_like=True):
    """Part of what one job scrapes, and what relabelling or a limit left out of it. Told again every few minutes."""

    name: str
    part: int  # from 0
    parts: int
    active: tuple[ScrapeTarget, ...] = ()
    dropped: tuple[Labels, ...] = ()  # as discovered; not all of very many
    dropped_count: int = 0  # of the whole job


class Samples(msgspec.Struct, frozen=True, array_like=True, tag="samples", gc=False):
    """One look of one source (cgroup, host, ...) at one time, columns not rows.

    A frame is complete for each target that it lists: a series that the same source gave for that target before
    and that is missing now has ended. `ended` lists targets that are gone.
    """

    source: str
    ts_ns: int
    tenant: str
    schemas: tuple[tuple[Column, ...], ...]
    targets: tuple[Target, ...]
    ended: tuple[Labels, ...] = ()
    about: tuple[Description, ...] = ()  # what is new of it, and all of it every now and then
    pool: ScrapePool | None = None


class Event(msgspec.Struct, frozen=True, array_like=True, tag="event"):
    """Something happened: a container started, died, ran out of memory."""

    ts_ns: int
    tenant: str
    kind: str  # container, image, host, agent
    action: str  # create, start, die, oom, destroy, health_status ...
    container: Container | None
    attributes: Labels = ()


Frame = Samples | Event
