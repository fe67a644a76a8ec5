"""From a history on disk to a receiver that fails in all the ways: nothing is lost, nothing goes back in time."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import random
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from collector.metrics.remote.metadata import About, Metadata
from collector.metrics.remote.out import RemoteWriteOut
from collector.metrics.remote.settings import MetadataConfig, QueueConfig, RemoteWriteSettings
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.wal import numbered
from deckwatch.runtime.clock import ManualClock, SystemClock
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.http_settings import Authorization, BasicAuth, TlsConfig
from deckwatch.runtime.relabel_settings import RelabelSettings
from deckwatch.runtime.tls import ServerTls, server_context
from tests.collector.metrics.frames import T0_NS, frame
from tests.fixtures.write_receiver import Fail, WriteReceiver, write_receiver

T0_MS = T0_NS // 1_000_000
FAST = QueueConfig(batch_send_deadline="20ms", min_backoff="5ms", max_backoff="20ms")
PATIENCE_S = 20.0


class Rig:
    """A history that takes a frame of ten series at a time, and what sends it on."""

    def __init__(self, folder: Path, receivers: tuple[RemoteWriteSettings, ...], **changes: Any) -> None:
        self.folder = folder
        self.registry = CollectorRegistry()
        self.store = SampleStore(folder / "samples", HistorySettings(), ManualClock(T0_NS), self.registry)
        self.about = {"m": About("gauge", "What it is.", "")}
        self.out = RemoteWriteOut(
            receivers, self.store, folder / "remote-write", self.commit, lambda tenant: self.about, SystemClock(),
            self.registry, keep_days=0,
        )  # fmt: skip
        self._seq = 0

    async def commit(self) -> None:
        self._seq += 1
        self.store.commit(self._seq)

    def take(self, at_s: float, *, series: int = 10, source: str = "cgroup", tenant: str = "default") -> None:
        """Values of many series are noise, which takes room."""
        values = {f"m{{n={n}}}": float(at_s) if series <= 1000 else random() for n in range(series)}
        self.store.take("h", frame(at_s, {"job=j": values}, source=source, tenant=tenant))

    def take_and_commit(self, *times_s: float, **options: Any) -> None:
        for at_s in times_s:
            self.take(at_s, **options)
            self._seq += 1
            self.store.commit(self._seq)

    def count(self, outcome: str) -> float:
        name = self.out.receivers[0].name
        labels = {"receiver": name, "outcome": outcome}
        return self.registry.get_sample_value("deckwatch_remote_write_out_samples_total", labels) or 0.0

    def gauge(self, name: str) -> float:
        labels = {"receiver": self.out.receivers[0].name}
        return self.registry.get_sample_value(f"deckwatch_remote_write_out_{name}", labels) or 0.0

    async def until(self, outcome: str, count: float) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.count(outcome) < count:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def sending(folder: Path, *receivers: RemoteWriteSettings) -> AsyncIterator[Rig]:
    rig = Rig(folder, receivers)
    task = asyncio.create_task(rig.out.run())
    async with asyncio.timeout(PATIENCE_S):
        while not all(receiver.path.exists() for receiver in rig.out.receivers):
            await asyncio.sleep(0.01)  # what comes from now on is sent
    yield rig
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task.exception()
    rig.store.close()


def to(receiver: WriteReceiver, **options: Any) -> RemoteWriteSettings:
    plain: dict[str, Any] = {"name": "r", "queue_config": FAST, "metadata_config": MetadataConfig(send=False)}
    return RemoteWriteSettings(url=receiver.url, **(plain | options))


async def test_every_sample_gets_there_once_with_the_headers_of_the_protocol(tmp_path: Path) -> None:
    async with write_receiver() as receiver, sending(tmp_path, to(receiver, headers={"X-Scope-OrgID": "blue"})) as rig:
        rig.take_and_commit(1, 2, 3)
        await rig.until("sent", 30)
        assert (len(receiver.samples), receiver.repeats, receiver.refusals) == (30, 0, [])
        assert receiver.values("m")[0] == ({"host": "h", "job": "j", "n": "0"}, T0_MS + 1000, 1.0)
        headers = receiver.requests[0]
        assert headers["Content-Type"] == "application/x-protobuf"
        assert headers["Content-Encoding"] == "snappy"
        assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
        assert headers["User-Agent"].startswith("deckwatch/")
        assert headers["X-Scope-OrgID"] == "blue"
        assert rig.gauge("highest_sent_timestamp_seconds") == T0_MS / 1000 + 3
        async with asyncio.timeout(PATIENCE_S):
            while rig.gauge("pending_samples") or rig.gauge("pending_bytes"):
                await asyncio.sleep(0.02)


async def test_a_series_that_ends_ends_there(tmp_path: Path) -> None:
    async with write_receiver() as receiver, sending(tmp_path, to(receiver)) as rig:
        rig.take_and_commit(1)
        rig.take_and_commit(2, series=9)
        await rig.until("sent", 20)
        ((labels, _),) = [key for key, bits in receiver.samples.items() if bits == 0x7FF0000000000002]
        assert dict(labels)["n"] == "9"


@pytest.mark.parametrize(
    "fail",
    [
        Fail(500),
        Fail(503, {"Retry-After": "0"}),
        Fail(429),
        Fail(),
        Fail(500, taken=True),
        Fail(taken=True),
        Fail(503, hang_s=0.5),
        Fail(200, taken=True, hang_s=0.5),
    ],
    ids=["500", "503", "429", "cut off", "taken and 500", "taken and cut off", "late and 503", "taken and late"],
)
async def test_what_failed_comes_again_in_order(tmp_path: Path, fail: Fail) -> None:
    async with write_receiver([fail] * 3) as receiver, sending(tmp_path, to(receiver, remote_timeout="200ms")) as rig:
        for at_s in range(20):
            rig.take_and_commit(at_s)
            await asyncio.sleep(0.01)
        await receiver.taken(200)
        async with asyncio.timeout(PATIENCE_S):
            while rig.count("sent") + rig.count("repeated") < 200:
                await asyncio.sleep(0.02)
        assert rig.count("refused") == 0
        assert (rig.count("repeated") > 0) <= fail.taken


async def test_what_a_receiver_never_takes_is_dropped_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with write_receiver([Fail(422)]) as receiver, sending(tmp_path, to(receiver)) as rig:
        rig.take_and_commit(1)
        await rig.until("refused", 10)
        rig.take_and_commit(2)
        await rig.until("sent", 10)
        assert set(receiver.times_ms("m")) == {T0_MS + 2000}
        assert "it refused 10 samples, which are dropped: it answered 422: told to fail" in caplog.text
        assert len(receiver.requests) == 2


async def test_a_token_in_the_address_stays_out_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with write_receiver([Fail(503)]) as receiver:
        settings = msgspec.structs.replace(to(receiver), url=f"{receiver.url}?token=s3cret")
        async with sending(tmp_path, settings) as rig:
            rig.take_and_commit(1)
            await rig.until("sent", 10)
    assert f"remote write to r ({receiver.url}) fails, samples wait on disk: it answered 503" in caplog.text
    assert "s3cret" not in caplog.text


async def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    async with write_receiver([Fail(429, {"Retry-After": "1"})]) as receiver, sending(tmp_path, to(receiver)) as rig:
        began = asyncio.get_running_loop().time()
        rig.take_and_commit(1)
        await rig.until("sent", 10)
        assert asyncio.get_running_loop().time() - began >= 1


async def test_an_hour_away_and_killed_again_and_again(tmp_path: Path) -> None:
    """The receiver is unreachable while the history is flushed to blocks, which would cut its log; then both start anew
    in the middle of windows, with other sizes of requests each time."""
    async with write_receiver() as receiver:
        async with sending(tmp_path, to(receiver)) as rig:
            rig.take_and_commit(0)
            await rig.until("sent", 10)
            receiver.always = Fail()
            rig.take_and_commit(*range(1, 100))
            written = rig.store.flush()
            assert written is not None
            assert await asyncio.to_thread(written.result, 20)
        async with sending(tmp_path, to(receiver)) as rig:
            rig.take_and_commit(*range(100, 200))
        receiver.always = None
        size = 20
        while len(receiver.samples) < 2000:
            size += 7
            queue = msgspec.structs.replace(FAST, max_samples_per_send=size, capacity=4 * size, max_shards=3)
            before = len(receiver.samples)
            async with sending(tmp_path, to(receiver, queue_config=queue)) as rig:
                async with asyncio.timeout(PATIENCE_S):
                    while len(receiver.samples) < min(2000, before + 3 * size):
                        await asyncio.sleep(0)
                assert rig.count("refused") == 0
        assert sorted(set(receiver.times_ms("m"))) == [T0_MS + at_s * 1000 for at_s in range(200)]


async def test_a_restart_in_the_middle_of_a_window_costs_no_new_sample(tmp_path: Path) -> None:
    """The receiver has some of a request's samples and refuses all of it: the others get there all the same."""
    async with write_receiver() as receiver:
        async with sending(tmp_path, to(receiver)) as rig:
            rig.take_and_commit(1)
            await rig.until("sent", 10)
            kept = rig.out.receivers[0].path.read_bytes()
            rig.take_and_commit(2, 3, 4)
            await rig.until("sent", 40)
        rig.out.receivers[0].path.write_bytes(kept)
        async with sending(tmp_path, to(receiver)) as rig:
            rig.take_and_commit(5, 6)
            await receiver.taken(60)
            assert receiver.refusals
            async with asyncio.timeout(PATIENCE_S):
                while rig.count("sent") + rig.count("repeated") < 50:
                    await asyncio.sleep(0.02)
            assert rig.count("refused") == 0


