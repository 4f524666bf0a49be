# SPDX-License-Identifier: Apache-2.0
"""Jobs and data exports as forms, by kind of job and of destination; the JSON beside them says all of it.

A form is a list of :class:`~armillary.console.frame.form_entries.Entry`: where in the document a field's value is. What
has no field stays as it is in the document. What the values mean is checked by the API, which has the last word.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from armillary.console.authored.catalog_choice import catalog_field
from armillary.console.authored.pages_authored import SOURCES
from armillary.console.frame import form_entries as entry
from armillary.console.frame.form import Field, Form, choices, filled
from armillary.console.frame.form_entries import Entry
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError
from armillary.twin.author.data_export import parse_export
from armillary.twin.author.export_destination import SASL_MECHANISMS
from armillary.twin.author.job import parse_job
from armillary.wire.encoding.json_fields import MAX_NAME_CHARACTERS

VARIANTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "job": MappingProxyType(
            {
                "set-property": say("Set desired properties"),
                "set-cloud-property": say("Set cloud properties"),
                "command": say("Call a command"),
                "move": say("Move to a device group"),
                "package": say("Update by package"),
            }
        ),
        "export": MappingProxyType(
            {
                "webhook": say("Webhook"),
                "file": say("Files"),
                "mqtt": "MQTT",
                "kafka": "Kafka",
                "s3": say("S3 storage"),
            }
        ),
    }
)


def variant_of(kind: str, body: Mapping[str, Any]) -> str:
    """Which form is a document's; "" where there is one only."""
    if kind == "export":
        return str(body["destination"]["kind"])
    if kind == "job":
        action = body["action"]
        if action["kind"] == "update":
            return "move" if action.get("package") is None else "package"
        return str(action["kind"])
    return ""


def begin(kind: str, variant: str) -> dict[str, Any]:
    """What a new document has before anything is typed."""
    if kind == "export":
        return {"name": "", "source": "telemetry", "destination": {"kind": variant}}
    if kind == "job":
        actions: dict[str, dict[str, Any]] = {"move": {"kind": "update"}, "package": {"kind": "update", "package": {}}}
        return {"name": "", "group": "", "action": actions.get(variant, {"kind": variant})}
    return {"name": "", "match": "all", "filters": []}


def form(
    kind: str,
    body: Mapping[str, Any],
    *,
    post: str,
    etag: str,
    groups: Sequence[tuple[str, str]],
    catalogs: Sequence[str] = (),
    sent: Mapping[str, str] | None = None,
    error: InvalidArgumentError | None = None,
) -> Form | None:
    """The form of a document; None where it says what the form cannot.

    ``etag`` is that of the version that was seen, "" for a new one; ``groups`` are (id, name) of the segments;
    ``sent`` and ``error`` are what was typed and why it was refused.
    """
    variant = variant_of(kind, body)
    fields: list[Field] = []
    for each in entries(kind, variant, groups):
        value = entry.value_at(body, each.path)
        if value is entry.ABSENT or value is None:
            value = each.default
        fields.append(_with_choice(replace(each.field, value="" if value is entry.ABSENT else each.write(value))))
    is_new = not etag
    if not is_new and not _says_the_same(kind, body, fields):
        return None
    fields.insert(1, catalog_field(body, catalogs, is_new=is_new))  # after the name
    return Form(
        post=post,
        label=_CREATE[kind] if is_new else say("Save"),
        fields=tuple(filled(fields, sent)) if sent is not None else tuple(fields),
        title=VARIANTS[kind][variant],
        hidden=(("etag", etag), ("variant", variant)),
        error=None if error is None else (error.message, error.remedy or ""),
        primary=True,
        anchor="form",
    )


