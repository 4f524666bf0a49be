# SPDX-License-Identifier: Apache-2.0
"""A device's twin as it is edited: desired, reported and pending side by side, forms, what will be sent. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from armillary.api.http.json_body import strict_json
from armillary.console.device.pages_device_data import place, property_rows, root_crumb
from armillary.console.device.pages_hub import twin_view
from armillary.console.device.pages_value_fields import typed_value, value_field
from armillary.console.frame import sheet
from armillary.console.frame.form import Field, Form, Wrong
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, Within, json_cell
from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN, State
from armillary.console.frame.values import json_text
from armillary.console.frame.words import counted, grouped, joined
from armillary.console.language.say import apart, say, say_count
from armillary.errors import InvalidArgumentError
from armillary.twin.document.section import merge
from armillary.wire.hub.credentials import is_attested_id

# Names of fields begin with these: of wanted properties, and of cloud properties.
WANTED: Final = "want."
CLOUD: Final = "cloud."
# Marks a component in a twin (IoT Plug and Play); nobody wants it, so it is not shown as a change.
MARKER: Final = "__t"
# State of a property that somebody wants a value of -> what became of it.
_ANSWERS: Final[Mapping[str, str]] = MappingProxyType(
    {"accepted": say("accepted"), "pending": say("pending"), "failed": say("refused")}
)


@dataclass(frozen=True, slots=True)
class TwinDevice:
    """What the pages of one device's twin are made of.

    Attributes:
        found: The device as its template sees it (``views_template.device``).
        twin: In IoT Hub's shape.
        template: The version of the template that it has; None without one.
    """

    device_id: str
    label: str
    found: Mapping[str, Any]
    twin: Mapping[str, Any]
    template: Mapping[str, Any] | None
    connected: bool

    @property
    def within(self) -> Within:
        """The part of the console that it is in."""
        return "" if is_attested_id(self.device_id) else "hub"

    @property
    def desired(self) -> dict[str, Any]:
        """What is wanted of it now."""
        return sides(self.twin, "desired")

    @property
    def capabilities(self) -> list[Mapping[str, Any]]:
        """Of its template."""
        return list(self.template["capabilities"]) if self.template else []

    @property
    def cloud(self) -> list[Mapping[str, Any]]:
        """Cloud properties that its template has."""
        return list(self.template["cloud_properties"]) if self.template else []

    @property
    def crumbs(self) -> tuple[tuple[str, str], ...]:
        """Where it stands."""
        return (root_crumb(self.device_id), (self.label, place(self.device_id)))


def sides(twin: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The properties of a side of a twin in IoT Hub's shape, without what begins with ``$``."""
    return {name: value for name, value in twin["properties"][side].items() if not name.startswith("$")}


def inside(document: Mapping[str, Any], name: str) -> Any:
    """A property by ``[component.]name``; None where there is none."""
    component, dot, inner = name.partition(".")
    found = document.get(component)
    return (found.get(inner) if isinstance(found, Mapping) else None) if dot else found


