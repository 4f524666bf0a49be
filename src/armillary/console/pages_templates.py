# SPDX-License-Identifier: Apache-2.0
"""Device templates as pages: the list, and one with its capabilities, cloud properties, views and devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from armillary.console import pages_sheet as sheet
from armillary.console.pages_made import next_href, place
from armillary.console.pages_sheet import Button, Cell, Section, Sheet
from armillary.console.words import counted, grouped, joined


def templates_sheet(page: Mapping[str, Any], now: int) -> Sheet:
    """All device templates."""
    items = page["items"]
    found = [
        (
            sheet.text(item["display_name"], href=place("template", item["name"]), reason=item["name"]),
            sheet.number(grouped(item["capabilities"])),
            sheet.number(grouped(item["cloud_properties"])),
            sheet.text(joined([str(each) for each in item["versions"]]) or "draft only"),
            sheet.when(item["changed_ms"], now),
            sheet.text(item["changed_by"]),
        )
        for item in items
    ]
    section = Section(
        title="Device templates",
        columns=("Template", "Capabilities", "Cloud properties", "Published", "Changed", "By"),
        rows=sheet.rows(found),
        none="",
        next_href=next_href("/templates", page["next"]),
    )
    return Sheet(
        place="Templates",
        title=f"{counted(len(items), 'device template')}." if items else "No device template yet.",
        detail="" if items else "A device template says what devices of a kind send, report and do: models in DTDL.",
        sections=(section,) if items else (),
        command="" if items else "armillary template import --help",
    )


def template_sheet(found: Mapping[str, Any], devices: Sequence[tuple[str, str, Any]], *, may_change: bool) -> Sheet:
    """One template: what it has, and who has it."""
    name, version = found["name"], found["version"]
    capabilities = [
        (
            _named(each),
            sheet.text(each["kind"] + (" (writable)" if each["writable"] else "")),
            sheet.text(_schema(each["schema"])),
            sheet.text(each["unit"] or ""),
            sheet.text(", ".join(each["types"])),
        )
        for each in found["capabilities"]
    ]
    cloud = [
        (
            _named(each),
            sheet.text(_schema(each["schema"])),
            sheet.text(each["unit"] or ""),
        )
        for each in found["cloud_properties"]
    ]
    versions = [
        Button(label=f"Version {each}", href=f"{place('template', name)}?version={each}")
        for each in found["published_versions"][-5:]
    ]
    publish = Button(label="Publish draft", post=place("template", name, "publish"))
    return Sheet(
        place="Templates",
        crumbs=(("Templates", "/templates"),),
        title=f"{found['display_name']}: {counted(len(capabilities), 'capability', 'capabilities')}, "
        + (f"version {version}." if version else "the draft, which no device has."),
        detail=found["description"] or found["root"],
        notices=tuple(("attention", f"{each['name']}: {each['reason']}") for each in found["warnings"][:5]),
        buttons=(*versions, *((publish,) if may_change and not version else ())),
        sections=(
            Section(
                title="Capabilities",
                columns=("Name", "Kind", "Schema", "Unit", "Means"),
                rows=sheet.rows(capabilities),
                none="The model has none.",
            ),
            Section(title="Cloud properties", columns=("Name", "Schema", "Unit"), rows=sheet.rows(cloud), none="None."),
            Section(
                title="Views",
                columns=("View", "For", "Shows"),
                rows=sheet.rows(
                    [
                        (
                            sheet.text(each["name"]),
                            sheet.text("editing" if each["form"] else "looking"),
                            sheet.text(", ".join(str(t) for t in each["tiles"])),
                        )
                        for each in found["views"]
                    ]
                ),
                none="None.",
            ),
            Section(
                title="Devices",
                columns=("Device", "Version"),
                rows=sheet.rows(
                    [(sheet.text(label, href=f"/devices/{each}"), sheet.text(of)) for each, label, of in devices]
                ),
                none="No device has this template yet: armillary template assign",
            ),
        ),
    )


def _named(found: Mapping[str, Any]) -> Cell:
    name, shown = found["name"], found["display_name"] or found["name"]
    return sheet.text(shown, reason="" if shown == name else name)


def _schema(schema: Any) -> str:
    if schema is None:
        return ""
    return schema if isinstance(schema, str) else next(iter(schema), "")