def document_of(kind: str, before: Mapping[str, Any], sent: Mapping[str, str]) -> dict[str, Any]:
    """The document that a form says; what the form has no field for stays as it is in ``before``.

    Raises:
        InvalidArgumentError: names the field and what was expected.
    """
    body: dict[str, Any] = copy.deepcopy(dict(before))
    for each in entries(kind, variant_of(kind, before), ()):
        typed = sent.get(each.field.name, "").replace("\r\n", "\n")
        entry.put(
            body, each.path, each.read(each.field.label, typed if each.field.kind == "password" else typed.strip())
        )
    return body


def entries(kind: str, variant: str, groups: Sequence[tuple[str, str]]) -> tuple[Entry, ...]:
    """The fields of a form, in order."""
    name = entry.text("name", say("Name"), required=True, most=MAX_NAME_CHARACTERS)
    chosen = tuple((each, f"{words} ({each})" if words != each else each) for each, words in groups)
    if kind == "job":
        group = entry.choice("group", say("Devices of segment"), (("", say("choose one")), *chosen), required=True)
        return (name, group, *_ACTIONS[variant], *_WHEN)
    group = entry.choice("group", say("Devices of segment"), (("", say("all")), *chosen))
    return (name, *_WHAT, group, *_DESTINATIONS[variant], *_SHAPED)


# What each form has -----------------------------------------------------------------------------------------------

