# SPDX-License-Identifier: Apache-2.0
"""Notification channels: who is told of findings and actions, how each is doing, the form of a new one. Pure.

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
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id
from armillary.console.security.pages_notifications import (
    choice_form,
    mail_cell,
    severity_field,
    silent_section,
    told_section,
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
        "webhook": "a webhook",
        "e-mail": "e-mail",
        "syslog": "a syslog receiver",
        "otlp": "an OpenTelemetry collector",
        "ocsf-file": "a file of the service, in OCSF",
    }
)
_OPTIONS: Final[Mapping[str, tuple[Field, ...]]] = MappingProxyType(
    {
        "webhook": (
            Field(name="url", label="Address", required=True, hint="https://; it is not shown again"),
            Field(name="format", label="Carries", kind="select", choices=choices(("cloudevents", "ocsf"))),
        ),
        "e-mail": (Field(name="to", label="To", required=True, hint="addresses, with spaces between them"),),
        "syslog": (
            Field(name="host", label="Host", required=True),
            Field(name="port", label="Port", kind="number", value="6514", limits=limits(min=1, max=65535)),
            Field(name="transport", label="Transport", kind="select", choices=choices(("tls", "tcp", "udp"))),
            Field(name="ca", label="Certificate authority", kind="code", hint="PEM; empty: the system's"),
        ),
        "otlp": (
            Field(name="url", label="Address", required=True, hint="of /v1/logs; it is not shown again"),
            Field(name="header", label="Header with the secret", hint="Empty: Authorization"),
        ),
        "ocsf-file": (),
    }
)
_WITH_SECRET: Final[Mapping[str, str]] = MappingProxyType(
    {"webhook": "signs what is sent (HMAC-SHA256); empty: unsigned", "otlp": "the value of that header"}
)


def place(channel_id: str, *more: str) -> str:
    """The address of a channel, or of something done with it."""
    return "/".join([LIST, quote(channel_id, safe=""), *more])


def list_sheet(
    items: Sequence[Mapping[str, Any]], overview: Mapping[str, Any], *, may_make: bool, may_test: bool, now: int
) -> Sheet:
    """All channels, who is told of what, the mail server, and rules that cannot reach whom they name."""
    troubled = sum(_standing(each).kind != GOOD for each in items)
    columns = ("Channel", "State", "Topics", "From", "Told", "Waiting", "Given up", "Last told", "Of")
    return Sheet(
        place="Notifications",
        title=_list_sentence(items, troubled),
        detail="Where findings, actions, alerts and clocks go. Each channel is told in order, at least once.",
        facts=(("Mail server", mail_cell(overview["mail"])),),
        buttons=tuple(
            Button(label=f"Tell {words}", href=f"{NEW}?{urlencode({'kind': kind})}")
            for kind, words in KINDS.items()
            if may_make
        ),
        sections=(
            Section(
                title="Channels",
                columns=(*columns, "Test") if may_test else columns,
                rows=[_row(each, now, may_test=may_test) for each in items],
                none="None: nobody is told. Create one, or: armillary notification-channel create",
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
        Button(label="Send a test", post=f"{here}/test", primary=True) if may["test"] else None,
        Button(label="Send again", post=f"{here}/retry") if may["retry"] and status["given_up"] else None,
        Button(label="Delete", href=f"{here}/delete", danger=True) if may["delete"] else None,
    ]
    return Sheet(
        place="Notifications",
        heading=f"Channel {found['name']}",
        title=f"{found['name']}: {standing.word}; {counted(status['delivered'], 'event')} told, "
        f"{grouped(status['waiting'])} waiting, {grouped(status['given_up'])} given up.",
        detail=sentence(status["error"]) if status["error"] else "",
        crumbs=(("Notifications", LIST), (found["name"], "")),
        notices=_came_back(came_back),
        buttons=tuple(each for each in ways if each is not None),
        facts=(
            ("How", text(KINDS.get(found["kind"], found["kind"]))),
            *((name.replace("_", " ").capitalize(), text(_value(value))) for name, value in found["options"].items()),
            ("Topics", text(", ".join(found["topics"]) or "all")),
            ("Kinds of findings", text(", ".join(found["finding_kinds"]) or "all")),
            ("From severity", text(found["min_severity"])),
            ("Of", text(found["catalog"] or "the whole service")),
            ("Last told", Cell(at=moment(status["delivered_at"], now), text="never")),
            ("Last failed", Cell(at=moment(status["failed_at"], now), text="never")),
            ("Dropped", text(grouped(status["dropped"]), reason="more waited than is kept")),
            ("Created", Cell(at=moment(found["created_at"], now))),
            ("By", text(found["created_by"])),
            ("Id", Cell(ident=short_id(found["channel_id"]))),
        ),
        sections=(
            Section(
                title="Given up",
                note="newest first, as far as they are kept",
                columns=("Event", "Severity", "Attempts", "Kept since", "Last error"),
                rows=[
                    (
                        text(each["event"]["title"]),
                        text(each["event"]["severity"]),
                        number(grouped(each["attempts"])),
                        Cell(at=moment(each["kept_at"], now)),
                        text(each["error"] or "none"),
                    )
                    for each in given_up
                ],
                none="Nothing was given up.",
            ),
        ),
        forms=(choice_form(f"{here}/choose", found, wrong),) if may["choose"] else (),
        within="security",
    )


def new_sheet(
    kind: str, catalogs: Sequence[str], sent: Mapping[str, str], wrong: Wrong | None, *, whole: bool
) -> Sheet:
    """The form of a channel of a kind; ``whole``: who asks speaks for all catalogs."""
    owners = (*((("", "the whole service"),) if whole else ()), *((each, each) for each in catalogs))
    hint = f"{_WITH_SECRET.get(kind, '')}; it is not shown again"
    secret = (Field(name="secret", label="Secret", kind="password", hint=hint),) if kind in _WITH_SECRET else ()
    fields = (
        Field(name="name", label="Name", required=True, limits=limits(maxlength=64)),
        Field(name="catalog", label="Of", kind="select", choices=owners),
        *_OPTIONS[kind],
        *secret,
        topics_field(()),
        severity_field("medium"),
    )
    return Sheet(
        place="Notifications",
        heading="New channel",
        title=f"Tell {KINDS[kind]} of findings, actions and clocks.",
        detail="Send a test at once: the page says what came back.",
        crumbs=(("Notifications", LIST), ("New", "")),
        links=tuple((words, f"{NEW}?{urlencode({'kind': each})}", each == kind) for each, words in KINDS.items()),
        forms=(
            Form(
                post=NEW,
                label="Create the channel",
                title="The channel",
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
        title=f"Delete the channel {found['name']}?",
        touches=touching(
            f"{waiting} that wait for it, and what it was not told.",
            f"Nobody is told by {KINDS.get(found['kind'], found['kind'])} any more.",
            "Findings and actions themselves, and other channels.",
            "Create it again, with its secret.",
        ),
        label="Delete",
        danger=True,
        post=place(found["channel_id"], "delete"),
        back=place(found["channel_id"]),
    )


def _standing(each: Mapping[str, Any]) -> State:
    status = each["status"]
    if status["given_up"] or status["dropped"]:
        return State(BAD, "not told of everything")
    if status["failures"]:
        return State(ATTENTION, "failing")
    if not status["delivered"]:
        return State(UNKNOWN, "told of nothing yet")
    return State(GOOD, "told of everything")


def _row(each: Mapping[str, Any], now: int, *, may_test: bool) -> tuple[Cell, ...]:
    status, here = each["status"], place(each["channel_id"])
    kinds = (
        counted(len(each["finding_kinds"]), "kind of findings", "kinds of findings") if each["finding_kinds"] else ""
    )
    test = (Cell(text="Send a test", post=f"{here}/test"),) if may_test else ()
    return (
        text(each["name"], href=here, reason=KINDS.get(each["kind"], each["kind"])),
        Cell(state=_standing(each), reason=status["error"]),
        text(joined([f"{topic}s" for topic in each["topics"]]) or "findings and actions", reason=kinds),
        text(each["min_severity"]),
        number(grouped(status["delivered"])),
        number(grouped(status["waiting"])),
        number(grouped(status["given_up"])),
        Cell(at=moment(status["delivered_at"], now), text="never"),
        text(each["catalog"] or "the whole service"),
        *test,
    )


def _list_sentence(items: Sequence[Mapping[str, Any]], troubled: int) -> str:
    if not items:
        return "Nobody is told of findings."
    rest = f"{grouped(troubled)} of them in trouble or new" if troubled else "all told of everything"
    return f"{counted(len(items), 'channel')}, {rest}."


def _came_back(found: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    if found is None:
        return ()
    said = f"{sentence(found['said'])} After {found['seconds']:.1f} s."
    return (("good", f"The test was taken: {said}"),) if found["ok"] else (("bad", f"The test was not taken: {said}"),)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    shown = "" if value is None else str(value)
    return "given" if shown.startswith("-----BEGIN") else shown or "none"
