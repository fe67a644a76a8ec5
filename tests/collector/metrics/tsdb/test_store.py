"""The history of samples: what was taken is found again, through memory, blocks, merges and restarts, once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.source import STALE
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Reject, Retry, Unusable
from deckwatch.wire.model import MEASURED_NAN_BITS, Samples
from tests.collector.metrics.frames import T0_NS, frame

T0_MS = T0_NS // 1_000_000
HOUR_S = 3600


class Desk:
    """A store that may be closed and opened again; frames get their seq by themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(T0_NS)
        self.seq = 0
        self.settings = HistorySettings()
        self.store = self.open()

    def open(self) -> SampleStore:
        self.registry = CollectorRegistry()
        self.store = SampleStore(self.folder, self.settings, self.clock, self.registry)
        return self.store

    def take(self, samples: Samples, host: str = "h1") -> None:
        self.seq += 1
        self.clock.jump_wall(max(0, samples.ts_ns - self.clock.now_ns()) / 1e9)
        self.store.take(host, samples)

    def commit(self) -> None:
        self.store.commit(self.seq)

    def flush(self) -> None:
        self.commit()
        written = self.store.flush()
        assert written is not None
        assert written.result(20)

    def found(self, *matchers: str, start_s: float = -1e6, end_s: float = 1e6, tenant: str = "default") -> object:
        """`name{labels}` without the host -> [(seconds, value)]; a marker is None."""
        known = self.store.tenant(tenant)
        if known is None:
            return {}
        points = known.select([*map(matcher, matchers)], T0_MS + int(start_s * 1000), T0_MS + int(end_s * 1000))
        stale = points.values.view(np.uint64) == STALE.view(np.uint64)
        shown = {}
        for place, labels in enumerate(points.labels):
            rows = range(points.offsets[place], points.offsets[place + 1])
            name = dict(labels)[NAME_LABEL]
            inner = ",".join(f"{key}={value}" for key, value in labels if key not in (NAME_LABEL, "host"))
            shown[f"{name}{{{inner}}}" if inner else name] = [
                ((points.times_ms[row] - T0_MS) / 1000, None if stale[row] else float(points.values[row]))
                for row in rows
            ]
        return shown

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


def matcher(text: str) -> Matcher:
    for op in (MatchOp.NOT_EQUAL, MatchOp.REGEX, MatchOp.NOT_REGEX, MatchOp.EQUAL):
        label, found, value = text.partition(op.value)
        if found:
            return Matcher(label, op, value)
    return Matcher(NAME_LABEL, MatchOp.EQUAL, text)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "samples")
    yield desk
    desk.store.close()


def counted(at_s: float, value: float, target: str = "name=web") -> Samples:
    return frame(at_s, {target: {"c_total": value}})


def test_samples_are_found_by_name_labels_and_time(desk: Desk) -> None:
    for at_s in (0, 10, 20):
        values = {"c_total": at_s, "bytes{device=a}": 5.0, "bytes{device=b}": at_s / 3}
        desk.take(frame(at_s, {"name=web": values, "name=db": {"c_total": 1.0}}))
    assert desk.found("c_total", "name=web") == {"c_total{name=web}": [(0, 0), (10, 10), (20, 20)]}
    assert desk.found("bytes", "device!=a", start_s=5, end_s=10) == {"bytes{device=b,name=web}": [(10, 10 / 3)]}
    assert desk.found("__name__=~.*_total", "name=~w.b|x", start_s=20) == {"c_total{name=web}": [(20, 20)]}
    assert desk.found("c_total", "device=", "name!~web", end_s=0) == {"c_total{name=db}": [(0, 1)]}
    assert desk.found("c_total", "other=x") == {}
    assert desk.found("c_total", "other!=x", "name=web", end_s=0) == {"c_total{name=web}": [(0, 0)]}
    assert desk.found("c_total", tenant="other") == {}