async def test_a_series_that_ended_before_a_restart_and_was_not_sent_yet(tmp_path: Path) -> None:
    """That it was there stands in a file of the log that was sent long ago."""
    async with write_receiver() as receiver:
        async with sending(tmp_path, to(receiver)) as rig:
            rig.take_and_commit(1)
            written = rig.store.flush()
            assert written is not None
            assert await asyncio.to_thread(written.result, 20)
            rig.take_and_commit(1, source="another", series=3)
            await rig.until("sent", 10)
            receiver.always = Fail(500)
            rig.take_and_commit(2, series=9)
        receiver.always = None
        async with sending(tmp_path, to(receiver)) as rig:
            await rig.until("sent", 10)
        ended = [dict(labels)["n"] for (labels, _), bits in receiver.samples.items() if bits == 0x7FF0000000000002]
        assert ended == ["9"]


async def test_more_than_may_wait_is_lost_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with write_receiver() as receiver:
        receiver.always = Fail(503)
        async with sending(tmp_path, to(receiver, max_queue_bytes=1 << 20)) as rig:
            for at_s in range(60):
                rig.take_and_commit(at_s, series=4000)
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_S):
                while not rig.count("lost") or rig.gauge("pending_bytes") > 1 << 20:
                    await asyncio.sleep(0.05)
            assert "samples are lost to it: more than max_queue_bytes" in caplog.text
            receiver.always = None
            async with asyncio.timeout(PATIENCE_S):
                while rig.count("lost") + rig.count("sent") < 60 * 4000:
                    await asyncio.sleep(0.05)
            assert len(receiver.samples) == rig.count("sent")
            assert receiver.newest == dict.fromkeys(receiver.newest, T0_MS + 59000)


