# SPDX-License-Identifier: Apache-2.0
"""Who is told of what: events and channels, the mail server, silent rules, the choice of a channel. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.frame.form import Field, Form, Wrong
from armillary.console.frame.sheet import Cell, Section, place as document_place, text
from armillary.console.frame.states import ATTENTION, GOOD, SEVERITIES, SEVERITY, State
from armillary.console.frame.words import counted, joined
from armillary.console.language.say import apart, say, shaped
from armillary.console.security.finding_words import kind_meaning
from armillary.wire.device.finding import KINDS as FINDING_KINDS, SEVERITIES as RISING
from armillary.wire.notification.choice import USUAL
from armillary.wire.notification.event import TOPICS

# Topic -> what it is called, and a channel that hears of nothing else.
TOPIC_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {"finding": say("findings"), "action": say("actions"), "alert": say("alerts")}
)
_ONLY: Final[Mapping[str, str]] = MappingProxyType(
    {"finding": say("findings only"), "action": say("actions only"), "alert": say("alerts only")}
)
# Event of the overview -> what people call it; findings have their severity behind.
_EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "finding": say("Findings"),
        "rollout-held": say("Roll-outs that are halted"),
        "clock": say("Times that are near or over: cases, answers, renewals"),
        "action": say("Actions, and what waits for a person"),
        "alert": say("Alerts of rules"),
    }
)
LEAST: Final = RISING[0]
# Topics that the form offers together, the usual ones first and sent as none.
_CHOICES: Final = ((), TOPICS, ("finding",), ("action",), ("alert",), ("finding", "alert"), ("action", "alert"))
_BETWEEN: Final = " "
# Name of a ticked kind of finding in the form.
_KIND: Final = "kind_"


def mail_cell(mail: Mapping[str, Any]) -> Cell:
    """Whether e-mails can be sent."""
    if not mail["is_set"]:
        return Cell(
            state=State(ATTENTION, say("not set")),
            reason=say("E-mails of channels and rules wait. The service's settings smtp_host and smtp_from name one."),
        )
    by = (
        say(
            "{host}:{port} ({security}), from {sender}",
            host=mail["host"],
            port=mail["port"],
            security=mail["security"],
            sender=mail["sender"],
        )
        if mail["host"]
        else ""
    )
    return Cell(state=State(GOOD, say("set")), reason=by)


def told_section(events: Sequence[Mapping[str, Any]]) -> Section:
    """Events, each with the channels that are told."""
    rows = [(text(_event(each)), _told(each["told"])) for each in events]
    return Section(
        title=say("Who is told of what"),
        note=say("a channel's page changes what it is told; rules can name channels for their alerts as well"),
        columns=(say("Event"), say("Channels")),
        rows=rows,
        none="",
    )


def silent_section(rules: Sequence[Mapping[str, Any]]) -> Section:
    """Rules that cannot reach everybody whom they name."""
    rows = [
        (
            text(each["name"], href=document_place("rule", each["id"])),
            text(" ".join(f"{why}." for why in each["why"])),
            text(each["catalog"] or say("all catalogs")),
        )
        for each in rules
    ]
    return Section(
        title=say("Rules that reach nobody, or not all whom they name"),
        columns=(say("Rule"), say("Why"), say("Of")),
        rows=rows,
        none=say("Every rule can reach whom it names."),
    )


def choice_form(post: str, found: Mapping[str, Any], wrong: Wrong | None) -> Form:
    """What a channel is told, to be changed."""
    ticked = frozenset(found["finding_kinds"])
    kinds = tuple(
        Field(
            name=f"{_KIND}{kind}",
            label=shaped(kind_meaning(kind, says), _without_stop),
            kind="check",
            value="on" if kind in ticked else "",
        )
        for kind, says in FINDING_KINDS.items()
    )
    return Form(
        post=post,
        label=say("Save"),
        title=say("What it is told"),
        about=say("of findings, the kinds that are ticked; none ticked: all kinds"),
        fields=(topics_field(found["topics"]), severity_field(found["min_severity"]), *kinds),
        error=wrong,
        anchor="told",
    )


def _without_stop(text: str) -> str:
    return text.rstrip(".")


def topics_field(topics: Sequence[str]) -> Field:
    """The choice of topics."""
    value = _BETWEEN.join(sorted(topics, key=TOPICS.index))
    offered = tuple((_BETWEEN.join(each), _choice_words(each)) for each in _CHOICES)
    shown = "" if value == _BETWEEN.join(USUAL) else value
    return Field(name="topic", label=say("Topics"), kind="select", value=shown, choices=offered)


def topic_words(topics: Sequence[str]) -> str:
    """``findings and actions``, of a channel that chose no topics too."""
    return joined([TOPIC_WORDS.get(each, each) for each in topics or USUAL])


def _choice_words(topics: Sequence[str]) -> str:
    return _ONLY[topics[0]] if len(topics) == 1 else topic_words(topics)


def severity_field(value: str) -> Field:
    """The choice of the least severity."""
    found = tuple((word, SEVERITY[word].word) for word in reversed(SEVERITIES))
    return Field(name="min_severity", label=say("From severity"), kind="select", value=value, choices=found)


def topics_of(form: Mapping[str, str]) -> list[str]:
    """The topics that a form chose; none for the usual ones."""
    return form["topic"].split(_BETWEEN) if form.get("topic") else []


def choice_of(form: Mapping[str, str]) -> dict[str, Any]:
    """What :func:`choice_form` sends."""
    kinds = [kind for kind in FINDING_KINDS if form.get(f"{_KIND}{kind}")]
    return {
        "topics": topics_of(form),
        "finding_kinds": [] if len(kinds) == len(FINDING_KINDS) else kinds,
        "min_severity": form.get("min_severity", ""),
    }


def _event(each: Mapping[str, Any]) -> str:
    called = _EVENTS.get(each["event"], each["event"])
    return say("{event}, {severity}", event=called, severity=each["severity"]) if each["severity"] else called


def _told(channels: Sequence[Mapping[str, Any]]) -> Cell:
    if not channels:
        return Cell(state=State(ATTENTION, say("nobody")))
    return text(joined([_channel(each) for each in channels]))


def _channel(each: Mapping[str, Any]) -> str:
    about = [say("of {catalog}", catalog=each["catalog"])] if each["catalog"] else []
    if each.get("rules"):
        about.append(say("by {rules}", rules=counted(each["rules"], "rule")))
    if each["from"] and "rules" in each:
        about.append(say("chose alerts"))
    if each["from"] and each["from"] != LEAST:
        about.append(say("from {severity}", severity=each["from"]))
    return say("{name} ({about})", name=each["name"], about=apart(about)) if about else str(each["name"])
