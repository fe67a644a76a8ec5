"""What the store holds: numbers by the API while the collector runs, by Parquet after it stopped, and declared gaps."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

NUMBER = re.compile(rb"number (\d+) of the series")
_LONGEST = 64  # bytes that a number and the words around it take

Numbers = npt.NDArray[np.int64]


class DeclaredGap(msgspec.Struct, frozen=True):
    """As the manifest keeps it. `end` -1: unknown."""

    key: str
    source: str
    start: int
    end: int
    reason: str
    detail: str


def by_api(url: str, query: str = "") -> Numbers:
    """Of every record that the API gives, in any order, as often as it gives them."""
    text = urllib.parse.urlencode({"query": query, "limit": "0", "order": "asc"})
    found: list[bytes] = []
    with urllib.request.urlopen(f"{url}/api/v1/logs?{text}", timeout=600) as answer:
        rest = b""
        while block := answer.read(1 << 20):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            found += NUMBER.findall(whole + newline)
    return _numbers(found)


def account_faults(url: str) -> list[str]:
    """What the collector's own account and its proof say: docs/completeness.md."""
    with urllib.request.urlopen(f"{url}/api/v1/verify", timeout=600) as answer:
        lines = [json.loads(line) for line in answer]
    faults = [
        f"the account of {line['deckwatch.stream']} ({line['kind']}) does not balance: {line}"
        for line in lines
        if "deckwatch.stream" in line and not (line["balanced"] and not line["repeated_records"])
    ]
    return faults if lines and "deckwatch.verified" in lines[-1] else [*faults, "the verification was cut short"]


def by_parquet(data_dir: Path) -> Numbers:
    """Of every record in the segments that the manifest lists. A record cut in two may cut a number: the text of each
    stream is read in its order, as one. For a collector that has stopped."""
    found: list[bytes] = []
    for texts in _texts_by_stream(data_dir):
        before = b""
        for text in texts:
            data = text.encode(errors="replace")
            found += [m[1] for m in NUMBER.finditer(before + data) if m.end() > len(before)]
            before = (before + data)[-_LONGEST:]
    return _numbers(found)


def _texts_by_stream(data_dir: Path) -> Iterable[list[str]]:
    """Messages of each stream in the order of its bytes, the two outputs of a container apart."""
    files = segment_files(data_dir)
    if not files:
        return
    columns = ("deckwatch.stream", "log.iostream", "log.offset", "message")
    rows = pl.concat(
        [pl.read_parquet(file, columns=list(columns)).select(columns) for file in files], how="vertical_relaxed"
    )
    rows = rows.with_columns(pl.col("deckwatch.stream").cast(pl.String), pl.col("log.iostream").cast(pl.String))
    for _, part in rows.sort(columns[:3]).group_by(columns[:2], maintain_order=True):
        yield part["message"].to_list()


def segment_files(data_dir: Path) -> list[Path]:
    with _manifest(data_dir) as db:
        rows = db.execute("SELECT tenant, day, id FROM segments WHERE damaged = '' ORDER BY id").fetchall()
    return [data_dir / "store" / "segments" / tenant / day / f"{id_:010d}.parquet" for tenant, day, id_ in rows]


def declared_gaps(data_dir: Path) -> tuple[DeclaredGap, ...]:
    with _manifest(data_dir) as db:
        rows = db.execute("SELECT key, source, start, end, reason, detail FROM gaps ORDER BY seq").fetchall()
    return tuple(DeclaredGap(*row) for row in rows)


def has_store(data_dir: Path) -> bool:
    return (data_dir / "store" / "manifest.sqlite").exists()


def _manifest(data_dir: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{data_dir / 'store' / 'manifest.sqlite'}?mode=ro", uri=True)


def numbers_in(text: bytes) -> Numbers:
    return _numbers(NUMBER.findall(text))


def _numbers(found: list[bytes]) -> Numbers:
    return np.array([int(text) for text in found], np.int64)
