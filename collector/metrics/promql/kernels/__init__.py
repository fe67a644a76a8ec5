"""Compiled by numba: windows over samples and groups over series, whole matrices at a time.

Samples come as `source.Selection` has them: times (int64, ms) and values of all series one behind the other, series i
at `offsets[i]:offsets[i + 1]`. `refs` are the ends of the windows, one a step, never falling; a window is
(ref - width, ref], open at its left end as in Prometheus 3. Results are (series, steps) matrices: `out` and, since NaN
is a value like any other, `present` beside it. Arrays are C-contiguous and writable: numba would compile a kernel anew
for any other kind.
"""

from __future__ import annotations

from pathlib import Path

from collector.parse.kernels import drop_stale

drop_stale(Path(__file__).parent)
