# SPDX-License-Identifier: Apache-2.0
"""Notification channels: who is told of findings, actions and alerts, how each is doing, the form of a new one. Pure.

Secrets and whole addresses of webhooks go in and are shown nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import SEEN_EVERY_S, Button, Cell, Section, Sheet, number, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, moment, sentence, short_id
from armillary.console.language.say import apart, say
from armillary.console.security.finding_words import kind_words
from armillary.console.security.pages_notifications import (
    choice_form,
    mail_cell,
    severity_field,
    silent_section,
    told_section,
    topic_words,
    topics_field,
)

LIST: Final = "/notification-channels"
NEW: Final = "/new-notification-channel"
# What is done with a channel on its page -> the change that one has to be allowed.
CHANGES: Final[Mapping[str, str]] = MappingProxyType(
    {"test": "test_channel", "retry": "retry_channel", "choose": "choose_channel", "delete": "drop_channel"}
)
# Kind -> what it is, in the order of the form.
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "webhook": say("a webhook"),
        "e-mail": say("e-mail"),
        "syslog": say("a syslog receiver"),
        "otlp": say("an OpenTelemetry collector"),
        "ocsf-file": say("a file of the service, in OCSF"),
    }
)
_OPTIONS: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {
        "webhook": (
            Field(name="url", label=say("Address"), required=True, hint=say("https://; it is not shown again")),
            Field(name="format", label=say("Carries"), kind="select", choices=choices(("cloudevents", "ocsf"))),
        ),
        "e-mail": (Field(name="to", label=say("To"), required=True, hint=say("addresses, with spaces between them")),),
        "syslog": (
            Field(name="host", label=say("Host"), required=True),
            Field(name="port", label=say("Port"), kind="number", value="6514", limits=limits(min=1, max=65535)),
            Field(name="transport", label=say("Transport"), kind="select", choices=choices(("tls", "tcp", "udp"))),
            Field(name="ca", label=say("Certificate authority"), kind="code", hint=say("PEM; empty: the system's")),
        ),
        "otlp": (
            Field(name="url", label=say("Address"), required=True, hint=say("of /v1/logs; it is not shown again")),
            Field(name="header", label=say("Header with the secret"), hint=say("Empty: Authorization")),
        ),
        "ocsf-file": (),
    }
)
_WITH_SECRET: Final[Mapping[str, str]] = MappingProxyType(
    {"webhook": say("signs what is sent (HMAC-SHA256); empty: unsigned"), "otlp": say("the value of that header")}
)


def place(channel_id: str, *more: str) -> str:
    """The address of a channel, or of something done with it."""
    return "/".join([LIST, quote(channel_id, safe=""), *more])


def list_sheet(
    items: Sequence[Mapping[str, Any]], overview: Mapping[str, Any], *, may_make: bool, may_test: bool, now: int
) -> Sheet:
    """All channels, who is told of what, the mail server, and rules that cannot reach whom they name."""
    troubled = sum(_standing(each).kind != GOOD for each in items)
    columns = (
        say("Channel"),
        say("State"),
        say("Topics"),
        say("From"),
        say("Told"),
        say("Waiting"),
        say("Given up"),
        say("Last told"),
        say("Of"),
    )
    return Sheet(
        place=say("Notifications"),
        title=_list_sentence(items, troubled),
        detail=say("Where findings, actions, alerts and clocks go. Each channel is told in order, at least once."),
        facts=((say("Mail server"), mail_cell(overview["mail"])),),
        buttons=tuple(
            Button(label=say("Tell {words}", words=words), href=f"{NEW}?{urlencode({'kind': kind})}")
            for kind, words in KINDS.items()
            if may_make
        ),
        sections=(
            Section(
                title=say("Channels"),
                columns=(*columns, say("Test")) if may_test else columns,
                rows=[_row(each, now, may_test=may_test) for each in items],
                none=say("None: nobody is told. Create one, or: armillary notification-channel create"),
            ),
            told_section(overview["events"]),
            silent_section(overview["silent_rules"]),
        ),
        every_s=SEEN_EVERY_S,
        within="security",
    )


def channel_sheet(
    found: Mapping[str, Any],
    given_up: Sequence[Mapping[str, Any]],
    *,
    may: Mapping[str, bool],
    came_back: Mapping[str, Any] | None = None,
    wrong: Wrong | None = None,
    now: int,
) -> Sheet:
    """One channel; ``came_back`` is what a test had for an answer just now, ``may``: verb -> whether it is allowed.

    ``wrong`` is what was wrong with what was chosen.
    """
    here, status = place(found["channel_id"]), found["status"]
    standing = _standing(found)
    ways = [
        Button(label=say("Send a test"), post=f"{here}/test", primary=True) if may["test"] else None,
        Button(label=say("Send again"), post=f"{here}/retry") if may["retry"] and status["given_up"] else None,
        Button(label=say("Delete"), href=f"{here}/delete", danger=True) if may["delete"] else None,
    ]
    return Sheet(
        place=say("Notifications"),
        heading=say("Channel {name}", name=found["name"]),
        title=say(
            "{name}: {standing}; {events} told, {waiting} waiting, {given_up} given up.",
            name=found["name"],
            standing=standing.word,
            events=counted(status["delivered"], "event"),
            waiting=grouped(status["waiting"]),
            given_up=grouped(status["given_up"]),
        ),
        detail=sentence(status["error"]) if status["error"] else "",
        crumbs=((say("Notifications"), LIST), (found["name"], "")),
        notices=_came_back(came_back),
        buttons=tuple(each for each in ways if each is not None),
        facts=(
            (say("How"), text(KINDS.get(found["kind"], found["kind"]))),
            *((name.replace("_", " ").capitalize(), text(_value(value))) for name, value in found["options"].items()),
            (say("Topics"), text(topic_words(found["topics"]))),
            (
                say("Kinds of findings"),
                text(apart([kind_words(each) for each in found["finding_kinds"]]) or say("all")),
            ),
            (say("From severity"), text(found["min_severity"])),
            (say("Of"), text(found["catalog"] or say("the whole service"))),
            (say("Last told"), Cell(at=moment(status["delivered_at"], now), text=say("never"))),
            (say("Last failed"), Cell(at=moment(status["failed_at"], now), text=say("never"))),
            (say("Dropped"), text(grouped(status["dropped"]), reason=say("more waited than is kept"))),
            (say("Created"), Cell(at=moment(found["created_at"], now))),
            (say("By"), text(found["created_by"])),
            (say("Id"), Cell(ident=short_id(found["channel_id"]))),
        ),
        sections=(
            Section(
                title=say("Given up"),
                note=say("newest first, as far as they are kept"),
                columns=(say("Event"), say("Severity"), say("Attempts"), say("Kept since"), say("Last error")),
                rows=[
                    (
                        text(each["event"]["title"]),
                        text(each["event"]["severity"]),
                        number(grouped(each["attempts"])),
                        Cell(at=moment(each["kept_at"], now)),
                        text(each["error"] or say("none")),
                    )
                    for each in given_up
                ],
                none=say("Nothing was given up."),
            ),
        ),
        forms=(choice_form(f"{here}/choose", found, wrong),) if may["choose"] else (),
        within="security",
    )


def new_sheet(
    kind: str, catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool
) -> Sheet:
    """The form of a channel of a kind; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", say("the whole service")),) if whole else ()), *((each, each) for each in catalogs))
    hint = say("{kind}; it is not shown again", kind=_WITH_SECRET.get(kind, ""))
    secret = (Field(name="secret", label=say("Secret"), kind="password", hint=hint),) if kind in _WITH_SECRET else ()
    fields = (
        Field(name="name", label=say("Name"), required=True, limits=limits(maxlength=64)),
        Field(name="catalog", label=say("Of"), kind="select", choices=owners),
        *_OPTIONS[kind],
        *secret,
        topics_field(()),
        severity_field("medium"),
    )
    return Sheet(
        place=say("Notifications"),
        heading=say("New channel"),
        title=say("Tell {kind} of findings, actions, clocks and alerts.", kind=KINDS[kind]),
        detail=say("Send a test at once: the page says what came back."),
        crumbs=((say("Notifications"), LIST), (say("New"), "")),
        links=tuple((words, f"{NEW}?{urlencode({'kind': each})}", each == kind) for each, words in KINDS.items()),
        forms=(
            Form(
                post=NEW,
                label=say("Create the channel"),
                title=say("The channel"),
                fields=filled(fields, sent) if sent else fields,
                hidden=(("kind", kind),),
                error=wrong,
                primary=True,
            ),
        ),
        within="security",
    )


