"""PromQL as Prometheus 3 speaks it: text -> `parser` -> `ast` -> `engine` (whole matrices) -> `result` -> `answer`.

Storage stands behind `source.SeriesSource`. Not spoken: native histograms, `info()` and duration expressions, which are
refused with their position.
"""
