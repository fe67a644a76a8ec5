"""What a source of samples is, and how its looks are kept from holding up one another."""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum
from queue import Empty, SimpleQueue
from typing import Protocol

from agent.sample.metrics import SampleMetrics
from deckwatch.wire.model import Samples

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Measures one kind of thing. Called from one thread only; `look` may fail with any exception, `close` not."""

    name: str

    def look(self, now_ns: int) -> Samples: ...

    def close(self) -> None: ...


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    LATE = "late"


class SourceThread:
    """Runs a source's looks on a thread of its own (daemon: one that hangs in the kernel must not hold up an exit).

    A look that is late is left to itself; what it finds in the end is handed out then, with the time at which it
    was begun, and no other look of that source begins before.
    """

    def __init__(self, source: Source, metrics: SampleMetrics) -> None:
        self._source = source
        self._metrics = metrics
        self._orders: SimpleQueue[int | None] = SimpleQueue()
        self._answers: SimpleQueue[Samples | Exception] = SimpleQueue()
        self._busy = False
        self._ailing = False
        self._thread = threading.Thread(target=self._work, name=f"sample-{source.name}", daemon=True)
        self._thread.start()

    def begin(self, now_ns: int) -> None:
        """Order a look, unless the last one is not back yet."""
        if not self._busy:
            self._busy = True
            self._orders.put(now_ns)

    def collect(self, until: float) -> Samples | None:
        """The look's result, waiting for it until `until` (time.monotonic); None: failed or late."""
        try:
            answer = self._answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            self._count(Outcome.LATE, "is late; its metrics are missing until it answers")
            return None
        self._busy = False
        if isinstance(answer, Exception):
            self._count(Outcome.FAILED, f"failed: {answer!r}")
            return None
        self._count(Outcome.DONE, "")
        self._metrics.targets.labels(source=self._source.name).set(len(answer.targets))
        return answer

    def close(self, timeout_s: float) -> None:
        """Let the thread end; a source that hangs keeps its descriptors until the process ends."""
        self._orders.put(None)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._source.close()

    def _work(self) -> None:
        spent = self._metrics.seconds.labels(source=self._source.name)
        while (now_ns := self._orders.get()) is not None:
            begun = time.monotonic()
            try:
                answer: Samples | Exception = self._source.look(now_ns)
            except Exception as error:  # a source's bug or the kernel's whim must not end the others: logged, counted
                answer = error
            spent.inc(time.monotonic() - begun)
            self._answers.put(answer)

    def _count(self, outcome: Outcome, complaint: str) -> None:
        self._metrics.looks.labels(source=self._source.name, outcome=outcome.value).inc()
        if complaint and not self._ailing:
            _log.warning("sampling %s %s", self._source.name, complaint)
        elif self._ailing and not complaint:
            _log.info("sampling %s works again", self._source.name)
        self._ailing = bool(complaint)
