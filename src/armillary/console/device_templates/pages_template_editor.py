# SPDX-License-Identifier: Apache-2.0
"""Device templates as they are made and changed: a new one, the draft with its small forms and its model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.device_templates.pages_templates import value_cells
from armillary.console.frame import sheet
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.model import ModelEditor, models_text
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, place
from armillary.console.frame.words import joined
from armillary.console.language.say import apart, say

NEW: Final = "/new-template"
CLOUD_SCHEMAS: Final = ("string", "double", "integer", "boolean", "date", "dateTime", "geopoint", "enum")


def edit_href(name: str, anchor: str = "") -> str:
    """The editor of a template's draft."""
    return place("template", name, "edit") + (f"#{anchor}" if anchor else "")


# A new one --------------------------------------------------------------------------------------------------------


def new_sheet(sent: Mapping[str, str], editor: ModelEditor, error: Wrong | None) -> Sheet:
    """The form of a new template: its name, and models."""
    fields = (
        Field(
            name="name",
            label=say("Name"),
            required=True,
            limits=limits(maxlength=100, pattern="[a-z0-9]([a-z0-9_\\-]*[a-z0-9])?"),
            hint=say("In addresses and commands: a-z 0-9 _ -"),
        ),
        *_about_fields("", ""),
    )
    form = Form(
        post=NEW,
        label=say("Create template"),
        title=say("The model"),
        about=say("DTDL, or a device template as IoT Central exports it"),
        fields=filled(fields, sent),
        editor=editor,
        error=error,
        primary=True,
    )
    return Sheet(
        place=say("Templates"),
        crumbs=((say("Templates"), "/templates"),),
        title=say("New device template"),
        detail=say("It begins as a draft, which no device has. Nothing is lost when a rule is broken: the text stays."),
        forms=(form,),
    )


def _about_fields(display_name: str, root: str) -> tuple[Field, ...]:
    return (
        Field(
            name="display_name",
            label=say("Title"),
            value=display_name,
            limits=limits(maxlength=128),
            hint=say("For people; empty: the root interface's own"),
        ),
        Field(
            name="root",
            label=say("Root interface"),
            value=root,
            limits=limits(maxlength=128, placeholder="dtmi:com:example:Thermostat;1"),
            hint=say("Empty: the only one that is no part of another"),
        ),
    )


# The draft --------------------------------------------------------------------------------------------------------


def draft_sentence(found: Mapping[str, Any], upcoming: Mapping[str, Any] | None) -> str:
    """First line: how the draft stands to what is published."""
    title = found["display_name"]
    if upcoming is None:
        return say(
            "{title}: the draft is the same as version {version}.",
            title=title,
            version=found["published_versions"][-1],
        )
    difference = upcoming["difference"]
    if difference is None:
        return say("{title}: a draft that was never published.", title=title)
    parts = [
        apart([f"{len(difference[what])}", word], " ")
        for what, word in (("added", say("new")), ("changed", say("changed")), ("removed", say("gone")))
        if difference[what]
    ]
    differs = joined(parts) or say("names, views or models only")
    return say(
        "{title}: the draft differs from version {version}: {differs}.",
        title=title,
        version=upcoming["version"] - 1,
        differs=differs,
    )


def draft_sheet(
    found: Mapping[str, Any], upcoming: Mapping[str, Any] | None, forms: Mapping[str, Form], *, may_change: bool
) -> Sheet:
    """The editor of a draft, as ``show_template`` answers it.

    ``upcoming`` is what publishing would do, None where it is published already; ``forms`` are by ``capability``,
    ``cloud``, ``view`` and ``model``, none for somebody who may change nothing.
    """
    name = found["name"]
    publish = Button(label=say("Publish"), href=place("template", name, "publish"), primary=True)
    body = found["body"]
    beside = {each["name"] for each in body.get("cloud_properties", ())}
    return Sheet(
        place=say("Templates"),
        crumbs=((say("Templates"), "/templates"), (found["display_name"], place("template", name))),
        title=draft_sentence(found, upcoming),
        detail=say("Devices have published versions only: what is changed here reaches none before it is published."),
        notices=tuple(("attention", f"{each['name']}: {each['reason']}") for each in found["warnings"][:5]),
        buttons=(
            *((publish,) if may_change and upcoming is not None else ()),
            *(
                (Button(label=say("Delete"), href=place("template", name, "delete"), danger=True),)
                if may_change
                else ()
            ),
        ),
        sections=(
            _capabilities(found, may_change=may_change, form=forms.get("capability")),
            _cloud(found, beside, may_change=may_change, form=forms.get("cloud")),
            _views(found, may_change=may_change, form=forms.get("view")),
        ),
        forms=(forms["model"],) if "model" in forms else (),
    )


