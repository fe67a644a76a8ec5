"""Relabelling rules in a configuration file: names, defaults and meaning are Prometheus' (`relabel_config`)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from deckwatch.runtime.relabel import NEEDS_TARGET, Action, Rule, anchored


class RelabelSettings(msgspec.Struct, frozen=True):
    action: Annotated[Action, Meta(description="What to do.")] = "replace"
    source_labels: Annotated[tuple[str, ...], Meta(description="Labels whose values are joined and matched.")] = ()
    separator: Annotated[str, Meta(description="Between the joined values.")] = ";"
    regex: Annotated[str, Meta(description="Matched against the whole of the joined values.")] = "(.*)"
    target_label: Annotated[str, Meta(description="Label that gets the result.")] = ""
    replacement: Annotated[str, Meta(description="The result; $1 and ${1} are groups of the regex.")] = "$1"
    modulus: Annotated[int, Meta(description="For hashmod.", ge=0)] = 0

    def __post_init__(self) -> None:
        anchored(self.regex)
        if self.action in NEEDS_TARGET and not self.target_label:
            raise ValueError(f"action {self.action} needs a target_label")
        if self.action == "hashmod" and not self.modulus:
            raise ValueError("action hashmod needs a modulus above 0")

    def rule(self) -> Rule:
        return Rule(
            action=self.action,
            regex=anchored(self.regex),
            source_labels=self.source_labels,
            separator=self.separator,
            target_label=self.target_label,
            replacement=self.replacement,
            modulus=self.modulus,
        )


Relabelling = tuple[RelabelSettings, ...]
