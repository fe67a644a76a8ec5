"""Record frames for tests, as the parser hands them on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from collector.records import IOSTREAMS, LEVELS, ROWS, Origin, RecordFrame
from deckwatch.wire.model import Container, Context

T0_NS = 1_700_000_000_000_000_000
S = 1_000_000_000


class Line(msgspec.Struct, frozen=True):
    message: str
    level: str = ""
    container: str = "web"
    host: str = "h1"
    tenant: str = "default"
    iostream: str = "stdout"
    body: int = 0


def record_frame(seq: int, lines: Sequence[Line], *, at_s: float = 0) -> RecordFrame:
    origins: dict[tuple[str, str, str], int] = {}
    rows = []
    for number, line in enumerate(lines):
        place = origins.setdefault((line.tenant, line.host, line.container), len(origins))
        at_ns = T0_NS + int(at_s * S)
        codes = (LEVELS.index(line.level), IOSTREAMS.index(line.iostream), line.body, 0)
        rows.append((place, at_ns, number * 100, number * 100 + 99, *codes, line.message))
    return RecordFrame(
        seq,
        T0_NS + int(at_s * S),
        tuple(_origin(*key) for key in origins),
        pl.DataFrame(rows, schema=ROWS, orient="row"),
    )


def _origin(tenant: str, host: str, container: str) -> Origin:
    return Origin(f"{tenant}-{host}-{container}", tenant, Context(host, container=Container(container * 20, container)))
