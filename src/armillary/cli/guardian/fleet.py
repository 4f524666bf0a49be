# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian list`` and ``show``: guardians in the service, their links, queues, refused attempts, points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.cli.guardian.device_arguments import DeviceArgument
from armillary.cli.terminal.output import Shown, noun, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption

verbs = noun()

COLUMNS = ("name", "equipment", "links_up", "refused", "queued", "dropped", "clock", "connected", "device_id")
EQUIPMENT_COLUMNS = ("equipment", "profile", "version", "link", "refused", "exchanges", "timeouts", "problem")
POINT_COLUMNS = ("equipment", "point", "value", "unit", "quality", "at")
ATTEMPT_COLUMNS = ("equipment", "at", "command", "value", "outcome", "rule", "by")


@remote_command(verbs, "list")
def list_guardians(remote: RemoteService, catalog: CatalogOption = None) -> Shown:
    """List guardians with their links and refused attempts."""
    found = remote.pages("/guardians", catalog=catalog)
    empty = "No guardian has registered equipment: armillary guardian equipment add DEVICE NAME --profile NAME."
    return table(found, COLUMNS, row=_guardian, empty=empty)


@remote_command(verbs, "show")
def show_guardian(remote: RemoteService, device: DeviceArgument) -> Shown:
    """Show a guardian: its links, points and attempts.

    Of each piece of equipment: whether its link is up, the last value of each point with its quality, and what somebody
    wanted done; of the guardian: its clock, what waits in its queue, and what was dropped.
    """
    found = remote.get(f"/guardians/{segment(device)}")
    equipment = found["equipment"]
    points = [{"equipment": one["name"], **each} for one in equipment for each in one["points"]]
    attempts = [{"equipment": one["name"], **each} for one in equipment for each in reversed(one["attempts"])]
    return Shown(found).then(
        record(_guardian({**found, "equipment": [{**one, "refused": _sum(one["refused"])} for one in equipment]})),
        "",
        table(equipment, EQUIPMENT_COLUMNS, row=_equipment, empty="It has told of no equipment."),
        "",
        table(points, POINT_COLUMNS, row=_point, empty="Its equipment has sent nothing yet."),
        "",
        table(attempts, ATTEMPT_COLUMNS, row=_attempt, empty="No attempts that it still tells of."),
    )


def _guardian(found: Mapping[str, Any]) -> dict[str, Any]:
    equipment, queue = found["equipment"], found["queue"]
    return {
        "name": found.get("name"),
        "equipment": ", ".join(each["name"] for each in equipment),
        "links_up": f"{sum(each['link'] == 'up' for each in equipment)} of {len(equipment)}",
        "refused": sum(each["refused"] for each in equipment),
        "queued": queue["messages"],
        "dropped": _sum(queue["dropped"]),
        "clock": found["clock"],
        "connected": found["connected"],
        "device_id": found["device_id"],
    }


def _equipment(found: Mapping[str, Any]) -> dict[str, Any]:
    counters = found["counters"]
    told = {name: found[name] for name in ("profile", "version", "link", "problem")}
    counted = {name: counters.get(name) for name in ("exchanges", "timeouts")}
    return {"equipment": found["name"], **told, **counted, "refused": _sum(found["refused"])}


def _point(found: Mapping[str, Any]) -> dict[str, Any]:
    point = {"equipment": found["equipment"], "point": found["name"], "unit": found["label"]["symbol"]}
    value = found["value"]
    value = int(value) if isinstance(value, float) and value.is_integer() else value  # 18,401 shots, not 18,401.0
    return {**point, "value": value, "quality": found["quality"], **readable({"at": found["at_ms"] // 1000})}


def _attempt(found: Mapping[str, Any]) -> dict[str, Any]:
    at = None if found["at"] is None else int(found["at"])
    return {**found, **readable({"at": at})}


def _sum(counts: Mapping[str, int]) -> int:
    return sum(counts.values())