def _remove(found: Mapping[str, Any], what: str, name: str) -> Cell:
    query = urlencode({"what": what, "name": name})
    return sheet.text(say("Remove"), href=f"{place('template', found['name'], 'remove')}?{query}")


def _capabilities(found: Mapping[str, Any], *, may_change: bool, form: Form | None) -> Section:
    rows = [
        (
            *value_cells(each, _limit_words(each["limits"]), say("none")),
            *((_remove(found, "capability", each["name"]),) if may_change else ()),
        )
        for each in found["capabilities"]
    ]
    return Section(
        title=say("Capabilities"),
        note=say("what devices send, report and do"),
        columns=(say("Name"), say("Kind"), say("Schema"), say("Unit"), *((say("Remove"),) if may_change else ())),
        rows=rows,
        none=say("The model has none."),
        anchor="capabilities",
        form=form,
    )


def _cloud(found: Mapping[str, Any], beside: set[str], *, may_change: bool, form: Form | None) -> Section:
    rows = []
    for each in found["cloud_properties"]:
        way = _remove(found, "cloud", each["name"]) if each["name"] in beside else sheet.text(say("in the model"))
        initial = say("none") if each["initial"] is None else str(each["initial"])
        rows.append((*value_cells(each, _limit_words(each)), sheet.text(initial), *((way,) if may_change else ())))
    return Section(
        title=say("Cloud properties"),
        note=say("what operators keep of each device; devices never see them"),
        columns=(say("Name"), say("Schema"), say("Unit"), say("Initial"), *((say("Remove"),) if may_change else ())),
        rows=rows,
        none=say("None."),
        anchor="cloud",
        form=form,
    )


def _views(found: Mapping[str, Any], *, may_change: bool, form: Form | None) -> Section:
    rows = [
        (
            sheet.text(each["name"]),
            sheet.text(say("editing") if each["form"] else say("looking")),
            sheet.text(", ".join(each["tiles"]) or say("nothing")),
            *((_remove(found, "view", each["name"]),) if may_change else ()),
        )
        for each in found["views"]
    ]
    return Section(
        title=say("Views"),
        note=say("pages of a device"),
        columns=(say("View"), say("For"), say("Shows"), *((say("Remove"),) if may_change else ())),
        rows=rows,
        none=say("None."),
        anchor="views",
        form=form,
    )


def capability_form(
    found: Mapping[str, Any],
    schemas: Sequence[str],
    meanings: Mapping[str, Sequence[str]],
    sent: Mapping[str, str],
    error: Wrong | None,
) -> Form:
    """A capability to add."""
    components = [
        ("", say("the root interface")),
        *((each, say("component {name}", name=each)) for each in found["components"]),
    ]
    fields = [
        _kind_field(),
        Field(
            name="name",
            label=say("Capability name"),
            required=True,
            limits=limits(maxlength=64, pattern="[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?"),
            hint=say("In messages and twins"),
        ),
        Field(name="display_name", label=say("Display name"), limits=limits(maxlength=64)),
        Field(
            name="schema",
            label=say("Schema"),
            kind="select",
            value="double",
            choices=choices(schemas),
            hint=say("Of a command: none"),
        ),
        Field(
            name="values",
            label=say("Enum values"),
            limits=limits(placeholder="low=1, high=2"),
            hint=say("name=value, or names; with the schema enum"),
        ),
        Field(
            name="meaning",
            label=say("Means"),
            kind="select",
            choices=(("", say("nothing in particular")),),
            groups=tuple(
                (meaning, tuple((f"{meaning}/{unit}", f"{meaning}, {unit}") for unit in units))
                for meaning, units in meanings.items()
            ),
            hint=say("Semantic type and unit, of a number"),
        ),
        Field(name="minimum", label=say("Smallest"), kind="number", limits=limits(step="any")),
        Field(name="maximum", label=say("Largest"), kind="number", limits=limits(step="any")),
        Field(
            name="request",
            label=say("A command takes"),
            limits=limits(maxlength=64),
            hint=say("Name of its parameter; empty: none"),
        ),
        Field(
            name="request_schema",
            label=say("Schema of that"),
            kind="select",
            value="double",
            choices=choices([each for each in schemas if each != "enum"]),
        ),
    ]
    if len(components) > 1:
        fields.append(Field(name="component", label=say("Goes to"), kind="select", choices=tuple(components)))
    fields.append(Field(name="writable", label=say("Operators may want a value (property)"), kind="check"))
    return Form(
        post=place("template", found["name"], "capability"),
        label=say("Add capability"),
        title=say("Add a capability"),
        fields=filled(fields, sent) if sent else tuple(fields),
        hidden=(("etag", found["etag"]),),
        error=error,
    )