async def test_the_log_is_let_go_when_all_have_it(tmp_path: Path) -> None:
    async with write_receiver() as receiver, write_receiver() as slow:
        slow.always = Fail(503)
        receivers = to(receiver), to(slow, name="slow")
        async with sending(tmp_path, *receivers) as rig:
            for at_s in range(4):
                rig.take_and_commit(at_s)
                written = rig.store.flush()
                assert written is not None
                assert await asyncio.to_thread(written.result, 20)
            await receiver.taken(40)
            folder = tmp_path / "samples" / "wal"
            assert [number for number, _ in numbered(folder)][:2] == [0, 1]
            slow.always = None
            await slow.taken(40)
            async with asyncio.timeout(PATIENCE_S):
                while rig.gauge("pending_bytes") or any(each.holds < 2 for each in rig.out.receivers):
                    await asyncio.sleep(0.02)
            rig.store.release_wal()
            assert min((number for number, _ in numbered(folder)), default=9) >= 2
        assert len(list((tmp_path / "remote-write").glob("*.json"))) == 2
        async with sending(tmp_path, receivers[0]):
            assert len(list((tmp_path / "remote-write").glob("*.json"))) == 1


async def test_shards_send_at_a_time_what_belongs_to_different_series(tmp_path: Path) -> None:
    queue = msgspec.structs.replace(FAST, max_samples_per_send=100, max_shards=4, capacity=1000)
    async with write_receiver() as receiver, sending(tmp_path, to(receiver, queue_config=queue)) as rig:
        receiver.always = Fail(200, taken=True, hang_s=0.05)
        for at_s in range(5):
            rig.take(at_s, series=400)
        await rig.commit()
        await receiver.taken(2000)
        assert (receiver.refusals, receiver.repeats) == ([], 0)
        assert 1 < receiver.most_at_once <= 4
        assert max(receiver.sizes) <= 100


