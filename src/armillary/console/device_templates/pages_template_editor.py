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
            label="Name",
            required=True,
            limits=limits(maxlength=100, pattern="[a-z0-9]([a-z0-9_\\-]*[a-z0-9])?"),
            hint="In addresses and commands: a-z 0-9 _ -",
        ),
        *_about_fields("", ""),
    )
    form = Form(
        post=NEW,
        label="Create template",
        title="The model",
        about="DTDL, or a device template as IoT Central exports it",
        fields=filled(fields, sent),
        editor=editor,
        error=error,
        primary=True,
    )
    return Sheet(
        place="Templates",
        crumbs=(("Templates", "/templates"),),
        title="New device template",
        detail="It begins as a draft, which no device has. Nothing is lost when a rule is broken: the text stays.",
        forms=(form,),
    )


def _about_fields(display_name: str, root: str) -> tuple[Field, ...]:
    return (
        Field(
            name="display_name",
            label="Title",
            value=display_name,
            limits=limits(maxlength=128),
            hint="For people; empty: the root interface's own",
        ),
        Field(
            name="root",
            label="Root interface",
            value=root,
            limits=limits(maxlength=128, placeholder="dtmi:com:example:Thermostat;1"),
            hint="Empty: the only one that is no part of another",
        ),
    )


# The draft --------------------------------------------------------------------------------------------------------


def draft_sentence(found: Mapping[str, Any], upcoming: Mapping[str, Any] | None) -> str:
    """First line: how the draft stands to what is published."""
    title = found["display_name"]
    if upcoming is None:
        return f"{title}: the draft is the same as version {found['published_versions'][-1]}."
    difference = upcoming["difference"]
    if difference is None:
        return f"{title}: a draft that was never published."
    parts = [
        f"{len(difference[what])} {word}"
        for what, word in (("added", "new"), ("changed", "changed"), ("removed", "gone"))
        if difference[what]
    ]
    differs = joined(parts) or "names, views or models only"
    return f"{title}: the draft differs from version {upcoming['version'] - 1}: {differs}."