def _kind_field() -> Field:
    return Field(
        name="kind",
        label=say("Kind"),
        kind="select",
        choices=(
            ("telemetry", say("telemetry: it measures")),
            ("property", say("property: it reports")),
            ("command", say("command: it does")),
        ),
    )


def cloud_form(found: Mapping[str, Any], sent: Mapping[str, str], error: Wrong | None) -> Form:
    """A cloud property to keep."""
    fields = (
        Field(
            name="name",
            label=say("Cloud property"),
            required=True,
            limits=limits(maxlength=64),
            hint=say("A known name replaces it"),
        ),
        Field(name="display_name", label=say("Shown as"), limits=limits(maxlength=64)),
        Field(name="schema", label=say("Stored as"), kind="select", choices=choices(CLOUD_SCHEMAS)),
        Field(name="values", label=say("Values of the enum"), limits=limits(placeholder="old=1, new=2")),
        Field(name="unit", label=say("In (unit)"), limits=limits(maxlength=64)),
        Field(
            name="minimum",
            label=say("Least"),
            kind="number",
            limits=limits(step="any"),
            hint=say("Of a number; of a text its length"),
        ),
        Field(name="maximum", label=say("Most"), kind="number", limits=limits(step="any")),
        Field(name="initial", label=say("Begins as"), hint=say("Empty: nothing")),
    )
    return Form(
        post=place("template", found["name"], "cloud"),
        label=say("Save cloud property"),
        title=say("Add or replace a cloud property"),
        fields=filled(fields, sent) if sent else fields,
        hidden=(("etag", found["etag"]),),
        error=error,
    )


def view_form(found: Mapping[str, Any], sent: Mapping[str, str], error: Wrong | None) -> Form:
    """A view to keep."""
    names = [each["name"] for each in (*found["capabilities"], *found["cloud_properties"])]
    fields = (
        Field(
            name="name",
            label=say("View"),
            required=True,
            limits=limits(maxlength=128),
            hint=say("A known name replaces it"),
        ),
        Field(
            name="tiles",
            label=say("Shows, in order"),
            kind="area",
            rows=2,
            limits=limits(placeholder=", ".join(names[:3])),
            hint=say("Names, with commas: {names}", names=", ".join(names[:12]) + (" ..." if len(names) > 12 else "")),
        ),
        Field(name="form", label=say("For changing what it shows"), kind="check"),
    )
    return Form(
        post=place("template", found["name"], "view"),
        label=say("Save view"),
        title=say("Add or replace a view"),
        fields=filled(fields, sent) if sent else fields,
        hidden=(("etag", found["etag"]),),
        error=error,
    )


def model_form(found: Mapping[str, Any], editor: ModelEditor, sent: Mapping[str, str], error: Wrong | None) -> Form:
    """The draft's models as JSON."""
    fields = _about_fields(found["display_name"], found["root"])
    return Form(
        post=edit_href(found["name"]),
        label=say("Save model"),
        title=say("The model"),
        about=say("DTDL; what cloud properties, views and labels name is kept as far as the new model has it"),
        fields=filled(fields, sent) if sent else fields,
        hidden=(("etag", found["etag"]),),
        editor=editor,
        error=error,
        anchor="model",
    )


def model_editor(found: Mapping[str, Any], text: str | None) -> ModelEditor:
    """The text of a draft's models, or what was typed."""
    name = found["name"]
    return ModelEditor(
        text=models_text(found["body"]["models"]) if text is None else text,
        report_href=place("template", name, "report"),
        check_href=place("template", name, "check"),
    )


def _limit_words(found: Mapping[str, Any]) -> str:
    parts = []
    if found.get("minimum") is not None:
        parts.append(say("at least {limit}", limit=f"{found['minimum']:g}"))
    if found.get("maximum") is not None:
        parts.append(say("at most {limit}", limit=f"{found['maximum']:g}"))
    if found.get("minimum_length") is not None:
        parts.append(say("at least {limit} characters", limit=found["minimum_length"]))
    if found.get("maximum_length") is not None:
        parts.append(say("at most {limit} characters", limit=found["maximum_length"]))
    return apart(parts)
