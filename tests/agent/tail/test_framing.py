from __future__ import annotations

import pytest

from agent.tail.framing import WAIT, Cut, cut_frames, cut_lines, naming_bytes, possible_generations, sniff
from deckwatch.wire.codec import pack_frame
from deckwatch.wire.identity import fingerprint, is_of_generation
from deckwatch.wire.model import Event, Format


@pytest.mark.parametrize(
    ("block", "full", "final", "cut"),
    [
        (b"one\ntwo\n", False, False, Cut(8)),
        (b"one\ntw", False, False, Cut(4)),
        (b"one\ntw", True, False, Cut(4)),  # the rest begins the next block
        (b"one\ntw", False, True, Cut(4)),  # the unterminated end comes alone, with its flag
        (b"tw", False, False, WAIT),
        (b"tw", False, True, Cut(2, eof=True)),
        (b"tw", True, False, Cut(2)),  # a line longer than a block goes on in the next
        (b"tw", True, True, Cut(2)),  # there may be more behind it
        (b"", False, True, WAIT),
        (b"\xff\x00\n\xfe", False, False, Cut(3)),  # bytes are bytes
    ],
)
def test_cut_lines(block: bytes, full: bool, final: bool, cut: Cut) -> None:
    assert cut_lines(block, full=full, final=final) == cut


FRAME = pack_frame(Event(1, "default", "agent", "start", None))


@pytest.mark.parametrize(
    ("block", "cut"),
    [
        (FRAME * 2, Cut(2 * len(FRAME))),
        (FRAME + FRAME[:-1], Cut(len(FRAME))),
        (FRAME + FRAME[:3], Cut(len(FRAME))),  # not even the length is whole
        (FRAME[:-1], Cut(0, need_bytes=len(FRAME))),
        (FRAME[:2], WAIT),
        (b"", WAIT),
    ],
)
def test_cut_frames(block: bytes, cut: Cut) -> None:
    assert cut_frames(block) == cut


@pytest.mark.parametrize(
    ("first", "form"),
    [
        (b'{"log":"x\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n', Format.DOCKER_JSON),
        (b'{"level":"info","msg":"x"}\n', Format.PLAIN),  # JSON of the application's own
        (b"2016-10-06T00:17:09.669794202Z stdout F text\n", Format.CRI),
        (b"2016-10-06T00:17:09.669794202+02:00 stderr P text\n", Format.CRI),
        (b"2016-10-06T00:17:09Z something else\n", Format.PLAIN),
        (b"\xff\xfe\n", Format.PLAIN),
    ],
)
def test_sniff(first: bytes, form: Format) -> None:
    assert sniff(first) is form


@pytest.mark.parametrize("first", [b"one line\n", b"\n", b"x" * 1023 + b"\n", b"x" * 1024 + b"\n", b"x" * 5000 + b"\n"])
def test_a_name_does_not_depend_on_how_much_of_the_file_was_there(first: bytes) -> None:
    """Two agents that follow one file by mistake see it at moments of their own."""
    text = first + b"".join(b"line %d\n" % i for i in range(300))
    ends = [i + 1 for i, byte in enumerate(text) if byte == 0x0A]
    names = {fingerprint(naming_bytes(text[:end], Format.PLAIN)) for end in ends}
    assert len(names) == 1
    assert names <= set(possible_generations(text))


def test_a_spool_is_named_by_all_of_its_first_bytes() -> None:
    assert naming_bytes(b"\x0a" * 2000, Format.FRAMES) == b"\x0a" * 1024


def test_a_streams_name_is_among_the_possible_ones_however_early_it_was_taken() -> None:
    head = b"".join(b"line %d\n" % i for i in range(300))
    names = possible_generations(head)
    taken = [fingerprint(head[: i + 1]) for i, byte in enumerate(head) if byte == 0x0A]  # at any line's end
    assert set(taken) <= set(names)
    assert all(is_of_generation(name, head) for name in names)
    assert possible_generations(b"") == ()
