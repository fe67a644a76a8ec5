"""What a source of samples is, and how its looks are kept from holding up one another."""

from __future__ import annotations

import logging
import threading
import time
from enum import StrEnum
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from agent.sample.metrics import SampleMetrics
from deckwatch.wire.model import Samples

_log = logging.getLogger(__name__)


class Source(Protocol):
    """Measures one kind of thing. Called from one thread only; `look` may fail with any exception, `close` not.

    `look` gives None where it is not its turn: what it gave last still stands.
    """

    name: str

    def look(self, now_ns: int) -> Samples | None: ...

    def close(self) -> None: ...


class Outcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    LATE = "late"


class Answer(NamedTuple):
    """What a look came to, and how long it took."""

    thread: SourceThread
    found: Samples | Exception | None
    seconds: float


Answers = SimpleQueue[Answer]
"""Where the threads of all sources put their answers, in the order in which they come."""


class SourceThread:
    """Runs a source's looks on a thread of its own (daemon: one that hangs in the kernel must not hold up an exit).

    A look that is late is left to itself; what it finds in the end is handed out then, with the time at which it
    was begun, and no other look of that source begins before: a source has one thread, however long it hangs.
    """

    def __init__(self, source: Source, metrics: SampleMetrics, answers: Answers) -> None:
        self.name = source.name
        self._source = source
        self._metrics = metrics
        self._answers = answers
        self._orders: SimpleQueue[int | None] = SimpleQueue()
        self._busy = False
        self._ailing = False
        self._thread = threading.Thread(target=self._work, name=f"sample-{source.name}", daemon=True)
        self._thread.start()

    def begin(self, now_ns: int) -> bool:
        """Order a look. False where the last one is not back yet: it is counted as late, and nobody waits for it."""
        if self._busy:
            self.note_late()
            return False
        self._busy = True
        self._orders.put(now_ns)
        return True

    def take(self, answer: Answer) -> tuple[Samples, ...]:
        """The look is over: its frame; nothing where it failed, or had nothing to tell."""
        self._busy = False
        self._metrics.duration.labels(source=self.name).set(answer.seconds)
        if isinstance(answer.found, Exception):
            self._count(Outcome.FAILED, f"failed: {answer.found!r}")
            return ()
        self._count(Outcome.DONE, "")
        self._metrics.last_success.labels(source=self.name).set_to_current_time()
        if answer.found is None:
            return ()
        self._metrics.targets.labels(source=self.name).set(len(answer.found.targets))
        return (answer.found,)

    def note_late(self) -> None:
        """Its time is over without an answer."""
        self._count(Outcome.LATE, "is late; its metrics are missing until it answers")

    def close(self, timeout_s: float) -> None:
        """Let the thread end; a source that hangs keeps its descriptors until the process ends."""
        self._orders.put(None)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._source.close()

    def _work(self) -> None:
        spent = self._metrics.seconds.labels(source=self.name)
        while (now_ns := self._orders.get()) is not None:
            begun = time.monotonic()
            try:
                found: Samples | Exception | None = self._source.look(now_ns)
            except Exception as error:  # a source's bug or the kernel's whim must not end the others: logged, counted
                found = error
            seconds = time.monotonic() - begun
            spent.inc(seconds)
            self._answers.put(Answer(self, found, seconds))

    def _count(self, outcome: Outcome, complaint: str) -> None:
        self._metrics.looks.labels(source=self.name, outcome=outcome.value).inc()
        if complaint and not self._ailing:
            _log.warning("sampling %s %s", self.name, complaint)
        elif self._ailing and not complaint:
            _log.info("sampling %s works again", self.name)
        self._ailing = bool(complaint)
