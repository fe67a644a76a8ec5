"""Store and sources put side by side. Pure: it is handed what the collector and the agents have said.

The agents were asked before the collector, so that whatever they call acknowledged must be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from deckwatch.verify.model import AgentAnswer, Missing, Source, Stream, Verified

NOT_HELD = "acknowledged and not held"
"""Reason where an agent was told that the collector has bytes which it doesn't have: it was restored from a backup."""
COUNT = "records do not add up"
REPEATED = "records are there twice"


class Problem(msgspec.Struct, frozen=True):
    """Something of a stream that is not as it should be."""

    container: str
    host: str
    path: str
    stream: str
    missing: Missing


class Result(msgspec.Struct, frozen=True):
    """`on_their_way`: bytes in files that are not acknowledged yet; they are still there, so they are no gap."""

    complete: bool
    streams: int
    containers: int
    records: int
    stored_bytes: int
    segments: int
    dropped_bytes: int
    compared_logs: int
    agents: tuple[str, ...]  # hosts
    on_their_way_bytes: int
    on_their_way_logs: int
    problems: tuple[Problem, ...]
    expected: tuple[Problem, ...]  # left out on purpose: no fault
    notes: tuple[str, ...]


def compare(
    streams: Sequence[Stream], end: Verified, agents: Sequence[AgentAnswer], containers: Sequence[str], tenant: str
) -> Result:
    """`containers`: names with wildcards; none: all."""
    held = {stream.key: stream for stream in streams}
    sources = [
        (agent, source)
        for agent in agents
        for source in agent.streams
        if source.tenant == (tenant or "default") and _chosen(source, held, containers)
    ]
    found = [problem for stream in streams for problem in _of_store(stream)]
    found += [problem for agent, source in sources if (problem := _of_source(agent, source, held))]
    waiting = [source for _, source in sources if source.lag_bytes]
    problems = tuple(problem for problem in found if not problem.missing.expected)
    return Result(
        complete=not problems,
        streams=len(streams),
        containers=len({(stream.host, stream.container or stream.path) for stream in streams if stream.kind == "log"}),
        records=sum(stream.records for stream in streams),
        stored_bytes=sum(stream.stored for stream in streams if stream.kind == "log"),
        segments=end.segments,
        dropped_bytes=sum(sum(stream.dropped.values()) for stream in streams),
        compared_logs=len(sources),
        agents=tuple(agent.host for agent in agents),
        on_their_way_bytes=sum(source.lag_bytes for source in waiting),
        on_their_way_logs=len(waiting),
        problems=problems,
        expected=tuple(problem for problem in found if problem.missing.expected),
        notes=tuple(_notes(end, agents)),
    )


def _chosen(source: Source, held: Mapping[str, Stream], containers: Sequence[str]) -> bool:
    return not containers or source.key in held or any(fnmatchcase(source.container, name) for name in containers)


def _of_store(stream: Stream) -> Iterable[Problem]:
    for missing in stream.missing:
        yield Problem(stream.container, stream.host, stream.path, stream.key, missing)
    if stream.repeated_records:
        yield _counted(stream, REPEATED, f"{stream.repeated_records:,} of them")
    elif stream.missing_records > 0 and not stream.missing:
        yield _counted(stream, COUNT, f"{stream.missing_records:,} are missing among {stream.records:,}")
    elif not stream.complete and not stream.missing:
        yield _counted(stream, COUNT, "the account of its bytes does not balance: see /api/v1/accounting")


def _counted(stream: Stream, reason: str, detail: str) -> Problem:
    return Problem(stream.container, stream.host, stream.path, stream.key, Missing(0, stream.durable, reason, detail))


def _of_source(agent: AgentAnswer, source: Source, held: Mapping[str, Stream]) -> Problem | None:
    stream = held.get(source.key)
    offset = stream.durable if stream else 0
    if source.acked_bytes <= offset or not source.key:
        return None
    detail = "the agent will send them again or declare them lost, once it hears of the collector's new epoch"
    missing = Missing(offset, source.acked_bytes, NOT_HELD, detail)
    return Problem(source.container, agent.host, source.path, source.key, missing)


def _notes(end: Verified, agents: Sequence[AgentAnswer]) -> Iterable[str]:
    if end.unaccounted_segments:
        yield (
            f"{end.unaccounted_segments} segments were written by a version that kept no account of them: their files"
            " are sound, which records they should hold is not known"
        )
    for agent in agents:
        if agent.trouble:
            yield f"the agent on {agent.host} can't send at the moment: {agent.trouble}"
