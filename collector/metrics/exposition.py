"""All current samples of all agents as text. Names and labels are rendered once for each set of series and kept;
a scrape formats values only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry

from collector.metrics.block import HOST_LABEL, Block, Floats
from collector.metrics.families import Family, TextFormat, header, label_text, merge, number, registered
from collector.metrics.head import AGE, UP, Head
from collector.metrics.kinds import Kinds
from collector.metrics.remote.metadata import Metadata
from deckwatch.wire.metrics_catalogue import CATALOGUE, MetricInfo, MetricType
from deckwatch.wire.model import MEASURED_NAN_BITS

FamilySource = Callable[[str, int], Iterable[Family]]
"""(tenant, at in Unix ns) -> families of somebody else's series (log metrics, ALERTS)."""

_UP = MetricInfo(MetricType.GAUGE, "", "1 while the agent's samples are fresh, 0 while it is silent or behind.")
_AGE = MetricInfo(MetricType.GAUGE, "seconds", "Age of the newest sample of the agent.")


class _Group(msgspec.Struct, frozen=True):
    name: str
    kind: str
    help: str
    first: int
    last: int


class _Layout(msgspec.Struct, frozen=True):
    """Where each sample of a set of blocks goes: `prefixes[i]` stands before the value at `order[i]`. `serials`: of the
    descriptions and of the blocks."""

    serials: tuple[int, ...]
    groups: tuple[_Group, ...]
    prefixes: tuple[str, ...]
    order: npt.NDArray[np.intp]


class Exposition:
    def __init__(
        self,
        head: Head,
        registries: Sequence[CollectorRegistry],
        sources: Sequence[FamilySource] = (),
        catalogue: Mapping[str, MetricInfo] = CATALOGUE,
        metadata: Metadata | None = None,
    ) -> None:
        """`metadata`: what applications say about metrics that are not in the catalogue."""
        self._head = head
        self._metadata = metadata
        self._registries = tuple(registries)
        self._catalogue = catalogue
        self._sources = list(sources)
        self._layouts: dict[str, _Layout] = {}

    def add_source(self, source: FamilySource) -> None:
        self._sources.append(source)

    def render(self, tenant: str, at_ns: int, form: TextFormat = TextFormat.PROMETHEUS) -> bytes:
        """Own metrics of the daemon are shown to the default tenant only: they count over all tenants."""
        families = merge(self._families(tenant, at_ns))
        parts: list[str] = []
        for family in families:
            parts.append(header(family, form))
            parts.append("\n".join(family.lines))
            parts.append("\n")
        if form is TextFormat.OPENMETRICS:
            parts.append("# EOF\n")
        return "".join(parts).encode()

    def _families(self, tenant: str, at_ns: int) -> Iterator[Family]:
        yield from self._agents(tenant, at_ns)
        yield from self._samples(tenant, at_ns)
        for source in self._sources:
            yield from source(tenant, at_ns)
        if tenant == "default":
            for registry in self._registries:
                yield from registered(registry.collect())

    def _agents(self, tenant: str, at_ns: int) -> Iterator[Family]:
        agents = self._head.agents(tenant)
        if not agents:
            return
        up = [(host, float(not self._head.is_silent(tenant, host, at_ns))) for host in agents]
        age = [(host, max(0.0, (at_ns - newest_ns) / 1e9)) for host, newest_ns in agents.items()]
        yield Family.of(UP, _UP, [(((HOST_LABEL, host),), value) for host, value in up])
        yield Family.of(AGE, _AGE, [(((HOST_LABEL, host),), value) for host, value in age])

    def _samples(self, tenant: str, at_ns: int) -> Iterator[Family]:
        blocks = self._head.known_blocks(tenant, at_ns)
        if not blocks:
            return
        layout = self._layout(tenant, blocks)
        values = _present(np.concatenate([block.values for block in blocks])[layout.order])
        for group in layout.groups:
            pairs = zip(layout.prefixes[group.first : group.last], values[group.first : group.last], strict=True)
            lines = tuple([prefix + number(value) for prefix, value in pairs if value is not None])
            if lines:
                yield Family(group.name, group.kind, group.help, lines)

    def _layout(self, tenant: str, blocks: list[Block]) -> _Layout:
        version = self._metadata.version if self._metadata else 0
        serials = (version, *(block.serial for block in blocks))
        known = self._layouts.get(tenant)
        if known is None or known.serials != serials:
            told = self._metadata.of(tenant) if self._metadata else {}
            known = self._layouts[tenant] = _lay_out(blocks, serials, Kinds(self._catalogue, told))
        return known


def _present(values: Floats) -> list[float | None]:
    """None: the series isn't there. NaN may be a value."""
    found: list[float | None] = values.tolist()
    for place in np.nonzero(np.isnan(values) & (values.view(np.uint64) != MEASURED_NAN_BITS))[0].tolist():
        found[place] = None
    return found


def _lay_out(blocks: list[Block], serials: tuple[int, ...], kinds: Kinds) -> _Layout:
    """Series that two sources give alike are taken from the first."""
    by_name: dict[str, dict[str, int]] = {}
    at = 0
    for block in blocks:
        for position, column in enumerate(block.schema.columns):
            prefix = f"{column.name}{label_text(block.labels(position))} "
            by_name.setdefault(kinds.family(column.name), {}).setdefault(prefix, at + position)
        at += len(block.schema.columns)
    groups: list[_Group] = []
    prefixes: list[str] = []
    order: list[int] = []
    for name, places in by_name.items():
        kind, text = kinds.of(name)
        groups.append(_Group(name, kind, text, len(prefixes), len(prefixes) + len(places)))
        prefixes.extend(places)
        order.extend(places.values())
    return _Layout(serials, tuple(groups), tuple(prefixes), np.array(order, dtype=np.intp))
