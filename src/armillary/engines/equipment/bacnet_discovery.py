# SPDX-License-Identifier: Apache-2.0
"""What an unknown BACnet/IP device is and which objects it has. It reads, and no more.

Source: ASHRAE 135 clause 12.11 (the Device object and its Object_List); instance 4194303 stands for any device.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from bacpypes3.apdu import ReadPropertyACK
from bacpypes3.basetypes import EngineeringUnits
from bacpypes3.primitivedata import ObjectIdentifier, PropertyIdentifier, Unsigned

from armillary.engines.equipment.bacnet import BacnetLink, read_property, reason_of
from armillary.engines.equipment.bacnet_transaction import Transactions
from armillary.engines.equipment.foreign_errors import as_link_errors
from armillary.engines.equipment.port import LinkCounters
from armillary.guard.allow_list import AllowList
from armillary.guard.deciding import decide
from armillary.guard.discovery.drafting_values import ValueFound
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import BacnetIp
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import ObjectsRead

ANY_DEVICE = 4_194_303
OBJECTS_MAX = 2000  # Asked for; a device says itself how many it has
BATCH = 10  # Objects whose properties are read by one request
ASKED = ("object-name", "present-value", "units", "description")
# How a profile writes the present values of these objects; others are not drafted
RAW = {
    "analog-input": "f64be",
    "analog-output": "f64be",
    "analog-value": "f64be",
    "large-analog-value": "f64be",
    "integer-value": "i32be",
    "positive-integer-value": "u32be",
    "binary-input": "bool",
    "binary-output": "bool",
    "binary-value": "bool",
    "multi-state-input": "u32be",
    "multi-state-output": "u32be",
    "multi-state-value": "u32be",
}


@dataclass(frozen=True, slots=True)
class ObjectFound:
    """An object of a device, with what it says of itself."""

    object_type: str
    instance: int
    name: str
    value: Value | None
    units: str
    description: str

    @property
    def drafted(self) -> ValueFound | None:
        """As a point of a draft; None where a profile cannot hold its value."""
        if self.object_type not in RAW:
            return None
        held = "no good value" if self.value is None else f"held {self.value} {self.units}".rstrip()
        place = f"object: {self.object_type}, instance: {self.instance}"
        return ValueFound(place, RAW[self.object_type], f"{self.name}, {held}")


async def found_device(settings: BacnetIp) -> BacnetIp:
    """The settings with the instance of the device that answers, where they have ``ANY_DEVICE``.

    Raises:
        LinkError: nobody is there, or the device does not say which it is.
    """
    if settings.device != ANY_DEVICE:
        return settings
    with as_link_errors(f"{settings.host}:{settings.port}", reason_of):
        transactions = await Transactions.open(settings, LinkCounters())
        try:
            wanted = ObjectIdentifier(("device", ANY_DEVICE))
            reply = await transactions.ask(*read_property(wanted, PropertyIdentifier("object-identifier")))
        finally:
            transactions.close()
        if not isinstance(reply, ReadPropertyACK):
            raise LinkError("damaged", "no answer to the question which device it is")
        return replace(settings, device=int(reply.propertyValue.cast_out(ObjectIdentifier)[1]))


async def objects(settings: BacnetIp, requests_per_s: float) -> list[ObjectFound]:
    """The objects of a device, each with name, present value, units and description.

    Raises:
        LinkError: it is another device, or does not answer.
    """
    pause_s = 1 / requests_per_s
    with as_link_errors(f"{settings.host}:{settings.port}", reason_of):
        transactions = await Transactions.open(settings, LinkCounters())
        try:
            listed = [each async for each in _listed(transactions, settings.device, pause_s)]
        finally:
            transactions.close()
    link = BacnetLink(settings)
    try:
        found = []
        for at in range(0, len(listed), BATCH):
            found += await _described(link, listed[at : at + BATCH])
            await asyncio.sleep(pause_s)
        return found
    finally:
        await link.close()


async def _listed(transactions: Transactions, device: int, pause_s: float) -> AsyncIterator[tuple[str, int]]:
    """The device's list, one element by one request: it need not fit into a reply."""
    here, wanted = ObjectIdentifier(("device", device)), PropertyIdentifier("object-list")
    reply = await transactions.ask(*read_property(here, wanted, 0))
    for index in range(1, min(int(reply.propertyValue.cast_out(Unsigned)), OBJECTS_MAX) + 1):
        await asyncio.sleep(pause_s)
        reply = await transactions.ask(*read_property(here, wanted, index))
        kind, instance = reply.propertyValue.cast_out(ObjectIdentifier)
        yield str(kind), int(instance)


async def _described(link: BacnetLink, listed: Sequence[tuple[str, int]]) -> list[ObjectFound]:
    places = tuple((kind, instance, each) for kind, instance in listed for each in ASKED)
    permit = decide(AllowList(objects=frozenset(places)), ObjectsRead(places))
    values = (await link.exchange(permit)).values
    found = []
    for number, (kind, instance) in enumerate(listed):
        name, value, units, description = values[number * len(ASKED) : (number + 1) * len(ASKED)]
        unit = str(EngineeringUnits(units)) if isinstance(units, int) else ""
        found.append(ObjectFound(kind, instance, str(name or ""), value, unit, str(description or "")))
    return found