def options_of(kind: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The options that a form of a kind sends; what is empty is left out."""
    found: dict[str, Any] = {}
    for each in _OPTIONS[kind]:
        typed = form.get(each.name, "").strip()
        if not typed:
            continue
        if each.name == "to":
            found["to"] = typed.replace(",", " ").split()
        elif each.name == "port":
            found["port"] = int(typed) if typed.isascii() and typed.isdecimal() else typed
        else:
            found[each.name] = typed
    return found


def delete_confirmation(found: Mapping[str, Any]) -> Confirmation:
    """What deleting a channel does."""
    waiting = counted(found["status"]["waiting"], "event")
    return Confirmation(
        title=say("Delete the channel {name}?", name=found["name"]),
        touches=touching(
            say("{waiting} that wait for it, and what it was not told.", waiting=waiting),
            say("Nobody is told by {kind} any more.", kind=KINDS.get(found["kind"], found["kind"])),
            say("Findings and actions themselves, and other channels."),
            say("Create it again, with its secret."),
        ),
        label=say("Delete"),
        danger=True,
        post=place(found["channel_id"], "delete"),
        back=place(found["channel_id"]),
    )


def _standing(each: Mapping[str, Any]) -> State:
    status = each["status"]
    if status["given_up"] or status["dropped"]:
        return State(BAD, say("not told of everything"))
    if status["failures"]:
        return State(ATTENTION, say("failing"))
    if not status["delivered"]:
        return State(UNKNOWN, say("told of nothing yet"))
    return State(GOOD, say("told of everything"))


def _row(each: Mapping[str, Any], now: int, *, may_test: bool) -> tuple[Cell, ...]:
    status, here = each["status"], place(each["channel_id"])
    kinds = (
        counted(len(each["finding_kinds"]), "kind of findings", "kinds of findings") if each["finding_kinds"] else ""
    )
    test = (Cell(text=say("Send a test"), post=f"{here}/test"),) if may_test else ()
    return (
        text(each["name"], href=here, reason=KINDS.get(each["kind"], each["kind"])),
        Cell(state=_standing(each), reason=status["error"]),
        text(
            topic_words(each["topics"]),
            reason=kinds,
        ),
        text(each["min_severity"]),
        number(grouped(status["delivered"])),
        number(grouped(status["waiting"])),
        number(grouped(status["given_up"])),
        Cell(at=moment(status["delivered_at"], now), text=say("never")),
        text(each["catalog"] or say("the whole service")),
        *test,
    )


def _list_sentence(items: Sequence[Mapping[str, Any]], troubled: int) -> str:
    if not items:
        return say("Nobody is told of findings.")
    rest = (
        say("{troubled} of them in trouble or new", troubled=grouped(troubled))
        if troubled
        else say("all told of everything")
    )
    return say("{channels}, {rest}.", channels=counted(len(items), "channel"), rest=rest)


def _came_back(found: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    if found is None:
        return ()
    said = say("{said} After {seconds} s.", said=sentence(found["said"]), seconds=f"{found['seconds']:.1f}")
    return (
        (("good", say("The test was taken: {said}", said=said)),)
        if found["ok"]
        else (("bad", say("The test was not taken: {said}", said=said)),)
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    shown = "" if value is None else str(value)
    return say("given") if shown.startswith("-----BEGIN") else shown or say("none")
