"""What applications say about their metrics: type, help, unit. Agents tell it of what they scrape, senders of remote
write every minute, so it is written to disk when it changes and not with each request."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from collector.metrics.remote.wire import WriteColumns, fields
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.files import write_atomically
from deckwatch.wire.model import Event, Gap, Samples, StreamId

log = logging.getLogger(__name__)

MOST_METRICS = 50_000
"""Of a tenant; more are not kept."""
TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
"""prompb.MetricMetadata.MetricType by number."""


class About(msgspec.Struct, frozen=True):
    """As Prometheus' API has it."""

    type: str
    help: str = ""
    unit: str = ""


class Metadata:
    """A SampleConsumer. In the event loop, `save` in any thread. `path` need not be there; one that can't be read is
    begun anew."""

    def __init__(self, path: Path) -> None:
        self.version = 0
        """Another one whenever something has changed."""
        self._path = path
        self._changed = False
        self._by_tenant: dict[str, dict[str, About]] = {}
        try:
            self._by_tenant = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, About]])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s: can't be read, types and helps of metrics come again from their senders: %s", path, error)

    def of(self, tenant: str) -> dict[str, About]:
        return self._by_tenant.get(tenant, {})

    def take(self, tenant: str, written: WriteColumns) -> None:
        for start, end in written.metadata:
            try:
                name, about = _about(written.data, start, end)
            except (Reject, UnicodeDecodeError):
                continue  # a description is no reason to refuse samples
            self._note(tenant, name, about)

    def take_samples(self, seq: int, host: str, samples: Samples) -> None:
        for one in samples.about:
            self._note(samples.tenant, one.name, About(one.type, one.help, one.unit))

    def take_event(self, seq: int, host: str, event: Event) -> None:
        """It says nothing of metrics."""

    def take_gap(self, seq: int, host: str, stream: StreamId, gap: Gap) -> None:
        """It says nothing of metrics."""

    def _note(self, tenant: str, name: str, about: About) -> None:
        known = self._by_tenant.setdefault(tenant, {})
        if known.get(name) != about and (name in known or len(known) < MOST_METRICS):
            known[name] = about
            self._changed = True
            self.version += 1

    def save(self) -> None:
        """Where something has changed. Raises OSError."""
        if self._changed:
            self._changed = False
            try:
                write_atomically(self._path, msgspec.json.encode(self._by_tenant))
            except OSError:
                self._changed = True
                raise


def _about(data: bytes, start: int, end: int) -> tuple[str, About]:
    texts = {2: "", 4: "", 5: ""}
    kind = 0
    for number, at, stop in fields(data, start, end):
        if number == 1 and stop < 0:
            kind = at
        elif number in texts and stop >= 0:
            texts[number] = data[at:stop].decode()
    return texts[2], About(TYPES[kind] if kind < len(TYPES) else TYPES[0], texts[4], texts[5])
