"""What the state directory keeps: who the agent is, and where it was."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from agent.ship.checkpoint import VERSION, Checkpoint, load_checkpoint, save_checkpoint
from agent.ship.instance import load_instance, machine_digest
from agent.tail.logfile import FileId
from agent.tail.mark import Mark
from agent.tail.state import PlannedGap, StreamState
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.model import Container, Format, GapReason

STATE = StreamState(
    source="c/json",
    generation="4-a",
    format=Format.DOCKER_JSON,
    path="/a.log",
    file=FileId(1, 2),
    acked=Mark(10, 11, 12, 13),
    container=Container("c", name="web", labels=(("app", "web"),)),
    gaps=(PlannedGap(10, -1, Mark(), GapReason.DELETED, 5, "gone", last=True),),
)
KEPT = Checkpoint(VERSION, "agent-1", "e1", 7, (STATE,))


@pytest.mark.parametrize("streams", [0, 1, 255, 256, 257, 1000])
def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path, streams: int) -> None:
    """It is written in pieces, so that thousands of streams take no megabytes; it is one JSON text all the same."""
    states = tuple(msgspec.structs.replace(STATE, generation=f"{n}-a") for n in range(streams))
    kept = msgspec.structs.replace(KEPT, streams=states)
    save_checkpoint(tmp_path, kept)
    assert (tmp_path / "checkpoint.json").read_bytes() == msgspec.json.encode(kept)
    loaded = load_checkpoint(tmp_path, "agent-1", seen_before=True)
    assert loaded.checkpoint == kept
    assert not loaded.lost
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


def test_a_mark_of_an_older_checkpoint_has_no_head() -> None:
    assert msgspec.json.decode(b'{"offset":2000,"crc":5,"probe_bytes":1024,"probe_crc":6}', type=Mark).head_crc is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "damaged"),
        (b'{"version":1,', "damaged"),
        (b'{"version":1,"agent":5}', "damaged"),
        (msgspec.json.encode(msgspec.structs.replace(KEPT, agent="agent-2")), "of another agent, agent-2"),
    ],
)
def test_a_bad_checkpoint_is_set_aside_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes, says: str
) -> None:
    (tmp_path / "checkpoint.json").write_bytes(data)
    with caplog.at_level(logging.ERROR):
        loaded = load_checkpoint(tmp_path, "agent-1", seen_before=True)
    assert loaded.checkpoint is None
    assert loaded.lost
    assert says in caplog.text
    [aside] = tmp_path.glob("checkpoint.json.*.bad")
    assert aside.read_bytes() == data


def test_the_first_start_misses_nothing(tmp_path: Path) -> None:
    assert not load_checkpoint(tmp_path, "agent-1", seen_before=False).lost
    assert load_checkpoint(tmp_path, "agent-1", seen_before=True).lost


def test_an_instance_is_made_once(tmp_path: Path) -> None:
    made = load_instance(tmp_path, "m1")
    assert load_instance(tmp_path, "m1") == made
    assert load_instance(tmp_path, "") == made  # a machine id that can't be read now changes nothing
    assert made.id.startswith("m1-")


def test_a_clone_gets_an_instance_of_its_own(tmp_path: Path) -> None:
    made = load_instance(tmp_path, "m1")
    clone = load_instance(tmp_path, "m2")
    assert clone.id != made.id
    assert load_instance(tmp_path, "m2") == clone


def test_whoever_loses_the_state_is_the_same_instance_again(tmp_path: Path) -> None:
    first, again, renamed, nobody, other = (tmp_path / name for name in ("1", "2", "3", "4", "5"))
    for folder in (first, again, renamed, nobody, other):
        folder.mkdir()
    made = load_instance(first, "m1", host="web-1")
    assert load_instance(again, "m1", host="web-1") == made
    assert load_instance(renamed, "m1", host="web-2") != made
    assert load_instance(first, "m1", host="web-2") == made  # the state directory's word holds
    assert load_instance(nobody, "", host="web-1") != load_instance(other, "", host="web-1")  # no machine id


def test_a_damaged_instance_is_not_replaced_silently(tmp_path: Path) -> None:
    (tmp_path / "instance.json").write_bytes(b"{")
    with pytest.raises(Unusable, match="move it away"):
        load_instance(tmp_path, "m1")


def test_the_machine_id_itself_is_not_told(tmp_path: Path) -> None:
    machine_id = tmp_path / "machine-id"
    machine_id.write_text("0123456789abcdef0123456789abcdef\n")
    digest = machine_digest((tmp_path / "missing", machine_id))
    assert len(digest) == 16
    assert digest not in machine_id.read_text()
    assert machine_digest((tmp_path / "missing",)) == ""
