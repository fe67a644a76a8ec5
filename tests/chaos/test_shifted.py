"""The wall clock of a process is moved from outside while it runs; its monotonic clock is not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.chaos.shifted import set_offset


def test_shift(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    set_offset(offset, 0)
    script = Path(__file__).with_name("shifted.py")
    program = (
        f"import runpy, sys, time, pathlib; runpy.run_path({str(script)!r})['shift'](pathlib.Path({str(offset)!r}))\n"
        "for line in sys.stdin: print(time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for seconds in (0.0, 86_400.0, -86_400.0, 0.0):
            set_offset(offset, seconds)
            child.stdin.write("\n")
            child.stdin.flush()
            wall, wall_ns, monotonic = map(float, child.stdout.readline().split())
            assert abs(wall - time.time() - seconds) < 10
            assert abs(wall_ns - wall) < 10
            assert abs(monotonic - time.monotonic()) < 10
