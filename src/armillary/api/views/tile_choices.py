# SPDX-License-Identifier: Apache-2.0
"""What a tile of some devices can show: values, properties, places and commands, each with its name and unit.

They are those of the devices' templates, then what devices have sent besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from armillary.twin.template.value_names import Naming, as_fields

if TYPE_CHECKING:
    from armillary.engines.series.store import SeriesStore
    from armillary.platform.dashboards.devices import DashboardDevices
    from armillary.twin.author.dashboard import TileSource
    from armillary.twin.template.template import Template
    from armillary.wire.dtdl.model import Schema

Document = dict[str, Any]

# Devices whose sent names are looked at: a group's devices send alike.
LOOKED_AT: Final = 20
# Names of one list: a person chooses from it.
MAX_CHOICES: Final = 400
_POINT: Final = (".lat", ".lon")


def choices(devices: DashboardDevices, series: SeriesStore, source: TileSource | None) -> Document:
    """``values``, ``properties``, ``locations`` and ``commands``: name, display_name, symbol and words of each.

    Raises as :meth:`DashboardDevices.of`.
    """
    naming = devices.naming(source)
    found: dict[str, dict[str, None]] = {kind: {} for kind in ("values", "properties", "locations", "commands")}
    for template in naming.templates:
        _of_template(template, found)
    sent = {each.name for device_id in devices.of(source)[:LOOKED_AT] for each in series.metrics(device_id)}
    points = {name.removesuffix(_POINT[0]) for name in sent if name.endswith(_POINT[0])}
    found["locations"] |= dict.fromkeys(sorted(each for each in points if each + _POINT[1] in sent))
    found["values"] |= dict.fromkeys(sorted(sent - {each + end for each in points for end in _POINT}))
    return {kind: _named(naming, names) for kind, names in found.items()}


def _named(naming: Naming, names: Iterable[str]) -> list[Document]:
    return [as_fields(naming.of(name)) for name in list(names)[:MAX_CHOICES]]


def _of_template(template: Template, found: dict[str, dict[str, None]]) -> None:
    for name, each in template.capabilities.items():
        if each.kind == "command":
            found["commands"][name] = None
            continue
        schema = getattr(each.content, "schema", None)
        if each.kind not in ("telemetry", "property") or schema is None:
            continue
        if _is_point(schema):
            found["locations"][name] = None
        elif each.kind == "telemetry":
            found["values"] |= dict.fromkeys(_leaves(name, schema))
        if each.kind == "property":
            found["properties"][name] = None
    for name, cloud in template.cloud.items():
        found["properties"][name] = None
        if cloud.schema is not None and _is_point(cloud.schema):
            found["locations"][name] = None


def _is_point(schema: Schema) -> bool:
    return getattr(schema, "word", "") == "geopoint"


def _leaves(name: str, schema: Schema) -> list[str]:
    """Names under which a value of a schema is kept: an object's fields behind dots."""
    if getattr(schema, "word", "") == "vector":
        return [f"{name}.{axis}" for axis in "xyz"]
    fields = getattr(schema, "fields", None)
    if not fields:
        return [name]
    return [leaf for each in fields for leaf in _leaves(f"{name}.{each.name}", each.schema)]