@pytest.mark.parametrize("flushed", [False, True])
def test_what_is_missing_in_a_complete_frame_has_ended(desk: Desk, flushed: bool) -> None:
    desk.take(frame(0, {"name=web": {"a": 1, "b": 2}, "name=db": {"a": 3}}))
    if flushed:
        desk.flush()
    desk.take(frame(10, {"name=web": {"a": 1, "b": None}}))  # db isn't listed: nothing is said of it
    desk.take(frame(20, {"name=web": {"a": 1}}, ended=("name=db",)))
    desk.take(frame(20, {"name=other": {"a": 1}}, source="host"))  # another source of this host
    assert desk.found("b") == {"b{name=web}": [(0, 2), (10, None)]}
    assert desk.found("a", "name=db") == {"a{name=db}": [(0, 3), (20, None)]}
    assert desk.found("a", "name=web") == {"a{name=web}": [(0, 1), (10, 1), (20, 1)]}


def test_repeated_and_late_samples_are_dropped_and_counted(desk: Desk) -> None:
    for at_s, value in ((10, 1), (20, 2), (20, 9), (15, 7), (30, 3)):
        desk.take(counted(at_s, value))
    assert desk.found("c_total") == {"c_total{name=web}": [(10, 1), (20, 2), (30, 3)]}
    outcomes = [desk.count("deckwatch_history_samples_total", outcome=how) for how in ("added", "repeated", "late")]
    assert outcomes == [3, 1, 1]


def test_a_nan_that_was_measured_is_a_value_and_any_other_is_absent(desk: Desk) -> None:
    measured = float(np.array([MEASURED_NAN_BITS], np.uint64).view(np.float64)[0])
    desk.take(frame(0, {"name=web": {"quantile": 1.0}}))
    desk.take(frame(10, {"name=web": {"quantile": measured}}))
    desk.take(frame(20, {"name=web": {"quantile": None}}))
    found = desk.found("quantile")
    assert isinstance(found, dict)
    ((_, first), (at_s, second), last) = found["quantile{name=web}"]
    assert (first, at_s, math.isnan(second), last) == (1.0, 10, True, (20, None))


def test_a_series_that_a_frame_has_twice_counts_once(desk: Desk) -> None:
    twice = frame(0, {"name=web": {"c_total": 1}})
    desk.take(Samples(twice.source, twice.ts_ns, twice.tenant, twice.schemas, twice.targets * 2))
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 1)]}


def test_many_rows_are_packed_and_blocks_merged_without_losing_one(desk: Desk) -> None:
    """Series of two rhythms over five blocks, one of which begins late; every sample at its place after each step."""
    want: dict[str, list[tuple[float, float]]] = {"fast{name=web}": [], "slow{name=web}": []}
    for step in range(1500):
        at_s = 10.0 * step
        values = {"fast": math.sin(step)} | ({"slow": float(step)} if step % 7 == 0 else {})
        for name, value in values.items():
            want[f"{name}{{name=web}}"].append((at_s, value))
            desk.take(frame(at_s, {"name=web": {name: value}}, source=name))
        if step % 300 == 299:
            desk.flush()
            assert desk.found("__name__=~fast|slow") == want
    assert desk.count("deckwatch_history_blocks") == 2  # four became one
    assert desk.found("fast", start_s=2995, end_s=3005) == {"fast{name=web}": [(3000, math.sin(300))]}


def test_neighbouring_blocks_become_one(desk: Desk) -> None:
    for step in range(6):
        desk.take(counted(100 * step, step))
        desk.flush()
    tenant = desk.store.tenant("default")
    assert tenant is not None
    assert [block.info.samples for block in tenant.blocks] == [4, 1, 1]
    names = {path.name for path in (desk.folder / "blocks" / "default").iterdir()}
    assert names == {block.info.name for block in tenant.blocks}
    assert desk.found("c_total") == {"c_total{name=web}": [(100.0 * step, float(step)) for step in range(6)]}


def again(desk: Desk) -> None:
    desk.store.close()
    desk.open()


def killed(desk: Desk) -> None:
    """Nothing is closed: what was not committed is gone."""
    desk.open()


