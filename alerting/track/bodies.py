"""What the bodies of requests about incidents hold, and the commands that they mean."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from alerting.track.commands import (
    LONGEST_TEXT,
    Acknowledge,
    AnyCommand,
    Assign,
    Comment,
    FailResponse,
    Respond,
    Review,
    RollBack,
    Snooze,
    Unacknowledge,
    Unsnooze,
    Verify,
)
from alerting.track.settings import IncidentSettings
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.times import duration_ns

API = "api"
"""Who, where a request doesn't say."""

Name = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Needed = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
Length = Annotated[str, Meta(description="How long, such as 30m, 2h, 1d.", max_length=40)]


class Body(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    by: Annotated[Name, Meta(description="Who does it; `api` where nobody is named.")] = API
    why: Annotated[Text, Meta(description="For people; stands on the timeline.")] = ""

    def command(self, settings: IncidentSettings) -> AnyCommand:
        """Raises Reject."""
        raise NotImplementedError


class AcknowledgeBody(Body, frozen=True, kw_only=True):
    owner: Annotated[Name, Meta(description="Who has it from now on; `by` where nobody is named.")] = ""
    for_: Length = field(name="for", default="")

    def command(self, settings: IncidentSettings) -> AnyCommand:
        for_ns = hold_ns(self.for_, settings) or round(settings.acknowledge_for_s * 1e9)
        return Acknowledge(by=self.by, why=self.why, owner=self.owner, for_ns=for_ns)


class SnoozeBody(Body, frozen=True, kw_only=True):
    for_: Length = field(name="for")

    def command(self, settings: IncidentSettings) -> AnyCommand:
        for_ns = hold_ns(self.for_, settings)
        if not for_ns:
            raise Reject("for how long? Give for, such as 2h")
        return Snooze(by=self.by, why=self.why, for_ns=for_ns)


class AssignBody(Body, frozen=True, kw_only=True):
    to: Annotated[Name, Meta(description="Empty: to nobody.")]

    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Assign(by=self.by, why=self.why, to=self.to)


class CommentBody(Body, frozen=True, kw_only=True):
    text: Needed

    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Comment(by=self.by, why=self.why, text=self.text)


class ReviewBody(Body, frozen=True, kw_only=True):
    text: Annotated[Needed, Meta(description="What was learnt; paragraphs are separated by empty lines.")]

    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Review(by=self.by, why=self.why, text=self.text)


class RespondBody(Body, frozen=True, kw_only=True):
    action: Annotated[Needed, Meta(description="What is being done, such as `restart container web`.")]

    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Respond(by=self.by, why=self.why, action=self.action)


class UnacknowledgeBody(Body, frozen=True, kw_only=True):
    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Unacknowledge(by=self.by, why=self.why)


class UnsnoozeBody(Body, frozen=True, kw_only=True):
    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Unsnooze(by=self.by, why=self.why)


class VerifyBody(Body, frozen=True, kw_only=True):
    def command(self, settings: IncidentSettings) -> AnyCommand:
        return Verify(by=self.by, why=self.why)


class FailBody(Body, frozen=True, kw_only=True):
    def command(self, settings: IncidentSettings) -> AnyCommand:
        return FailResponse(by=self.by, why=self.why)


class RollBackBody(Body, frozen=True, kw_only=True):
    def command(self, settings: IncidentSettings) -> AnyCommand:
        return RollBack(by=self.by, why=self.why)


class Verb(Struct, frozen=True):
    """One thing that can be done to an incident: the last part of its path, and what its request holds."""

    name: str
    body: type[Body]
    summary: str
    description: str


VERBS = (
    Verb("acknowledge", AcknowledgeBody, "Acknowledge", "Repeats and escalation are held until it expires."),
    Verb("unacknowledge", UnacknowledgeBody, "Give it back", "Repeats and escalation go on."),
    Verb("snooze", SnoozeBody, "Snooze", "Repeats and escalation are held; nobody owns it."),
    Verb("unsnooze", UnsnoozeBody, "End the snooze", "Repeats and escalation go on."),
    Verb("assign", AssignBody, "Assign", "Who should take care of it; holds nothing."),
    Verb("comment", CommentBody, "Comment", "A line on the timeline, at any time."),
    Verb("respond", RespondBody, "A response begins", "By a person or a program; one at a time."),
    Verb("verify", VerifyBody, "The response has worked", "As far as its check can tell; alerts may fire still."),
    Verb("fail", FailBody, "The response has failed", "The incident is as before it."),
    Verb("rollback", RollBackBody, "The response was rolled back", "What a failed response had changed was undone."),
    Verb("review", ReviewBody, "Review", "What was learnt from an incident that has ended; it is closed then."),
)


def hold_ns(text: str, settings: IncidentSettings) -> int:
    """0 where there is none. Raises Reject: no duration, or longer than one may hold."""
    if not text:
        return 0
    for_ns = duration_ns(text)
    most_s = settings.acknowledge_at_most_s
    if not 0 < for_ns <= most_s * 1e9:
        raise Reject(f"for {text}: give a time up to {most_s / 3600:g}h (alerting.incidents.acknowledge_at_most_s)")
    return for_ns
