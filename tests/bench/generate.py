"""Writes docker-json log files of any size for the benches.

A few thousand lines are rendered once from templates (or read from a folder of real logs); each repetition of that
block gets new digits, hexadecimal digits and time stamps in place, by numpy, so 200 MB take a second or two. Widths
never change, only values: whatever was valid JSON stays it (a number's first digit is never replaced by 0).

    python -m tests.bench.generate OUT --size 200MB --kind generated|real
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from tests.bench.templates import render_units

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
STEP_NS = 1_000_003  # mean distance of two lines: 1,000 lines a second
BLOCK_LINES = 8192
REAL_LOGS = Path(__file__).parents[3] / "shared" / "data" / "logs"

_DOCKER_STAMP = b"2026-01-01T00:00:00.000000000Z"
_TEXT_STAMP = re.compile(rb"2026-01-01([T ])00:00:00([.,])000")
_KEPT = re.compile(  # digits that mean something: dates, versions, status codes, numeric levels, frames
    rb"\d{2,4}[-/:.]\d{2}[-/:.]\d{2}(?:[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?)?|(?<=\"log\":\")(?:\d{6} \d{6}|\d\d-\d\d )"
    rb"|\d\d/\w{3}/\d{4}|\+0000|HTTP/\d\.\d(?:\\\" \d{3})?|\\\"level\\\":\d+|\\u003c\d\\u003e|\w\.java:\d+"
    rb"|\.go:\d+ \+0x|Mozilla[^\"\\]*|curl/[\d.]+|kube-probe/[\d.]+|MY-\d+|ssh2|/v\d/|20\d\d \d\d:\d\d"
)
_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.")
_HEX_RUN = re.compile(rb"(?<![0-9A-Za-z])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{8,}(?![0-9A-Za-z])")

_DIGIT = np.frombuffer(bytes(48 + value % 10 for value in range(256)), np.uint8)
_NONZERO = np.frombuffer(bytes(49 + value % 9 for value in range(256)), np.uint8)
_HEX = np.frombuffer(bytes(b"0123456789abcdef"[value % 16] for value in range(256)), np.uint8)


class Block:
    """Rendered lines and where in them something varies."""

    def __init__(self, lines: list[bytes]) -> None:
        """`lines` are whole docker-json lines with their newline and _DOCKER_STAMP as time."""
        text = b"".join(lines)
        self.lines = len(lines)
        self._bytes = np.frombuffer(text, np.uint8)
        lengths = np.fromiter((len(line) for line in lines), np.int64, len(lines))
        self._ends = np.cumsum(lengths)
        self._docker_stamps = self._ends - 3 - len(_DOCKER_STAMP)
        self._text_stamps = np.array([match.start() for match in _TEXT_STAMP.finditer(text)], np.int64)
        self._text_stamp_lines = np.searchsorted(self._ends, self._text_stamps, side="right")
        fixed = _fixed_places(text, self._docker_stamps, self._text_stamps)
        self._digits, self._firsts, self._hexes = _varying_places(text, fixed)

    def repeat(self, rng: np.random.Generator, start_ns: int) -> tuple[Bytes, Places, int]:
        """One repetition: its bytes, the end of each line in it, and the time behind its last line."""
        data = self._bytes.copy()
        for places, table in ((self._digits, _DIGIT), (self._firsts, _NONZERO), (self._hexes, _HEX)):
            data[places] = table[np.frombuffer(rng.bytes(len(places)), np.uint8)]
        steps = rng.integers(1, 2 * STEP_NS, self.lines)
        times_ns = start_ns + np.cumsum(steps)
        digits = _stamp_digits(times_ns)
        _write_stamps(data, self._docker_stamps, digits)
        _write_stamps(data, self._text_stamps, digits[self._text_stamp_lines, :17])
        return data, self._ends, int(times_ns[-1])


_STAMP_PLACES = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28])


def _stamp_digits(times_ns: Places) -> Bytes:
    """(lines, 23) ASCII digits of YYYYMMDDhhmmssnnnnnnnnn."""
    seconds, nanos = np.divmod(times_ns, 1_000_000_000)
    days, in_day = np.divmod(seconds, 86_400)
    ymd = days.astype("datetime64[D]")
    years = ymd.astype("datetime64[Y]").astype(np.int64) + 1970
    months = ymd.astype("datetime64[M]").astype(np.int64) % 12 + 1
    month_days = (ymd - ymd.astype("datetime64[M]")).astype(np.int64) + 1
    fields = ((years, 4), (months, 2), (month_days, 2), (in_day // 3600, 2), (in_day // 60 % 60, 2), (in_day % 60, 2))
    columns = [field // 10**power % 10 for field, width in fields for power in reversed(range(width))]
    columns += [nanos // 10**power % 10 for power in reversed(range(9))]
    return (np.stack(columns, axis=1) + 48).astype(np.uint8)


def _write_stamps(data: Bytes, starts: Places, digits: Bytes) -> None:
    data[starts[:, None] + _STAMP_PLACES[: digits.shape[1]]] = digits


def _fixed_places(text: bytes, docker_stamps: Places, text_stamps: Places) -> npt.NDArray[np.bool_]:
    """Which bytes are never varied: stamps, escapes, keys of the wrapping."""
    fixed = np.zeros(len(text), np.bool_)
    for match in (*_ESCAPE.finditer(text), *_KEPT.finditer(text)):
        fixed[match.start() : match.end()] = True
    fixed[docker_stamps[:, None] + np.arange(len(_DOCKER_STAMP))] = True
    if len(text_stamps):
        fixed[text_stamps[:, None] + np.arange(23)] = True
    return fixed


def _varying_places(text: bytes, fixed: npt.NDArray[np.bool_]) -> tuple[Places, Places, Places]:
    """Places of digits, of digits that must not become 0, and of hexadecimal digits."""
    data = np.frombuffer(text, np.uint8)
    is_hex = np.zeros(len(data), np.bool_)
    for match in _HEX_RUN.finditer(text):
        is_hex[match.start() : match.end()] = True
    is_hex &= ~fixed
    is_digit = (data >= 48) & (data <= 57) & ~fixed & ~is_hex
    before = np.concatenate(([np.uint8(32)], data[:-1]))
    word_before = (before >= 48) & (before <= 57) | (before >= 65) & (before <= 90) | (before >= 97) & (before <= 122)
    first = is_digit & ~word_before
    kept_zero = first & (data == 48)
    return np.flatnonzero(is_digit & ~first), np.flatnonzero(first & ~kept_zero), np.flatnonzero(is_hex)


def wrap(text: str, iostream: str = "stdout") -> list[bytes]:
    """A line as Docker's json-file driver writes it: in pieces of 16 KiB, only the last with the newline."""
    raw = text.encode()
    cuts = [raw[at : at + 16384].decode(errors="replace") for at in range(0, len(raw), 16384)] or [""]
    cuts[-1] += "\n"
    return [_docker_line(cut, iostream) for cut in cuts]