@pytest.mark.parametrize("restart", [again, killed])
def test_a_restart_keeps_what_was_committed_and_takes_the_rest_again(
    desk: Desk, restart: Callable[[Desk], None]
) -> None:
    desk.take(counted(0, 0))
    desk.flush()
    desk.take(counted(10, 1))
    desk.commit()
    desk.take(counted(20, 2))  # not committed
    position = desk.store.position()
    assert position == 2
    restart(desk)
    assert desk.store.position() == position
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1)]}
    desk.take(counted(20, 2))
    desk.take(frame(30, {"name=web": {"other": 1}}))  # it is remembered that c_total was there
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1), (20, 2), (30, None)]}


def test_frames_of_a_flushed_time_that_come_again_after_a_restart_are_not_doubled(desk: Desk) -> None:
    desk.take(counted(0, 0))
    desk.take(counted(10, 1))
    desk.flush()
    desk.store.close()
    (desk.folder / "manifest.json").rename(desk.folder / "kept")
    desk.open()  # without its manifest: everything is new to it, and the blocks are strangers
    assert desk.found("c_total") == {}
    desk.take(counted(0, 0))
    desk.take(counted(10, 1))
    desk.flush()
    desk.take(counted(10, 5))
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1)]}


def test_a_torn_record_is_cut_off_and_a_damaged_block_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.take(counted(0, 0))
    desk.flush()
    desk.take(counted(10, 1))
    desk.commit()
    desk.store.close()
    wal = max((desk.folder / "wal").iterdir())
    whole = wal.read_bytes()
    wal.write_bytes(whole + whole[: len(whole) - 1])
    desk.open()
    assert "were never committed and are cut off" in caplog.text
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1)]}
    desk.store.close()
    assert wal.read_bytes() == whole
    block = next((desk.folder / "blocks" / "default").iterdir())
    data = bytearray(block.read_bytes())
    data[-30] ^= 1
    block.write_bytes(data)
    desk.open()
    assert "doesn't fit its checksum" in caplog.text
    assert desk.count("deckwatch_history_damaged_blocks_total") == 1
    assert desk.found("c_total") == {"c_total{name=web}": [(10, 1)]}


def test_a_flipped_bit_in_a_frame_is_an_error_and_never_a_wrong_value(desk: Desk) -> None:
    for step in range(50):
        desk.take(counted(step, step * 1.37))
    desk.flush()
    desk.store.close()
    block = next((desk.folder / "blocks" / "default").iterdir())
    data = bytearray(block.read_bytes())
    data[12] ^= 4
    block.write_bytes(data)
    desk.open()
    with pytest.raises(Reject, match="frame 0 at byte 8 doesn't fit its checksum"):
        desk.found("c_total")


def test_a_full_disk_keeps_samples_in_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.take(counted(0, 0))
    desk.commit()
    (desk.folder / "blocks" / "default").chmod(0o500)
    blocked = desk.folder / "blocks" / "default" / ".000000000001.samples.new"
    (desk.folder / "blocks" / "default").chmod(0o700)
    blocked.mkdir()  # stands where the block is to be written
    written = desk.store.flush()
    assert written is not None
    assert written.result(20) is False
    assert desk.count("deckwatch_history_write_failures_total") == 1
    desk.take(counted(10, 1))
    desk.commit()
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1)]}
    again(desk)
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1)]}
    blocked.rmdir()
    desk.flush()
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0), (10, 1)]}


def test_a_commit_that_the_disk_refuses_may_be_tried_again(desk: Desk) -> None:
    desk.take(counted(0, 0))
    (desk.folder / "wal").rename(desk.folder / "away")
    with pytest.raises(Retry, match="samples can't be committed"):
        desk.commit()
    assert desk.store.position() == -1
    (desk.folder / "away").rename(desk.folder / "wal")
    desk.commit()
    killed(desk)
    assert desk.found("c_total") == {"c_total{name=web}": [(0, 0)]}


def test_old_blocks_go_and_old_series_are_forgotten(desk: Desk) -> None:
    desk.settings = HistorySettings(keep_days=1)
    again(desk)
    desk.take(frame(0, {f"name=c{n}": {"a": 1.0} for n in range(10)}))
    desk.flush()
    for hours in (2, 4, 26, 28):
        desk.take(counted(hours * HOUR_S, hours))
        desk.flush()
    assert desk.found("a") == {}
    assert desk.found("c_total") == {"c_total{name=web}": [(h * HOUR_S, h) for h in (4, 26, 28)]}
    assert desk.count("deckwatch_history_series") == 1


