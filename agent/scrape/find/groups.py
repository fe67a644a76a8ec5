"""Target groups as static_configs and files write them. Pure."""

from __future__ import annotations

import msgspec

from agent.scrape.target import Found
from deckwatch.runtime.faults import Reject


class TargetGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    targets: tuple[str, ...] = ()
    labels: dict[str, str | int | float | bool] = {}


def group_targets(group: TargetGroup, more: dict[str, str] | None = None) -> list[Found]:
    labels = {name: _text(value) for name, value in group.labels.items()}
    return [Found.of(labels, more or {}, {"__address__": address}) for address in group.targets]


def read_groups(body: bytes, *, json: bool, path: str) -> list[Found]:
    """Raises Reject where the file is no list of target groups."""
    try:
        if json:
            groups = msgspec.json.decode(body, type=tuple[TargetGroup, ...])
        else:
            groups = msgspec.convert(_yaml(body), tuple[TargetGroup, ...])
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise Reject(f"{path} is no list of target groups ([{{targets: [...], labels: {{...}}}}]): {error}") from None
    return [found for group in groups for found in group_targets(group, {"__meta_filepath": path})]


def _yaml(body: bytes) -> object:
    import yaml  # not held by an agent that needs none

    try:
        return yaml.safe_load(body) or ()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _text(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
