"""Types, helps and units of the metrics that are sent, as requests of their own: Prometheus' metadata_config."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import cramjam

from collector.metrics.remote.encode import encode_metadata
from collector.metrics.remote.metadata import TYPES, About

_PARTS = ("", "_bucket", "_count", "_sum", "_total")
"""What a family's series add to its name."""


def requests(abouts: Mapping[str, About], names: Collection[str], most: int) -> Iterator[tuple[int, bytes]]:
    """(how many metrics, body) of each request, of the families that have a series among `names`."""
    told = [
        encode_metadata(name, TYPES.index(about.type) if about.type in TYPES else 0, about.help, about.unit)
        for name, about in sorted(abouts.items())
        if any(name + part in names for part in _PARTS)
    ]
    for at in range(0, len(told), most):
        part = told[at : at + most]
        yield len(part), bytes(cramjam.snappy.compress_raw(b"".join(part)))