def draft_sheet(
    found: Mapping[str, Any], upcoming: Mapping[str, Any] | None, forms: Mapping[str, Form], *, may_change: bool
) -> Sheet:
    """The editor of a draft, as ``show_template`` answers it.

    ``upcoming`` is what publishing would do, None where it is published already; ``forms`` are by ``capability``,
    ``cloud``, ``view`` and ``model``, none for somebody who may change nothing.
    """
    name = found["name"]
    publish = Button(label="Publish", href=place("template", name, "publish"), primary=True)
    body = found["body"]
    beside = {each["name"] for each in body.get("cloud_properties", ())}
    return Sheet(
        place="Templates",
        crumbs=(("Templates", "/templates"), (found["display_name"], place("template", name))),
        title=draft_sentence(found, upcoming),
        detail="Devices have published versions only: what is changed here reaches none before it is published.",
        notices=tuple(("attention", f"{each['name']}: {each['reason']}") for each in found["warnings"][:5]),
        buttons=(
            *((publish,) if may_change and upcoming is not None else ()),
            *((Button(label="Delete", href=place("template", name, "delete"), danger=True),) if may_change else ()),
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
    return sheet.text("Remove", href=f"{place('template', found['name'], 'remove')}?{query}")


def _capabilities(found: Mapping[str, Any], *, may_change: bool, form: Form | None) -> Section:
    rows = [
        (
            *value_cells(each, _limit_words(each["limits"]), "none"),
            *((_remove(found, "capability", each["name"]),) if may_change else ()),
        )
        for each in found["capabilities"]
    ]
    return Section(
        title="Capabilities",
        note="what devices send, report and do",
        columns=("Name", "Kind", "Schema", "Unit", *(("Remove",) if may_change else ())),
        rows=rows,
        none="The model has none.",
        anchor="capabilities",
        form=form,
    )


def _cloud(found: Mapping[str, Any], beside: set[str], *, may_change: bool, form: Form | None) -> Section:
    rows = []
    for each in found["cloud_properties"]:
        way = _remove(found, "cloud", each["name"]) if each["name"] in beside else sheet.text("in the model")
        initial = "none" if each["initial"] is None else str(each["initial"])
        rows.append((*value_cells(each, _limit_words(each)), sheet.text(initial), *((way,) if may_change else ())))
    return Section(
        title="Cloud properties",
        note="what operators keep of each device; devices never see them",
        columns=("Name", "Schema", "Unit", "Initial", *(("Remove",) if may_change else ())),
        rows=rows,
        none="None.",
        anchor="cloud",
        form=form,
    )


def _views(found: Mapping[str, Any], *, may_change: bool, form: Form | None) -> Section:
    rows = [
        (
            sheet.text(each["name"]),
            sheet.text("editing" if each["form"] else "looking"),
            sheet.text(", ".join(each["tiles"]) or "nothing"),
            *((_remove(found, "view", each["name"]),) if may_change else ()),
        )
        for each in found["views"]
    ]
    return Section(
        title="Views",
        note="pages of a device",
        columns=("View", "For", "Shows", *(("Remove",) if may_change else ())),
        rows=rows,
        none="None.",
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
    components = [("", "the root interface"), *((each, f"component {each}") for each in found["components"])]
    fields = [
        Field(
            name="kind",
            label="Kind",
            kind="select",
            choices=(
                ("telemetry", "telemetry: it measures"),
                ("property", "property: it reports"),
                ("command", "command: it does"),
            ),
        ),
        Field(
            name="name",
            label="Capability name",
            required=True,
            limits=limits(maxlength=64, pattern="[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?"),
            hint="In messages and twins",
        ),
        Field(name="display_name", label="Display name", limits=limits(maxlength=64)),
        Field(
            name="schema",
            label="Schema",
            kind="select",
            value="double",
            choices=choices(schemas),
            hint="Of a command: none",
        ),
        Field(
            name="values",
            label="Enum values",
            limits=limits(placeholder="low=1, high=2"),
            hint="name=value, or names; with the schema enum",
        ),
        Field(
            name="meaning",
            label="Means",
            kind="select",
            choices=(("", "nothing in particular"),),
            groups=tuple(
                (meaning, tuple((f"{meaning}/{unit}", f"{meaning}, {unit}") for unit in units))
                for meaning, units in meanings.items()
            ),
            hint="Semantic type and unit, of a number",
        ),
        Field(name="minimum", label="Smallest", kind="number", limits=limits(step="any")),
        Field(name="maximum", label="Largest", kind="number", limits=limits(step="any")),
        Field(
            name="request",
            label="A command takes",
            limits=limits(maxlength=64),
            hint="Name of its parameter; empty: none",
        ),
        Field(
            name="request_schema",
            label="Schema of that",
            kind="select",
            value="double",
            choices=choices([each for each in schemas if each != "enum"]),
        ),
    ]
    if len(components) > 1:
        fields.append(Field(name="component", label="Goes to", kind="select", choices=tuple(components)))
    fields.append(Field(name="writable", label="Operators may want a value (property)", kind="check"))
    return Form(
        post=place("template", found["name"], "capability"),
        label="Add capability",
        title="Add a capability",
        fields=filled(fields, sent) if sent else tuple(fields),
        hidden=(("etag", found["etag"]),),
        error=error,
    )


def cloud_form(found: Mapping[str, Any], sent: Mapping[str, str], error: Wrong | None) -> Form:
    """A cloud property to keep."""
    fields = (
        Field(
            name="name",
            label="Cloud property",
            required=True,
            limits=limits(maxlength=64),
            hint="A known name replaces it",
        ),
        Field(name="display_name", label="Shown as", limits=limits(maxlength=64)),
        Field(name="schema", label="Stored as", kind="select", choices=choices(CLOUD_SCHEMAS)),
        Field(name="values", label="Values of the enum", limits=limits(placeholder="old=1, new=2")),
        Field(name="unit", label="In (unit)", limits=limits(maxlength=64)),
        Field(
            name="minimum",
            label="Least",
            kind="number",
            limits=limits(step="any"),
            hint="Of a number; of a text its length",
        ),
        Field(name="maximum", label="Most", kind="number", limits=limits(step="any")),
        Field(name="initial", label="Begins as", hint="Empty: nothing"),
    )
    return Form(
        post=place("template", found["name"], "cloud"),
        label="Save cloud property",
        title="Add or replace a cloud property",
        fields=filled(fields, sent) if sent else fields,
        hidden=(("etag", found["etag"]),),
        error=error,
    )


def view_form(found: Mapping[str, Any], sent: Mapping[str, str], error: Wrong | None) -> Form:
    """A view to keep."""
    names = [each["name"] for each in (*found["capabilities"], *found["cloud_properties"])]
    fields = (
        Field(name="name", label="View", required=True, limits=limits(maxlength=128), hint="A known name replaces it"),
        Field(
            name="tiles",
            label="Shows, in order",
            kind="area",
            rows=2,
            limits=limits(placeholder=", ".join(names[:3])),
            hint=f"Names, with commas: {', '.join(names[:12])}{' ...' if len(names) > 12 else ''}",
        ),
        Field(name="form", label="For changing what it shows", kind="check"),
    )
    return Form(
        post=place("template", found["name"], "view"),
        label="Save view",
        title="Add or replace a view",
        fields=filled(fields, sent) if sent else fields,
        hidden=(("etag", found["etag"]),),
        error=error,
    )


def model_form(found: Mapping[str, Any], editor: ModelEditor, sent: Mapping[str, str], error: Wrong | None) -> Form:
    """The draft's models as JSON."""
    fields = _about_fields(found["display_name"], found["root"])
    return Form(
        post=edit_href(found["name"]),
        label="Save model",
        title="The model",
        about="DTDL; what cloud properties, views and labels name is kept as far as the new model has it",
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
    words = (
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minimum_length", "at least"),
        ("maximum_length", "at most"),
    )
    parts = [
        f"{word} {found[name]:g}{' characters' if 'length' in name else ''}"
        for name, word in words
        if found.get(name) is not None
    ]
    return ", ".join(parts)
