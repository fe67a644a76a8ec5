"""Rows: full disks, backups that are put back, state that is gone."""

from __future__ import annotations

import shutil
import time

from tests.chaos.row import Row
from tests.chaos.stage import Stage, fill


def agent_disk_full(stage: Stage) -> None:
    """Nothing can be remembered meanwhile, new logs come, and the agent is killed; then there is space again."""
    stage.small_disk(stage.state_dir, 4 << 20)
    first = stage.docker_log("first")
    stage.start()
    first.write(stage.lines // 4)
    stage.wait_acked()
    ballast = fill(stage.state_dir)
    second = stage.docker_log("second")
    first.write(stage.lines // 4)
    second.write(stage.lines // 4)
    stage.nap(1.0, 2.0)
    stage.agent.kill()
    first.write(stage.lines // 8)
    ballast.unlink()
    stage.agent.start()
    second.write(stage.lines // 8)


def collector_disk_full(stage: Stage) -> None:
    """It is full while lines come, the collector is killed while it is, and there is space again later."""
    size = (16 << 20) + stage.lines * 100
    stage.small_disk(stage.data_dir, size)
    stage.start(collector={"intake": {"journal_segment_bytes": 1 << 20}, "store": {"seal_bytes": 1 << 20}})
    log = stage.docker_log()
    with stage.writing(log) as paced:
        stage.nap_within(paced, 3)
        ballast = fill(stage.data_dir)
        stage.nap(1.0, 2.0)
        ballast.unlink()
        stage.nap_within(paced, 2)
        ballast = fill(stage.data_dir)
        stage.nap(0.5, 1.0)
        stage.collector.kill()
        ballast.unlink()
        stage.collector.start()


def collector_restored(stage: Stage) -> None:
    """Yesterday's copy of the data directory is put back: what came since is still in the files of the agent, the
    rotated ones too, and is sent again."""
    log = stage.docker_log(max_bytes=max(200_000, stage.lines * 30), max_files=100)
    stage.start()
    backup = stage.folder / "backup"
    log.write(stage.lines // 4)
    stage.wait_drained()
    stage.collector.stop()
    shutil.copytree(stage.data_dir, backup)
    stage.collector.start()
    with stage.writing(log, lines=stage.lines // 2) as paced:
        stage.nap_within(paced, 1)
    stage.wait_acked()
    stage.collector.kill()
    shutil.rmtree(stage.data_dir)
    shutil.copytree(backup, stage.data_dir)
    log.write(stage.lines // 8)
    stage.collector.start()
    log.write(stage.lines // 8)


def collector_restored_while_agent_is_down(stage: Stage) -> None:
    log = stage.docker_log(max_bytes=max(200_000, stage.lines * 30), max_files=100)
    stage.start()
    backup = stage.folder / "backup"
    log.write(stage.lines // 4)
    stage.wait_drained()
    stage.collector.stop()
    shutil.copytree(stage.data_dir, backup)
    stage.collector.start()
    log.write(stage.lines // 2)
    stage.wait_drained()
    stage.agent.kill()
    stage.collector.kill()
    shutil.rmtree(stage.data_dir)
    shutil.copytree(backup, stage.data_dir)
    stage.collector.start()
    log.write(stage.lines // 4)
    stage.agent.start()


def agent_restored(stage: Stage) -> None:
    """Yesterday's copy of the state folder is put back: the collector knows better how far everything is."""
    log = stage.docker_log(max_bytes=max(200_000, stage.lines * 30), max_files=100)
    stage.start()
    backup = stage.folder / "backup"
    log.write(stage.lines // 4)
    stage.wait_drained()
    stage.agent.stop()
    shutil.copytree(stage.state_dir, backup)
    stage.agent.start()
    log.write(stage.lines // 2)
    stage.wait_drained()
    stage.agent.kill()
    shutil.rmtree(stage.state_dir)
    shutil.copytree(backup, stage.state_dir)
    log.write(stage.lines // 4)
    stage.agent.start()


def agent_state_lost(stage: Stage) -> None:
    log = stage.docker_log(max_bytes=max(200_000, stage.lines * 40), max_files=100)
    stage.start()
    log.write(stage.lines // 2)
    stage.wait_drained()
    stage.note_instances()
    stage.agent.kill()
    shutil.rmtree(stage.state_dir)
    log.write(stage.lines // 4)
    stage.agent.start()
    time.sleep(1)
    log.write(stage.lines // 4)


def checkpoint_lost(stage: Stage) -> None:
    """The agent still knows who it is."""
    log = stage.docker_log(max_bytes=max(200_000, stage.lines * 40), max_files=100)
    stage.start()
    log.write(stage.lines // 2)
    stage.wait_drained()
    stage.agent.kill()
    (stage.state_dir / "checkpoint.json").unlink()
    log.write(stage.lines // 4)
    stage.agent.start()
    log.write(stage.lines // 4)


ROWS = (
    Row("disk of the agent full", agent_disk_full, peers=False),
    Row("disk of the collector full", collector_disk_full, peers=False),
    Row("collector's data of yesterday put back", collector_restored, peers=False),
    Row("the same while the agent is down", collector_restored_while_agent_is_down, peers=False, in_short=False),
    Row("agent's state of yesterday put back", agent_restored, peers=False),
    Row("agent's checkpoint lost", checkpoint_lost, peers=False, in_short=False),
    Row("agent's state folder lost", agent_state_lost, peers=False),
)
