"""What senders of remote write say about their metrics: type, help, unit. They repeat it every minute, so it is written
to disk when it changes and not with each request."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from collector.metrics.remote.wire import WriteColumns, fields
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.files import write_atomically

log = logging.getLogger(__name__)

MOST_METRICS = 50_000
"""Of a tenant; more are not kept."""
_TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
"""prompb.MetricMetadata.MetricType by number."""


class About(msgspec.Struct, frozen=True):
    """As Prometheus' API has it."""

    type: str
    help: str = ""
    unit: str = ""


class Metadata:
    """In the event loop, `save` in any thread. `path` need not be there; one that can't be read is begun anew."""

    def __init__(self, path: Path) -> None:
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
            known = self._by_tenant.setdefault(tenant, {})
            if known.get(name) != about and (name in known or len(known) < MOST_METRICS):
                known[name] = about
                self._changed = True

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
    return texts[2], About(_TYPES[kind] if kind < len(_TYPES) else _TYPES[0], texts[4], texts[5])
