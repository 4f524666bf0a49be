# SPDX-License-Identifier: Apache-2.0
"""What people see of a compiled profile: points, poll plan, what the guard allows, commands, grants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.cli.terminal.output import Shown, record, table
from armillary.guard.compiling import CompiledProfile
from armillary.guard.interface import bounds_text, display_unit, model_id
from armillary.guard.line_load import line_load
from armillary.guard.slots import FrameBlock, PollBlock
from armillary.wire.equipment.profile import (
    Address,
    Command,
    FrameField,
    ModbusAddress,
    NodeAddress,
    ObjectAddress,
    Point,
    Profile,
    ReportRule,
    element_point,
)
from armillary.wire.equipment.profile_reader import profile_document
from armillary.wire.equipment.request import ModbusRequest, NodesRead

POINT_COLUMNS = ("name", "place", "raw", "scale", "unit", "group", "range", "report")
READ_COLUMNS = ("group", "every_s", "function", "first", "count", "points")
COMMAND_COLUMNS = ("name", "place", "bounds")


def summary(profile: Profile) -> dict[str, Any]:
    """The head of a profile, and how much of what it has."""
    return {
        "profile": profile.name,
        "version": profile.version,
        "title": profile.title,
        "points": len(profile.all_points),
        "alarms": len(profile.alarms),
        "commands": len(profile.commands),
    }


def described(compiled: CompiledProfile) -> Shown:
    """All of it; with ``--json`` one object."""
    profile = compiled.profile
    load = line_load(profile, compiled.blocks)
    head = {
        **summary(profile),
        "manufacturer": profile.manufacturer,
        "model": profile.model,
        "interface": model_id(profile),
        "link": profile_document(profile)["link"],
    }
    points = [_point(each) for each in profile.all_points]
    reads = [_read(profile, each) for each in compiled.blocks] + [
        _read(profile, each) for each in compiled.frames.values()
    ]
    commands = [
        {"name": each.name, "place": _command_place(each), "bounds": bounds_text(each)} for each in profile.commands
    ]
    allow = _allowed(compiled)
    grants = {"allowed_connections": list(compiled.grants.hosts), "uart": list(compiled.grants.serial_ports)}
    found = {
        **head,
        "line_load": load,
        "point_list": points,
        "reads": reads,
        "allowed": allow,
        "command_list": commands,
        "grants": grants,
    }
    text = record(head).then(
        "\npoints",
        table(_point_rows(profile), POINT_COLUMNS, empty="It has none."),
        "\npoll plan" + ("" if load is None else f": {load:.0%} of the line's time"),
        table(reads, READ_COLUMNS, empty="Nothing is read."),
        "\nthe guard allows",
        record(allow),
        "\ncommands",
        table(commands, COMMAND_COLUMNS, empty="None: the equipment is read only."),
        "\ngrants of the application",
        record(grants),
    )
    return Shown(found, text.print_text)


def place_text(address: Address | None) -> str:
    """An address as people write it."""
    match address:
        case ModbusAddress(table=where, address=number):
            return f"{where} {number}"
        case FrameField(frame=kind, offset=offset):
            return f"frame 0x{kind:02x} byte {offset}"
        case NodeAddress(node=node):
            return node
        case ObjectAddress(object_type=kind, instance=instance, property=name):
            return f"{kind} {instance} {name}"
        case None:
            return "-"


def _command_place(command: Command) -> str:
    return f"frame 0x{command.frame:02x}" if command.frame is not None else place_text(command.address)


def _point(point: Point) -> dict[str, Any]:
    bounds = "" if point.low is None and point.high is None else f"{_bound(point.low)} to {_bound(point.high)}"
    return {
        "name": point.name,
        "place": place_text(point.address),
        "raw": point.raw,
        "scale": point.scale,
        "unit": display_unit(point.unit) or None,
        "group": point.group or None,
        "range": bounds or ", ".join(point.states.values()) or ", ".join(point.bits.values()) or None,
        "report": _report_text(point.report),
    }


def _point_rows(profile: Profile) -> list[dict[str, Any]]:
    """What people see: a member of an array once, not for each element."""
    rows = [_point(each) for each in profile.points]
    for array in profile.arrays:
        for member in array.members:
            row = _point(element_point(array, 0, member))
            name = f"{row['name']} to {array.name}{array.count - 1}_{member.name}" if array.count > 1 else row["name"]
            step = f", each {array.stride} on" if array.count > 1 and array.stride else ""
            rows.append({**row, "name": name, "place": f"{row['place']}{step}"})
    return [{**row, "scale": f"{row['scale']:g}"} for row in rows]


def _report_text(rule: ReportRule) -> str:
    changes = [f"{rule.absolute:g}"] * bool(rule.absolute) + [f"{rule.percent:g} %"] * bool(rule.percent)
    change = f"by {' or '.join(changes)}" if changes else "each change"
    return f"{change}, at the latest after {rule.max_s:g} s"


def _bound(number: float | None) -> str:
    return "..." if number is None else f"{number:g}"


def _read(profile: Profile, block: PollBlock | FrameBlock) -> dict[str, Any]:
    names = [each.point.name for each in block.slots]
    shown = [*names[:4], f"and {len(names) - 4} more"] if len(names) > 5 else names
    if isinstance(block, FrameBlock):
        return {"group": None, "every_s": None, "function": f"frame 0x{block.kind:02x}", "first": 0,
                "count": block.length, "points": shown}  # fmt: skip
    first, count = block.span
    if isinstance(block.request, ModbusRequest):
        function = f"read {block.request.pdu[0]}"
    else:
        function = "read nodes" if isinstance(block.request, NodesRead) else "read objects"
    every = profile.groups[block.group]
    return {
        "group": block.group,
        "every_s": every,
        "function": function,
        "first": first,
        "count": count,
        "points": shown,
    }


def _allowed(compiled: CompiledProfile) -> Mapping[str, Any]:
    allow = compiled.allow
    counts = {
        "unit": allow.unit,
        "reads": len(allow.reads) or None,
        "writes": len(allow.writes) or None,
        "nodes_read": len(allow.nodes) or None,
        "nodes_written": len(allow.node_writes) or None,
        "objects_read": len(allow.objects) or None,
        "frames_taken": len(compiled.frames) or None,
        "frames_sent": len(allow.frames) or None,
    }
    return {name: count for name, count in counts.items() if count is not None}
