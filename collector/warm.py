"""Compiles the numeric kernels, or loads them from numba's cache: `python -m collector.warm` after an installation,
and the pipeline's first act, so that the first batch doesn't wait for a compiler (10 to 20 s without a cache)."""

from __future__ import annotations

import numpy as np

from collector.parse import parser
from collector.store.embedded import wordfilter


def warm() -> None:
    """Run every kernel once."""
    wordfilter.build(np.frombuffer(b"a", np.uint8), np.array([0, 1], np.int64))
    parser.warm_up()


if __name__ == "__main__":
    warm()
