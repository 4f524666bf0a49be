# SPDX-License-Identifier: Apache-2.0
"""Every message against its device's template as it comes in: counted, and the last value that does not fit kept.

A message costs one dict look-up when its device has no template, and one look-up and one check a value when it has one.
Nothing is refused here. Lives in the hub's loop; a device's template is looked up in a thread, once for each connection
and again when its document or a template changes: the few messages before that are not judged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from armillary.engines.documents.document import Document, is_device_id
from armillary.platform.ports import Devices
from armillary.wire.hub.telemetry import Telemetry

if TYPE_CHECKING:
    from armillary.platform.templates.device_templates import DeviceTemplates
    from armillary.twin.template.payload import PayloadTable

_log = structlog.get_logger(__name__)

# Devices whose last misfit is kept.
MAX_MISFITS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Misfit:
    """The last value of a device that was not as its template says."""

    at_ms: int  # When it was measured
    name: str  # Of the value
    expected: str  # What the template says, in words
    got: float | bool | str  # The value
    count: int  # Values so far that did not fit, since the service began


class ModelCheck:
    """Checks messages against templates, and counts the values that do not fit."""

    def __init__(self, templates: DeviceTemplates, devices: Devices) -> None:
        self._templates = templates
        self._devices = devices
        self._tables: dict[int, PayloadTable | None] = {}
        self._numbers: dict[str, int] = {}
        self._misfits: dict[str, Misfit] = {}
        self._changes = 0  # of documents; what was read before the last one may be over
        self.values_checked = 0  # Values of devices that have a template
        self.values_unmodelled = 0  # Those of them that the template does not have
        self.values_misfit = 0  # Those of them that are not as the template says

    def measured(self, device: int, telemetry: Telemetry, *_: int) -> None:
        """A message was decoded; ``device`` is the number of its device."""
        try:
            table = self._tables[device]
        except KeyError:
            self._look_up(device)
            return
        if table is None:
            return
        values = telemetry.values
        self.values_checked += len(values)
        known = table.known
        for name, value in values.items():
            leaf = known.get(name) or table.leaf(name)
            if leaf is None:
                self.values_unmodelled += 1
            elif not leaf.fits(value):
                self._misfit(device, Misfit(telemetry.at_ms, name, leaf.expected, value, 1))

    def last_misfit(self, device_id: str) -> Misfit | None:
        """The last value of a device that did not fit; from any thread."""
        return self._misfits.get(device_id)

    def forget(self, news: Sequence[Document]) -> None:
        """Documents changed; the store calls it in the thread that changed them."""
        devices = [each.id for each in news if each.kind == "device"]
        templates = any(each.kind == "template" for each in news)
        if devices or templates:
            self._devices.soon(lambda: self._forget(devices, all_of_them=templates))

    def _forget(self, device_ids: Sequence[str], *, all_of_them: bool) -> None:
        self._changes += 1
        if all_of_them:
            self._tables.clear()
        for device_id in device_ids:
            number = self._numbers.get(device_id)
            if number is not None:
                self._tables.pop(number, None)

    def _take(self, number: int, table: PayloadTable | None, changes: int) -> None:
        if changes == self._changes:
            self._tables[number] = table
        else:  # looked up again with the next message
            self._tables.pop(number, None)

    def _look_up(self, number: int) -> None:
        device_id = self._devices.name_of(number)
        if device_id is None:  # it was in the log before the start
            return
        self._tables[number] = None
        if not is_device_id(device_id):  # forgotten since: nobody has such a name
            return
        self._numbers[device_id] = number
        changes = self._changes

        def read() -> None:
            try:
                ready = self._templates.get(device_id).ready
            except Exception as error:  # noqa: BLE001 - the thread's outermost frame; it goes on unjudged
                _log.warning("hub.template-not-read", device=device_id[:16], why=str(error))
                return
            table = None if ready is None else ready.table
            self._devices.soon(lambda: self._take(number, table, changes))

        self._devices.soon(lambda: asyncio.get_running_loop().run_in_executor(None, read))

    def _misfit(self, device: int, found: Misfit) -> None:
        self.values_misfit += 1
        device_id = self._devices.name_of(device)
        if device_id is None:
            return
        before = self._misfits.pop(device_id, None)
        if before is not None:
            found = Misfit(found.at_ms, found.name, found.expected, found.got, before.count + 1)
        elif len(self._misfits) >= MAX_MISFITS:
            self._misfits.pop(next(iter(self._misfits)))
        self._misfits[device_id] = found