_PARSERS: Final[Mapping[str, Callable[[object], Any]]] = MappingProxyType({"job": parse_job, "export": parse_export})
_CREATE: Final = MappingProxyType({"job": say("Create job"), "export": say("Create export")})
_CONDITION_HINT: Final = say(
    "one a line, as on the command line: {equal}, {above}, {like} (a part of it), {there} (there is one), {missing}",
    equal="device:health = attested",
    above="telemetry:temperature > 40",
    like="cloud:site ~ north",
    there="tag:floor",
    missing="not tag:floor",
)
_WHEN: Final = (
    entry.moment("start", say("First run"), hint=say("as 2027-01-31 06:00, UTC; empty: when somebody presses Run")),
    entry.whole("repeat.every_s", say("Again every"), unit=say("seconds"), hint=say("empty: never")),
    entry.share("batch", say("In batches of"), "size", hint=say("devices, or a share as 10%; empty: all in one")),
    entry.whole("batch.pause_s", say("Pause between batches"), unit=say("seconds")),
    entry.share(
        "abort", say("Stop when so many have failed"), "count", hint=say("devices, or a share as 5%; empty: never")
    ),
    entry.whole("retries", say("Tries again after a failure"), most=20),
)
_PAIRS_HINT: Final = say("NAME = VALUE, one a line; the value as JSON, or plain text; null deletes")
_ACTIONS: Final[Mapping[str, tuple[Entry, ...]]] = MappingProxyType(
    {
        "set-property": (entry.pairs("action.properties", say("Properties"), hint=_PAIRS_HINT, required=True),),
        "set-cloud-property": (
            entry.pairs("action.properties", say("Cloud properties"), hint=_PAIRS_HINT, required=True),
        ),
        "command": (
            entry.text(
                "action.command",
                say("Command"),
                hint=say("COMPONENT*COMMAND in a component"),
                required=True,
                most=128,
            ),
            entry.whole(
                "action.timeout_s",
                say("Timeout"),
                unit=say("seconds"),
                hint=say("waits so long for the device's word; empty: 30 s"),
                most=300,
            ),
            entry.json_value("action.payload", say("Parameters"), hint=say("JSON; empty: none")),
        ),
        "move": (
            entry.text("action.device_group", say("To device group"), hint=say("PRODUCT/GROUP"), required=True),
            entry.whole(
                "action.timeout_s",
                say("Timeout"),
                unit=say("seconds"),
                hint=say("waits so long for the device's word; empty: 7 days"),
            ),
        ),
        "package": (
            entry.text("action.package.version", say("Version"), required=True, most=64),
            entry.text("action.package.url", say("Address of the package"), required=True),
            entry.text("action.package.sha256", "SHA-256", hint=say("64 hexadecimal digits"), required=True, most=64),
            entry.whole(
                "action.timeout_s",
                say("Timeout"),
                unit=say("seconds"),
                hint=say("waits so long for the device's word; empty: 7 days"),
            ),
        ),
    }
)
_WHAT: Final = (
    entry.choice("source", say("What is exported"), tuple(SOURCES.items())),
    entry.tick("enabled", say("Enabled"), default=True),
    entry.choice(
        "from",
        say("Begins with"),
        (("now", say("what comes from now on")), ("beginning", say("the oldest that is still kept"))),
    ),
)
_SHAPED: Final = (
    entry.choice(
        "match", say("One is exported when"), (("all", say("all conditions are met")), ("any", say("one is met")))
    ),
    entry.filters("filters", say("Conditions"), hint=say("{conditions}; none: all are", conditions=_CONDITION_HINT)),
    entry.sources("enrichments", say("Added to each"), hint=say("NAME = cloud:site, one a line; empty: nothing")),
    entry.tick("names", say("With display names and units of the device template"), default=False),
    entry.code("transform", say("Transform"), hint=say("a jq program; empty: as it is")),
)
_TLS: Final = entry.tick("destination.tls", "TLS", default=True)
_DESTINATIONS: Final[Mapping[str, tuple[Entry, ...]]] = MappingProxyType(
    {
        "webhook": (
            entry.text("destination.url", say("Address"), hint=say("http or https"), required=True),
            entry.secret("destination.secret", say("Secret that signs")),
        ),
        "file": (
            entry.whole(
                "destination.rotate_bytes", say("A new file after"), unit=say("bytes"), hint=say("empty: 64 MiB")
            ),
            entry.whole("destination.keep_files", say("Files that are kept"), hint=say("empty: all")),
        ),
        "mqtt": (
            entry.text("destination.host", say("Host"), required=True, most=253),
            entry.whole("destination.port", say("Port"), hint=say("empty: 8883"), most=65535),
            _TLS,
            entry.text("destination.topic", say("Topic"), required=True, most=256),
            entry.text("destination.username", say("User name"), most=MAX_NAME_CHARACTERS),
            entry.secret("destination.secret", say("Password")),
        ),
        "kafka": (
            entry.one_a_line("destination.servers", say("Servers"), hint=say("HOST:PORT, one a line"), required=True),
            entry.text("destination.topic", say("Topic"), required=True, most=249),
            _TLS,
            entry.choice("destination.sasl", say("Proves itself with"), choices(SASL_MECHANISMS)),
            entry.text("destination.username", say("User name"), most=MAX_NAME_CHARACTERS),
            entry.secret("destination.secret", say("Password")),
            entry.code("destination.ca", say("Authority of the servers"), hint=say("PEM; empty: those of the system")),
        ),
        "s3": (
            entry.text(
                "destination.endpoint", say("Endpoint"), hint=say("http or https, without a path"), required=True
            ),
            entry.text("destination.bucket", say("Bucket"), required=True, most=63),
            entry.text("destination.prefix", say("Prefix"), most=256),
            entry.text("destination.region", say("Region"), hint=say("empty: us-east-1"), most=64),
            entry.text("destination.access_key", say("Access key"), required=True, most=128),
            entry.secret("destination.secret", say("Secret access key")),
        ),
    }
)


def _says_the_same(kind: str, body: Mapping[str, Any], fields: Sequence[Field]) -> bool:
    """Whether the form, sent back as it is, changes nothing: what somebody wrote as JSON is not lost by being shown."""
    typed = {each.name: each.value for each in fields}
    try:
        return bool(_PARSERS[kind](document_of(kind, body, typed)) == _PARSERS[kind](body))
    except InvalidArgumentError:
        return False


def _with_choice(field: Field) -> Field:
    """A select that also has what the document says, where that is none of its choices: it is not lost unseen."""
    known = {value for value, _ in field.choices}
    if field.kind == "select" and field.value not in known and field.value:
        return replace(field, choices=(*field.choices, (field.value, say("{value} (not there)", value=field.value))))
    return field
