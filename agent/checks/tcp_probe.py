"""A probe over TCP, with TLS or without. Names are blackbox_exporter's (prober/tcp.go)."""

from __future__ import annotations

import asyncio
import re
import time

from agent.checks.certificate import seen_context, watched
from agent.checks.outcome import ProbeFailed, probe_labels, tls_series
from agent.checks.settings import TcpProbe
from deckwatch.wire.model import Column, Labels

_MOST_BYTES = 64 << 10


class TcpCheck:
    kind = "tcp"

    def __init__(self, settings: TcpProbe) -> None:
        """Raises Unusable where its TLS files can't be used."""
        self.labels: Labels = probe_labels(settings.target, settings.labels)
        self.interval_s, self.timeout_s = settings.interval_s, settings.timeout_s
        self.title = settings.target
        self._settings = settings
        self._context = seen_context(settings.tls_config) if settings.tls else None

    async def look(self) -> dict[Column, float]:
        settings = self._settings
        host, _, port = settings.target.rpartition(":")
        series: dict[Column, float] = {}
        begun = time.monotonic()
        try:
            with watched() as handshakes:
                reader, writer = await asyncio.open_connection(
                    host.strip("[]"),
                    int(port),
                    ssl=self._context,
                    server_hostname=settings.tls_config.server_name or None if settings.tls else None,
                )
        except OSError as error:
            raise ProbeFailed(f"no connection: {error.strerror or error}") from None
        try:
            series[Column("probe_tcp_connect_duration_seconds")] = time.monotonic() - begun
            series |= tls_series(handshakes)
            failure = await self._talk(reader, writer)
            series[Column("probe_failed_due_to_regex")] = float(bool(failure))
        except OSError as error:
            failure = f"the connection broke: {error.strerror or error}"
        finally:
            writer.transport.abort()
        if failure:
            raise ProbeFailed(failure, series)
        return series

    def failed(self, why: str) -> dict[Column, float]:
        return {}

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """Why it has failed; empty: it hasn't."""
        settings, seen = self._settings, b""
        if settings.send:
            writer.write(settings.send.encode())
            await writer.drain()
        while settings.expect:
            if any(re.search(settings.expect, line) for line in seen.decode("utf-8", "replace").splitlines()):
                break
            piece = await reader.read(4096) if len(seen) < _MOST_BYTES else b""
            if not piece:
                return f"no line matches {settings.expect!r}; it said {seen[:80]!r}"
            seen += piece
        return ""
