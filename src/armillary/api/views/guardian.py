# SPDX-License-Identifier: Apache-2.0
"""Guardians as JSON-able dicts, for the native routes and the console: their links, queue, refusals, points, commands.

A guardian is a device that reports a section ``guardian``; its equipment are its modules. What it says of itself is
read by ``wire/hub/guardian_report.py``, what its equipment sent by the module's template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from armillary.api.http.tenure import tenures_of
from armillary.api.views import template as views_template
from armillary.errors import NotFoundError
from armillary.wire.dtdl.unit_symbols import unit_symbol
from armillary.wire.hub.guardian_report import SECTION, GuardianReport, ReportedEquipment, read_report

if TYPE_CHECKING:
    from armillary.engines.records.queries.hub import HubIdentity
    from armillary.hub.hub import Hub
    from armillary.identity.operator import Operator
    from armillary.platform.platform import Platform
    from armillary.service.assemble import SecurityService
    from armillary.twin.template.template import Capability

Document = dict[str, Any]

# Modules that are read at once, and for one page of guardians: others than guardians' may stand between.
READ_MODULES, MOST_READS = 500, 20
# A value that is newer than the last quality of its point is good; ``last-known``: nobody reads it now, or nobody who
# does can say so.
GOOD, LAST_KNOWN = "good", "last-known"
QUALITIES: Final = ("range", "stale", "bad")
QUALITY: Final = "quality."
# In the comment of a command (``guard/interface.py``): units have DTDL's names there.
_NUMBER_WITH_UNIT = re.compile(r"([0-9]) ([A-Za-z]+)\b")
# The comment of a command whose value has a range begins with it, and says its unit.
_RANGE_WITH_UNIT = re.compile(r"[-+.0-9e]+ to [-+.0-9e]+ ([^\s,]+)")


def listed(
    service: SecurityService,
    hub: Hub,
    platform: Platform,
    by: Operator,
    catalog: str | None,
    *,
    limit: int,
    after: str | None,
) -> Document:
    """Guardians with registered equipment by id, of ``by``'s organisation where that is for one.

    A page may have fewer than ``limit`` and still a next one.
    """
    found: list[Document] = []
    sees, since = _sees(platform, by.organisation), tenures_of(service, by.catalog)
    cursor, device, connected = after or "", (after or "").partition("/")[0], hub.connected()
    for _ in range(MOST_READS):
        page = service.hub_access.identities.list_modules(catalog, after=cursor, limit=READ_MODULES)
        for module in page.items:
            before, device = device, module.identity.partition("/")[0]
            is_first = device != before and sees(device)
            report = _report(hub, device, since.get(device, 0)) if is_first else None
            if report is not None and len(found) == limit:
                return _page(service, found, f"{found[-1]['device_id']}/")
            if report is not None:
                found.append(_summary(hub, connected, device, str(module.catalog_id), report))
        if page.next_cursor is None:
            return _page(service, found, None)
        cursor = page.next_cursor
    return _page(service, found, cursor)


def shown(service: SecurityService, hub: Hub, platform: Platform, device_id: str, since_ms: int = 0) -> Document:
    """One guardian with the points and commands of its equipment.

    Raises:
        NotFoundError: the device is no guardian.
    """
    report = _report(hub, device_id, since_ms)
    if report is None:
        raise NotFoundError(
            f"device {device_id[:12]!a} is no guardian: it has reported none",
            remedy="Deploy a guardian's image to it (armillary guardian image), or look at the list of guardians.",
        )
    modules = {each.identity.partition("/")[2]: each for each in service.hub_access.identities.modules(device_id)}
    catalog_id = service.registry.names.owner_of(device_id)
    reported = {each.name: each for each in report.equipment}
    connected = hub.connected()
    summary = _summary(hub, connected, device_id, None if catalog_id is None else str(catalog_id), report)
    summary["equipment"] = [
        _equipment(hub, platform, device_id, reported.get(name) or ReportedEquipment(name), modules.get(name), since_ms)
        for name in (*reported, *(name for name in modules if name not in reported))
    ]
    return {**summary, **_names(service, [device_id]).get(device_id, {})}


def _sees(platform: Platform, organisation: str | None) -> Callable[[str], bool]:
    """Which devices an operator of an organisation, None for of none, may see."""
    if organisation is None:
        return lambda _: True
    organisations = platform.organisations
    reach = organisations.subtree(organisation)
    return lambda device_id: organisations.of_device(device_id) in reach


def _report(hub: Hub, device_id: str, since_ms: int) -> GuardianReport | None:
    """What a guardian reported; None for another device, and for what was reported to an earlier owner."""
    reported = hub.twins.get(device_id).reported
    section = reported.properties.get(SECTION)
    # A tenure begins at a whole second; a guardian reports again within half a minute.
    if section is None or (since_ms and _updated_ms(reported.metadata.get(SECTION)) < since_ms + 1000):
        return None
    return read_report(section)


def _updated_ms(metadata: object) -> int:
    """When a section was last reported (Unix milliseconds); 0 where that is not known."""
    updated = metadata.get("$lastUpdated") if isinstance(metadata, Mapping) else None
    try:
        return int(datetime.fromisoformat(str(updated)).timestamp() * 1000)
    except ValueError:
        return 0


def _summary(
    hub: Hub, connected: frozenset[str], device_id: str, catalog_id: str | None, report: GuardianReport
) -> Document:
    return {
        "device_id": device_id,
        "catalog_id": catalog_id,
        "connected": device_id in connected,
        "last_seen_ms": hub.last_seen_ms(device_id),
        "boot": report.boot,
        "clock": report.clock,
        "queue": asdict(report.queue),
        "equipment": [
            {
                "name": each.name,
                "profile": each.profile,
                "version": each.version,
                "link": each.link,
                "refused": sum(each.refused.values()),
            }
            for each in report.equipment
        ],
    }


def _page(service: SecurityService, found: list[Document], cursor: str | None) -> Document:
    names = _names(service, [each["device_id"] for each in found])
    return {"items": [{**each, **names.get(each["device_id"], {})} for each in found], "next": cursor}


def _names(service: SecurityService, device_ids: list[str]) -> Mapping[str, Document]:
    described = service.registry.names.described(device_ids)
    return {each.device_id: {"name": each.name, "is_named": each.is_named} for each in described}


def _equipment(
    hub: Hub,
    platform: Platform,
    device_id: str,
    reported: ReportedEquipment,
    module: HubIdentity | None,
    since_ms: int,
) -> Document:
    """One piece of equipment; without a module the hub knows nothing of it but what its guardian says."""
    found: Document = {**asdict(reported), "registered": module is not None, "connected": False, "last_seen_ms": None}
    found |= {"simulated": None, "template": None, "points": [], "events": [], "commands": []}
    if module is None:
        return found
    identity = f"{device_id}/{reported.name}"
    kept = platform.device_templates.get(identity)
    sees = views_template.device(hub, platform, identity, since_ms)
    values = {each["name"]: each for each in (*sees["telemetry"], *sees["unmodelled_telemetry"])}
    is_connected = identity in hub.connected()
    is_read = is_connected and reported.link == "up"  # what a guardian said before it went away is not now
    capabilities = {} if kept.ready is None else kept.ready.template.capabilities
    order = [*capabilities, *sorted(values)]
    return found | {
        "connected": is_connected,
        "last_seen_ms": hub.last_seen_ms(identity),
        "simulated": hub.twins.get(identity).reported.properties.get("simulated") is True,
        "template": sees["template"],
        "points": [
            _point(values[name], values.get(QUALITY + name), is_read=is_read)
            for name in dict.fromkeys(order)
            if name in values and "." not in name
        ],
        "events": [each for name, each in sorted(values.items()) if "." in name and not name.startswith(QUALITY)],
        "commands": [_command(each) for each in capabilities.values() if each.kind == "command"],
    }


def _point(value: Mapping[str, Any], quality: Mapping[str, Any] | None, *, is_read: bool) -> Document:
    """A value with its quality: what its guardian said last of it, if that was after its last good value."""
    said = GOOD if is_read else LAST_KNOWN
    if quality is not None and quality["at_ms"] >= value["at_ms"] and quality["value"] in QUALITIES:
        said = str(quality["value"])
    return {**{name: value[name] for name in ("name", "label", "value", "at_ms")}, "quality": said}


def _command(found: Capability) -> Document:
    """A command with what the guard demands of it, in words, and which kind of value it takes."""
    request = getattr(found.content, "request", None)
    fields = getattr(getattr(request, "schema", None), "fields", ())
    taken = next((each.schema for each in fields if each.name == "value"), None)
    measured = _RANGE_WITH_UNIT.match(found.content.comment)
    return {
        "name": found.name,
        "display_name": found.display_name or found.name,
        "bounds": _NUMBER_WITH_UNIT.sub(lambda match: f"{match[1]} {unit_symbol(match[2])}", found.content.comment),
        "value": None if taken is None else str(getattr(taken, "word", "text")),
        "symbol": unit_symbol(measured[1]) if taken is not None and measured is not None else "",
    }