def test_samples_are_written_when_they_are_due(desk: Desk) -> None:
    desk.take(counted(0, 0))
    desk.commit()
    assert desk.count("deckwatch_history_blocks") == 0
    desk.take(counted(7300, 1))
    desk.commit()
    desk.store.close()  # waits for the worker
    assert len(list((desk.folder / "blocks" / "default").iterdir())) == 1


def test_names_values_and_series_for_completion(desk: Desk) -> None:
    desk.take(frame(0, {"name=web": {"a": 1, "b{device=x}": 2}}))
    desk.flush()
    desk.take(frame(10, {"name=db": {"a": 3}}))
    tenant = desk.store.tenant("default")
    assert tenant is not None
    everything = (T0_MS - 1000, T0_MS + 20_000)
    assert tenant.label_names((), *everything) == ["__name__", "device", "host", "name"]
    assert tenant.label_names((matcher("name=db"),), *everything) == ["__name__", "host", "name"]
    assert tenant.label_values("name", (matcher("a"),), *everything) == ["db", "web"]
    assert tenant.label_values("nobody", (), *everything) == []
    assert [dict(each)["name"] for each in tenant.series_labels((matcher("a"),), *everything)] == ["db", "web"]


def test_a_query_that_would_load_too_much_is_refused(desk: Desk) -> None:
    for step in range(600):
        desk.take(counted(step, step))
        if step == 499:
            desk.flush()
    tenant = desk.store.tenant("default")
    assert tenant is not None
    asked = ([matcher("c_total")], T0_MS, T0_MS + 599_000)
    assert len(tenant.select(*asked, 600).values) == 600
    for limit in (599, 499):
        with pytest.raises(QueryError, match=f"limit {limit}"):
            tenant.select(*asked, limit)
    assert len(tenant.select(asked[0], T0_MS + 490_000, T0_MS + 509_000, 20).values) == 20


def test_frames_that_do_not_fit_are_refused_whole(desk: Desk) -> None:
    good = frame(0, {"name=web": {"a": 1}, "name=db": {"a": 1}})
    target = good.targets[1]
    for bad in (
        Samples("s", 0, "default", good.schemas, (good.targets[0], type(target)(target.labels, 7, target.values))),
        Samples("s", 0, "default", good.schemas, (good.targets[0], type(target)(target.labels, 1, b"123"))),
    ):
        with pytest.raises(Reject, match="target 1"):
            desk.take(bad)
    assert desk.found("a") == {}


def test_a_folder_of_a_newer_version_is_left_alone(desk: Desk) -> None:
    desk.take(counted(0, 0))
    desk.flush()
    desk.store.close()
    manifest = desk.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"version":1', '"version":9'))
    with pytest.raises(Unusable, match="is of version 9"):
        desk.open()
    manifest.write_text("{")
    with pytest.raises(Unusable, match="restore it from a backup"):
        desk.open()
    manifest.unlink()
    desk.open()


@pytest.mark.parametrize("name", ["", ".", "..", "../../evil", "a/b", "/evil", "a\0b", "x" * 201])
def test_a_tenant_that_leads_out_of_the_folder_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(Reject, match="can't be a tenant"):
        desk.store.take("h1", frame(0, {"name=web": {"a": 1}}, tenant=name))
    desk.commit()
    assert {path.name for path in desk.folder.parent.iterdir()} == {desk.folder.name}
    assert [path for path in desk.folder.rglob("*") if path.name not in ("blocks", "wal", "00000000.wal")] == []


def test_tenants_are_kept_apart(desk: Desk) -> None:
    desk.take(frame(0, {"name=web": {"a": 1}}, tenant="red"))
    desk.take(frame(0, {"name=web": {"a": 2}}, tenant="blue"))
    for _ in range(2):
        assert desk.found("a", tenant="red") == {"a{name=web}": [(0, 1)]}
        assert desk.found("a", tenant="blue") == {"a{name=web}": [(0, 2)]}
        desk.commit()
        desk.store.flush()
        again(desk)
    assert np.isfinite(desk.count("deckwatch_history_blocks"))
