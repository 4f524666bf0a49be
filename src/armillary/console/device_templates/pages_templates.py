# SPDX-License-Identifier: Apache-2.0
"""Device templates as pages: the list, and one with its capabilities, cloud properties, views and devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from armillary.console.frame import sheet
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, place
from armillary.console.frame.words import counted, grouped, joined
from armillary.console.language.say import say, say_count

# Kind of a capability -> its word.
_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {"telemetry": say("telemetry"), "property": say("property"), "command": say("command")}
)


def templates_sheet(page: Mapping[str, Any], *, may_change: bool, now: int, search: str = "") -> Sheet:
    """All device templates, or those that have ``search`` in their name."""
    items = page["items"]
    found = [
        (
            sheet.text(item["display_name"], href=place("template", item["name"]), reason=item["name"]),
            sheet.number(grouped(item["capabilities"])),
            sheet.number(grouped(item["cloud_properties"])),
            sheet.text(joined([str(each) for each in item["versions"]]) or say("draft only")),
            sheet.when(item["changed_ms"], now),
            sheet.text(item["changed_by"]),
        )
        for item in items
    ]
    return sheet.list_sheet(
        say("Templates"),
        (say("Template"), say("Capabilities"), say("Cloud properties"), say("Published"), say("Changed"), say("By")),
        found,
        path="/templates",
        cursor=page["next"],
        says=say_count(len(items), "{n} device template.", "{n} device templates.", n=grouped(len(items)))
        if items
        else say("No device template yet."),
        new=Button(label=say("New template"), href="/new-template") if may_change else None,
        command="armillary template import --help",
        detail=say("A device template says what devices of a kind send, report and do: models in DTDL."),
        heading=say("Device templates"),
        search=search,
    )


def template_sheet(found: Mapping[str, Any], devices: Sequence[tuple[str, str, Any]], *, may_change: bool) -> Sheet:
    """One template: what it has, and who has it."""
    name, version = found["name"], found["version"]
    capabilities = [(*value_cells(each), sheet.text(", ".join(each["types"]))) for each in found["capabilities"]]
    cloud = [value_cells(each) for each in found["cloud_properties"]]
    versions = [
        Button(label=say("Version {version}", version=each), href=f"{place('template', name)}?version={each}")
        for each in found["published_versions"][-5:]
    ]
    draft = Button(label=say("Draft"), href=f"{place('template', name)}?version=0")
    change = (
        Button(label=say("Edit draft"), href=place("template", name, "edit")),
        Button(
            label=say("Draft from version {version}", version=version),
            href=place("template", name, "draft", str(version)),
        ),
        Button(label=say("Move devices"), href=f"{place('template', name, 'move')}?version={version}"),
    )
    ways = (*versions, *((draft,) if version and not may_change else ()))
    if may_change:
        ways = (*versions, *(change if version else change[:1]))
    return Sheet(
        place=say("Templates"),
        crumbs=((say("Templates"), "/templates"),),
        title=say(
            "{name}: {capabilities}, {version}.",
            name=found["display_name"],
            capabilities=counted(len(capabilities), "capability", "capabilities"),
            version=say("version {version}", version=version) if version else say("the draft, which no device has"),
        ),
        detail=found["description"] or found["root"],
        notices=tuple(("attention", f"{each['name']}: {each['reason']}") for each in found["warnings"][:5]),
        buttons=ways,
        sections=(
            Section(
                title=say("Capabilities"),
                columns=(say("Name"), say("Kind"), say("Schema"), say("Unit"), say("Means")),
                rows=capabilities,
                none=say("The model has none."),
            ),
            Section(
                title=say("Cloud properties"),
                columns=(say("Name"), say("Schema"), say("Unit")),
                rows=cloud,
                none=say("None."),
            ),
            Section(
                title=say("Views"),
                columns=(say("View"), say("For"), say("Shows")),
                rows=[
                    (
                        sheet.text(each["name"]),
                        sheet.text(say("editing") if each["form"] else say("looking")),
                        sheet.text(", ".join(str(t) for t in each["tiles"])),
                    )
                    for each in found["views"]
                ],
                none=say("None."),
            ),
            Section(
                title=say("Devices"),
                columns=(say("Device"), say("Version")),
                rows=[(sheet.device(each, {each: label}), sheet.text(of)) for each, label, of in devices],
                none=say("No device has this template yet: armillary device template set"),
            ),
        ),
    )


def value_cells(found: Mapping[str, Any], reason: str = "", none: str = "") -> tuple[Cell, ...]:
    """What a capability or cloud property is called, its kind where it has one, its schema (or ``none``) and unit."""
    kind = found.get("kind")
    if kind is not None:
        kind = say("{kind} (writable)", kind=_KINDS.get(kind, kind)) if found["writable"] else _KINDS.get(kind, kind)
    return (
        sheet.named(found["name"], found["display_name"]),
        *((sheet.text(kind),) if kind is not None else ()),
        sheet.text(schema_words(found["schema"]) or none, reason=reason),
        unit_cell(found),
    )


def unit_cell(found: Mapping[str, Any]) -> Cell:
    """A unit's symbol, its name in the model below where that differs."""
    return sheet.text(
        found["symbol"] or say("none"), reason=found["unit"] or "" if found["unit"] != found["symbol"] else ""
    )


def schema_words(schema: Any) -> str:
    """A schema in a word."""
    if schema is None:
        return ""
    return schema if isinstance(schema, str) else next(iter(schema), "")
