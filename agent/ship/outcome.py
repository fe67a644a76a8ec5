"""What an ack does to the streams of its batch."""

from __future__ import annotations

import logging

import msgspec

from agent.ship.batcher import Part, Sealed
from agent.ship.metrics import ShipMetrics
from agent.tail.state import PlannedGap
from agent.tail.tailer import Tailer
from deckwatch.wire.model import Ack, GapReason, Outcome, Position, StreamResult

log = logging.getLogger(__name__)


class Applied(msgspec.Struct, frozen=True):
    """`rewound`: some stream goes on elsewhere than was thought, so what was made since is void."""

    acked_bytes: int
    rewound: bool
    retry: str = ""  # why the collector wants some of it again later


class AckApplier:
    """Belongs to the tailer's thread."""

    def __init__(self, tailer: Tailer, metrics: ShipMetrics) -> None:
        self._tailer = tailer
        self._metrics = metrics
        self._rewound = False
        self._retry = ""
        self._acked_bytes = 0
        self._refused_keys: set[str] = set()  # streams of which the last part was refused

    def apply(self, sealed: Sealed, ack: Ack) -> Applied:
        self._rewound, self._retry, self._acked_bytes = False, "", 0
        results = {result.key: result for result in ack.results}
        for key, part in sealed.parts.items():
            result = results.get(key)
            if result is None:
                self._again(f"{part.tail.path}: no result in the ack")
            else:
                self._metrics.results.labels(result.outcome.value).inc()
                self._apply_one(part, result)
        for closed in sealed.closed:
            if self._tailer.closed.get(closed.key) is closed:
                del self._tailer.closed[closed.key]
        if self._rewound:
            self._tailer.rewind()
        self._tailer.looked_at(part.tail for part in sealed.parts.values())
        return Applied(self._acked_bytes, self._rewound, self._retry)

    def _apply_one(self, part: Part, result: StreamResult) -> None:
        match result.outcome:
            case Outcome.ACCEPTED | Outcome.EXPECTED:
                if result.key in self._refused_keys and result.outcome is Outcome.ACCEPTED:
                    self._refused_keys.discard(result.key)
                    log.info("%s: taken again", part.tail.path)
                self._move(part, result.position)
            case Outcome.DIVERGED:
                self._tailer.positions.diverge(part.tail)
                self._rewound = True
            case Outcome.REFUSED:
                self._refused(part, result)
            case Outcome.RETRY:
                self._again(f"{part.tail.path}: {result.reason}")

    def _again(self, why: str) -> None:
        self._rewound, self._retry = True, why

    def _move(self, part: Part, theirs: Position) -> None:
        """EXPECTED with our own end is a repeat of a batch whose ack was lost."""
        if theirs == part.end.position:
            self._take(part)
            return
        log.info("%s: sent to %d, the collector is at %d", part.tail.path, part.end.offset, theirs.offset)
        self._tailer.positions.settle_one(part.tail, theirs)
        self._rewound = True

    def _take(self, part: Part) -> None:
        self._acked_bytes += part.data_bytes
        for reason in part.gaps:
            self._metrics.gaps.labels(reason).inc()
        part.tail.ack(part.end, last_gap=part.last_gap)

    def _refused(self, part: Part, result: StreamResult) -> None:
        """For good: the collector keeps the bytes as a dead letter, and reading goes on behind them."""
        tail = part.tail
        if result.key not in self._refused_keys:  # said once: it may be the same with each batch
            log.error(
                "%s: refused from %d on: %s; the collector keeps it among its dead letters",
                tail.path, part.start.offset, result.reason,
            )  # fmt: skip
        self._refused_keys.add(result.key)
        if result.position == part.end.position or not part.data_bytes:
            self._take(part)
            return
        self._rewound = True
        self._tailer.positions.settle_one(tail, result.position)
        if tail.acked.offset < part.end.offset:
            start, now_ns = tail.acked.offset, self._tailer.now_ns()
            gap = PlannedGap(start, part.end.offset, part.end, GapReason.REFUSED, now_ns, result.reason)
            tail.plan(gap)
