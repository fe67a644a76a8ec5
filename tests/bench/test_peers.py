"""The measurement of peers, with a stand-in that ships as they do: the binaries themselves are their users' to give."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.bench.generate import write_docker_json
from tests.bench.peers import PEERS, Sink, measure

STAND_IN = f"""#!{sys.executable}
import gzip, sys, time, urllib.request
log, port = sys.argv[1:]
for line in open(log, "rb"):
    pass
body = gzip.compress(open(log, "rb").read())
request = urllib.request.Request(f"http://127.0.0.1:{{port}}/", body, {{"Content-Encoding": "gzip"}})
urllib.request.urlopen(request).read()
time.sleep(60)
"""


def test_a_peer_is_measured_until_every_line_is_there(tmp_path: Path) -> None:
    log = tmp_path / "x-json.log"
    write_docker_json(log, lines=5000)
    script = tmp_path / "peer"
    script.write_text(STAND_IN)
    script.chmod(0o755)
    sink = Sink()
    try:
        figures = measure([str(script), str(log), str(sink.port)], log, sink, timeout_s=30)
    finally:
        sink.shutdown()
        sink.server_close()
    assert figures.lines == 5000
    assert figures.mb_per_cpu_s > 0
    assert figures.peak_mib > 1


def test_a_peer_that_ends_early_is_no_figure(tmp_path: Path) -> None:
    log = tmp_path / "x-json.log"
    write_docker_json(log, lines=10)
    sink = Sink()
    try:
        with pytest.raises(RuntimeError, match="ended with 0 after 0 of 10 lines"):
            measure(["/bin/true"], log, sink)
    finally:
        sink.shutdown()
        sink.server_close()


@pytest.mark.parametrize("name", sorted(PEERS))
def test_commands_name_the_file_and_the_port(name: str, tmp_path: Path) -> None:
    command = PEERS[name]("/opt/peer", tmp_path / "a-json.log", tmp_path, 4711)
    written = " ".join(command) + "".join(path.read_text() for path in tmp_path.iterdir())
    assert command[0] == "/opt/peer"
    assert os.fspath(tmp_path / "a-json.log") in written
    assert "4711" in written
