# SPDX-License-Identifier: Apache-2.0
"""What an export with ``names`` adds to a record: what the device template calls its values, and their units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from armillary.platform.templates.value_names import DeviceNaming
from armillary.twin.author.data_export import ExportRecord, ExportSource
from armillary.twin.template.value_names import Naming, unit_by_ending

# Sections of a twin whose members a template may name.
_SECTIONS: Final = ("reported", "desired")


class RecordNaming:
    """Names of the values of some records, read once for each device or module. Methods block for a read."""

    def __init__(self, naming: DeviceNaming) -> None:
        self._naming = naming
        self._known: dict[str, Naming] = {}

    def of(self, record: ExportRecord) -> Mapping[str, Any]:
        """What is added to a record: for measured values and properties ``names``, for an alert ``summary``.

        ``names`` has for each value of which the template says more than the machine name its display name and the
        symbol of its unit. ``summary`` says why the rule fired, in words with units. Other records get nothing.
        """
        if record.source not in (ExportSource.TELEMETRY, ExportSource.PROPERTIES, ExportSource.ALERTS):
            return {}
        module = record.content.get("module")
        identity = f"{record.device_id}/{module}" if module else record.device_id
        if record.source is ExportSource.ALERTS:
            return {"summary": self._naming.summary(identity, record.content["trace"])}
        if identity not in self._known:
            self._known[identity] = self._naming.of_devices((identity,))
        found = {}
        for name, full in _values(record):
            called = self._known[identity].of(full)
            if (called.display_name, called.symbol) != (full, unit_by_ending(full)):
                found[name] = {"display_name": called.display_name, "symbol": called.symbol}
        return {"names": found}


def _values(record: ExportRecord) -> Iterator[tuple[str, str]]:
    """Names of the values in a record, each with the name that a template knows it by."""
    if record.source is ExportSource.TELEMETRY:
        yield from ((name, name) for name in record.values)
    elif record.content["section"] in _SECTIONS:
        section = record.content["section"]
        yield from ((name, f"{section}.{name}") for name in record.content["properties"])
