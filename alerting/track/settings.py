"""Options of incidents."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_DAY_S = 86_400.0


class MergeSettings(Struct, frozen=True):
    matchers: Annotated[
        tuple[str, ...], Meta(description='Alerts that match all of these, such as `team="db"`, are merged by `by`.')
    ] = ()
    by: Annotated[
        tuple[str, ...], Meta(description="Those with the same values of these labels share an incident; none: all.")
    ] = ()


class IncidentSettings(Struct, frozen=True):
    by: Annotated[
        tuple[str, ...], Meta(description="Alerts with the same values of these labels share an incident.")
    ] = ("alertname",)
    merge: Annotated[
        tuple[MergeSettings, ...], Meta(description="Exceptions from `by`: the first whose matchers match decides.")
    ] = ()
    reopen_within_s: Annotated[
        float,
        Meta(
            description="An alert that fires this soon after its incident's end reopens it; later is a new one.", ge=0
        ),
    ] = 600.0
    acknowledge_for_s: Annotated[
        float, Meta(description="How long an acknowledgement holds where nobody says.", gt=0)
    ] = 14_400.0
    acknowledge_at_most_s: Annotated[
        float, Meta(description="The longest that one may acknowledge or snooze at once.", gt=0)
    ] = 7 * _DAY_S
    link_valid_s: Annotated[float, Meta(description="How long a signed link in a message can be used.", gt=0)] = _DAY_S
    link_key_file: Annotated[
        str, Meta(description="File with the key that signs links (32 bytes or more); one is made in the data folder.")
    ] = ""
    noise_window_s: Annotated[float, Meta(description="What a rule's noise is judged by.", gt=0)] = 7 * _DAY_S
    keep_days: Annotated[float, Meta(description="Ended incidents are forgotten after this.", gt=0)] = 365.0
