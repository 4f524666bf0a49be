# SPDX-License-Identifier: Apache-2.0
"""Which point a value of a guardian's equipment is about: ``shot.brewTemp`` is what the event ``shot`` captured of it.

The interface of equipment is DTDL v2, whose fields of an object have no unit. What an event captured is a point of the
same interface, so it is called and measured as the point is. What makes such interfaces: ``guard/interface.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from armillary.twin.template.template import Template

# Telemetry that says which points are not good, by their names.
QUALITY: Final = "quality"
# Telemetry whose fields are about an alarm or a command, and are no points.
_OTHERS: Final = frozenset(("alarm", "attempt"))
# How long an event lasted.
SECONDS: Final = "seconds"


def is_of_equipment(template: Template) -> bool:
    """Whether a template is of the interface that a guardian's equipment has."""
    from armillary.wire.dtdl import model as dtdl  # noqa: PLC0415 - a megabyte that a hub without templates does not need

    schema = getattr(getattr(template.capabilities.get(QUALITY), "content", None), "schema", None)
    return isinstance(schema, dtdl.MapSchema) and "attempt" in template.capabilities


def point_of(template: Template, telemetry: str, part: str) -> str | None:
    """The point that a part of a telemetry of equipment is about; None for one that is about none."""
    found = template.capabilities.get(part)
    return part if telemetry not in _OTHERS and found is not None and found.kind == "telemetry" else None