async def test_relabelling_tenants_and_remote_writes_that_we_took(tmp_path: Path) -> None:
    rules = (RelabelSettings(action="drop", source_labels=("n",), regex="[0-4]"),)
    async with write_receiver() as receiver:
        settings = to(receiver, tenant="blue", write_relabel_configs=rules, external_labels={"cluster": "one"})
        async with sending(tmp_path, settings) as rig:
            rig.take_and_commit(1)
            rig.take_and_commit(1, tenant="blue")
            await rig.until("sent", 5)
            found = receiver.values("m")
            assert {labels["n"] for labels, _, _ in found} == set("56789")
            assert {labels["cluster"] for labels, _, _ in found} == {"one"}


async def test_old_samples_may_be_left_out(tmp_path: Path) -> None:
    queue = msgspec.structs.replace(FAST, sample_age_limit="1h")
    async with write_receiver() as receiver, sending(tmp_path, to(receiver, queue_config=queue)) as rig:
        rig.take_and_commit(1)
        await rig.until("expired", 10)
        assert receiver.samples == {}


async def test_types_and_helps_are_told(tmp_path: Path) -> None:
    metadata = Metadata(tmp_path / "none.json")
    config = MetadataConfig(send_interval="50ms")
    async with write_receiver(metadata=metadata) as receiver:
        async with sending(tmp_path, to(receiver, metadata_config=config)) as rig:
            rig.about |= {"other": About("counter", "Of no series.", "")}
            rig.take_and_commit(1)
            async with asyncio.timeout(PATIENCE_S):
                while not metadata.of("default"):
                    await asyncio.sleep(0.02)
        assert metadata.of("default") == {"m": About("gauge", "What it is.", "")}


async def test_credentials_are_read_from_files_for_each_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    async with write_receiver() as receiver:
        settings = to(receiver, authorization=Authorization(tmp_path / "token"))
        async with sending(tmp_path, settings) as rig:
            rig.take_and_commit(1)
            await rig.until("sent", 10)
            (tmp_path / "token").write_text("two\n")
            rig.take_and_commit(2)
            await rig.until("sent", 20)
            (tmp_path / "token").unlink()
            rig.take_and_commit(3)
            async with asyncio.timeout(PATIENCE_S):
                while not rig.gauge("failing"):
                    await asyncio.sleep(0.02)
            (tmp_path / "token").write_text("three\n")
            await rig.until("sent", 30)
        said = [request["Authorization"] for request in receiver.requests]
        assert said == ["Bearer one", "Bearer two", "Bearer three"]
        basic = to(receiver, name="basic", basic_auth=BasicAuth("me", tmp_path / "token"))
        async with sending(tmp_path, basic) as rig:
            rig.take_and_commit(4)
            await rig.until("sent", 10)
        assert receiver.requests[-1]["Authorization"] == "Basic bWU6dGhyZWU="


async def test_tls_with_an_authority_and_a_client_certificate(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    made = ["openssl", "req", "-x509", *curve, *subject, "-keyout", str(key), "-out", str(cert)]
    await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True)
    asks = server_context(ServerTls(cert_file=cert, key_file=key, client_ca_file=cert))
    async with write_receiver(tls=asks) as receiver:
        known = to(receiver, tls_config=TlsConfig(ca_file=cert, cert_file=cert, key_file=key))
        async with sending(tmp_path / "a", known) as rig:
            rig.take_and_commit(1)
            await rig.until("sent", 10)
        async with sending(tmp_path / "b", to(receiver)) as rig:
            rig.take_and_commit(2)
            async with asyncio.timeout(PATIENCE_S):
                while not rig.gauge("failing"):
                    await asyncio.sleep(0.02)
            assert rig.count("sent") == 0


async def test_a_position_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    async with write_receiver() as receiver:
        async with sending(tmp_path, to(receiver)) as rig:
            path = rig.out.receivers[0].path
        path.write_text("{")
        with pytest.raises(Unusable, match="the position of remote write to r can't be read"):
            Rig(tmp_path, (to(receiver),))
