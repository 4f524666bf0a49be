# SPDX-License-Identifier: Apache-2.0
"""A link to equipment with BACnet/IP, which reads and does nothing else.

bacpypes3 encodes requests and decodes replies; its application, which would answer requests of others, is not used.
The socket is connected to the equipment and nothing listens at port 47808. There is no WriteProperty, no
DeviceCommunicationControl and no ReinitializeDevice: a link takes reads of objects only.

With each present value the object's status flags are read: a value that is in fault or out of service has none, as has
one that is not finite. The first exchange asks for the device instance that the profile names.

Source: ASHRAE 135 clauses 5.4 (transactions), 15.5, 15.7 (ReadProperty, ReadPropertyMultiple), 20.1 (APDUs), Annex J.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from bacpypes3.apdu import (
    AbortPDU,
    AbortReason,
    ErrorRejectAbortNack,
    ReadPropertyACK,
    ReadPropertyMultipleACK,
    ReadPropertyMultipleRequest,
    ReadPropertyRequest,
    RejectPDU,
    RejectReason,
)
from bacpypes3.basetypes import PropertyReference, ReadAccessSpecification, StatusFlags
from bacpypes3.constructeddata import SequenceOf
from bacpypes3.primitivedata import (
    Boolean,
    CharacterString,
    Double,
    Enumerated,
    Integer,
    ObjectIdentifier,
    PropertyIdentifier,
    Real,
    TagClass,
    Unsigned,
)

from armillary.engines.equipment.bacnet_transaction import Transactions
from armillary.engines.equipment.foreign_errors import as_link_errors
from armillary.engines.equipment.port import LinkCounters
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import BacnetIp
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import Frame, ObjectsRead, Request, ValuesReply

BATCH = 25  # Objects of one request: the reply stays below 1,476 bytes; halved for a device that takes fewer
TEXT_MAX = 1000  # Characters of a text that is taken as a value
VALUE, FLAGS = PropertyIdentifier("present-value"), PropertyIdentifier("status-flags")
# Application tags (20.2.1.4) of plain values
KINDS = {1: Boolean, 2: Unsigned, 3: Integer, 4: Real, 5: Double, 7: CharacterString, 9: Enumerated}
TOO_MUCH = {
    AbortPDU: (AbortReason.bufferOverflow, AbortReason.segmentationNotSupported, AbortReason.apduTooLong),
    RejectPDU: (RejectReason.bufferOverflow, RejectReason.tooManyArguments),
}
ABSENT = ("object", "property")  # Classes of errors that are about one value, not about the device

Place = tuple[str, int, str]  # Object type, instance, property


class BacnetLink:
    """One BACnet device.

    Args:
        settings: Of the profile.
    """

    def __init__(self, settings: BacnetIp) -> None:
        self.counters = LinkCounters()
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        self._turn = asyncio.Lock()
        self._transactions: Transactions | None = None
        self._batch = BATCH  # 0: one property a request, for devices without ReadPropertyMultiple

    async def exchange(self, permit: Permit[Request]) -> ValuesReply:
        """Read properties of objects.

        Raises:
            LinkError: no answer, a damaged one, another device than the profile's, or a refusal.
        """
        request = permit.request
        if not isinstance(request, ObjectsRead):
            raise TypeError(f"a link to BACnet takes reads of objects, not {type(request).__name__}")
        async with self._turn:
            self.counters.exchanges += 1
            try:
                with as_link_errors(self._where, reason_of):
                    transactions = await self._ready()
                    values = await self._read(transactions, request.objects)
            except LinkError as error:
                self.counters.count(error)
                self._drop()
                raise
            except BaseException:  # Stopped in the middle: the answer may still come
                self._drop()
                raise
            self.counters.replies += 1
            return ValuesReply(tuple(values))

    async def receive(self) -> Frame:
        """Wait for ever: nothing is subscribed to."""
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        """Close the socket."""
        self._drop()

    async def _ready(self) -> Transactions:
        """Return the socket that stands, or a new one at which the right device has answered."""
        if self._transactions is None:
            self._transactions = await Transactions.open(self._settings, self.counters)
            self.counters.connects += 1
            await self._check_device(self._transactions)
        return self._transactions

    async def _check_device(self, transactions: Transactions) -> None:
        wanted = ObjectIdentifier(("device", self._settings.device))
        try:
            reply = await transactions.ask(*read_property(wanted, PropertyIdentifier("object-identifier")))
        except ErrorRejectAbortNack as refusal:
            if _error_class(refusal) not in ABSENT:
                raise
            raise LinkError("foreign", f"{self._where} is not device {self._settings.device}") from refusal
        if not isinstance(reply, ReadPropertyACK) or reply.propertyValue.cast_out(ObjectIdentifier) != wanted:
            raise LinkError("foreign", f"{self._where} is not device {self._settings.device}")

    async def _read(self, transactions: Transactions, places: Sequence[Place]) -> list[Value | None]:
        values: list[Value | None] = []
        while len(values) < len(places):
            if self._batch == 0:
                values.append(await self._single(transactions, places[len(values)]))
                continue
            batch = places[len(values) : len(values) + self._batch]
            try:
                values.extend(await self._several(transactions, batch))
            except ErrorRejectAbortNack as refusal:
                self._batch = _smaller(refusal, len(batch))
        return values

    async def _several(self, transactions: Transactions, places: Sequence[Place]) -> list[Value | None]:
        asked, request = _read_several(tuple(places))
        reply = await transactions.ask(*request)
        if not isinstance(reply, ReadPropertyMultipleACK):
            raise LinkError("damaged", f"{self._where} answered with {type(reply).__name__}")
        results = list(reply.listOfReadAccessResults)
        shown = [
            (result.objectIdentifier, tuple(element.propertyIdentifier for element in result.listOfResults))
            for result in results
        ]
        if shown != asked:
            raise LinkError("damaged", f"{self._where} answered about other objects than it was asked for")
        return [_value([element.readResult.propertyValue for element in result.listOfResults]) for result in results]

    async def _single(self, transactions: Transactions, place: Place) -> Value | None:
        found: list[Any] = []
        for wanted in _properties(place):
            try:
                reply = await transactions.ask(*read_property(_object(place), wanted))
            except ErrorRejectAbortNack as refusal:
                if _error_class(refusal) not in ABSENT:
                    raise
                found.append(None)
                continue
            if not isinstance(reply, ReadPropertyACK):
                raise LinkError("damaged", f"{self._where} answered with {type(reply).__name__}")
            if (reply.objectIdentifier, reply.propertyIdentifier) != (_object(place), wanted):
                raise LinkError("damaged", f"{self._where} answered about another object than it was asked for")
            found.append(reply.propertyValue)
        return _value(found)

    def _drop(self) -> None:
        if self._transactions is not None:
            self._transactions.close()
            self._transactions = None
            self.counters.disconnects += 1


def _object(place: Place) -> Any:
    return ObjectIdentifier((place[0], place[1]))


def _properties(place: Place) -> Iterator[Any]:
    yield PropertyIdentifier(place[2])
    if PropertyIdentifier(place[2]) == VALUE:
        yield FLAGS


def read_property(identifier: Any, wanted: Any, index: int | None = None) -> tuple[int, bytes]:
    """ReadProperty: the service and its parameters. ``index``: of one element of an array, 0 for their number."""
    request = ReadPropertyRequest(objectIdentifier=identifier, propertyIdentifier=wanted)
    if index is not None:
        request.propertyArrayIndex = index
    encoded = request.encode()
    return encoded.apduService, bytes(encoded.pduData)


@lru_cache(maxsize=256)  # A poll plan asks for the same ones again and again
def _read_several(places: tuple[Place, ...]) -> tuple[list[tuple[Any, tuple[Any, ...]]], tuple[int, bytes]]:
    """What is asked for, and the service with its parameters."""
    asked = [(_object(place), tuple(_properties(place))) for place in places]
    specifications = [
        ReadAccessSpecification(
            objectIdentifier=identifier,
            listOfPropertyReferences=[PropertyReference(propertyIdentifier=wanted) for wanted in properties],
        )
        for identifier, properties in asked
    ]
    several = SequenceOf(ReadAccessSpecification)(specifications)
    encoded = ReadPropertyMultipleRequest(listOfReadAccessSpecs=several).encode()
    return asked, (encoded.apduService, bytes(encoded.pduData))


def _value(found: Sequence[Any]) -> Value | None:
    """A value from what came for it and, where it is a present value, for its status flags."""
    if len(found) > 1 and found[1] is not None:
        flags = found[1].cast_out(StatusFlags)
        if flags[StatusFlags.fault] or flags[StatusFlags.outOfService]:
            return None
    return plain_value(found[0])


def plain_value(found: Any) -> Value | None:
    """A property's value, or None where there is none, it is not finite, or no plain value."""
    if found is None:
        return None
    tags = [tag for tag in found.tagList.tagList if tag.tag_class not in (TagClass.opening, TagClass.closing)]
    if len(tags) != 1 or tags[0].tag_class != TagClass.application or int(tags[0].tag_number) not in KINDS:
        return None
    kind = KINDS[int(tags[0].tag_number)]
    value = found.cast_out(kind)
    if kind is Boolean:
        return bool(value)
    if kind is CharacterString:
        return str(value) if len(value) <= TEXT_MAX else None
    if kind in (Real, Double):
        return float(value) if math.isfinite(value) else None
    return int(value)


def _smaller(refusal: ErrorRejectAbortNack, size: int) -> int:
    """How many objects to ask for after a refusal that is about the size or the service; others are raised again."""
    if isinstance(refusal, RejectPDU) and refusal.reason == RejectReason.unrecognizedService:
        return 0
    for kind, reasons in TOO_MUCH.items():
        if isinstance(refusal, kind) and refusal.reason in reasons:
            return size // 2
    raise refusal


def _error_class(refusal: ErrorRejectAbortNack) -> str:
    """``object``, ``property``, ``device``, ...; empty for a Reject or an Abort."""
    with suppress(AttributeError):
        return str(refusal.errorClass)
    return ""


def reason_of(error: BaseException) -> str:
    """An Error, Reject or Abort is the device's refusal; anything else came damaged."""
    return "refused" if isinstance(error, ErrorRejectAbortNack) else "damaged"