def writable(capabilities: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Properties that operators may want something of."""
    return [each for each in capabilities if each["kind"] == "property" and each["writable"]]


def changes(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> list[tuple[str, Any, Any]]:
    """What differs between two documents: (name with dots, before, after); None where there is nothing."""
    found: list[tuple[str, Any, Any]] = []
    for name in [*before, *(each for each in after if each not in before)]:
        old, new = before.get(name), after.get(name)
        if old == new or name == MARKER:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += changes(old, new, f"{path}{name}.")
        else:
            found.append((f"{path}{name}", old, new))
    return found


def wanted_of(
    form: Mapping[str, str], capabilities: Sequence[Mapping[str, Any]], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """What a form wants that was not wanted when it was made, by ``[component.]name``; None: nothing any more.

    Raises:
        InvalidArgumentError: a field does not take what was typed.
    """
    return _changed(form, WANTED, [(each, inside(seen, each["name"])) for each in writable(capabilities)])


def cloud_of(
    form: Mapping[str, str], properties: Sequence[Mapping[str, Any]], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Cloud properties that a form changes. Raises as :func:`wanted_of`."""
    return _changed(form, CLOUD, [(each, seen.get(each["name"])) for each in properties])


def _changed(form: Mapping[str, str], prefix: str, rows: Sequence[tuple[Mapping[str, Any], Any]]) -> dict[str, Any]:
    """What was typed into the fields of ``rows`` (a property, its value before) and is another value."""
    found: dict[str, Any] = {}
    for each, before in rows:
        typed = form.get(prefix + each["name"])
        if typed is None:
            continue
        value = typed_value(each, typed)
        if value != before and not (value is None and before == ""):
            found[each["name"]] = value
    return found


# The page ---------------------------------------------------------------------------------------------------------


def sentence(found: Mapping[str, Any], label: str, lines: Sequence[Any]) -> str:
    """First line: what was answered, what was not."""
    if not found["template"] or found["is_missing"]:
        pending = sum(line.agrees in ("pending", "not reported yet") for line in lines)
        if not lines:
            return say("{label}: no desired values, and nothing reported.", label=label)
        said = counted(pending, "desired value not reported", "desired values not reported")
        if not pending:
            said = say("all desired values are reported")
        return say("{label} has no template; {said}.", label=label, said=said)
    states = [each["state"] for each in found["properties"]]
    counts = {state: states.count(state) for state in _ANSWERS if state in states}
    if not counts:
        return say("{label}: no desired values.", label=label)
    wanted = sum(counts.values())
    values = counted(wanted, "desired value")
    if len(counts) > 1:
        parts = [apart([f"{count}", _ANSWERS[state]], " ") for state, count in counts.items()]
        return say("{label}: {values}, {parts}.", label=label, values=values, parts=joined(parts))
    answer = _ANSWERS[next(iter(counts))]
    if wanted > 1:
        answer = say("both {answer}", answer=answer) if wanted == 2 else say("all {answer}", answer=answer)
    return say("{label}: {values}, {answer}.", label=label, values=values, answer=answer)


def twin_sheet(device: TwinDevice, forms: tuple[Form, ...]) -> Sheet:
    """The page; ``forms`` are what the operator may change."""
    found, twin = device.found, device.twin
    lines = twin_view(twin["properties"]).lines
    modelled = bool(found["template"]) and not found["is_missing"]
    notices = [("attention", say("Its template is gone: the twin is shown as it came."))] if found["is_missing"] else []
    when = (
        say("it is connected: told at once") if device.connected else say("it is not connected: told when it connects")
    )
    return Sheet(
        place=say("Twin"),
        title=sentence(found, device.label, lines),
        detail=say(
            "Desired version {desired}, reported version {reported}; {when}.",
            desired=twin["properties"]["desired"]["$version"],
            reported=twin["properties"]["reported"]["$version"],
            when=when,
        ),
        notices=tuple(notices),
        sections=(_properties(device) if modelled else _plain(lines),),
        forms=forms,
    )


def _properties(device: TwinDevice) -> Section:
    known = {each["name"].partition(".")[0] for each in device.capabilities}
    others = dict(device.found["unmodelled_properties"])
    wanted = {name: value for name, value in device.desired.items() if name not in known}
    rows = property_rows(device.found)
    rows += [
        (
            sheet.text(name),
            json_cell(wanted.get(name)),
            json_cell(others.get(name)),
            Cell(state=State(UNKNOWN, say("not in the template"))),
        )
        for name in sorted({*others, *wanted})
    ]
    return Section(
        title=say("Properties"),
        note=say("what operators want, what the device reports, what it answered"),
        columns=(say("Property"), say("Desired"), say("Reported"), say("State")),
        rows=rows,
        none=say("Its template has none, and it has reported none."),
    )


def _plain(lines: Sequence[Any]) -> Section:
    kinds = {"good": GOOD, "attention": ATTENTION}
    rows = [
        (
            sheet.text(line.name),
            sheet.code(line.desired) if line.desired else Cell(text=say("none")),
            sheet.code(line.reported) if line.reported else Cell(text=say("none")),
            Cell(state=State(kinds.get(line.kind, UNKNOWN), line.agrees)),
        )
        for line in lines
    ]
    return Section(
        title=say("Properties"),
        note=say("without a template: as they came"),
        columns=(say("Property"), say("Desired"), say("Reported"), say("Agreement")),
        rows=rows,
        none=say("The twin is empty: no desired values, none reported."),
    )


# Forms ------------------------------------------------------------------------------------------------------------


def want_form(device: TwinDevice, sent: Mapping[str, str] | None, error: Wrong | None) -> Form:
    """A field for each writable property, with what is wanted now, or what was sent, in it."""
    fields = []
    for each in writable(device.capabilities):
        made = value_field(WANTED + each["name"], each, inside(device.desired, each["name"]), none=say("not set"))
        fields.append(_with_sent(made, sent, error, each["name"]))
    return Form(
        title=say("Desired values"),
        about=say("leave a field empty to unset it; you review before sending"),
        post=place(device.device_id, "twin", "review"),
        label=say("Show what will be sent"),
        fields=tuple(fields),
        hidden=(("kind", "values"), *seen(device)),
        error=error if sent is not None else None,
        primary=True,
        anchor="want",
    )


def patch_form(device: TwinDevice, typed: str | None, error: Wrong | None) -> Form:
    """A merge patch as JSON, for what the form cannot say."""
    return Form(
        title=say("As a merge patch"),
        about=say("JSON: what is not named stays, null removes a property"),
        post=place(device.device_id, "twin", "review"),
        label=say("Show what will be sent"),
        fields=(
            Field(
                name="patch",
                label=say("Patch of the desired properties"),
                kind="code",
                value=typed or "{\n}",
                required=True,
            ),
        ),
        hidden=(("kind", "patch"), *seen(device)),
        error=error,
        anchor="patch",
    )


def cloud_form(device: TwinDevice, sent: Mapping[str, str] | None, error: Wrong | None) -> Form:
    """A field for each cloud property."""
    present = device.found["cloud_properties"]
    fields = [
        _with_sent(
            value_field(CLOUD + each["name"], each, present.get(each["name"]), none=say("none")),
            sent,
            error,
            each["name"],
        )
        for each in device.cloud
    ]
    return Form(
        title=say("Cloud properties"),
        about=say("set by operators; the device never sees them"),
        post=place(device.device_id, "twin", "cloud"),
        label=say("Save cloud properties"),
        fields=tuple(fields),
        hidden=(("etag", device.found["etag"]), ("seen", json_text(present))),
        error=error if sent is not None else None,
        anchor="cloud",
    )


def seen(device: TwinDevice) -> tuple[tuple[str, str], ...]:
    """What a form goes along with: the twin's ETag, and what was wanted when the form was made."""
    return (("etag", device.twin["etag"]), ("seen", json_text(device.desired)))


def seen_of(form: Mapping[str, str]) -> dict[str, Any]:
    """What was there when a form was made.

    Raises:
        InvalidArgumentError: the form does not say.
    """
    try:
        found = strict_json(form.get("seen", "").encode())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidArgumentError("the form does not say what it was built from", remedy="Reload the page.")
    return found


def _with_sent(made: Field, sent: Mapping[str, str] | None, error: Wrong | None, name: str) -> Field:
    value = made.value if sent is None else sent.get(made.name, made.value)
    is_wrong = error is not None and (
        error[0].startswith(f"{name}:") or f"'{name}'" in error[0] or f" {name}:" in error[0]
    )
    return replace(made, value=value, error=say("See above.") if is_wrong else "")


# What will be sent ------------------------------------------------------------------------------------------------


def review_sheet(
    device: TwinDevice,
    patch: Mapping[str, Any],
    *,
    kind: str,
    wanted: Mapping[str, Any],
    conflict: Sequence[tuple[str, Any, Any]] | None,
) -> Sheet:
    """What a patch of desired properties does to a twin, before it does.

    ``kind`` is ``values`` (of the form: ``wanted``, by name) or ``patch``; ``conflict`` is what somebody else changed
    since the form was made, None where nobody did.
    """
    now, label, capabilities = device.desired, device.label, device.capabilities
    back = place(device.device_id, "twin")
    differs = changes(now, merge(now, patch))
    title = say_count(
        len(differs),
        "{n} desired value of {label} will change.",
        "{n} desired values of {label} will change.",
        n=grouped(len(differs)),
        label=label,
    )
    if conflict is not None:
        title = say("Changed by someone else since you opened it: review before you send.")
    elif not differs:
        title = say("Nothing would change: {label} has these desired values already.", label=label)
    sections = [
        _change_section(
            say("Desired values after sending"), say("beside the present ones"), differs, say("Nothing."), capabilities
        )
    ]
    if conflict is not None:
        sections.insert(
            0,
            _change_section(
                say("Changed by someone else"),
                say("since you opened the page"),
                conflict,
                say("No desired values: tags only."),
                capabilities,
            ),
        )
    form = Form(
        title=say("The patch"),
        about=say("merged into the desired properties"),
        post=place(device.device_id, "twin", "send"),
        label=say("Send anyway") if conflict is not None else say("Send"),
        fields=(),
        shown=json.dumps(patch, ensure_ascii=False, indent=2),
        hidden=(("kind", kind), ("wanted", json_text(wanted)), ("patch", json_text(patch)), *seen(device)),
        primary=True,
    )
    when = (
        say("It is connected and is told at once.")
        if device.connected
        else say("It is not connected: it is told when it connects.")
    )
    return Sheet(
        place=say("Twin"),
        crumbs=(*device.crumbs, (say("Twin"), back)),
        title=title,
        detail=when,
        notices=(("attention", say("Nothing was sent.")),) if conflict is not None else (),
        buttons=(Button(label=say("Back to the twin"), href=back),),
        sections=tuple(sections),
        forms=(form,) if differs or conflict is not None else (),
        within=device.within,
    )


def conflict_words(conflict: Sequence[tuple[str, Any, Any]]) -> str:
    """What somebody changed, in one line."""
    parts = [
        say("{name} from {before} to {after}", name=name, before=_words(before), after=_words(after))
        for name, before, after in conflict
    ]
    return joined(parts) or say("nothing that this form shows")


def _change_section(
    title: str, note: str, found: Sequence[tuple[str, Any, Any]], none: str, capabilities: Sequence[Mapping[str, Any]]
) -> Section:
    called = {each["name"]: each["display_name"] for each in capabilities}
    rows = [
        (
            sheet.text(called.get(name, name), reason=name if called.get(name, name) != name else ""),
            json_cell(before),
            json_cell(after),
        )
        for name, before, after in found
    ]
    return Section(title=title, note=note, columns=(say("Property"), say("Before"), say("After")), rows=rows, none=none)


def _words(value: Any) -> str:
    return say("none") if value is None else json_text(value)
