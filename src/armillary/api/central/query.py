# SPDX-License-Identifier: Apache-2.0
"""IoT Central's query over the devices of a template (preview): telemetry over time, or properties as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from armillary.api.central.call import Call, body_object, field
from armillary.api.central.template_id import check_reach, resolve
from armillary.api.http.tenure import tenures
from armillary.errors import InvalidArgumentError
from armillary.platform.templates.templates import Ready
from armillary.twin.author.group import DeviceFacts, Field, Group, Needs, value_at

if TYPE_CHECKING:
    from armillary.twin.central.select import Select

# Points that one query reads: each is held until the answer is made. Exports are for more.
MAX_POINTS: Final = 50_000
# Devices that a query of properties looks at, as there.
MAX_DEVICES: Final = 1000

_REMEDY: Final = "docs/reference/iot-central.md has the language."


def run_query(call: Call) -> dict[str, Any]:
    """Run a query: `{"query": "SELECT $id, $ts, temperature FROM dtmi:... WHERE WITHIN_WINDOW(P1D)"}`."""
    from armillary.twin.central.select import parse_select, results  # noqa: PLC0415 - read when it is needed

    query = parse_select(field(body_object(call), "query", str, needed=True) or "")
    template = resolve(call, query.template)
    check_reach(call, template, query.template)
    ready = call.platform.templates.get(*template)
    group = Group(name="query", template=template.name, catalog=call.catalog.name)
    if _is_telemetry(query, ready):
        return {"results": results(query, _telemetry_rows(call, query, group))}
    return {"results": results(query, _property_rows(call, query, group, ready))}


def _is_telemetry(query: Select, ready: Ready) -> bool:
    """Whether a query is of telemetry. Raises InvalidArgumentError if it is of both, or of unknown names."""
    kinds: dict[str, str] = {}
    for name in query.names:
        capability = ready.template.capabilities.get(name)
        if name in ready.template.cloud or (capability is not None and capability.kind == "property"):
            kinds[name] = "property"
        elif ready.table.leaf(name) is not None:
            kinds[name] = "telemetry"
        else:
            raise InvalidArgumentError(
                f"query: the template has no telemetry and no property {name!a:.80}",
                remedy="Of an object select the fields: place.x.",
            )
    over_time = query.window is not None or query.aggregates
    if len(set(kinds.values())) > 1 or (over_time and "property" in kinds.values()):
        raise InvalidArgumentError("query: expected telemetry or properties, got both", remedy=_REMEDY)
    if not kinds and (over_time or any(each.name == "$ts" for each in query.items)):
        raise InvalidArgumentError("query: expected a telemetry, as it is over time", remedy="Name one.")
    return "telemetry" in kinds.values()


def _telemetry_rows(call: Call, query: Select, group: Group) -> Iterator[Mapping[str, Any]]:
    start_ms, end_ms = query.range_ms(call.hub.now_ms())
    if end_ms <= start_ms:
        raise InvalidArgumentError("query: expected a window that ends after it begins", remedy=_REMEDY)
    left, since = MAX_POINTS, tenures(call.request)
    for facts in call.platform.groups.scan(group):
        rows: dict[int, dict[str, Any]] = {}
        begin_ms = max(start_ms, since.get(facts.device_id, 0))
        if begin_ms >= end_ms:  # of another owner's time, all of it
            continue
        for _, name, key in call.hub.series.fleet.series((facts.device_id,), query.names):
            for points in call.hub.series.stream(key, begin_ms, end_ms):
                left -= len(points)
                if left < 0:
                    raise InvalidArgumentError(
                        f"query: it looks at more than {MAX_POINTS} values",
                        remedy="Take a shorter window, or an export.",
                    )
                for at_ms, value in zip(points.times, points.values, strict=True):
                    kept = bool(value) if key.kind.name == "BOOLEAN" else value
                    rows.setdefault(at_ms, {**_meta(facts), "$ts": at_ms})[name] = kept
        yield from (rows[at_ms] for at_ms in sorted(rows))


def _property_rows(call: Call, query: Select, group: Group, ready: Ready) -> Iterator[Mapping[str, Any]]:
    clouds = ready.template.cloud
    needs = Needs(twin=True, cloud=True, template=True)
    for number, facts in enumerate(call.platform.groups.scan(group, needs=needs)):
        if number == MAX_DEVICES:
            return
        fields = {name: Field("cloud" if name in clouds else "property", name) for name in query.names}
        yield {**_meta(facts), **{name: value_at(place, facts) for name, place in fields.items()}}


def _meta(facts: DeviceFacts) -> dict[str, Any]:
    return {
        "$id": facts.device_id,
        "$provisioned": facts.fields.get("provisioned"),
        "$simulated": facts.fields.get("tier") == "simulated",
    }