def _docker_line(text: str, iostream: str) -> bytes:
    log = json.dumps(text, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'{{"log":{log},"stream":"{iostream}","time":"{_DOCKER_STAMP.decode()}"}}\n'.encode()


def generated_block(seed: int) -> Block:
    lines: list[bytes] = []
    units = render_units(random.Random(seed))
    while len(lines) < BLOCK_LINES:
        iostream, texts = next(units)
        for text in texts:
            lines += wrap(text, iostream)
    return Block(lines)


def real_block(folder: Path) -> Block:
    """Every line of `folder`/*.log, file by file."""
    lines: list[bytes] = []
    for path in sorted(folder.glob("*.log")):
        for line in path.read_bytes().decode(errors="replace").splitlines():
            lines += wrap(line)
    if not lines:
        raise FileNotFoundError(f"{folder} has no *.log file to repeat")
    return Block(lines)


def blocks(block: Block, *, lines: int | None, size_bytes: int | None, seed: int, start_ns: int) -> Iterator[Bytes]:
    """Repetitions of a block until `lines` lines or at least `size_bytes` bytes are out; the last one is cut."""
    rng = np.random.default_rng(seed)
    lines_left = lines if lines is not None else 2**62
    bytes_left = size_bytes if size_bytes is not None else 2**62
    while lines_left > 0 and bytes_left > 0:
        data, ends, start_ns = block.repeat(rng, start_ns)
        whole = min(lines_left, int(np.searchsorted(ends, bytes_left)) + 1, block.lines)
        end = int(ends[whole - 1])
        yield data[:end]
        lines_left -= whole
        bytes_left -= end


def real_lines(folder: Path, n: int, seed: int, *, start_ns: int = START_NS) -> Iterator[bytes]:
    """`n` docker-json lines, many a block: the real logs of `folder` again and again with other digits."""
    for data in blocks(real_block(folder), lines=n, size_bytes=None, seed=seed, start_ns=start_ns):
        yield data.tobytes()


def write_docker_json(
    path: Path,
    *,
    size_bytes: int | None = None,
    lines: int | None = None,
    seed: int = 0,
    start_ns: int = START_NS,
    real: Path | None = None,
) -> int:
    """Write a docker-json log of `lines` lines or of the first line end at or behind `size_bytes`; its size.

    `real` is a folder of real logs to be repeated instead of the templates.
    """
    if (size_bytes is None) == (lines is None):
        raise ValueError("give either size_bytes or lines")
    block = generated_block(seed) if real is None else real_block(real)
    written = 0
    with path.open("wb") as file:
        for data in blocks(block, lines=lines, size_bytes=size_bytes, seed=seed, start_ns=start_ns):
            file.write(data.data)
            written += len(data)
    return written


def parse_size(text: str) -> int:
    """`200MB`, `2GB`, `64KiB`, `1000`: bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMG]?)(i?)B?", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no size: write it like 200MB or 64KiB")
    power = " kMG".index(match[2].replace("K", "k") or " ")
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--size", default="200MB", callback=lambda _c, _p, value: parse_size(value), show_default=True)
@click.option("--lines", type=int, default=None, help="Instead of --size.")
@click.option("--kind", type=click.Choice(["generated", "real"]), default="generated", show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), default=REAL_LOGS, help="Of the real logs.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(out: Path, size: int, lines: int | None, kind: str, folder: Path, seed: int) -> None:
    """Write a docker-json log file for a bench."""
    began = datetime.now(UTC)
    written = write_docker_json(
        out,
        size_bytes=size if lines is None else None,
        lines=lines,
        seed=seed,
        real=folder if kind == "real" else None,
    )
    took_s = (datetime.now(UTC) - began).total_seconds()
    click.echo(f"{out}: {written / 1e6:.1f} MB in {took_s:.1f} s")


if __name__ == "__main__":
    main()
