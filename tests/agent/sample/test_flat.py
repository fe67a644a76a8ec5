from __future__ import annotations

import pytest

from agent.sample import flat


def test_keyed_picks_by_name_and_learns_a_new_order() -> None:
    keyed = flat.Keyed("b", "missing", "a")
    assert keyed.pick(b"a 1\nb 2\nc 3\n") == [2, None, 1]
    assert keyed.pick(b"a 4\nb 5\nc 6\n") == [5, None, 4]
    assert keyed.pick(b"c 3\nmissing 9\nb 2\na 1\n") == [2, 9, 1]
    assert keyed.pick(b"a 1\n") == [None, None, 1]
    assert keyed.pick(b"") == [None, None, None]
    assert keyed.pick(None) == [None, None, None]


def test_keyed_says_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        flat.Keyed("a").pick(b"a x\n")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"max\n", None),
        (b"-1\n", None),
        (b"9223372036854771712\n", None),
        (b"9223372036854710272\n", None),  # 64 KiB pages
        (b"8388608\n", 8388608),
        (b"0\n", 0),
        (None, None),
    ],
)
def test_limit(text: bytes | None, want: int | None) -> None:
    assert flat.limit(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [(b"max 100000\n", (None, 100000)), (b"25000 100000\n", (25000, 100000)), (None, (None, None))],
)
def test_cpu_max(text: bytes | None, want: tuple[int | None, int | None]) -> None:
    assert flat.cpu_max(text) == want


@pytest.mark.parametrize(("weight", "shares"), [(1, 2), (20, 500), (100, 2597), (10000, 262144), (None, None)])
def test_shares_of_weight(weight: int | None, shares: int | None) -> None:
    assert flat.shares_of_weight(weight) == shares


SOME = b"some avg10=0.00 avg60=0.10 avg300=0.00 total=16409\n"
FULL = b"full avg10=0.00 avg60=0.00 avg300=0.00 total=16142\n"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (SOME + FULL, (16409, 16142)),
        (SOME, (16409, None)),  # cpu.pressure before kernel 5.13
        (FULL, (None, 16142)),  # irq.pressure
        (b"", (None, None)),
        (None, (None, None)),
    ],
)
def test_pressure(text: bytes | None, want: tuple[int | None, int | None]) -> None:
    assert flat.pressure(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n", [("254:0", b"wbytes", 2)]),
        (b"7:0 \n254:0 wbytes=2\n", [("254:0", b"wbytes", 2)]),  # a device without figures
        (b"7:1 7:0 254:0 wbytes=2\n", [("254:0", b"wbytes", 2)]),  # older kernels forget the newline there
        (b"8:0 wbytes=2 cost.vrate=100.00\n", [("8:0", b"wbytes", 2)]),  # a figure that is no integer
        (b"", []),
        (None, []),
    ],
)
def test_io_stat(text: bytes | None, want: list[tuple[str, bytes, int]]) -> None:
    assert [(device, b"wbytes", counts[b"wbytes"]) for device, counts in flat.io_stat(text)] == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"Total 0\n", {}),
        (b"8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n", {"8:0": {b"Read": 1, b"Write": 2, b"Total": 3}}),
        (b"8:0 Read 0\n8:16 Read 0\nTotal 0\n", {"8:0": {b"Read": 0}, "8:16": {b"Read": 0}}),
        (None, {}),
    ],
)
def test_blkio(text: bytes | None, want: dict[str, dict[bytes, int]]) -> None:
    assert flat.blkio(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"12\n7\n", (12, 7)),
        (b"1\n2\n3\n4\n5\n6\n", (1, 2, 3, 4)),
        (b"0\n0\n9\n", (9,)),  # 0: of another pid namespace
        (b"", ()),
    ],
)
def test_first_pids(text: bytes, want: tuple[int, ...]) -> None:
    assert flat.first_pids(text) == want
