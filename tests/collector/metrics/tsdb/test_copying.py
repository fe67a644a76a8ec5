"""A copy of the history that is taken while samples come holds what was committed before it, and is whole."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from collector.fsck.report import Findings
from collector.fsck.samples import check_samples
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp
from collector.metrics.tsdb.copying import copy_history
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import ManualClock
from tests.collector.metrics.frames import T0_NS, frame

EVERYTHING = (-(1 << 60), 1 << 60)


def opened(folder: Path) -> SampleStore:
    return SampleStore(folder, HistorySettings(keep_days=0), ManualClock(T0_NS), CollectorRegistry())


def values(store: SampleStore) -> list[float]:
    tenant = store.tenant("default")
    assert tenant is not None
    found: list[float] = tenant.select([Matcher(NAME_LABEL, MatchOp.EQUAL, "c_total")], *EVERYTHING).values.tolist()
    return found


def fill(store: SampleStore, first: int, last: int) -> None:
    for number in range(first, last):
        store.take("h1", frame(number, {"name=web": {"c_total": number}}))
        store.commit(number)
        if number % 10 == 9:
            written = store.flush()
            if written is not None:
                assert written.result(20)


def copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def copied(source: Path, target: Path) -> SampleStore:
    copy_history(source, target, copy, os.link)
    return opened(target)


def test_blocks_and_what_is_in_no_block_yet(tmp_path: Path) -> None:
    store = opened(tmp_path / "one")
    fill(store, 0, 95)
    second = copied(tmp_path / "one", tmp_path / "two")
    assert values(second) == values(store) == [float(number) for number in range(95)]
    assert second.position() == 94
    second.close()
    store.close()


def test_while_blocks_are_written_and_merged(tmp_path: Path) -> None:
    store = opened(tmp_path / "one")
    fill(store, 0, 20)
    filling = threading.Thread(target=fill, args=(store, 20, 420))
    filling.start()
    copies = 0
    while filling.is_alive() and copies < 10:
        before = store.position()
        second = copied(tmp_path / "one", tmp_path / f"copy-{copies}")
        found = values(second)
        assert found == [float(number) for number in range(len(found))]
        assert second.position() == len(found) - 1 >= before
        second.close()
        copies += 1
    filling.join()
    assert copies > 1
    store.close()


def test_fsck_names_a_block_that_is_not_what_was_written(tmp_path: Path) -> None:
    store = opened(tmp_path / "one")
    fill(store, 0, 20)
    store.close()
    found = Findings()
    check_samples(tmp_path / "one", found)
    assert found.report().exit_code == 0
    assert found.report().checked == {"blocks of samples": 2}
    one, two = sorted((tmp_path / "one" / "blocks" / "default").iterdir())
    data = bytearray(one.read_bytes())
    data[10] ^= 1
    one.write_bytes(data)
    two.unlink()
    found = Findings()
    check_samples(tmp_path / "one", found)
    assert [finding.where for finding in found.report().findings] == [str(one), str(two)]
    (tmp_path / "one" / "manifest.json").write_text("{")
    found = Findings()
    check_samples(tmp_path / "one", found)
    assert "is not the manifest of a history" in found.report().findings[0].what


@pytest.mark.parametrize("missing", ["nothing there", "empty"])
def test_a_history_that_never_was(tmp_path: Path, missing: str) -> None:
    source = tmp_path / "one"
    if missing == "empty":
        opened(source).close()
    assert copy_history(source, tmp_path / "two", copy, os.link) == 0
    opened(tmp_path / "two").close()
