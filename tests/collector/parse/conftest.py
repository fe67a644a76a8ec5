"""The kernels are compiled before the first test's clock runs: without a cache that takes longer than a test may."""

from __future__ import annotations

from collector.parse.parser import warm_up

warm_up()
