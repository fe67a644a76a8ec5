"""Store and sources side by side."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from deckwatch.runtime.faults import Unusable
from deckwatch.verify.compare import COUNT, NOT_HELD, REPEATED, compare
from deckwatch.verify.model import AgentAnswer, Looked, Missing, Source, Stream, Verified, read_gap, read_step
from deckwatch.verify.show import plain_problem, size, summary, when

END = Verified(1, 0, 3, 0)
GAP = Missing(10, 20, "truncated")


def stream(key: str = "k1", **changes: Any) -> Stream:
    whole = Stream(
        key=key,
        kind="log",
        complete=True,
        balanced=True,
        durable=100,
        stored=100,
        records=7,
        unaccounted=0,
        missing_records=0,
        repeated_records=0,
        missing=(),
        host="host-1",
        container="web",
        path="/logs/web.log",
    )
    return msgspec.structs.replace(whole, **changes)


def agent(*sources: Source, trouble: str = "") -> AgentAnswer:
    return AgentAnswer("agent-1", "host-1", trouble, sources)


def source(key: str = "k1", acked: int = 100, lag: int = 0, *, name: str = "web", tenant: str = "default") -> Source:
    return Source(key, "/logs/web.log", name, "live", acked + lag, acked, lag, tenant)


@pytest.mark.parametrize(
    ("held", "sources", "problems"),
    [
        (stream(), [source()], []),
        (stream(complete=False, missing=(GAP,)), [], ["truncated"]),
        (stream(missing=(msgspec.structs.replace(GAP, expected=True),)), [], []),
        (stream(complete=False, repeated_records=3), [], [REPEATED]),
        (stream(complete=False, missing_records=3), [], [COUNT]),
        (stream(complete=False, missing_records=3, missing=(GAP,)), [], ["truncated"]),  # which explains the number
        (stream(complete=False, balanced=False), [], [COUNT]),
        (stream(), [source(acked=101)], [NOT_HELD]),  # the collector was restored from a backup
        (stream(), [source("unknown")], [NOT_HELD]),
        (stream(), [source("", acked=0, lag=9)], []),  # nothing of it was sent yet
        (stream(), [source(acked=90, lag=10)], []),  # an ack that is on its way
        (stream(), [source("unknown", tenant="other")], []),
    ],
)
def test_what_is_a_problem(held: Stream, sources: list[Source], problems: list[str]) -> None:
    result = compare([held], END, [agent(*sources)], (), "")
    assert [problem.missing.reason for problem in result.problems] == problems
    assert result.complete is (not problems)


def test_only_the_chosen_containers_are_compared() -> None:
    sources = agent(source("k1"), source("k2", name="db"), source("k3", name="web-2"))
    assert compare([stream()], END, [sources], ("web*",), "").compared_logs == 2
    assert compare([stream()], END, [sources], (), "").compared_logs == 3


def test_a_complete_result_in_words() -> None:
    held = stream(dropped={"dropped by retention": 5000}, stored=123_456)
    result = compare([held], END, [agent(source(lag=12), trouble="connection refused")], (), "")
    assert list(summary(result)) == [
        "complete: 1 stream of 1 log, 7 records, 123.5 kB; 3 segments read; every byte is accounted for",
        "sources: 1 file on host-1 compared",
        "on their way: 12 B in 1 file, not acknowledged yet",
        "dropped by retention or on purpose: 5.0 kB",
        "note: the agent on host-1 can't send at the moment: connection refused",
    ]


def test_a_gap_in_words() -> None:
    gap = Missing(70, 140, "segment", "segments/7.parquet is gone", None, None)
    (problem,) = compare([stream(complete=False, missing=(gap,))], END, [], (), "").problems
    assert plain_problem(problem) == (
        "web on host-1: [70, 140) 70 B, segment; written unknown; segments/7.parquet is gone"
    )
    open_end = msgspec.structs.replace(problem, missing=msgspec.structs.replace(gap, end=None, detail="a\nb"))
    assert plain_problem(open_end).startswith("web on host-1: [70, unknown) unknown, segment")
    assert "\n" not in plain_problem(open_end)


@pytest.mark.parametrize(
    ("after", "noticed", "words"),
    [
        (None, None, "unknown"),
        ("2026-01-02T03:04:05.123456789Z", None, "since 2026-01-02 03:04:05"),
        (None, "2026-01-02T03:04:05.123456789Z", "until 2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05Z", "2026-01-02T04:04:05Z", "2026-01-02 03:04:05 to 04:04:05"),
        ("2026-01-02T03:04:05Z", "2026-01-04T04:04:05Z", "2026-01-02 03:04:05 to 2026-01-04 04:04:05"),
    ],
)
def test_when_lines_were_written(
    after: str | None, noticed: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    assert when(after, noticed) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e12, "2.5 TB")])
def test_sizes(number: float, words: str) -> None:
    assert size(number) == words


def test_lines_of_the_collector() -> None:
    assert read_step(b'{"deckwatch.progress":{"segments":1,"of":2}}') == Looked(1, 2)
    end = b'{"deckwatch.verified":{"streams":1,"incomplete":0,"segments":3,"unaccounted_segments":0}}'
    assert read_step(end) == END
    for read in (read_step, read_gap):
        with pytest.raises(Unusable, match="can't be read"):
            read(b'{"other": 1}')
